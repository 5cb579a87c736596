/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store of open handles: their indexes, bindings and snapshots, and taking them over.
 */
#include "handle_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

void handle_release(struct held *h)
{
	if (h->lock)
		pthread_mutex_unlock(h->lock);
}

struct held handle_hold_index(struct handles *hs, uint32_t index)
{
	struct held h = { &hs->shared->handles[index], &hs->bindings[index],
		&hs->stripes[index % HANDLE_STRIPES] };

	pthread_mutex_lock(h.lock);
	return h;
}

struct held handle_hold(struct handles *hs, uint64_t fh)
{
	const uint32_t index = handles_index(fh); /* 0 wraps to one that is out of range */
	struct held h;

	if (index >= HANDOVER_HANDLES)
		return (struct held){ 0 };
	h = handle_hold_index(hs, index);
	if (atomic_load_explicit(&h.shared->fh, memory_order_relaxed) == fh)
		return h;
	handle_release(&h);
	return (struct held){ 0 };
}

/* --- which indexes are free -------------------------------------------------------------- */

static void mark_taken(struct handles *hs, uint32_t index)
{
	hs->taken[index / HANDLE_WORD_BITS] |= UINT64_C(1) << (index % HANDLE_WORD_BITS);
	hs->open++;
}

/* The lowest, so that few pages of the table are ever touched. */
static int take_index(struct handles *hs, uint32_t *ret)
{
	uint32_t index = HANDOVER_HANDLES;

	pthread_mutex_lock(&hs->free_lock);
	for (uint32_t word = 0; word < HANDOVER_HANDLES / HANDLE_WORD_BITS; word++) {
		if (hs->taken[word] == UINT64_MAX)
			continue;
		index = word * HANDLE_WORD_BITS + (uint32_t)__builtin_ctzll(~hs->taken[word]);
		mark_taken(hs, index);
		if (atomic_load(&hs->shared->handles_used) <= index)
			atomic_store(&hs->shared->handles_used, index + 1);
		break;
	}
	pthread_mutex_unlock(&hs->free_lock);
	if (index == HANDOVER_HANDLES) {
		log_limited("handles full",
			"%u files are open, which is all there can be; a container that opens "
			"without closing is the likely cause",
			HANDOVER_HANDLES);
		return -ENFILE;
	}
	*ret = index;
	return 0;
}

static void give_index(struct handles *hs, uint32_t index)
{
	pthread_mutex_lock(&hs->free_lock);
	hs->taken[index / HANDLE_WORD_BITS] &= ~(UINT64_C(1) << (index % HANDLE_WORD_BITS));
	hs->open--;
	pthread_mutex_unlock(&hs->free_lock);
}

/* --- what a container uses --------------------------------------------------------------- */

static int charge_handle(const struct container *c)
{
	struct use *use = c->subject.use;

	if (!use || use_charge(&use->handles, 1, HANDLES_PER_CONTAINER))
		return 0;
	log_limited("handles of a container",
		"the container of pid %d has %u files open, which is all it may have", c->init,
		HANDLES_PER_CONTAINER);
	return -ENFILE;
}

static bool charge_pages(struct use *use, uint32_t pages)
{
	return !use || use_charge(&use->pages, pages, HANDLES_PAGES_PER_CONTAINER);
}

static void uncharge_pages(struct use *use, uint32_t pages)
{
	if (use)
		atomic_fetch_sub(&use->pages, pages);
}

/* A handle that is open already: the limits are not asked. */
static void give_to(struct held *h, struct use *use)
{
	h->binding->use = use_ref(use);
	h->shared->owner = use ? use->owner : 0;
	if (!use)
		return;
	atomic_fetch_add(&use->handles, 1);
	atomic_fetch_add(&use->pages, h->binding->pages);
}

/* Takes the container away from a handle, and what counts it. */
static struct container *unbind(struct binding *b)
{
	struct container *c = b->container;
	struct use *use = b->use;

	b->container = NULL;
	b->use = NULL;
	if (use) {
		atomic_fetch_sub(&use->handles, 1);
		atomic_fetch_sub(&use->pages, b->pages);
		use_put(use);
	}
	return c;
}

/* --- snapshots --------------------------------------------------------------------------- */

/* One store: whoever takes over finds the old snapshot or the new one. */
static void replace_snapshot(struct handles *hs, struct held *h, uint64_t ref, uint32_t pages)
{
	const uint64_t old =
		atomic_exchange_explicit(&h->shared->snapshot, ref, memory_order_acq_rel);

	if (old != SLAB_NONE)
		slab_release(hs->slab, old);
	uncharge_pages(h->binding->use, h->binding->pages);
	h->binding->pages = pages;
}

static int store_snapshot(
	struct handles *hs, struct held *h, const struct text *t, struct handover_slot *slot)
{
	const uint32_t pages = slab_pages(t->len);
	uint64_t ref;
	int e;

