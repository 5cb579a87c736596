/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 6's accounting. Samples are made by hand, expected ticks are reasoned from SPEC 6; the
 * random walks at the end check what must hold whatever happens.
 */
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "cputime_state.h"
#include "unit.h"

#define S NS_PER_S
#define MS NS_PER_MS
#define CPUS 512u
#define TICK (10 * MS)

/* One container on one machine, and what it was shown last. */
static struct {
	struct cpumask visible;
	struct cgroup_cpu_usage usage;
	struct host_stat host;
	struct host_stat_cpu host_cpus[CPUS];
	uint64_t cpu_usage[CPUS], cpu_user[CPUS], cpu_system[CPUS];
	uint64_t now_ns, start_ns, tasks;
	struct text state, predecessor;
	struct cputime shown;
	/* The last values of each CPU, shown or not, to compare with. */
	uint64_t ticks[CPUS][CPUTIME_COLUMNS];
} w;

static void set_cpus(const char *list)
{
	ck_assert_int_eq(cpumask_parse(slice_str(list), &w.visible), 0);
}

static void setup(void)
{
	memset(&w, 0, sizeof(w));
	w.host.cpus = w.host_cpus;
	w.host.n_cpus = CPUS;
	w.host.columns = HOST_STAT_COLUMNS;
	for (unsigned i = 0; i < CPUS; i++)
		w.host_cpus[i].cpu = i;
	w.usage.known = true;
	w.usage.cpu_usage = w.cpu_usage;
	w.usage.cpu_user = w.cpu_user;
	w.usage.cpu_system = w.cpu_system;
	w.now_ns = w.start_ns = 1000 * S;
	set_cpus("0-1");
}

static void teardown(void)
{
	cputime_free(&w.shown);
	text_free(&w.state);
	text_free(&w.predecessor);
}

static void setup_v1(void)
{
	setup();
	w.usage.n_cpus = CPUS;
}

/* Those that are not shown stand in the state alone. */
static void read_ticks(struct slice bytes)
{
	struct cputime_state state;

	ck_assert(cputime_state_read(bytes, 100, &state));
	for (size_t i = 0; i < state.head.n_cpus; i++) {
		struct cputime_state_cpu cpu;

		cputime_state_cpu(&state, i, &cpu);
		for (unsigned c = 0; c < CPUTIME_COLUMNS; c++) {
			ck_assert_uint_ge(cpu.ticks[c], w.ticks[cpu.cpu][c]);
			w.ticks[cpu.cpu][c] = cpu.ticks[c];
		}
	}
}

/* Columns of all CPUs and the sum: they agree, and none goes back. */
static void check_shown(const struct cputime *now)
{
	uint64_t sum[CPUTIME_COLUMNS] = { 0 };

	ck_assert_uint_eq(now->n_cpus, cpumask_count(&w.visible));
	for (size_t i = 0; i < now->n_cpus; i++) {
		ck_assert(cpumask_has(&w.visible, now->cpus[i].cpu));
		ck_assert(i == 0 || now->cpus[i].cpu > now->cpus[i - 1].cpu);
		ck_assert_mem_eq(
			now->cpus[i].ticks, w.ticks[now->cpus[i].cpu], sizeof(now->cpus[i].ticks));
	}
	for (unsigned c = 0; c < CPUTIME_COLUMNS; c++) {
		for (unsigned i = 0; i < CPUS; i++)
			sum[c] += w.ticks[i][c];
		ck_assert_uint_eq(now->total[c], sum[c]);
	}
	ck_assert_uint_ge(now->processes, w.shown.processes);
}

static void look(void)
{
	const struct cputime_sample sample = { w.now_ns, w.start_ns, &w.visible, &w.usage, &w.host,
		w.tasks, 100 };
	struct text state = { 0 };
	struct cputime now;

	ck_assert_int_eq(cputime_advance(slice_of(&w.state), slice_of(&w.predecessor), &sample,
				 &state, &now),
		0);
	read_ticks(slice_of(&state));
	check_shown(&now);
	text_free(&w.state);
	w.state = state;
	cputime_free(&w.shown);
	w.shown = now;
}

/* Another init in the same cgroup: it has the present state as its predecessor's. */
static void succeed(uint64_t start_ns)
{
	text_free(&w.predecessor);
	w.predecessor = w.state;
	w.state = (struct text){ 0 };
	w.start_ns = start_ns;
	memset(w.ticks, 0, sizeof(w.ticks));
	w.shown.processes = 0;
}

static void pass(uint64_t ns)
{
	w.now_ns += ns;
}

