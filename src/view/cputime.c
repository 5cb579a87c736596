/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 6's accounting. Reads nothing, prints nothing, keeps nothing but the bytes it is given.
 *
 * All CPUs that matter stand in one array of lanes, ascending: those shown now or ever, and those
 * the cgroup has used. An advance goes over it in turns, each a function: time passes for
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
#include "cputime_advance.h"

/* The most that waits for later intervals, for each visible CPU. */
#define CARRY_NS NS_PER_S

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

/* First sight: the interval is the container's whole life, and the counters begin where an earlier
 * init in the same cgroup is known to have left them. */
static int begin_first(struct advance *a, const struct cputime_state *before)
{
	const struct cputime_sample *s = a->sample;
	const uint64_t after_ns = sat_sub(before->head.now_ns, s->start_ns);
	static const struct cputime_state nothing;
	const bool inherit = before->head.source == (uint32_t)cputime_source_of(s->usage);

	a->first = true;
	a->head = cputime_state_empty(s->user_hz);
	a->head.start_ns = s->start_ns;
	a->head.now_ns = max_u64(s->start_ns, s->now_ns);
	a->head.source = cputime_source_of(s->usage);
	a->dt_ns = a->head.now_ns - s->start_ns;
	if (inherit) {
		a->head.usage = sat_sub(
			before->head.usage, mul_div(after_ns, cputime_state_visible(before), 1));
		a->head.last = before->head.last;
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

static void lane_gain(struct lane *l, uint64_t dt_ns)
{
	l->room = dt_ns;
	l->kept.time_ns = sat_add(l->kept.time_ns, dt_ns);
}

/* How many of the CPUs that left the container had for as long as it had those that came in their
 * place: at every moment it had as many as before or as now, whichever are fewer. */
static size_t count_replaced(const struct advance *a)
{
	size_t left = 0, came = 0;

	for (size_t i = 0; i < a->n; i++) {
		left += a->lanes[i].kept.visible && !a->lanes[i].visible;
		came += !a->lanes[i].kept.visible && a->lanes[i].visible;
	}
	return left < came ? left : came;
}

/*
 * Every CPU that was visible then and is now gains the interval; one that comes or returns begins
 * with the next. Where one leaves and another comes, the interval is the leaving one's: else the
 * sum would stand still, though the container never was without a CPU.
 */
static void pass_time(struct advance *a)
{
	size_t replaced = a->first ? 0 : count_replaced(a);

	for (size_t i = 0; i < a->n; i++) {
		struct lane *l = &a->lanes[i];

		if (l->visible && (a->first || l->kept.visible)) {
			lane_gain(l, a->dt_ns);
		} else if (l->kept.visible && replaced > 0) {
			lane_gain(l, a->dt_ns);
			replaced--;
		}
		l->kept.visible = l->visible;
	}
}

/* --- credits ------------------------------------------------------------------------------- */

/* No CPU was busy for longer than the container is old. */
static void drop_older_than_container(struct advance *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct cputime_busy *carry = &a->lanes[i].kept.carry;

		*carry = cputime_busy_take(carry, a->dt_ns);
	}
}

/* What is credited to a CPU becomes busy time of it; the rest of one that is not shown, the pool's.
 */
static void settle_own(struct advance *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct lane *l = &a->lanes[i];
		struct cputime_busy took = cputime_busy_take(&l->kept.carry, l->room);

		cputime_busy_add(&l->kept.busy, took);
		l->room -= cputime_busy_sum(&took);
		if (!l->visible)
			cputime_busy_add(
				&a->head.carry, cputime_busy_take(&l->kept.carry, UINT64_MAX));
	}
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
	cputime_credit(a);
	if (a->first)
		drop_older_than_container(a);
	settle_own(a);
	cputime_spread(a);
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

	if (cputime_state_read(old_bytes, sample->user_hz, sample->now_ns, &old)) {
		r = begin_next(&a, &old);
	} else {
		cputime_state_read(predecessor, sample->user_hz, sample->now_ns, &old);
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
	if (text_error(state) < 0) {
		cputime_free(&c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void cputime_free(struct cputime *c)
{
	free(c->cpus);
	*c = (struct cputime){ 0 };
}
