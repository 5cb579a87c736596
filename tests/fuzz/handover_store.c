/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What containers have in a hand-over area: accounts, open files, and the pages of both.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "../../src/container/load_private.h"
#include "fuzz.h"
#include "handover_worker.h"

/* --- accounts -------------------------------------------------------------------------------- */

/* Appends another one's bytes where there are none of its own. */
static struct account *begin(struct worker *w, const struct account_key *key, struct text *state)
{
	autotext predecessor = { 0 };
	struct account *a;

	FUZZ_ASSERT(account_begin(w->accounts, key, NULL, state, &predecessor, &a) == 0);
	return a;
}

static void check_load(struct worker *w, const struct account_key *key, size_t length)
{
	struct load_state state;
	char *cgroup = NULL;

	if (load_restore(w->accounts, key, &state, &cgroup, NULL) < 0)
		return;
	FUZZ_ASSERT(strlen(cgroup) <= length && state.sampled > 0);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		FUZZ_ASSERT(state.values.averages[i] <= UINT64_MAX / 2 / LOAD_ONE);
	free(cgroup);
}

/* All of what it says it has, and then what is written. */
static void use_account(struct worker *w, const struct account_entry *e)
{
	const struct account_key key = e->key;
	const size_t length = slab_length(e->state);
	char bytes[SLAB_PAGE + 1];
	autotext state = { 0 }, again = { 0 };

	FUZZ_ASSERT(key.kind < ACCOUNT_KINDS);
	check_load(w, &key, length);
	account_end(begin(w, &key, &state), NULL, 0);
	FUZZ_ASSERT(state.len == length);
	memset(bytes, 'a', sizeof(bytes));
	if (account_end(begin(w, &key, &again), bytes, sizeof(bytes)) < 0)
		return;
	text_reset(&again);
	account_end(begin(w, &key, &again), NULL, 0);
	FUZZ_ASSERT(again.len == sizeof(bytes) && memcmp(again.data, bytes, again.len) == 0);
	/* And as it was, if there is room. */
	account_end(begin(w, &key, &again), state.data, state.len);
}

/* Who looks for it finds this one. */
static bool is_first(const struct worker *w, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (w->h->accounts[i].state != SLAB_NONE &&
			memcmp(&w->h->accounts[i].key, &w->h->accounts[at].key,
				sizeof(struct account_key)) == 0)
			return false;
	return true;
}

void use_accounts(struct worker *w)
{
	size_t n = 0;

	for (size_t i = 0; i < AREA_ACCOUNTS; i++)
		if (w->h->accounts[i].state != SLAB_NONE) {
			n += w->h->accounts[i].key.kind == ACCOUNT_LOAD;
			FUZZ_ASSERT(is_first(w, i));
			use_account(w, &w->h->accounts[i]);
		}
	FUZZ_ASSERT(load_sampled(w->load) <= n);
}

/* --- handles --------------------------------------------------------------------------------- */

static void check_trigger(struct worker *w, uint64_t fh)
{
	unsigned says;

	if (!w->fs.triggers)
		return;
	says = triggers_poll(w->fs.triggers, fh);
	FUZZ_ASSERT(says == (unsigned)TRIGGER_NONE || says == (unsigned)TRIGGER_QUIET ||
		says == (unsigned)TRIGGER_EVENT);
	triggers_close(w->fs.triggers, fh);
	FUZZ_ASSERT(triggers_poll(w->fs.triggers, fh) == (unsigned)TRIGGER_NONE);
}

/* Nobody here knows yet whose it is. */
static void check_identity(struct worker *w, uint64_t fh)
{
	struct container_identity identity;
	struct container *c;
	struct handle_info info;

	FUZZ_ASSERT(handles_get(w->fs.handles, fh, &info, &c, &identity) == 0 && !c);
	FUZZ_ASSERT(info.kind == HANDOVER_HANDLE_FILE || info.kind == HANDOVER_HANDLE_DIR);
	if (container_by_identity(containers, &identity, &c) == 0) {
		FUZZ_ASSERT(handles_bind(w->fs.handles, fh, c) == 0);
		container_unref(c);
	}
}

/* The whole text, or what there is of it is no text. */
static void load_handle(struct worker *w, const struct handover_handle *h, struct open_handle *ret)
{
	const uint64_t ref = atomic_load(&h->snapshot);

	*ret = (struct open_handle){ .fh = atomic_load(&h->fh) };
	ret->loads = handles_load(w->fs.handles, ret->fh, 0, SIZE_MAX, &ret->text);
	if (ref == SLAB_NONE || ref == SLAB_LOST)
		FUZZ_ASSERT(ret->loads == (ref == SLAB_NONE ? -ENODATA : -EIO));
	else
		FUZZ_ASSERT(ret->loads == 0 && ret->text.len == slab_length(ref));
}

