/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 6's accounting: from the busy time of a cgroup to the counters of the CPUs a container
 * sees. A pure function from old state and one sample to new state and counters; the state is plain
 * bytes with a version, checked when it is read (a state that cannot be right counts as none).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cgroup.h"
#include "cpumask.h"
#include "host.h"
#include "text.h"

enum cputime_column { CPUTIME_USER, CPUTIME_NICE, CPUTIME_SYSTEM, CPUTIME_IDLE, CPUTIME_COLUMNS };

/* What is known at one moment. */
struct cputime_sample {
	uint64_t now_ns;   /* CLOCK_BOOTTIME */
	uint64_t start_ns; /* the container's */
	const struct cpumask *visible;
	const struct cgroup_cpu_usage *usage;
	const struct host_stat *host; /* which CPUs are busy; NULL: unknown */
	uint64_t tasks;               /* in the container now; 0: unknown */
	unsigned user_hz;
};

struct cputime_cpu {
	unsigned cpu;
	uint64_t ticks[CPUTIME_COLUMNS]; /* USER_HZ */
};

struct cputime {
	struct cputime_cpu *cpus; /* the visible ones, ascending */
	size_t n_cpus;
	uint64_t total[CPUTIME_COLUMNS]; /* of all CPUs ever shown; never decreases */
	uint64_t processes;              /* never decreases */
	uint64_t start_ns;               /* the container's, as it was at first sight (SPEC 7) */
	uint64_t now_ns;                 /* of this sample, or of a later one that came before it */
};

/*
 * `old`: the state of the last call, 0 bytes at first sight; `predecessor`: an earlier init's state
 * in the same cgroup, 0 bytes if none. The new state is appended to `state`. 0 or -ENOMEM.
 */
int cputime_advance(struct slice old, struct slice predecessor, const struct cputime_sample *sample,
	struct text *state, struct cputime *ret);
void cputime_free(struct cputime *c);