/* v2: the cgroup gains `user` and `system`. */
static void use(uint64_t user, uint64_t system)
{
	w.usage.usage += user + system;
	w.usage.user += user;
	w.usage.system += system;
}

/* v1: the same on one CPU, with its tick-sampled counters right for once. */
static void use_on(unsigned cpu, uint64_t user, uint64_t system)
{
	use(user, system);
	w.cpu_usage[cpu] += user + system;
	w.cpu_user[cpu] += user;
	w.cpu_system[cpu] += system;
}

static void host_busy(unsigned cpu, uint64_t ticks)
{
	w.host_cpus[cpu].ticks[0] += ticks;
}

/* The columns of a CPU; of all with -1. */
static void shows(int cpu, uint64_t user, uint64_t nice, uint64_t system, uint64_t idle)
{
	const uint64_t expected[] = { user, nice, system, idle };
	const uint64_t *ticks = cpu < 0 ? w.shown.total : w.ticks[cpu];

	for (unsigned c = 0; c < CPUTIME_COLUMNS; c++)
		ck_assert_msg(ticks[c] == expected[c],
			"cpu%d: %lu %lu %lu %lu instead of %lu %lu %lu %lu", cpu,
			(unsigned long)ticks[0], (unsigned long)ticks[1], (unsigned long)ticks[2],
			(unsigned long)ticks[3], (unsigned long)user, (unsigned long)nice,
			(unsigned long)system, (unsigned long)idle);
}

/* --- first sight ------------------------------------------------------------------------- */

START_TEST(first_sight_of_v1_shows_the_whole_life_of_each_cpu)
{
	use_on(0, 2 * S, 1 * S);
	use_on(1, 0, 500 * MS);
	pass(10 * S);
	look();
	shows(0, 200, 0, 100, 700);
	shows(1, 0, 0, 50, 950);
	shows(-1, 200, 0, 150, 1650);
	ck_assert_uint_eq(w.shown.start_ns, 1000 * S);
	ck_assert_uint_eq(w.shown.now_ns, 1010 * S);
}
END_TEST

START_TEST(first_sight_of_v2_goes_by_what_the_host_did_on_each_cpu)
{
	use(3 * S, 1 * S);
	w.usage.nice = 1 * S; /* part of the 3 s */
	host_busy(1, 5000);
	pass(10 * S);
	look();
	shows(0, 0, 0, 0, 1000);
	shows(1, 200, 100, 100, 600);
}
END_TEST

START_TEST(an_idle_container_on_a_busy_host_is_idle)
{
	for (int i = 0; i < 5; i++) {
		host_busy(0, 1000);
		host_busy(1, 900);
		pass(10 * S);
		look();
	}
	shows(0, 0, 0, 0, 5000);
	shows(1, 0, 0, 0, 5000);
}
END_TEST

START_TEST(usage_beyond_the_containers_age_is_an_earlier_lifes)
{
	use(90 * S, 10 * S);
	pass(1 * S);
	look();
	shows(-1, 180, 0, 20, 0); /* 2 CPUs, one second, user and system as they were used */
	pass(1 * S);
	look();
	shows(-1, 180, 0, 20, 200); /* it never comes back */
}
END_TEST

START_TEST(usage_of_a_v1_cpu_beyond_the_age_is_not_moved_to_others)
{
	use_on(0, 100 * S, 0);
	pass(1 * S);
	look();
	shows(0, 100, 0, 0, 0);
	shows(1, 0, 0, 0, 100);
	pass(1 * S);
	look();
	shows(0, 100, 0, 0, 100);
}
END_TEST

START_TEST(v1_usage_on_cpus_outside_the_cpuset_is_shown_on_those_inside)
{
	use_on(5, 4 * S, 0);
	host_busy(0, 10);
	pass(10 * S);
	look();
	shows(0, 400, 0, 0, 600);
	shows(1, 0, 0, 0, 1000);
}
END_TEST

START_TEST(a_container_younger_than_its_clocks_grain_has_zeros)
{
	w.start_ns = w.now_ns + 5 * MS;
	use(2 * MS, 0);
	look();
	shows(-1, 0, 0, 0, 0);
	w.now_ns = w.start_ns + 20 * MS;
	look();
	shows(0, 0, 0, 0, 2);
}
END_TEST

/* --- predecessors ------------------------------------------------------------------------ */

START_TEST(v2_usage_of_an_earlier_init_is_not_shown)
{
	use(50 * S, 0);
	pass(100 * S);
	look();
	pass(10 * S);
	succeed(w.now_ns);
	use(5 * S, 0);
	pass(100 * S); /* by its age alone the 50 s could be its own */
	look();
	shows(-1, 500, 0, 0, 19500);
}
END_TEST

