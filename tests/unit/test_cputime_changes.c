/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 6 while counters, CPUs and sources come, go and are set back. Expected ticks are reasoned
 * from SPEC 6.
 */
#include "cputime_machine.h"
#include "unit.h"

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

static TCase *v1(void)
{
	TCase *c = tcase_create("v1");

	tcase_add_checked_fixture(c, cputime_machine_v1, cputime_machine_free);
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

	tcase_add_checked_fixture(c, cputime_machine_v2, cputime_machine_free);
	tcase_add_test(c, two_reads_at_the_same_time_lose_nothing);
	tcase_add_test(c, a_late_reader_with_an_older_sample_changes_nothing);
	tcase_add_test(c, a_new_cpu_on_v2_is_not_weighed_by_the_hosts_whole_past);
	tcase_add_test(c, without_any_source_all_time_is_idle);
	tcase_add_test(c, a_source_that_is_away_for_a_while_is_made_up_for);
	tcase_add_test(c, an_empty_set_of_cpus_shows_none_and_keeps_the_sum);
	tcase_add_test(c, processes_are_the_most_tasks_ever_seen);
	tcase_add_test(c, without_a_pids_controller_the_reader_is_the_one_process);
	tcase_add_test(c, the_start_is_kept_as_it_was_first_known);
	tcase_add_test(c, counters_at_the_end_of_their_range_do_not_wrap);
	tcase_add_test(c, a_large_machine_without_known_cpus);
	return c;
}

int main(void)
{
	Suite *s = suite_create("cputime, changes");

	suite_add_tcase(s, v1());
	suite_add_tcase(s, v2());
	return unit_run(s);
}