	if (!charge_pages(h->binding->use, pages))
		return -ENFILE;
	e = slab_store(hs->slab, t->data, t->len, &ref);
	if (e < 0) {
		uncharge_pages(h->binding->use, pages);
		return e == -ENOSPC ? -ENFILE : e;
	}
	if (slot)
		atomic_store_explicit(&slot->snapshot, ref, memory_order_release);
	replace_snapshot(hs, h, ref, pages);
	return 0;
}

int handles_store(struct handles *hs, uint64_t fh, const struct text *t, struct handover_slot *slot)
{
	autoheld h = handle_hold(hs, fh);
	int e;

	if (!h.lock)
		return -ESTALE;
	e = store_snapshot(hs, &h, t, slot);
	if (e == -ENFILE)
		log_limited("snapshots full",
			"no room is left to keep the contents of open files (%u pages in use of "
			"all containers): the read is refused",
			slab_used(hs->slab));
	return e;
}

bool handles_stored_by(struct handles *hs, uint64_t fh, const struct handover_slot *slot)
{
	const uint64_t ref = slot ? atomic_load(&slot->snapshot) : SLAB_NONE;
	autoheld h = handle_hold(hs, fh);

	return h.lock && ref != SLAB_NONE && atomic_load(&h.shared->snapshot) == ref;
}

int handles_load(struct handles *hs, uint64_t fh, size_t offset, size_t n, struct text *t)
{
	autoheld h = handle_hold(hs, fh);
	uint64_t ref;

	if (!h.lock)
		return -ESTALE;
	ref = atomic_load_explicit(&h.shared->snapshot, memory_order_acquire);
	if (ref == SLAB_NONE || ref == SLAB_LOST)
		return ref == SLAB_NONE ? -ENODATA : -EIO;
	return slab_load(hs->slab, ref, offset, n, t);
}

/* --- handles ----------------------------------------------------------------------------- */

/* Index and generation name one opening and never come back. */
static uint64_t next_fh(struct handover_handle *h, uint32_t index)
{
	if (++h->generation == 0)
		h->generation = 1;
	return (uint64_t)h->generation << 32 | (index + 1);
}

static void publish(struct handles *hs, uint32_t index, const struct handle_info *info,
	struct container *c, struct handover_slot *slot, uint64_t *ret_fh)
{
	autoheld h = handle_hold_index(hs, index);
	const uint64_t fh = next_fh(h.shared, index);

	h.shared->node = info->node;
	h.shared->kind = info->kind;
	h.shared->flags = info->flags;
	container_identity(c, &h.shared->identity);
	atomic_store_explicit(&h.shared->snapshot, SLAB_NONE, memory_order_relaxed);
	atomic_store_explicit(&h.shared->poll, 0, memory_order_relaxed);
	atomic_store_explicit(&h.shared->written, 0, memory_order_relaxed);
	h.shared->owner = c->subject.use ? c->subject.use->owner : 0;
	*h.binding = (struct binding){ container_ref(c), use_ref(c->subject.use), 0 };
	if (slot)
		atomic_store_explicit(&slot->fh, fh, memory_order_release);
	atomic_store_explicit(&h.shared->fh, fh, memory_order_release);
	*ret_fh = fh;
}

int handles_open(struct handles *hs, const struct handle_info *info, struct container *c,
	struct handover_slot *slot, uint64_t *ret_fh)
{
	uint32_t index;
	int e = charge_handle(c);

	if (e < 0)
		return e;
	e = take_index(hs, &index);
	if (e < 0) {
		if (c->subject.use)
			atomic_fetch_sub(&c->subject.use->handles, 1);
		return e;
	}
	publish(hs, index, info, c, slot, ret_fh);
	return 0;
}

bool handles_is(struct handles *hs, uint64_t fh, const struct handle_info *info)
{
	autoheld h = handle_hold(hs, fh);

	return h.lock && h.shared->node == info->node && h.shared->kind == (uint32_t)info->kind;
}

void handles_close(struct handles *hs, uint64_t fh)
{
	struct container *c;

	{
		autoheld h = handle_hold(hs, fh);

		if (!h.lock)
			return;
		atomic_store_explicit(&h.shared->fh, 0, memory_order_release);
		h.shared->owner = 0; /* an earlier version would not say whose the next is */
		replace_snapshot(hs, &h, SLAB_NONE, 0);
		c = unbind(h.binding);
		*h.binding = (struct binding){ 0 };
	}
	container_unref(c);
	give_index(hs, (uint32_t)fh - 1);
}

int handles_get(struct handles *hs, uint64_t fh, struct handle_info *ret_info,
	struct container **ret_container, struct container_identity *ret_identity)
{
	autoheld h = handle_hold(hs, fh);

	if (!h.lock)
		return -ESTALE;
	if (ret_info)
		*ret_info = (struct handle_info){ h.shared->node,
			(enum handover_handle_kind)h.shared->kind, h.shared->flags };
	if (ret_container)
		*ret_container = h.binding->container ? container_ref(h.binding->container) : NULL;
	if (ret_identity)
		*ret_identity = h.shared->identity;
	return 0;
}