unsigned load_handles(struct worker *w, struct open_handle ret[HANDLES])
{
	const uint32_t used = handles_used(w->h);
	unsigned open = 0;

	for (uint32_t i = 0; i < used; i++) {
		const struct handover_handle *h = &w->h->handles[i];

		if (atomic_load(&h->fh) == 0)
			continue;
		FUZZ_ASSERT(handles_index(atomic_load(&h->fh)) == i);
		if (open < HANDLES)
			load_handle(w, h, &ret[open]);
		open++;
	}
	FUZZ_ASSERT(handles_count(w->fs.handles) == open);
	return least(open, HANDLES);
}

void check_handle(struct worker *w, const struct open_handle *o)
{
	autotext t = { 0 };

	FUZZ_ASSERT(handles_load(w->fs.handles, o->fh, 0, SIZE_MAX, &t) == o->loads);
	FUZZ_ASSERT(slice_same(slice_of(&t), slice_of(&o->text)));
}

static uint64_t open_handle(struct worker *w, uint64_t node)
{
	const struct handle_info info = { .node = node, .kind = HANDOVER_HANDLE_FILE };
	uint64_t fh = 0;

	if (handles_open(w->fs.handles, &info, whose, &w->h->slots[0], &fh) == 0)
		FUZZ_ASSERT(handles_is(w->fs.handles, fh, &info));
	return fh;
}

/* False without room. */
static bool store(struct worker *w, uint64_t fh, char byte, size_t n)
{
	autotext text = { 0 }, again = { 0 };

	FUZZ_ASSERT(text_reserve(&text, n + 1));
	memset(text.data, byte, n);
	text.len = n;
	if (handles_store(w->fs.handles, fh, &text, &w->h->slots[0]) < 0)
		return false;
	FUZZ_ASSERT(handles_load(w->fs.handles, fh, 0, n, &again) == 0);
	FUZZ_ASSERT(slice_same(slice_of(&text), slice_of(&again)));
	return true;
}

void use_handles(struct worker *w, const struct open_handle *old, unsigned n)
{
	const uint64_t a = open_handle(w, 20), b = open_handle(w, HANDOVER_NODE_BASE);

	for (unsigned i = 0; i < n; i++)
		FUZZ_ASSERT(old[i].fh != a && old[i].fh != b);
	if (a != 0 && b != 0) {
		store(w, a, 'x', 20 * SLAB_PAGE + 1);
		store(w, b, 'y', 3 * SLAB_PAGE);
		store(w, a, 'z', 1);
	}
	handles_close(w->fs.handles, a);
	for (unsigned i = 0; i < n; i++)
		check_handle(w, &old[i]);
	handles_close(w->fs.handles, b);
}

void close_handles(struct worker *w, struct open_handle *old, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		check_identity(w, old[i].fh);
		check_trigger(w, old[i].fh);
		check_handle(w, &old[i]);
		store(w, old[i].fh, 'c', SLAB_PAGE);
		handles_close(w->fs.handles, old[i].fh);
		FUZZ_ASSERT(handles_get(w->fs.handles, old[i].fh, NULL, NULL, NULL) == -ESTALE);
		text_free(&old[i].text);
	}
}

/* --- pages ----------------------------------------------------------------------------------- */

void check_pages(struct worker *w)
{
	const uint32_t used = handles_used(w->h);
	uint64_t sum = 0;

	for (size_t i = 0; i < AREA_ACCOUNTS; i++)
		sum += pages_of(w->h->accounts[i].state);
	for (uint32_t i = 0; i < used; i++)
		if (atomic_load(&w->h->handles[i].fh) != 0)
			sum += pages_of(atomic_load(&w->h->handles[i].snapshot));
	FUZZ_ASSERT(slab_used(w->slab) == sum && sum <= AREA_PAGES);
}

/* What is charged to an owner is what it has. */
static void check_use(struct worker *w, uint64_t owner)
{
	const uint32_t used = handles_used(w->h);
	struct use has = { 0 }, *use;

	FUZZ_ASSERT(use_get(uses, owner, &use) == 0);
	for (uint32_t i = 0; i < used; i++)
		if (w->h->handles[i].fh != 0 && w->h->handles[i].owner == owner) {
			has.handles++;
			has.pages += pages_of(w->h->handles[i].snapshot);
		}
	for (size_t i = 0; i < AREA_ACCOUNTS; i++)
		if (w->h->accounts[i].state != SLAB_NONE && w->h->accounts[i].owner == owner) {
			has.accounts++;
			has.account_pages += pages_of(w->h->accounts[i].state);
		}
	FUZZ_ASSERT(use && use->handles == has.handles && use->pages == has.pages);
	FUZZ_ASSERT(use->accounts == has.accounts && use->account_pages == has.account_pages);
	use_put(use);
}

void check_uses(struct worker *w)
{
	const uint32_t used = least(handles_used(w->h), HANDLES);

	for (uint32_t i = 0; i < used; i++)
		if (w->h->handles[i].fh != 0 && w->h->handles[i].owner != 0)
			check_use(w, w->h->handles[i].owner);
	for (size_t i = 0; i < AREA_ACCOUNTS; i++)
		if (w->h->accounts[i].state != SLAB_NONE && w->h->accounts[i].owner != 0)
			check_use(w, w->h->accounts[i].owner);
}