START_TEST(v1_usage_of_an_earlier_init_is_not_shown)
{
	use_on(0, 50 * S, 0);
	use_on(1, 0, 20 * S);
	pass(100 * S);
	look();
	succeed(w.now_ns);
	use_on(1, 3 * S, 1 * S);
	pass(100 * S);
	look();
	shows(0, 0, 0, 0, 10000);
	shows(1, 300, 0, 100, 9600);
}
END_TEST

START_TEST(of_an_earlier_init_that_lived_on_only_what_is_certain_is_taken_off)
{
	set_cpus("0");
	use(58 * S, 0);
	pass(100 * S);
	use(2 * S, 0);
	pass(2 * S);
	look(); /* 60 s used, 2 s after the new one's start */
	succeed(w.now_ns - 2 * S);
	use(3 * S, 0);
	pass(8 * S);
	look(); /* at least 58 s were there before; 5 s may be its own */
	shows(0, 500, 0, 0, 500);
	use(500 * MS, 500 * MS); /* and no column owes another anything for it */
	pass(1 * S);
	look();
	shows(0, 550, 0, 50, 500);
}
END_TEST

START_TEST(of_v1_too_only_what_is_certain_is_taken_off_each_cpu)
{
	use_on(0, 58 * S, 0);
	use_on(1, 1 * S, 0);
	pass(100 * S);
	use_on(0, 2 * S, 0);
	pass(2 * S);
	look();
	succeed(w.now_ns - 2 * S);
	use_on(0, 3 * S, 0);
	pass(8 * S);
	look();
	shows(0, 500, 0, 0, 500);
	shows(1, 100, 0, 0, 900);
}
END_TEST

START_TEST(another_hierarchys_predecessor_says_nothing)
{
	use(50 * S, 0);
	pass(100 * S);
	look();
	succeed(w.now_ns);
	w.usage.n_cpus = CPUS;
	w.cpu_usage[0] = 2 * S;
	pass(100 * S);
	look();
	shows(0, 200, 0, 0, 9800);
}
END_TEST

START_TEST(a_reset_in_v2_neither_repeats_nor_freezes_the_columns)
{
	set_cpus("0");
	look();
	use(5 * S, 5 * S);
	pass(20 * S);
	look();
	w.usage.usage = w.usage.user = w.usage.system = 0;
	pass(1 * S);
	look();
	shows(0, 500, 0, 500, 1100);
	use(250 * MS, 750 * MS);
	pass(1 * S);
	look();
	shows(0, 525, 0, 575, 1100);
}
END_TEST

/* --- intervals, v1 ----------------------------------------------------------------------- */

START_TEST(v1_intervals_are_exact_for_each_cpu)
{
	look();
	use_on(0, 300 * MS, 200 * MS);
	use_on(1, 1 * S, 0);
	pass(1 * S);
	look();
	shows(0, 30, 0, 20, 50);
	shows(1, 100, 0, 0, 0);
}
END_TEST

START_TEST(v1_usage_is_split_as_that_cpus_own_samples_then_the_cgroups)
{
	look();
	/* Exact usage 1 s; the sampled columns saw 3 : 1 of it. */
	w.cpu_usage[0] += 1 * S;
	w.cpu_user[0] += 300 * MS;
	w.cpu_system[0] += 100 * MS;
	/* Missed by its samples altogether; the cgroup's say 1 : 4. */
	w.cpu_usage[1] += 1 * S;
	w.usage.user += 1 * S;
	w.usage.system += 4 * S;
	pass(1 * S);
	look();
	shows(0, 75, 0, 25, 0);
	shows(1, 20, 0, 80, 0);
	/* Missed by both: as before. */
	w.cpu_usage[1] += 1 * S;
	pass(1 * S);
	look();
	shows(1, 40, 0, 160, 0);
}
END_TEST

START_TEST(v1_usage_that_nothing_has_sampled_is_user_time)
{
	look();
	w.cpu_usage[1] += 1 * S;
	pass(1 * S);
	look();
	shows(1, 100, 0, 0, 0);
}
END_TEST

/* Half a millisecond a read, of a system-bound task on CPU 0 and a user-bound one on CPU 1, which
 * the kernel samples every 4 ms (CONFIG_HZ=250). */
START_TEST(reading_v1_faster_than_ticks_moves_no_system_time_to_user)
{
	look();
	for (unsigned i = 0; i < 2000; i++) {
		w.cpu_usage[0] += MS / 2;
		w.cpu_usage[1] += MS / 2;
		if (i % 8 == 0) {
			w.cpu_system[0] += 4 * MS;
			w.cpu_user[1] += 4 * MS;
			w.usage.system += 4 * MS;
			w.usage.user += 4 * MS;
		}
		pass(MS / 2);
		look();
	}
	shows(0, 0, 0, 100, 0);
	shows(1, 100, 0, 0, 0);
}
END_TEST

