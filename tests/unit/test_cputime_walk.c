/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 6 whatever happens: states of garbage, and random walks that know what must hold at each
 * step.
 */
#include <string.h>

#include "cputime_machine.h"
#include "unit.h"

/* --- garbage ----------------------------------------------------------------------------- */

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state % below;
}

/* What a state of garbage leads to is not compared with what was shown before. */
static void look_at_garbage(const struct text *garbage, size_t n)
{
	text_reset(&w.state);
	text_add(&w.state, garbage->data, garbage->len);
	w.state.len = n; /* who reads on finds what would be right */
	memset(w.ticks, 0, sizeof(w.ticks));
	w.shown.processes = 0;
	look();
}

START_TEST(a_state_that_is_cut_or_of_another_kind_counts_as_none)
{
	autotext good = { 0 };

	pass(10 * S);
	look();
	text_add(&good, w.state.data, w.state.len);
	w.start_ns += 4 * S; /* which a state that counts knows better */
	look_at_garbage(&good, good.len);
	shows(0, 0, 0, 0, 1000);
	for (size_t n = 0; n < good.len; n++) {
		look_at_garbage(&good, n);
		shows(0, 0, 0, 0, 600);
	}
	for (size_t at = 0; at < 16; at++) { /* magic, version, ticks a second, CPUs */
		good.data[at] ^= 0x10;
		look_at_garbage(&good, good.len);
		shows(0, 0, 0, 0, 600);
		good.data[at] ^= 0x10;
	}
}
END_TEST

/* Its time stood still until then, with all counters. */
START_TEST(a_state_from_the_future_counts_as_none)
{
	pass(100 * S);
	look();
	w.now_ns -= 61 * S;
	memset(w.ticks, 0, sizeof(w.ticks));
	look();
	shows(0, 0, 0, 0, 3900);
	pass(1 * S);
	look();
	shows(0, 0, 0, 0, 4000);
}
END_TEST

START_TEST(a_cpu_that_was_there_for_longer_than_the_container_counts_as_none)
{
	struct cputime_state_cpu cpu;
	char *at;

	pass(10 * S);
	look();
	at = w.state.data + sizeof(struct cputime_state_head);
	memcpy(&cpu, at, sizeof(cpu));
	cpu.time_ns += 1 * S;
	cpu.ticks[CPUTIME_IDLE] += 100;
	memcpy(at, &cpu, sizeof(cpu));
	look();
	shows(0, 0, 0, 0, 1000);
}
END_TEST

START_TEST(garbage_never_does_harm)
{
	autotext good = { 0 };

	rng_state = 4711;
	w.usage.n_cpus = CPUS;
	use_on(0, 3 * S, 2 * S);
	pass(10 * S);
	look();
	text_add(&good, w.state.data, w.state.len);
	for (int i = 0; i < 20000; i++) {
		const size_t at = rng(good.len);
		const char was = good.data[at];
		struct text state = { 0 };
		struct cputime now;
		const struct cputime_sample sample = { w.now_ns, w.start_ns, &w.visible, &w.usage,
			&w.host, 1, 100 };

		good.data[at] = (char)rng(256);
		ck_assert_int_eq(
			cputime_advance(slice_of(&good), slice_of(&good), &sample, &state, &now),
			0);
		text_free(&state);
		cputime_free(&now);
		if (i % 4)
			good.data[at] = was;
		if (i % 100 == 0) {
			text_reset(&good);
			text_add(&good, w.state.data, w.state.len);
		}
	}
}
END_TEST

/* --- random walks ------------------------------------------------------------------------ */

#define WALK_CPUS 8u
#define WALK_STEPS 10000

static struct {
	uint64_t time_ns[WALK_CPUS]; /* for which the CPU was visible */
	uint64_t busy_ns[WALK_CPUS]; /* of that, where usage is known for each CPU */
	uint64_t used_ns;            /* by the whole container */
} model;

static void walk_begin(uint64_t seed, bool v1)
{
	rng_state = seed;
	memset(&model, 0, sizeof(model));
	w.usage.n_cpus = v1 ? CPUS : 0;
	set_cpus("0-3");
	look();
}

/* The CPUs that gain an interval: those that were there all along, and of those that left as many
 * as others came for, the lowest first. */
static void gaining(struct cpumask before, struct cpumask *ret)
{
	unsigned lines = cpumask_count(&before);

	if (cpumask_count(&w.visible) < lines)
		lines = cpumask_count(&w.visible);
	*ret = before;
	cpumask_and(ret, &w.visible);
	cpumask_and_not(&before, &w.visible);
	cpumask_first(&before, lines - cpumask_count(ret));
	cpumask_each(c, &before) cpumask_set(ret, c);
}

