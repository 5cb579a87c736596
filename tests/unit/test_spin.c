/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When the leader asks again and when it sleeps.
 */
#include "../../src/daemon/spin.h"
#include "unit.h"

static uint64_t now;

/* Waits for a request that comes after `gap_ns`, asking every microsecond while that is wanted. How
 * long it asked. */
static uint64_t wait_for(struct spin *s, uint64_t gap_ns)
{
	const uint64_t began = now;
	uint64_t asked = 0;

	while (now - began < gap_ns && spin_again(s, now)) {
		now += NS_PER_US;
		asked = now - began;
	}
	now = began + gap_ns;
	spin_over(s, now);
	return asked;
}

static void repeat(struct spin *s, unsigned times, uint64_t gap_ns)
{
	while (times-- > 0)
		wait_for(s, gap_ns);
}

START_TEST(an_idle_daemon_never_asks_twice)
{
	struct spin s = { 0 };

	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(wait_for(&s, NS_PER_S), 0);
}
END_TEST

START_TEST(a_busy_reader_makes_it_ask)
{
	struct spin s = { 0 };

	repeat(&s, 3, 10 * NS_PER_US);
	ck_assert_uint_ge(wait_for(&s, 10 * NS_PER_US), 9 * NS_PER_US);
}
END_TEST

START_TEST(the_admin_may_forbid_it)
{
	struct spin s = { .never = true };

	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(wait_for(&s, 10 * NS_PER_US), 0);
}
END_TEST

START_TEST(one_wait_in_vain_is_bounded)
{
	struct spin s = { 0 };

	repeat(&s, 100, 10 * NS_PER_US);
	ck_assert_uint_le(wait_for(&s, NS_PER_S), SPIN_NS + 2 * NS_PER_US);
}
END_TEST

START_TEST(a_pause_after_each_file_does_not_stop_it)
{
	struct spin s = { 0 };

	repeat(&s, 20, 10 * NS_PER_US);
	for (int i = 0; i < 100; i++) {
		repeat(&s, 3, 10 * NS_PER_US);
		wait_for(&s, NS_PER_MS);
	}
	ck_assert_uint_ge(wait_for(&s, 10 * NS_PER_US), 9 * NS_PER_US);
}
END_TEST

START_TEST(it_stops_soon_when_nobody_hurries)
{
	struct spin s = { 0 };

	repeat(&s, 1000, 10 * NS_PER_US);
	repeat(&s, 10, NS_PER_MS);
	ck_assert_uint_eq(wait_for(&s, NS_PER_MS), 0);
}
END_TEST

START_TEST(it_stops_at_once_when_others_need_the_cpu)
{
	struct spin s = { 0 };

	repeat(&s, 1000, 10 * NS_PER_US);
	ck_assert(spin_again(&s, now));
	now += 3 * NS_PER_MS;
	ck_assert(!spin_again(&s, now));
	spin_over(&s, now);
	ck_assert_uint_eq(wait_for(&s, 10 * NS_PER_US), 0);
	repeat(&s, 20, 10 * NS_PER_US);
	ck_assert_uint_eq(wait_for(&s, 10 * NS_PER_US), 0);
}
END_TEST

START_TEST(a_wake_up_without_a_request_says_nothing_of_the_cpus)
{
	struct spin s = { 0 };

	repeat(&s, 1000, 10 * NS_PER_US);
	while (spin_again(&s, now))
		now += NS_PER_US;
	now += NS_PER_S;
	ck_assert(!spin_again(&s, now));
	spin_over(&s, now);
	ck_assert_uint_gt(wait_for(&s, 10 * NS_PER_US), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spin");
	TCase *c = tcase_create("spin");

	now = NS_PER_S;
	tcase_add_test(c, an_idle_daemon_never_asks_twice);
	tcase_add_test(c, a_busy_reader_makes_it_ask);
	tcase_add_test(c, the_admin_may_forbid_it);
	tcase_add_test(c, one_wait_in_vain_is_bounded);
	tcase_add_test(c, a_pause_after_each_file_does_not_stop_it);
	tcase_add_test(c, it_stops_soon_when_nobody_hurries);
	tcase_add_test(c, it_stops_at_once_when_others_need_the_cpu);
	tcase_add_test(c, a_wake_up_without_a_request_says_nothing_of_the_cpus);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