START_TEST(a_v1_cpu_that_is_credited_late_shows_it_in_the_next_interval)
{
	look();
	use_on(0, 1800 * MS, 0);
	pass(1 * S);
	look();
	shows(0, 100, 0, 0, 0);
	shows(1, 0, 0, 0, 100); /* it is known not to have been this one */
	pass(1 * S);
	look();
	shows(0, 180, 0, 0, 20);
}
END_TEST

START_TEST(more_than_a_second_too_much_is_dropped)
{
	look();
	use_on(0, 3600 * S, 0);
	for (int i = 0; i < 4; i++) {
		pass(1 * S);
		look();
	}
	shows(0, 200, 0, 0, 200);
}
END_TEST

START_TEST(the_quota_view_folds_usage_of_other_cpus)
{
	set_cpus("0");
	look();
	use_on(0, 200 * MS, 0);
	use_on(2, 300 * MS, 0);
	use_on(3, 0, 100 * MS);
	pass(1 * S);
	look();
	shows(0, 50, 0, 10, 40);
}
END_TEST

/* --- intervals, v2 ----------------------------------------------------------------------- */

START_TEST(v2_usage_goes_mostly_to_the_cpus_that_were_busiest)
{
	look();
	use(800 * MS, 200 * MS);
	host_busy(0, 90);
	host_busy(1, 10);
	pass(1 * S);
	look();
	shows(0, 72, 0, 18, 10);
	shows(1, 8, 0, 2, 90);
}
END_TEST

START_TEST(no_cpu_is_more_than_fully_busy)
{
	look();
	use(1500 * MS, 0);
	host_busy(0, 100);
	pass(1 * S);
	look();
	shows(0, 100, 0, 0, 0);
	shows(1, 50, 0, 0, 50);
}
END_TEST

START_TEST(what_busy_cpus_cannot_hold_is_spread_by_weight_then_evenly)
{
	set_cpus("0-3");
	look();
	use(2400 * MS, 0);
	host_busy(0, 80);
	host_busy(1, 20);
	pass(1 * S);
	look();
	shows(0, 100, 0, 0, 0);
	shows(1, 100, 0, 0, 0);
	shows(2, 20, 0, 0, 80);
	shows(3, 20, 0, 0, 80);
}
END_TEST

START_TEST(iowait_and_stolen_time_do_not_make_a_cpu_busy)
{
	look();
	use(500 * MS, 0);
	w.host_cpus[0].ticks[3] += 10;
	w.host_cpus[0].ticks[4] += 500;
	w.host_cpus[0].ticks[7] += 500;
	host_busy(1, 50);
	pass(1 * S);
	look();
	shows(0, 0, 0, 0, 100);
	shows(1, 50, 0, 0, 50);
}
END_TEST

START_TEST(intervals_shorter_than_a_tick_go_by_the_last_one_that_had_any)
{
	look();
	for (int i = 0; i < 100; i++) {
		if (i % 10 == 0)
			host_busy(1, 1);
		use(1 * MS, 0);
		pass(1 * MS);
		look();
	}
	shows(0, 0, 0, 0, 10);
	shows(1, 10, 0, 0, 0);
}
END_TEST

START_TEST(host_ticks_that_go_backwards_only_lose_their_weight)
{
	host_busy(0, 1000);
	host_busy(1, 1000);
	look();
	w.host_cpus[0].ticks[0] = 5;
	host_busy(1, 50);
	use(500 * MS, 0);
	pass(1 * S);
	look();
	shows(0, 0, 0, 0, 100);
	shows(1, 50, 0, 0, 50);
	host_busy(0, 50);
	use(500 * MS, 0);
	pass(1 * S);
	look();
	shows(0, 50, 0, 0, 150);
	shows(1, 50, 0, 0, 150);
}
END_TEST

START_TEST(a_host_whose_ticks_all_go_backwards_is_weighed_anew)
{
	host_busy(0, 1000);
	host_busy(1, 1000);
	look();
	w.host_cpus[0].ticks[0] = w.host_cpus[1].ticks[0] = 0;
	pass(1 * S);
	look();
	host_busy(1, 50);
	use(500 * MS, 0);
	pass(1 * S);
	look();
	shows(0, 0, 0, 0, 200);
	shows(1, 50, 0, 0, 150);
}
END_TEST

