/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Order of the stores, for a worker that is killed between any two: a request is in the backlog
 * before its slot is cleared, and in the slot before its place here is. So it is found once or
 * twice, never not at all. The lines are this process's own, made anew by the next one.
 */
#include "backlog.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Two of those who share the worker may be in one line by chance: their numbers are hashes. */
#define LINES 4096u

/* Places and lines in lists: the index + 1, and 0 for none. */
struct line {
	uint32_t first, last; /* places */
	uint32_t next;        /* line that has something waiting */
};

enum size { SMALL, LARGE };

struct backlog {
	struct handover *shared;
	_Atomic unsigned n;
	pthread_mutex_t lock;
	uint32_t first, last; /* lines with something waiting, the next one to be served first */
	uint32_t free[2];     /* places that were used before, for each size */
	uint32_t next[HANDOVER_WAITING]; /* place, in a line or free */
	uint64_t arrived_ns[HANDOVER_WAITING];
	struct line lines[LINES];
};

/* --- places ----------------------------------------------------------------------------- */

static enum size size_at(uint32_t i)
{
	return i < HANDOVER_WAITING_SMALL ? SMALL : LARGE;
}

static void free_place(struct backlog *b, uint32_t i)
{
	uint32_t *list = &b->free[size_at(i)];

	b->next[i] = *list;
	*list = i + 1;
}

/* A place that was used before, else the lowest, so that few pages are ever touched. */
static bool find_place(struct backlog *b, enum size size, uint32_t *ret)
{
	struct handover_backlog *shared = &b->shared->backlog;
	_Atomic uint32_t *used = size == SMALL ? &shared->used_small : &shared->used_large;
	const uint32_t first = size == SMALL ? 0 : HANDOVER_WAITING_SMALL;
	const uint32_t most = size == SMALL ? HANDOVER_WAITING_SMALL : HANDOVER_WAITING_LARGE;
	const uint32_t n = atomic_load_explicit(used, memory_order_relaxed);

	if (b->free[size] != 0) {
		*ret = b->free[size] - 1;
		b->free[size] = b->next[*ret];
		return true;
	}
	if (n >= most)
		return false;
	atomic_store(used, n + 1);
	*ret = first + n;
	return true;
}

/* --- lines ------------------------------------------------------------------------------ */

static void append_line(struct backlog *b, uint32_t l)
{
	b->lines[l].next = 0;
	if (b->last != 0)
		b->lines[b->last - 1].next = l + 1;
	else
		b->first = l + 1;
	b->last = l + 1;
}

static void append(struct backlog *b, uint32_t whose, uint32_t i)
{
	const uint32_t l = whose % LINES;
	struct line *line = &b->lines[l];

	b->next[i] = 0;
	if (line->last != 0)
		b->next[line->last - 1] = i + 1;
	else {
		line->first = i + 1;
		append_line(b, l);
	}
	line->last = i + 1;
	atomic_fetch_add(&b->n, 1);
}

/* Of the line whose turn it is, which then waits for all others. */
static bool pop(struct backlog *b, uint32_t *ret)
{
	const uint32_t l = b->first - 1;
	struct line *line;

	if (b->first == 0)
		return false;
	line = &b->lines[l];
	b->first = line->next;
	if (b->first == 0)
		b->last = 0;
	*ret = line->first - 1;
	line->first = b->next[*ret];
	if (line->first == 0)
		line->last = 0;
	else
		append_line(b, l);
	atomic_fetch_sub(&b->n, 1);
	return true;
}

/* --- in and out ------------------------------------------------------------------------- */