bool handles_sharer(struct handles *hs, uint64_t fh, uint32_t *ret)
{
	autoheld h = handle_hold(hs, fh);

	if (!h.lock || !h.binding->container)
		return false;
	*ret = container_sharer(h.binding->container);
	return true;
}

static struct container *rebind(struct held *h, struct container *c)
{
	struct container *old = unbind(h->binding);

	h->binding->container = container_ref(c);
	give_to(h, c->subject.use);
	container_identity(c, &h->shared->identity);
	return old;
}

int handles_bind(struct handles *hs, uint64_t fh, struct container *c)
{
	struct container *old;

	{
		autoheld h = handle_hold(hs, fh);

		if (!h.lock)
			return -ESTALE;
		old = rebind(&h, c);
	}
	container_unref(old);
	return 0;
}

unsigned handles_count(struct handles *hs)
{
	unsigned n;

	pthread_mutex_lock(&hs->free_lock);
	n = hs->open;
	pthread_mutex_unlock(&hs->free_lock);
	return n;
}

/* --- takeover ---------------------------------------------------------------------------- */

static bool adoptable(const struct handover_handle *h, uint32_t index)
{
	const uint64_t fh = atomic_load_explicit(&h->fh, memory_order_acquire);

	return fh == ((uint64_t)h->generation << 32 | (index + 1)) && h->generation != 0 &&
		(h->kind == HANDOVER_HANDLE_FILE || h->kind == HANDOVER_HANDLE_DIR);
}

static void adopt_snapshot(struct handles *hs, uint32_t index)
{
	struct handover_handle *h = &hs->shared->handles[index];
	struct binding *b = &hs->bindings[index];
	const uint64_t ref = atomic_load_explicit(&h->snapshot, memory_order_acquire);

	if (ref == SLAB_NONE)
		return;
	if (slab_adopt(hs->slab, ref) == 0) {
		b->pages = slab_pages(slab_length(ref));
		return;
	}
	atomic_store(&h->snapshot, SLAB_LOST); /* for every worker after this one, too */
}

/* What a container held with the worker before counts from the first OPEN on, not from the first
 * READ of each. 0 or -ENOMEM. */
static int charge_adopted(struct handles *hs, uint32_t index)
{
	struct held h = { &hs->shared->handles[index], &hs->bindings[index], NULL };
	struct use *use;
	int e = use_get(hs->uses, h.shared->owner, &use);

	if (use)
		give_to(&h, use);
	use_put(use);
	return e;
}

/* Counts in `*broken` what cannot be right. 0 or -ENOMEM. */
static int adopt_one(struct handles *hs, uint32_t index, unsigned *broken)
{
	struct handover_handle *h = &hs->shared->handles[index];

	if (atomic_load(&h->fh) == 0)
		return 0;
	if (!adoptable(h, index)) {
		atomic_store(&h->fh, 0);
		++*broken;
		return 0;
	}
	mark_taken(hs, index);
	adopt_snapshot(hs, index);
	return charge_adopted(hs, index);
}

static int adopt(struct handles *hs)
{
	uint32_t used = atomic_load(&hs->shared->handles_used);
	unsigned broken = 0;
	int e = 0;

	if (used > HANDOVER_HANDLES)
		used = HANDOVER_HANDLES;
	for (uint32_t index = 0; e == 0 && index < used; index++)
		e = adopt_one(hs, index, &broken);
	if (broken)
		log_limited("handles taken over",
			"%u open files that were handed over are not usable and answer ESTALE",
			broken);
	return e;
}

int handles_new(struct handover *h, struct slab *slab, struct uses *uses, struct handles **ret)
{
	struct handles *hs = calloc(1, sizeof(*hs));
	int e;

	if (!hs)
		return -ENOMEM;
	hs->bindings = calloc(HANDOVER_HANDLES, sizeof(*hs->bindings));
	if (!hs->bindings) {
		free(hs);
		return -ENOMEM;
	}
	hs->shared = h;
	hs->slab = slab;
	hs->uses = uses;
	pthread_mutex_init(&hs->free_lock, NULL);
	for (size_t i = 0; i < HANDLE_STRIPES; i++)
		pthread_mutex_init(&hs->stripes[i], NULL);
	e = adopt(hs);
	if (e < 0) {
		handles_free(hs);
		return e;
	}
	*ret = hs;
	return 0;
}

void handles_free(struct handles *hs)
{
	if (!hs)
		return;
	for (uint32_t index = 0; index < HANDOVER_HANDLES; index++)
		if (hs->taken[index / HANDLE_WORD_BITS] >> (index % HANDLE_WORD_BITS) & 1)
			container_unref(unbind(&hs->bindings[index]));
	pthread_mutex_destroy(&hs->free_lock);
	for (size_t i = 0; i < HANDLE_STRIPES; i++)
		pthread_mutex_destroy(&hs->stripes[i]);
	free(hs->bindings);
	free(hs);
}