START_TEST(a_host_without_that_cpu_still_gets_its_usage_spread)
{
	w.host.n_cpus = 0;
	look();
	use(1 * S, 0);
	pass(1 * S);
	look();
	shows(0, 50, 0, 0, 50);
	shows(1, 50, 0, 0, 50);
}
END_TEST

START_TEST(v2_carries_a_second_for_each_cpu_and_drops_the_rest)
{
	look();
	use(7200 * S, 0);
	pass(1 * S);
	look();
	shows(-1, 200, 0, 0, 0);
	pass(3 * S);
	look();
	shows(-1, 400, 0, 0, 400);
	pass(1 * S);
	look();
	shows(-1, 400, 0, 0, 600);
}
END_TEST

START_TEST(nice_is_taken_off_user_and_neither_goes_back)
{
	set_cpus("0");
	look();
	use(600 * MS, 0);
	w.usage.nice = 200 * MS;
	pass(1 * S);
	look();
	shows(0, 40, 20, 0, 40);
	/* Sampled nice jumps ahead of the exact user: user - nice falls to 0.3 s and is held. */
	use(100 * MS, 0);
	w.usage.nice = 400 * MS;
	pass(1 * S);
	look();
	shows(0, 40, 30, 0, 130);
	/* More nice than user at all. */
	w.usage.nice = 100 * S;
	use(100 * MS, 100 * MS);
	pass(1 * S);
	look();
	ck_assert_uint_eq(w.shown.total[CPUTIME_USER], 40);
	ck_assert_uint_eq(w.shown.total[CPUTIME_IDLE], 210);
}
END_TEST

START_TEST(nice_that_runs_far_ahead_is_paid_back_in_the_end)
{
	set_cpus("0");
	look();
	use(10 * S, 0);
	pass(10 * S);
	look();
	shows(0, 1000, 0, 0, 0);
	w.usage.nice = 5 * S; /* user without nice: 10 s, now 6 s */
	use(1 * S, 0);
	pass(10 * S);
	look();
	shows(0, 1000, 100, 0, 900);
	use(1 * S, 1 * S); /* nice is owed 4 s, system 1 s, and there are 2 s */
	pass(10 * S);
	look();
	shows(0, 1000, 260, 40, 1700);
	use(8 * S, 0);
	pass(10 * S);
	look();
	shows(0, 1500, 500, 100, 1900); /* cpu.stat's own columns: 15 s, 5 s, 1 s */
}
END_TEST

/* --- what can go wrong ------------------------------------------------------------------- */

START_TEST(two_reads_at_the_same_time_lose_nothing)
{
	look();
	use(4 * MS, 0);
	look();
	use(6 * MS, 0);
	look();
	shows(-1, 0, 0, 0, 0);
	host_busy(0, 1);
	pass(1 * S);
	look();
	shows(0, 1, 0, 0, 99);
}
END_TEST

START_TEST(a_late_reader_with_an_older_sample_changes_nothing)
{
	uint64_t usage;

	look();
	use(500 * MS, 0);
	usage = w.usage.usage;
	pass(2 * S);
	use(500 * MS, 0);
	host_busy(0, 1);
	look();
	shows(0, 100, 0, 0, 100);
	w.usage.usage = w.usage.user = usage;
	w.now_ns -= 1 * S;
	look();
	shows(0, 100, 0, 0, 100);
	ck_assert_uint_eq(w.shown.now_ns, 1002 * S);
	w.usage.usage = w.usage.user = usage + 500 * MS;
	w.now_ns += 2 * S;
	look();
	shows(0, 100, 0, 0, 200); /* the half second is not counted twice */
}
END_TEST

START_TEST(a_counter_that_the_admin_reset_counts_from_there)
{
	set_cpus("0");
	w.usage.n_cpus = CPUS;
	look();
	use_on(0, 50 * S, 0);
	pass(100 * S);
	look();
	shows(0, 5000, 0, 0, 5000);
	w.cpu_usage[0] = w.cpu_user[0] = w.usage.user = 0;
	pass(1 * S);
	look();
	shows(0, 5000, 0, 0, 5100);
	use_on(0, 0, 500 * MS);
	pass(1 * S);
	look();
	shows(0, 5000, 0, 50, 5150);
}
END_TEST