bool backlog_put(struct backlog *b, struct handover_slot *slot, unsigned device, uint32_t whose,
	uint64_t now_ns)
{
	const uint32_t length = handover_slot_length(slot);
	bool found;
	uint32_t i;

	if (length < sizeof(struct fuse_in_header) || length > HANDOVER_REQUEST)
		return false;
	pthread_mutex_lock(&b->lock);
	found = find_place(b, length <= HANDOVER_SMALL ? SMALL : LARGE, &i);
	pthread_mutex_unlock(&b->lock);
	if (!found)
		return false;
	atomic_store(&b->shared->backlog.device[i], device);
	handover_request_put(handover_waiting(b->shared, i), slot->request, length);
	/* Before another thread can take and answer it: or the slot would be replayed. */
	handover_slot_clear(slot);
	pthread_mutex_lock(&b->lock);
	b->arrived_ns[i] = now_ns;
	append(b, whose, i);
	pthread_mutex_unlock(&b->lock);
	return true;
}

bool backlog_take(struct backlog *b, struct handover_slot *slot)
{
	uint8_t *request;
	uint32_t i;
	bool found;

	if (backlog_count(b) == 0)
		return false;
	pthread_mutex_lock(&b->lock);
	found = pop(b, &i);
	pthread_mutex_unlock(&b->lock);
	if (!found)
		return false;
	request = handover_waiting(b->shared, i);
	atomic_store(&slot->arrived_ns, b->arrived_ns[i]);
	atomic_store(&slot->device, atomic_load(&b->shared->backlog.device[i]) + 1);
	handover_request_put(slot->request, request, handover_request_length(request));
	handover_request_done(request);
	pthread_mutex_lock(&b->lock);
	free_place(b, i);
	pthread_mutex_unlock(&b->lock);
	return true;
}

unsigned backlog_count(const struct backlog *b)
{
	return atomic_load(&b->n);
}

/* --- from worker to worker -------------------------------------------------------------- */

static uint64_t unique_of(const uint8_t *request)
{
	struct fuse_in_header header;

	memcpy(&header, request, sizeof(header));
	return header.unique;
}

static bool is_in_slot(const struct handover *h, uint64_t unique)
{
	for (size_t i = 0; i < HANDOVER_SLOTS; i++)
		if (handover_slot_length(&h->slots[i]) != 0 &&
			unique_of(h->slots[i].request) == unique)
			return true;
	return false;
}

static bool is_adoptable(struct handover *h, unsigned n_devices, uint32_t i)
{
	const uint8_t *request = handover_waiting(h, i);
	const uint32_t length = handover_request_length(request);

	return length >= sizeof(struct fuse_in_header) &&
		length <= (size_at(i) == SMALL ? HANDOVER_SMALL : HANDOVER_REQUEST) &&
		atomic_load(&h->backlog.device[i]) < n_devices &&
		!is_in_slot(h, unique_of(request));
}

/* In one line: whose they are is not known yet. */
static void adopt(struct backlog *b, unsigned n_devices)
{
	struct handover *h = b->shared;

	for (uint32_t i = 0; handover_next_waiting(h, &i); i++)
		if (is_adoptable(h, n_devices, i))
			append(b, 0, i);
		else
			handover_request_done(handover_waiting(h, i));
}

/* What was used once and is empty now. */
static void find_free(struct backlog *b)
{
	struct handover_backlog *shared = &b->shared->backlog;

	if (atomic_load(&shared->used_small) > HANDOVER_WAITING_SMALL)
		atomic_store(&shared->used_small, HANDOVER_WAITING_SMALL);
	if (atomic_load(&shared->used_large) > HANDOVER_WAITING_LARGE)
		atomic_store(&shared->used_large, HANDOVER_WAITING_LARGE);
	for (uint32_t i = HANDOVER_WAITING; i-- > 0;) {
		const uint32_t used = size_at(i) == SMALL
			? atomic_load(&shared->used_small)
			: HANDOVER_WAITING_SMALL + atomic_load(&shared->used_large);

		if (i < used && handover_request_length(handover_waiting(b->shared, i)) == 0)
			free_place(b, i);
	}
}

int backlog_new(struct handover *h, unsigned n_devices, struct backlog **ret)
{
	struct backlog *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->shared = h;
	pthread_mutex_init(&b->lock, NULL);
	adopt(b, n_devices);
	find_free(b);
	*ret = b;
	return 0;
}

void backlog_free(struct backlog *b)
{
	if (!b)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b);
}
