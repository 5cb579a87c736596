/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the load sampler share, and nobody else may see.
 *
 *   load.c          which containers are sampled, and the thread that does it
 *   load_sample.c   one sample: from a container's place to its new state
 *   load_tasks.c    the tasks of a container, and what they are doing
 *   load_budget.c   for how long readers of one owner may look; pure
 *   load_decay.c    from a count to averages; pure
 *   load_account.c  a state and its place as bytes that outlive a worker
 */
#pragma once

#include <stdbool.h>

#include "clock.h"
#include "load.h"

#define LOAD_PERIOD_NS (5 * NS_PER_S) /* the kernel's LOAD_FREQ */

/* Of all containers together, and hence of one: what is sampled in a period is bounded. Above it
 * the outermost containers that cost the most give way. */
#define LOAD_TASKS_MAX 10000u

/* On a CPU, for the looks of requests at the containers of one outermost container: LOAD_TASKS_MAX
 * tasks fit in, at 8 to 11 us each, and no thread is kept from others for long. */
#define LOAD_BURST_NS (200 * NS_PER_MS)
#define LOAD_PAID_NS (20 * NS_PER_MS) /* of it come back each second */

/* A container as the sampler knows it: by names alone, with no descriptor and no reference on it.
 */
struct load_place {
	struct account_key key; /* of kind ACCOUNT_LOAD */
	char *cgroup;    /* path in the hierarchy of key.cgroup_dev; NULL: the root everywhere */
	uint64_t pid_ns; /* inode; 0: the daemon's own */
	/* What it and its account are charged to; with a reference. NULL: nobody. */
	struct use *use;
};

#define LOAD_NO_PID_NS UINT64_MAX /* init had ended already: nobody is in it */

/* --- load.c -------------------------------------------------------------------------------- */

/* What the thread does in each period, `now` being CLOCK_MONOTONIC; tests do without the thread. */
void load_pass(struct load *l, uint64_t now);
/* How many containers are sampled. */
size_t load_sampled(struct load *l);

/* --- load_budget.c ------------------------------------------------------------------------- */

/* What is left of LOAD_BURST_NS at `now` (CLOCK_MONOTONIC); all of it for nobody (NULL). */
uint64_t load_budget_left(const struct use *use, uint64_t now);
/* Debts are paid back first. */
void load_budget_charge(struct use *use, uint64_t now, uint64_t cpu_ns);
/* Takes what one look may use: half of what is left, for others may begin meanwhile, or what it is
 * known to want (0: it is not known) if that is more; 0 where there is not so much, so that none is
 * begun in vain. */
uint64_t load_budget_take(struct use *use, uint64_t now, uint64_t wanted_ns);
/* Once it has ended: what it did not use comes back, what it used beyond is charged. `now` is that
 * of the taking. */
void load_budget_settle(struct use *use, uint64_t now, uint64_t taken_ns, uint64_t used_ns);

/* --- load_tasks.c -------------------------------------------------------------------------- */

struct load_task {
	uint64_t start; /* clock ticks since boot */
	pid_t tid;      /* the daemon's number */
};

/* The newest first. Several, for one that was put into the cgroup from elsewhere may have no
 * number in the container's pid namespace. */
#define LOAD_NEWEST 8u

struct load_count {
	uint64_t running, blocked, threads;
	struct load_task newest[LOAD_NEWEST];
	unsigned n_newest;
	unsigned looked_at; /* tasks */
	unsigned cost;      /* tasks or cgroups, of which there were more */
	bool cut_off;       /* by the deadline: there are more */
};

/* Looks at every task, until the deadline (of clock_thread_ns(); 0: none). 0; -ENODEV when the
 * cgroup is gone, or another is at its path; -errno. */
int load_count_tasks(const struct load_config *config, const struct load_place *place,
	uint64_t deadline_ns, struct load_count *ret);

/* --- load_decay.c -------------------------------------------------------------------------- */

/* Kept from sample to sample; plain bytes. */
struct load_state {
	uint64_t sampled; /* 0: never; else 1 + the period of the last sample, and periods */
	uint64_t looked;  /* count from CLOCK_MONOTONIC's 0. The same of the last that looked */
	uint64_t read_ns; /* CLOCK_MONOTONIC: last read */
	uint64_t usage;   /* of CPU time, before that look; UINT64_MAX: unknown */
	uint64_t cost;    /* of that look: tasks, or cgroups where these are more */
	uint64_t newest_start; /* of values.newest */
	uint64_t newest_tid;
	struct load_values values;
};

/* The running period, as in load_state.sampled. */
static inline uint64_t load_period(uint64_t monotonic_ns)
{
	return 1 + monotonic_ns / LOAD_PERIOD_NS;
}

/* As many steps of 5 s of the kernel's calc_load(), `active` tasks being in state R or D all the
 * while. */
void load_decay(uint64_t averages[LOAD_SPANS], uint64_t active, uint64_t steps);

/* Takes a count made in `period` into the averages; the first is all three of them, and with
 * period 0 the next one still is the first. */
void load_advance(struct load_state *state, const struct load_count *count, uint64_t period);

/* --- load_sample.c ------------------------------------------------------------------------- */

/* 0 with the place of a subject or an account; -ENODEV without a cgroup that could be walked
 * through, -errno. Copies `cgroup`. */
int load_place_init(const struct load_config *config, const struct account_key *key,
	const char *cgroup, struct load_place *ret);
void load_place_clear(struct load_place *p);

/* Brings `state` to `period`, which it is not yet at. What the deadline (of clock_thread_ns(); 0:
 * none) cuts off is no sample, and state->sampled stays: it tells what was found so far where
 * nothing was known, and is as it was where something was. 0; -ENODEV when the cgroup is gone;
 * -ESRCH when init is, found from the second sample on; -errno. */
int load_sample(const struct load_config *config, const struct load_place *place, uint64_t period,
	uint64_t deadline_ns, struct load_state *state);

/* --- load_account.c ------------------------------------------------------------------------ */

/* 0; -ENOENT: nothing is kept of it, or what cannot be right; -ENOMEM. `ret_cgroup` (may be NULL)
 * is to be freed, and `ret_use` (may be NULL: whom it is charged to) to be put. */
int load_restore(struct account_store *accounts, const struct account_key *key,
	struct load_state *ret, char **ret_cgroup, struct use **ret_use);
void load_keep(struct account_store *accounts, const struct load_place *place,
	const struct load_state *state);