START_TEST(a_cpu_that_leaves_keeps_its_values_and_continues_when_it_returns)
{
	w.usage.n_cpus = CPUS;
	look();
	use_on(0, 400 * MS, 0);
	use_on(1, 0, 700 * MS);
	pass(1 * S);
	look();
	set_cpus("0");
	pass(1 * S);
	look();
	ck_assert_uint_eq(w.shown.n_cpus, 1);
	shows(0, 40, 0, 0, 160);
	shows(-1, 40, 0, 70, 190);
	pass(5 * S);
	look();
	set_cpus("0-1");
	pass(1 * S);
	look();
	shows(1, 0, 0, 70, 30);
	pass(1 * S);
	use_on(1, 1 * S, 0);
	look();
	shows(1, 100, 0, 70, 30);
	shows(-1, 140, 0, 70, 890);
}
END_TEST

START_TEST(the_sum_goes_on_when_all_cpus_change_at_once)
{
	set_cpus("0");
	w.usage.n_cpus = CPUS;
	look();
	set_cpus("1-2");
	use_on(0, 300 * MS, 0);
	use_on(1, 400 * MS, 0);
	pass(1 * S);
	look();
	shows(1, 0, 0, 0, 0);
	shows(2, 0, 0, 0, 0);
	shows(0, 30, 0, 0, 70);
	set_cpus("0-1");
	pass(1 * S);
	look();
	shows(0, 30, 0, 0, 70);
	shows(1, 40, 0, 0, 60); /* what it did before it had an interval */
	shows(2, 0, 0, 0, 100); /* CPU 0 is back in its place */
	shows(-1, 70, 0, 0, 230);
}
END_TEST

START_TEST(a_cpu_that_is_new_starts_at_zero)
{
	use_on(3, 100 * S, 0); /* an earlier life's */
	w.usage.n_cpus = CPUS;
	pass(10 * S);
	look();
	set_cpus("0-1,3");
	pass(10 * S);
	look();
	shows(3, 0, 0, 0, 0);
	use_on(3, 1 * S, 0);
	host_busy(3, 100);
	pass(2 * S);
	look();
	shows(3, 100, 0, 0, 100);
}
END_TEST

START_TEST(a_new_cpu_on_v2_is_not_weighed_by_the_hosts_whole_past)
{
	host_busy(0, 10);
	host_busy(2, 1000000);
	look();
	host_busy(0, 100);
	pass(1 * S);
	look();
	set_cpus("0-2");
	pass(1 * S);
	look();
	use(50 * MS, 0); /* before the host's next tick */
	pass(50 * MS);
	look();
	shows(0, 5, 0, 0, 200);
	shows(2, 0, 0, 0, 5);
}
END_TEST

START_TEST(without_any_source_all_time_is_idle)
{
	w.usage = (struct cgroup_cpu_usage){ 0 };
	pass(10 * S);
	look();
	shows(0, 0, 0, 0, 1000);
	/* cpu.stat appears later: what it holds is of no known time. */
	w.usage.known = true;
	use(5 * S, 0);
	pass(10 * S);
	look();
	shows(-1, 0, 0, 0, 4000);
	use(5 * S, 0);
	pass(10 * S);
	look();
	shows(-1, 500, 0, 0, 5500);
}
END_TEST

START_TEST(a_source_that_is_away_for_a_while_is_made_up_for)
{
	look();
	use(1 * S, 0);
	w.usage.known = false;
	pass(1 * S);
	look();
	shows(-1, 0, 0, 0, 200);
	w.usage.known = true;
	pass(1 * S);
	look();
	shows(-1, 100, 0, 0, 300);
}
END_TEST

START_TEST(an_empty_set_of_cpus_shows_none_and_keeps_the_sum)
{
	pass(10 * S);
	look();
	set_cpus("");
	use(1 * S, 0);
	pass(10 * S);
	look();
	ck_assert_uint_eq(w.shown.n_cpus, 0);
	shows(-1, 0, 0, 0, 2000);
}
END_TEST

START_TEST(processes_are_the_most_tasks_ever_seen)
{
	static const uint64_t tasks[] = { 3, 7, 2, 0, 9 }, expected[] = { 3, 7, 7, 7, 9 };

	for (size_t i = 0; i < countof(tasks); i++) {
		w.tasks = tasks[i];
		look();
		ck_assert_uint_eq(w.shown.processes, expected[i]);
	}
}
END_TEST

START_TEST(without_a_pids_controller_the_reader_is_the_one_process)
{
	look();
	ck_assert_uint_eq(w.shown.processes, 1);
}
END_TEST

START_TEST(the_start_is_kept_as_it_was_first_known)
{
	pass(10 * S);
	look();
	w.start_ns += 5 * S; /* its oldest process has gone */
	pass(10 * S);
	look();
	ck_assert_uint_eq(w.shown.start_ns, 1000 * S);
	shows(0, 0, 0, 0, 2000);
}
END_TEST

