/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose turn a request takes while others wait: a number for each outermost container. A guess from
 * what OPENs have found lately, by thread and by pid namespace; one that is wrong makes somebody
 * wait in another's line, and no more. Must never be used for what is shown.
 */
#include "private.h"

#include <time.h>

/* Thread numbers are given again sooner or later. */
#define FRESH_S 2u

/* number << 32 | seconds << 24 | sharer: one store, no lock. */
#define SHARER_BITS 24u
#define SECONDS_MASK 0xffu

/* Coarse: a few nanoseconds each OPEN. */
static uint32_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)ts.tv_sec & SECONDS_MASK;
}

static uint32_t short_hash(uint64_t n)
{
	return (uint32_t)(n * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SHARER_BITS));
}

static _Atomic uint64_t *place(_Atomic uint64_t *table, uint64_t number)
{
	return &table[number % SHARERS];
}

static void note(_Atomic uint64_t *table, uint64_t number, uint32_t sharer, uint32_t now)
{
	atomic_store_explicit(place(table, number),
		number << 32 | (uint64_t)now << SHARER_BITS | sharer, memory_order_relaxed);
}

static bool find(_Atomic uint64_t *table, uint64_t number, uint32_t now, uint32_t *ret)
{
	const uint64_t seen = atomic_load_explicit(place(table, number), memory_order_relaxed);

	if (seen >> 32 != (uint32_t)number ||
		((now - (uint32_t)(seen >> SHARER_BITS)) & SECONDS_MASK) > FRESH_S)
		return false;
	*ret = (uint32_t)seen & ((1u << SHARER_BITS) - 1);
	return true;
}

uint32_t container_sharer(const struct container *c)
{
	return c->subject.use ? short_hash(c->subject.use->owner) : 0;
}

void sharer_note(struct container_cache *c, pid_t tid, uint64_t pid_ns, const struct container *r)
{
	const uint32_t now = seconds(), sharer = container_sharer(r);

	note(c->sharer_threads, (uint64_t)tid, sharer, now);
	/* Many share the daemon's own. */
	if (pid_ns != c->pid_ns)
		note(c->sharer_namespaces, pid_ns, sharer, now);
}

/* A namespace that nobody has opened a file from is a sharer of its own. */
uint32_t container_sharer_of(struct container_cache *c, pid_t tid)
{
	const uint32_t now = seconds();
	uint64_t pid_ns;
	uint32_t sharer;

	if (tid <= 0)
		return 0;
	if (find(c->sharer_threads, (uint64_t)tid, now, &sharer))
		return sharer;
	if (proc_ns(c->config.root, tid, "ns/pid", &pid_ns) < 0)
		return 0;
	if (!find(c->sharer_namespaces, pid_ns, now, &sharer))
		sharer = short_hash(pid_ns);
	note(c->sharer_threads, (uint64_t)tid, sharer, now);
	return sharer;
}
