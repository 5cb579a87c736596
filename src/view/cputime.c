/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 6's accounting. Reads nothing, prints nothing, keeps nothing but the bytes it is given.
 *
 * All CPUs that matter stand in one array of lanes, ascending: those shown now or ever, and those
 * the cgroup has used. An advance goes over it in turns, each a function below: time passes for
 * the visible CPUs, the increase of usage is credited to lanes (or, where the CPU is not known or
 * not visible, to a common pool), credits are turned into busy time as far as the interval has
 * room, the pool is spread over the room that is left, and whole ticks are handed to columns.
 *
 * Two things are kept for each CPU and column: the exact time and the ticks already printed. So no
 * column ever decreases, and rounding errors do not add up over many short intervals.
 */
#include "cputime.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cleanup.h"
#include "clock.h"
#include "cputime_state.h"

/* The most that waits for later intervals, for each visible CPU. */
#define CARRY_NS NS_PER_S

/* Of two readers the later may bring the earlier counters; what went back further was set to 0 by
 * the admin (cpuacct.usage can be written) and counts from there. */
#define RACE_NS NS_PER_S

/* One CPU during an advance. */
struct lane {
	struct cputime_state_cpu kept;
	bool known;    /* it was in the old state */
	bool visible;  /* now */
	uint64_t room; /* what of the interval nobody was busy in yet */
};

struct advance {
	const struct cputime_sample *sample;
	struct cputime_state_head head; /* its `carry` is the pool */
	struct lane *lanes;
	size_t n;
	bool first;
	uint64_t dt_ns;
};

/* --- the lanes ------------------------------------------------------------------------------- */

/* Which CPUs need a lane. */
static void lane_ids(const struct advance *a, const struct cputime_state *old, struct cpumask *ids)
{
	const struct cgroup_cpu_usage *u = a->sample->usage;
	struct cputime_state_cpu cpu;

	*ids = *a->sample->visible;
	for (size_t i = 0; i < old->head.n_cpus; i++) {
		cputime_state_cpu(old, i, &cpu);
		cpumask_set(ids, cpu.cpu);
	}
	for (unsigned cpu_id = 0; u->known && cpu_id < u->n_cpus; cpu_id++)
		if (u->cpu_usage[cpu_id])
			cpumask_set(ids, cpu_id);
}

/*
 * How much of an earlier init's counter is not ours: all of it, but for what this container may
 * have used itself if the earlier one was still sampled after our start (`after_ns` of CPU time).
 */
static void lane_inherit(struct lane *l, uint64_t after_ns)
{
	const struct cputime_state_cpu before = l->kept;

	l->kept = (struct cputime_state_cpu){ .cpu = before.cpu,
		.usage = sat_sub(before.usage, after_ns),
		.user = before.user,
		.system = before.system };
}

static int lanes_new(struct advance *a, const struct cputime_state *old, uint64_t after_ns)
{
	struct cpumask ids;
	size_t next = 0;

	lane_ids(a, old, &ids);
	a->lanes = calloc(cpumask_count(&ids) + 1, sizeof(*a->lanes));
	if (!a->lanes)
		return -ENOMEM;
	cpumask_each(id, &ids)
	{
		struct lane *l = &a->lanes[a->n++];

		l->kept.cpu = id;
		l->visible = cpumask_has(a->sample->visible, id);
		if (!cputime_state_next(old, &next, id, &l->kept))
			continue;
		l->known = true;
		if (a->first)
			lane_inherit(l, after_ns);
	}
	return 0;
}

static enum cputime_source source_of(const struct cgroup_cpu_usage *u)
{
	if (!u->known)
		return CPUTIME_SOURCE_NONE;
	return u->n_cpus > 0 ? CPUTIME_SOURCE_CPUS : CPUTIME_SOURCE_SUM;
}

/* First sight: the interval is the container's whole life, and the counters begin where an earlier
 * init in the same cgroup is known to have left them. */
static int begin_first(struct advance *a, const struct cputime_state *before)
{
	const struct cputime_sample *s = a->sample;
	const uint64_t after_ns = sat_sub(before->head.now_ns, s->start_ns);
	static const struct cputime_state nothing;
	const bool inherit = before->head.source == (uint32_t)source_of(s->usage);

	a->first = true;
	a->head = cputime_state_empty(s->user_hz);
	a->head.start_ns = s->start_ns;
	a->head.now_ns = max_u64(s->start_ns, s->now_ns);
	a->head.source = source_of(s->usage);
	a->dt_ns = a->head.now_ns - s->start_ns;
	if (inherit) {
		a->head.usage = sat_sub(
			before->head.usage, mul_div(after_ns, cputime_state_visible(before), 1));
		a->head.held = before->head.held;
	}
	return lanes_new(a, inherit ? before : &nothing, after_ns);
}