START_TEST(counters_at_the_end_of_their_range_do_not_wrap)
{
	w.usage.usage = w.usage.user = w.usage.system = UINT64_MAX;
	pass(10 * S);
	look();
	shows(-1, 1000, 0, 1000, 0);
	w.usage.n_cpus = CPUS;
	for (unsigned i = 0; i < CPUS; i++)
		w.cpu_usage[i] = w.cpu_user[i] = w.cpu_system[i] = UINT64_MAX;
	pass(10 * S);
	look();
	shows(-1, 1000, 0, 1000, 2000);
	w.now_ns = UINT64_MAX;
	look();
	ck_assert_uint_eq(w.shown.total[CPUTIME_USER], 1000);
}
END_TEST

START_TEST(all_cpus_of_a_large_machine)
{
	set_cpus("0-511");
	w.usage.n_cpus = CPUS;
	for (unsigned i = 0; i < CPUS; i++)
		use_on(i, i * 10 * MS, 0);
	pass(10 * S);
	look();
	for (unsigned i = 0; i < CPUS; i++)
		shows((int)i, i, 0, 0, 1000 - i);
}
END_TEST

START_TEST(a_large_machine_without_known_cpus)
{
	set_cpus("0-511");
	look();
	/* Weights so uneven that CPUs fill up in many turns. */
	for (unsigned i = 0; i < 60; i++)
		host_busy(i, UINT64_C(1) << (i / 2));
	use(100 * S, 0);
	pass(1 * S);
	look();
	for (unsigned i = 0; i < 60; i++)
		shows((int)i, 100, 0, 0, 0);
	/* 40 s for 452 CPUs: 8.85 ticks each. */
	for (unsigned i = 60; i < CPUS; i++)
		shows((int)i, 9, 0, 0, 91);
}
END_TEST

START_TEST(short_intervals_do_not_drift)
{
	set_cpus("0");
	w.usage.n_cpus = CPUS;
	look();
	for (int i = 0; i < 10000; i++) {
		use_on(0, 200 * NS_PER_US, 100 * NS_PER_US);
		pass(1 * MS);
		look();
	}
	ck_assert_uint_ge(w.shown.total[CPUTIME_USER], 199);
	ck_assert_uint_le(w.shown.total[CPUTIME_USER], 201);
	ck_assert_uint_ge(w.shown.total[CPUTIME_SYSTEM], 99);
	ck_assert_uint_le(w.shown.total[CPUTIME_SYSTEM], 101);
	ck_assert_uint_ge(w.shown.total[CPUTIME_IDLE], 699);
	ck_assert_uint_le(w.shown.total[CPUTIME_IDLE], 701);
}
END_TEST

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
static void look_at_garbage(struct slice garbage)
{
	text_reset(&w.state);
	text_add(&w.state, garbage.p, garbage.n);
	memset(w.ticks, 0, sizeof(w.ticks));
	w.shown.processes = 0;
}

START_TEST(a_state_that_is_cut_or_of_another_kind_counts_as_none)
{
	autotext good = { 0 };

	pass(10 * S);
	look();
	text_add(&good, w.state.data, w.state.len);
	for (size_t n = 0; n < good.len; n += 3) {
		look_at_garbage((struct slice){ good.data, n });
		look();
		shows(0, 0, 0, 0, 1000);
	}
	for (size_t at = 0; at < 16; at++) { /* magic, version, ticks a second, CPUs */
		good.data[at] ^= 0x10;
		look_at_garbage(slice_of(&good));
		look();
		shows(0, 0, 0, 0, 1000);
		good.data[at] ^= 0x10;
	}
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
	walk_begin((uint64_t)_i * 1299709 + 1, rng(2));
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

static TCase *first_sight(void)
{
	TCase *c = tcase_create("first sight");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, first_sight_of_v2_goes_by_what_the_host_did_on_each_cpu);
	tcase_add_test(c, an_idle_container_on_a_busy_host_is_idle);
	tcase_add_test(c, usage_beyond_the_containers_age_is_an_earlier_lifes);
	tcase_add_test(c, a_container_younger_than_its_clocks_grain_has_zeros);
	tcase_add_test(c, v2_usage_of_an_earlier_init_is_not_shown);
	tcase_add_test(c, of_an_earlier_init_that_lived_on_only_what_is_certain_is_taken_off);
	tcase_add_test(c, another_hierarchys_predecessor_says_nothing);
	tcase_add_test(c, without_any_source_all_time_is_idle);
	tcase_add_test(c, processes_are_the_most_tasks_ever_seen);
	tcase_add_test(c, without_a_pids_controller_the_reader_is_the_one_process);
	tcase_add_test(c, the_start_is_kept_as_it_was_first_known);
	return c;
}

