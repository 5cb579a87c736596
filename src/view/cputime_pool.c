/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Busy time of which nobody knows the CPU (v2), or whose CPU is not shown: which of the visible
 * CPUs it is shown on.
 */
#include "cleanup.h"
#include "cputime_advance.h"

/* Ticks of more years than machines run; those of all CPUs together fit into 64 bits. */
#define WEIGHT_MAX (UINT64_C(1) << 48)

/* Ticks in which somebody used the CPU: not idle and iowait, not stolen; guest is part of user. */
static uint64_t host_busy_ticks(const struct host_stat_cpu *cpu)
{
	static const unsigned columns[] = { 0, 1, 2, 5, 6 };
	uint64_t sum = 0;

	for (size_t i = 0; i < countof(columns); i++)
		sum = sat_add(sum, cpu->ticks[columns[i]]);
	return sum;
}

static const struct host_stat_cpu *host_cpu(
	const struct host_stat *host, size_t *next, unsigned cpu)
{
	while (*next < host->n_cpus && host->cpus[*next].cpu < cpu)
		++*next;
	return *next < host->n_cpus && host->cpus[*next].cpu == cpu ? &host->cpus[*next] : NULL;
}

/* Calls `each` for every lane whose CPU the host has counted. */
static void each_counted(
	struct advance *a, void (*each)(struct lane *l, uint64_t ticks, bool *any), bool *any)
{
	const struct host_stat *host = a->sample->host;
	size_t next = 0;

	for (size_t i = 0; host && i < a->n; i++) {
		const struct host_stat_cpu *cpu = host_cpu(host, &next, a->lanes[i].kept.cpu);

		if (cpu)
			each(&a->lanes[i], host_busy_ticks(cpu), any);
	}
}

/* What the host did on a CPU before it was a lane is no weight of this container's. */
static void begin_ticks(struct lane *l, uint64_t ticks, bool *any)
{
	(void)any;
	if (!l->known)
		l->kept.host_ticks = ticks;
}

static void compare_ticks(struct lane *l, uint64_t ticks, bool *any)
{
	*any = *any || (l->visible && ticks != l->kept.host_ticks);
}

static void take_weight(struct lane *l, uint64_t ticks, bool *any)
{
	(void)any;
	l->kept.host_weight = sat_sub(ticks, l->kept.host_ticks);
	l->kept.host_ticks = ticks;
}

/* A weight is in how many ticks the CPU was busy since weights last changed. Readers may come
 * faster than ticks: an interval without any goes by the weights of the last that had some. At
 * first sight it is all since the boot, for want of better. */
static void update_weights(struct advance *a)
{
	bool changed = false;

	if (!a->first)
		each_counted(a, begin_ticks, &changed);
	each_counted(a, compare_ticks, &changed);
	if (changed)
		each_counted(a, take_weight, &changed);
}

static uint64_t weight(const struct lane *l, bool even)
{
	if (l->room == 0)
		return 0;
	return even ? 1 : min_u64(l->kept.host_weight, WEIGHT_MAX);
}

static void pour_into(struct advance *a, struct lane *l, uint64_t amount)
{
	const struct cputime_busy took =
		cputime_busy_take(&a->head.carry, min_u64(amount, l->room));

	l->room -= cputime_busy_sum(&took);
	cputime_busy_add(&l->kept.busy, took);
}

/* Pours the pool into the lanes with room by weight, once. True when a lane was filled: then there
 * is more for the others than this went by. */
static bool pour_once(struct advance *a, bool even)
{
	const uint64_t pool = cputime_busy_sum(&a->head.carry);
	uint64_t all = 0;
	bool filled = false;

	for (size_t i = 0; i < a->n; i++)
		all += weight(&a->lanes[i], even);
	for (size_t i = 0; i < a->n; i++) {
		struct lane *l = &a->lanes[i];
		const uint64_t w = weight(l, even);

		/* Rounded up, so that a pool that fits is empty afterwards. */
		if (w == 0)
			continue;
		pour_into(a, l, sat_add(mul_div(pool, w, all), 1));
		filled = filled || l->room == 0;
	}
	return filled;
}

/* By weight first; what the busy ones cannot have been doing, to the others alike. */
void cputime_spread(struct advance *a)
{
	update_weights(a);
	for (unsigned even = 0; even < 2; even++)
		while (cputime_busy_sum(&a->head.carry) > 0 && pour_once(a, even))
			;
}
