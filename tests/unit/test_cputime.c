/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 6 from one look at a container to the next. Expected ticks are reasoned from SPEC 6.
 */
#include "cputime_machine.h"
#include "unit.h"

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

static TCase *v1(void)
{
	TCase *c = tcase_create("v1");

	tcase_add_checked_fixture(c, cputime_machine_v1, cputime_machine_free);
	tcase_add_test(c, v1_intervals_are_exact_for_each_cpu);
	tcase_add_test(c, v1_usage_is_split_as_that_cpus_own_samples_then_the_cgroups);
	tcase_add_test(c, v1_usage_that_nothing_has_sampled_is_user_time);
	tcase_add_test(c, reading_v1_faster_than_ticks_moves_no_system_time_to_user);
	tcase_add_test(c, a_v1_cpu_that_is_credited_late_shows_it_in_the_next_interval);
	tcase_add_test(c, more_than_a_second_too_much_is_dropped);
	tcase_add_test(c, the_quota_view_folds_usage_of_other_cpus);
	return c;
}

static TCase *v2(void)
{
	TCase *c = tcase_create("v2");

	tcase_add_checked_fixture(c, cputime_machine_v2, cputime_machine_free);
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
	return c;
}

int main(void)
{
	Suite *s = suite_create("cputime");

	suite_add_tcase(s, v1());
	suite_add_tcase(s, v2());
	return unit_run(s);
}