static int begin_next(struct advance *a, const struct cputime_state *old)
{
	a->head = old->head;
	a->dt_ns = sat_sub(a->sample->now_ns, old->head.now_ns);
	a->head.now_ns += a->dt_ns;
	return lanes_new(a, old, 0);
}

/* Every CPU that was visible then and is now gains the interval; one that comes or returns begins
 * with the next. */
static void pass_time(struct advance *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct lane *l = &a->lanes[i];

		if (l->visible && (a->first || l->kept.visible)) {
			l->room = a->dt_ns;
			l->kept.time_ns = sat_add(l->kept.time_ns, l->room);
		}
		l->kept.visible = l->visible;
	}
}

/* --- usage ----------------------------------------------------------------------------------- */

/* The increase of a counter, which is then brought up to date unless it went back by less than
 * `race_ns`: then it is held to what it was. */
static uint64_t counter_gain(uint64_t *last, uint64_t now, uint64_t race_ns)
{
	const uint64_t gain = sat_sub(now, *last);

	if (now > *last || *last - now > race_ns)
		*last = now;
	return gain;
}

/* The increase of the cgroup's columns. v2 has user_usec scaled to the exact usage and nice_usec
 * sampled by ticks, so their difference can go back: that is never a new beginning. */
static struct cputime_busy columns_gain(struct advance *a)
{
	const struct cgroup_cpu_usage *u = a->sample->usage;
	const uint64_t race_ns = a->head.source == CPUTIME_SOURCE_SUM ? UINT64_MAX : RACE_NS;
	const uint64_t nice = min_u64(u->nice, u->user);
	uint64_t *held = a->head.held.ns;

	return (struct cputime_busy){ {
		[CPUTIME_USER] = counter_gain(&held[CPUTIME_USER], u->user - nice, race_ns),
		[CPUTIME_NICE] = counter_gain(&held[CPUTIME_NICE], nice, race_ns),
		[CPUTIME_SYSTEM] = counter_gain(&held[CPUTIME_SYSTEM], u->system, race_ns),
	} };
}

/* v1: exact usage of each CPU, split as its own tick-sampled counters are, else as the cgroup's. */
static void credit_lane(
	struct lane *l, const struct cgroup_cpu_usage *u, const struct cputime_busy *columns)
{
	const unsigned cpu = l->kept.cpu;
	struct cputime_busy parts = { 0 };
	uint64_t gain;

	if (cpu >= u->n_cpus)
		return;
	gain = counter_gain(&l->kept.usage, u->cpu_usage[cpu], RACE_NS);
	parts.ns[CPUTIME_USER] = counter_gain(&l->kept.user, u->cpu_user[cpu], RACE_NS);
	parts.ns[CPUTIME_SYSTEM] = counter_gain(&l->kept.system, u->cpu_system[cpu], RACE_NS);
	if (cputime_busy_sum(&parts) == 0)
		parts = *columns;
	cputime_busy_add(&l->kept.carry, cputime_busy_split(gain, &parts));
}

/* Another source than last time has other counters: they begin now. */
static void credit_usage(struct advance *a)
{
	const struct cgroup_cpu_usage *u = a->sample->usage;
	const enum cputime_source source = source_of(u);
	const bool begins = a->head.source != (uint32_t)source;
	struct cputime_busy columns;

	if (source == CPUTIME_SOURCE_NONE)
		return;
	a->head.source = source;
	columns = columns_gain(a);
	if (source == CPUTIME_SOURCE_SUM) {
		const uint64_t gain = counter_gain(&a->head.usage, u->usage, RACE_NS);

		cputime_busy_add(&a->head.carry, cputime_busy_split(begins ? 0 : gain, &columns));
	}
	for (size_t i = 0; source == CPUTIME_SOURCE_CPUS && i < a->n; i++) {
		const struct cputime_busy before = a->lanes[i].kept.carry;

		credit_lane(&a->lanes[i], u, &columns);
		if (begins)
			a->lanes[i].kept.carry = before;
	}
}

/* No CPU was busy for longer than the container is old. */
static void drop_older_than_container(struct advance *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct cputime_busy *carry = &a->lanes[i].kept.carry;

		*carry = cputime_busy_take(carry, a->dt_ns);
	}
}

/* What is credited to a CPU becomes busy time of it; what to one that is not shown, the pool's. */
static void settle_own(struct advance *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct lane *l = &a->lanes[i];
		struct cputime_busy took =
			cputime_busy_take(&l->kept.carry, l->visible ? l->room : UINT64_MAX);

		cputime_busy_add(l->visible ? &l->kept.busy : &a->head.carry, took);
		if (l->visible)
			l->room -= cputime_busy_sum(&took);
	}
}

/* --- the pool -------------------------------------------------------------------------------- */

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

/* Brings the weights up to date: the ticks in which each CPU was busy since they last changed.
 * `only_news`: just where a CPU appears. True when one of a visible CPU has changed. */
