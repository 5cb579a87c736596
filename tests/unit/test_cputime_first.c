/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 6 at first sight of a container: what its cgroup used before is its own, or an earlier
 * init's. Expected ticks are reasoned from SPEC 6.
 */
#include "cputime_machine.h"
#include "unit.h"

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

static TCase *v1(void)
{
	TCase *c = tcase_create("v1");

	tcase_add_checked_fixture(c, cputime_machine_v1, cputime_machine_free);
	tcase_add_test(c, first_sight_of_v1_shows_the_whole_life_of_each_cpu);
	tcase_add_test(c, usage_of_a_v1_cpu_beyond_the_age_is_not_moved_to_others);
	tcase_add_test(c, v1_usage_on_cpus_outside_the_cpuset_is_shown_on_those_inside);
	tcase_add_test(c, v1_usage_of_an_earlier_init_is_not_shown);
	tcase_add_test(c, of_v1_too_only_what_is_certain_is_taken_off_each_cpu);
	return c;
}

static TCase *v2(void)
{
	TCase *c = tcase_create("v2");

	tcase_add_checked_fixture(c, cputime_machine_v2, cputime_machine_free);
	tcase_add_test(c, first_sight_of_v2_goes_by_what_the_host_did_on_each_cpu);
	tcase_add_test(c, an_idle_container_on_a_busy_host_is_idle);
	tcase_add_test(c, usage_beyond_the_containers_age_is_an_earlier_lifes);
	tcase_add_test(c, a_container_younger_than_its_clocks_grain_has_zeros);
	tcase_add_test(c, v2_usage_of_an_earlier_init_is_not_shown);
	tcase_add_test(c, of_an_earlier_init_that_lived_on_only_what_is_certain_is_taken_off);
	tcase_add_test(c, another_hierarchys_predecessor_says_nothing);
	tcase_add_test(c, a_reset_in_v2_neither_repeats_nor_freezes_the_columns);
	return c;
}

int main(void)
{
	Suite *s = suite_create("cputime, first sight");

	suite_add_tcase(s, v1());
	suite_add_tcase(s, v2());
	return unit_run(s);
}