static TCase *v1(void)
{
	TCase *c = tcase_create("v1");

	tcase_add_checked_fixture(c, setup_v1, teardown);
	tcase_add_test(c, first_sight_of_v1_shows_the_whole_life_of_each_cpu);
	tcase_add_test(c, usage_of_a_v1_cpu_beyond_the_age_is_not_moved_to_others);
	tcase_add_test(c, v1_usage_on_cpus_outside_the_cpuset_is_shown_on_those_inside);
	tcase_add_test(c, v1_usage_of_an_earlier_init_is_not_shown);
	tcase_add_test(c, of_v1_too_only_what_is_certain_is_taken_off_each_cpu);
	tcase_add_test(c, v1_intervals_are_exact_for_each_cpu);
	tcase_add_test(c, v1_usage_is_split_as_that_cpus_own_samples_then_the_cgroups);
	tcase_add_test(c, v1_usage_that_nothing_has_sampled_is_user_time);
	tcase_add_test(c, reading_v1_faster_than_ticks_moves_no_system_time_to_user);
	tcase_add_test(c, a_v1_cpu_that_is_credited_late_shows_it_in_the_next_interval);
	tcase_add_test(c, more_than_a_second_too_much_is_dropped);
	tcase_add_test(c, the_quota_view_folds_usage_of_other_cpus);
	tcase_add_test(c, a_counter_that_the_admin_reset_counts_from_there);
	tcase_add_test(c, a_cpu_that_leaves_keeps_its_values_and_continues_when_it_returns);
	tcase_add_test(c, the_sum_goes_on_when_all_cpus_change_at_once);
	tcase_add_test(c, a_cpu_that_is_new_starts_at_zero);
	tcase_add_test(c, all_cpus_of_a_large_machine);
	tcase_add_test(c, short_intervals_do_not_drift);
	return c;
}

static TCase *v2(void)
{
	TCase *c = tcase_create("v2");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, v2_usage_goes_mostly_to_the_cpus_that_were_busiest);
	tcase_add_test(c, no_cpu_is_more_than_fully_busy);
	tcase_add_test(c, what_busy_cpus_cannot_hold_is_spread_by_weight_then_evenly);
	tcase_add_test(c, iowait_and_stolen_time_do_not_make_a_cpu_busy);
	tcase_add_test(c, intervals_shorter_than_a_tick_go_by_the_last_one_that_had_any);
	tcase_add_test(c, host_ticks_that_go_backwards_only_lose_their_weight);
	tcase_add_test(c, a_host_whose_ticks_all_go_backwards_is_weighed_anew);
	tcase_add_test(c, a_host_without_that_cpu_still_gets_its_usage_spread);
	tcase_add_test(c, v2_carries_a_second_for_each_cpu_and_drops_the_rest);
	tcase_add_test(c, nice_is_taken_off_user_and_neither_goes_back);
	tcase_add_test(c, nice_that_runs_far_ahead_is_paid_back_in_the_end);
	tcase_add_test(c, a_reset_in_v2_neither_repeats_nor_freezes_the_columns);
	tcase_add_test(c, two_reads_at_the_same_time_lose_nothing);
	tcase_add_test(c, a_late_reader_with_an_older_sample_changes_nothing);
	tcase_add_test(c, a_new_cpu_on_v2_is_not_weighed_by_the_hosts_whole_past);
	tcase_add_test(c, a_source_that_is_away_for_a_while_is_made_up_for);
	tcase_add_test(c, an_empty_set_of_cpus_shows_none_and_keeps_the_sum);
	tcase_add_test(c, counters_at_the_end_of_their_range_do_not_wrap);
	tcase_add_test(c, a_large_machine_without_known_cpus);
	return c;
}

static TCase *robustness(void)
{
	TCase *c = tcase_create("robustness");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_tags(c, "long");
	tcase_add_test(c, a_state_that_is_cut_or_of_another_kind_counts_as_none);
	tcase_add_test(c, garbage_never_does_harm);
	tcase_add_loop_test(c, random_walk_v1_is_right_for_each_cpu, 0, 3);
	tcase_add_loop_test(c, random_walk_v2_shows_the_whole_usage, 0, 3);
	tcase_add_loop_test(c, random_walk_through_nonsense_never_goes_back, 0, 3);
	return c;
}

int main(void)
{
	Suite *s = suite_create("cputime");

	suite_add_tcase(s, first_sight());
	suite_add_tcase(s, v1());
	suite_add_tcase(s, v2());
	suite_add_tcase(s, robustness());
	return unit_run(s);
}