static bool weigh(struct advance *a, bool only_news)
{
	const struct host_stat *host = a->sample->host;
	bool gained = false;
	size_t next = 0;

	for (size_t i = 0; host && i < a->n; i++) {
		struct lane *l = &a->lanes[i];
		const struct host_stat_cpu *cpu = host_cpu(host, &next, l->kept.cpu);
		uint64_t ticks;

		if (!cpu)
			continue;
		ticks = host_busy_ticks(cpu);
		gained = gained || (l->visible && ticks != l->kept.host_ticks);
		if (only_news && (l->known || a->first))
			continue;
		l->kept.host_weight = l->known || a->first ? sat_sub(ticks, l->kept.host_ticks) : 0;
		l->kept.host_ticks = ticks;
	}
	return gained;
}

/* Readers may come faster than ticks: an interval without any goes by the weights of the last that
 * had some. */
static void update_weights(struct advance *a)
{
	if (weigh(a, true))
		weigh(a, false);
}

static uint64_t weight(const struct lane *l, bool even)
{
	if (l->room == 0)
		return 0;
	return even ? 1 : min_u64(l->kept.host_weight, UINT32_MAX);
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

/* Most to the CPUs that were busiest on the host, none above 100 %; what they cannot have been
 * doing, to the others alike. */
static void spread_pool(struct advance *a)
{
	for (unsigned even = 0; even < 2; even++)
		while (cputime_busy_sum(&a->head.carry) > 0 && pour_once(a, even))
			;
}

/* What is left waits for the next interval, within bounds. At first sight it is an earlier life's:
 * the counters have passed it, so it never returns. */
static void bound_carry(struct advance *a)
{
	uint64_t bound = 0;

	for (size_t i = 0; i < a->n; i++) {
		struct lane *l = &a->lanes[i];

		if (a->first || !l->visible)
			l->kept.carry = (struct cputime_busy){ 0 };
		if (a->first || !l->visible)
			continue;
		l->kept.carry = cputime_busy_take(&l->kept.carry, CARRY_NS);
		bound += CARRY_NS - cputime_busy_sum(&l->kept.carry);
	}
	a->head.carry = cputime_busy_take(&a->head.carry, bound);
}

/* --- the whole ------------------------------------------------------------------------------- */

static void advance(struct advance *a)
{
	pass_time(a);
	credit_usage(a);
	if (a->first)
		drop_older_than_container(a);
	update_weights(a);
	settle_own(a);
	spread_pool(a);
	bound_carry(a);
	/* Without a pids controller: whoever reads the file is one. */
	a->head.processes = max_u64(a->head.processes, max_u64(a->sample->tasks, 1));
	for (size_t i = 0; i < a->n; i++)
		cputime_tick(&a->lanes[i].kept, a->head.user_hz);
}

static void write_state(const struct advance *a, struct text *state)
{
	struct cputime_state_head head = a->head;

	head.n_cpus = (uint32_t)a->n;
	text_add(state, &head, sizeof(head));
	for (size_t i = 0; i < a->n; i++)
		text_add(state, &a->lanes[i].kept, sizeof(a->lanes[i].kept));
}

static void fill_result(const struct advance *a, struct cputime *c)
{
	c->processes = a->head.processes;
	c->start_ns = a->head.start_ns;
	c->now_ns = a->head.now_ns;
	for (size_t i = 0; i < a->n; i++) {
		const struct lane *l = &a->lanes[i];
		struct cputime_cpu *cpu = &c->cpus[c->n_cpus];

		for (unsigned column = 0; column < CPUTIME_COLUMNS; column++) {
			c->total[column] = sat_add(c->total[column], l->kept.ticks[column]);
			cpu->ticks[column] = l->kept.ticks[column];
		}
		cpu->cpu = l->kept.cpu;
		c->n_cpus += l->visible;
	}
}

int cputime_advance(struct slice old_bytes, struct slice predecessor,
	const struct cputime_sample *sample, struct text *state, struct cputime *ret)
{
	struct advance a = { .sample = sample };
	struct cputime_state old;
	struct cputime c = { 0 };
	autofree struct lane *lanes = NULL;
	int r;

	if (cputime_state_read(old_bytes, sample->user_hz, &old)) {
		r = begin_next(&a, &old);
	} else {
		cputime_state_read(predecessor, sample->user_hz, &old);
		r = begin_first(&a, &old);
	}
	if (r < 0)
		return r;
	lanes = a.lanes;
	c.cpus = calloc(a.n + 1, sizeof(*c.cpus));
	if (!c.cpus)
		return -ENOMEM;
	advance(&a);
	write_state(&a, state);
	fill_result(&a, &c);
	*ret = c;
	if (text_error(state) < 0)
		cputime_free(ret);
	return text_error(state);
}

void cputime_free(struct cputime *c)
{
	free(c->cpus);
	*c = (struct cputime){ 0 };
}