/* Time passes, the cpuset may change. */
static uint64_t walk_pass(struct cpumask *gain)
{
	static const uint64_t spans[] = { 0, 1, 1000, 999999, 7 * MS, 10 * MS, 123456789, 5 * S };
	const uint64_t dt = spans[rng(countof(spans))] * (1 + rng(3));

	const struct cpumask before = w.visible;

	if (rng(10) == 0) {
		cpumask_clear(&w.visible);
		for (unsigned c = 0; c < WALK_CPUS; c++)
			if (rng(2))
				cpumask_set(&w.visible, c);
		if (cpumask_count(&w.visible) == 0)
			cpumask_set(&w.visible, 1);
	}
	gaining(before, gain);
	cpumask_each(c, gain) model.time_ns[c] += dt;
	for (unsigned c = 0; c < WALK_CPUS; c++)
		host_busy(c, rng(dt / TICK + 1));
	pass(dt);
	return dt;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static uint64_t busy_ticks(const uint64_t *ticks)
{
	return ticks[CPUTIME_USER] + ticks[CPUTIME_NICE] + ticks[CPUTIME_SYSTEM];
}

/* look() has checked that nothing goes back and that the sum is the sum. */
static void walk_check_time(void)
{
	for (unsigned c = 0; c < WALK_CPUS; c++)
		ck_assert_uint_eq(
			busy_ticks(w.ticks[c]) + w.ticks[c][CPUTIME_IDLE], model.time_ns[c] / TICK);
}

START_TEST(random_walk_v1_is_right_for_each_cpu)
{
	walk_begin((uint64_t)_i * 7919 + 1, true);
	for (int i = 0; i < WALK_STEPS; i++) {
		struct cpumask gain;
		const uint64_t dt = walk_pass(&gain);

		cpumask_each(c, &gain)
		{
			const uint64_t user = rng(dt + 1), system = rng(dt - user + 1);

			use_on(c, user, system);
			model.busy_ns[c] += user + system;
		}
		look();
		walk_check_time();
		for (unsigned c = 0; c < WALK_CPUS; c++)
			ck_assert_uint_lt(distance(busy_ticks(w.ticks[c]) * TICK, model.busy_ns[c]),
				2 * TICK);
	}
}
END_TEST

START_TEST(random_walk_v2_shows_the_whole_usage)
{
	walk_begin((uint64_t)_i * 104729 + 1, false);
	for (int i = 0; i < WALK_STEPS; i++) {
		struct cpumask gain;
		const uint64_t room = walk_pass(&gain) * cpumask_count(&gain);
		const uint64_t user = rng(room + 1), system = rng(room - user + 1);

		use(user, system);
		w.usage.nice += rng(user + 1);
		model.used_ns += user + system;
		look();
		walk_check_time();
		ck_assert_uint_lt(distance(busy_ticks(w.shown.total) * TICK, model.used_ns),
			2 * TICK * WALK_CPUS);
	}
}
END_TEST

/* Anything at all: jumps, resets, times that stand still, CPUs outside, sources that change. */
START_TEST(random_walk_through_nonsense_never_goes_back)
{
	walk_begin((uint64_t)_i * 1299709 + 1, _i % 2);
	for (int i = 0; i < WALK_STEPS; i++) {
		struct cpumask gain;
		const uint64_t dt = walk_pass(&gain), before = busy_ticks(w.shown.total);
		const unsigned cpu = (unsigned)rng(WALK_CPUS + 4);

		if (rng(100) == 0)
			w.usage.n_cpus = w.usage.n_cpus ? 0 : CPUS;
		if (rng(50) == 0)
			w.cpu_usage[cpu] = w.usage.usage = w.usage.nice = rng(UINT64_MAX);
		if (rng(50) == 0)
			w.host_cpus[cpu].ticks[rng(10)] = rng(UINT64_MAX);
		w.usage.known = rng(20) != 0;
		w.tasks = rng(5);
		use_on(cpu, rng(3 * dt + 1), rng(dt + 1));
		look();
		walk_check_time();
		/* No more than the time there was: what is too much is dropped. */
		ck_assert_uint_le(busy_ticks(w.shown.total) - before,
			(dt / TICK + 3) * cpumask_count(&w.visible));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cputime, random");
	TCase *c = tcase_create("random");

	tcase_add_checked_fixture(c, cputime_machine_v2, cputime_machine_free);
	tcase_set_tags(c, "long");
	tcase_add_test(c, a_state_that_is_cut_or_of_another_kind_counts_as_none);
	tcase_add_test(c, a_state_from_the_future_counts_as_none);
	tcase_add_test(c, a_cpu_that_was_there_for_longer_than_the_container_counts_as_none);
	tcase_add_test(c, garbage_never_does_harm);
	tcase_add_loop_test(c, random_walk_v1_is_right_for_each_cpu, 0, 3);
	tcase_add_loop_test(c, random_walk_v2_shows_the_whole_usage, 0, 3);
	tcase_add_loop_test(c, random_walk_through_nonsense_never_goes_back, 0, 3);
	suite_add_tcase(s, c);
	return unit_run(s);
}
