/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes that cputime keeps in an account. Only cputime and its tests look inside. They may have
 * been written by another version or be garbage: what cputime_state_read() accepts is consistent
 * enough that no later arithmetic can wrap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cputime.h"

#define CPUTIME_BUSY ((unsigned)CPUTIME_IDLE) /* the columns before idle */

/* Of `owed`, either way: so that no sum of them wraps. */
#define CPUTIME_OWED_MAX (INT64_C(1) << 60)

/* Nanoseconds of busy time, by column. */
struct cputime_busy {
	uint64_t ns[CPUTIME_IDLE];
};

/* Where busy time came from when the counters were last read. */
enum cputime_source {
	CPUTIME_SOURCE_NONE,
	CPUTIME_SOURCE_SUM,  /* v2: of the cgroup, no CPU known */
	CPUTIME_SOURCE_CPUS, /* v1: of each CPU */
};

struct cputime_state_head {
	uint32_t magic;
	uint32_t version;
	uint32_t user_hz;
	uint32_t n_cpus;
	uint32_t source; /* enum cputime_source */
	uint32_t reserved;
	uint64_t start_ns, now_ns;
	uint64_t processes;
	uint64_t usage;             /* the cgroup's counter at the last sample (SOURCE_SUM) */
	struct cputime_busy last;   /* the cgroup's columns at the last sample */
	int64_t owed[CPUTIME_IDLE]; /* what they have gained and was not credited to them yet; below
				       0: was credited too soon (SOURCE_SUM) */
	struct cputime_busy carry;  /* busy time of no CPU in particular, not shown yet */
	struct cputime_busy split;  /* what the columns gained when they last did (SOURCE_CPUS) */
};

struct cputime_state_cpu {
	uint32_t cpu;
	uint32_t visible;                /* at the last sample */
	uint64_t time_ns;                /* for which it has been visible */
	struct cputime_busy busy;        /* of that */
	struct cputime_busy carry;       /* credited to this CPU, not shown yet */
	uint64_t ticks[CPUTIME_COLUMNS]; /* printed; together the whole ticks of time_ns */
	uint64_t usage, user, system;    /* counters at the last sample (SOURCE_CPUS) */
	struct cputime_busy split;       /* what user and system gained when they last did */
	uint64_t host_ticks;             /* the host's busy ticks when the weight was taken */
	uint64_t host_weight;            /* how busy the host was with it */
};

/* A state that was read; the CPUs stay in the bytes, which may lie at any address. */
struct cputime_state {
	struct cputime_state_head head;
	const char *cpus;
};

struct cputime_state_head cputime_state_empty(unsigned user_hz);

/* False, and a state without CPUs and source, when the bytes are none of ours or garbage. `now_ns`:
 * of the sample at hand, which a state cannot be far ahead of. */
bool cputime_state_read(
	struct slice bytes, unsigned user_hz, uint64_t now_ns, struct cputime_state *ret);

void cputime_state_cpu(const struct cputime_state *s, size_t i, struct cputime_state_cpu *ret);

/* The entry of `cpu`, when ids are asked for in ascending order (`next` starts at 0). False without
 * one. */
bool cputime_state_next(
	const struct cputime_state *s, size_t *next, unsigned cpu, struct cputime_state_cpu *ret);

/* CPUs that were visible at the last sample. */
unsigned cputime_state_visible(const struct cputime_state *s);

/* --- cputime_busy.c -------------------------------------------------------------------------- */

uint64_t cputime_busy_sum(const struct cputime_busy *b);
void cputime_busy_add(struct cputime_busy *to, struct cputime_busy more);
/* `amount` in the proportion of the parts; all user time where there is no proportion. */
struct cputime_busy cputime_busy_split(uint64_t amount, const struct cputime_busy *parts);
/* Takes at most `amount` out of `from`, in the proportion of what is there. */
struct cputime_busy cputime_busy_take(struct cputime_busy *from, uint64_t amount);

/* Printed ticks of the busy columns. */
uint64_t cputime_busy_ticks(const struct cputime_state_cpu *cpu);
/* Brings the printed ticks up to the times. */
void cputime_tick(struct cputime_state_cpu *cpu, unsigned user_hz);
