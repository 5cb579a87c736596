/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A set of CPU ids, and the kernel's list format for it ("0-3,8"; an empty set is an empty list).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"
#include "text.h"

/* The kernel's own ceiling for CONFIG_NR_CPUS on any architecture. */
#define CPUMASK_MAX 8192u

struct cpumask {
	uint64_t bits[CPUMASK_MAX / 64];
};

void cpumask_clear(struct cpumask *m);
void cpumask_set(struct cpumask *m, unsigned cpu);
bool cpumask_has(const struct cpumask *m, unsigned cpu);
unsigned cpumask_count(const struct cpumask *m);
bool cpumask_empty(const struct cpumask *m);
bool cpumask_equal(const struct cpumask *a, const struct cpumask *b);
void cpumask_and(struct cpumask *m, const struct cpumask *with);
void cpumask_and_not(struct cpumask *m, const struct cpumask *without);
/* Keeps the `n` lowest ids. */
void cpumask_first(struct cpumask *m, unsigned n);
/* The lowest id at or above `from`; CPUMASK_MAX when there is none. */
unsigned cpumask_next(const struct cpumask *m, unsigned from);

#define cpumask_each(cpu, mask)                                                                    \
	for (unsigned cpu = cpumask_next((mask), 0); cpu < CPUMASK_MAX;                            \
		cpu = cpumask_next((mask), cpu + 1))

/* Reads a list; a newline at its end is allowed. 0, or -EINVAL on what is no list (ids at or
 * above CPUMASK_MAX included), `ret` then being empty. */
int cpumask_parse(struct slice list, struct cpumask *ret);
/* Appends the list without a newline. */
void cpumask_format(struct text *t, const struct cpumask *m);
