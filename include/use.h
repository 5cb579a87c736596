/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each outermost container below the daemon uses of what all of them share (SPEC 2.7). Its
 * number is the same for every worker of this boot, so that what a container holds is still its own
 * after a change of workers. Knows nothing of what is counted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Who charges counts here; what nobody uses any more costs nothing. */
struct use {
	_Atomic uint32_t handles;       /* open ones */
	_Atomic uint32_t pages;         /* of their snapshots */
	_Atomic uint32_t triggers;      /* armed on pressure files */
	_Atomic uint32_t accounts;      /* of all its cgroups and inits */
	_Atomic uint32_t account_pages; /* of what those remember */
	_Atomic uint32_t predecessors;  /* accounts whose init is dead */
	_Atomic uint32_t loads;         /* containers whose load is sampled */
	_Atomic uint64_t loads_paid_ns; /* CLOCK_MONOTONIC: when its readers' looks are paid for */
	/* The load sampler's thread: tasks found in that period, beyond what was known. */
	uint64_t loads_period, loads_found;

	/* constant */
	uint64_t owner; /* its number, never 0 */
	struct uses *all;

	_Atomic uint32_t refs;
	struct use *next; /* all->lock */
};

struct uses;

/* 0 or -ENOMEM. */
int uses_new(struct uses **ret);
/* NULL is fine. Nobody may hold a reference any more. */
void uses_free(struct uses *all);

/* With a reference; `*ret` is NULL when `all` is NULL or `owner` 0: nothing is charged then. 0 or
 * -ENOMEM, which is never to be taken for that. */
int use_get(struct uses *all, uint64_t owner, struct use **ret);
/* NULL is fine for both. */
struct use *use_ref(struct use *u);
void use_put(struct use *u);

/* How many owners something is counted for, for tests. */
unsigned uses_count(struct uses *all);

/* Counts `n` more; false, and nothing is counted, when that would be above `max`. */
static inline bool use_charge(_Atomic uint32_t *used, uint32_t n, uint32_t max)
{
	if (atomic_fetch_add(used, n) + (uint64_t)n <= max)
		return true;
	atomic_fetch_sub(used, n);
	return false;
}
