/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When the leader asks again and when it sleeps.
 */
#include "../../src/daemon/spin.h"
#include "unit.h"

static uint64_t now;

/* A request comes after `asked_ns` to who asks, and after `slept_ns` to who sleeps; asking is one
 * question each microsecond. How long it asked. */
static uint64_t wait_for(struct spin *s, uint64_t asked_ns, uint64_t slept_ns)
{
	const uint64_t began = now;
	uint64_t asked = 0;

	if (spin_begin(s, now))
		do {
			now += NS_PER_US;
			asked = now - began;
		} while (asked < asked_ns && spin_again(s, now));
	now = began + (asked >= asked_ns ? asked_ns : slept_ns);
	ck_assert_uint_eq(spin_end(s, now), now - began);
	return asked;
}

/* How long it asked in all. */
static uint64_t repeat(struct spin *s, unsigned times, uint64_t asked_ns, uint64_t slept_ns)
{
	uint64_t asked = 0;

	while (times-- > 0)
		asked += wait_for(s, asked_ns, slept_ns);
	return asked;
}

/* A reader for whom a wake-up is dear. */
static uint64_t hurry(struct spin *s, unsigned times)
{
	return repeat(s, times, 10 * NS_PER_US, 40 * NS_PER_US);
}

START_TEST(where_asking_is_quicker_it_asks)
{
	struct spin s = { 0 };

	hurry(&s, 1000);
	ck_assert_uint_ge(hurry(&s, 1000), 1000 * 8 * NS_PER_US);
}
END_TEST

START_TEST(where_sleeping_is_quicker_it_sleeps)
{
	struct spin s = { 0 };

	/* As on a CPU that reader and daemon share: the reader can go on when the daemon sleeps. */
	repeat(&s, 10000, 45 * NS_PER_US, 8 * NS_PER_US);
	ck_assert_uint_le(repeat(&s, 10000, 45 * NS_PER_US, 8 * NS_PER_US), 10000 * NS_PER_US / 10);
}
END_TEST

START_TEST(where_it_is_all_the_same_it_sleeps)
{
	struct spin s = { 0 };

	repeat(&s, 10000, 10 * NS_PER_US, 10 * NS_PER_US);
	ck_assert_uint_le(
		repeat(&s, 10000, 10 * NS_PER_US, 10 * NS_PER_US), 10000 * NS_PER_US / 10);
}
END_TEST

START_TEST(an_idle_daemon_hardly_ever_asks)
{
	struct spin s = { 0 };

	repeat(&s, 10000, NS_PER_S, NS_PER_S);
	ck_assert_uint_le(repeat(&s, 10000, NS_PER_S, NS_PER_S), 10000 * NS_PER_US / 10);
}
END_TEST

START_TEST(the_admin_may_forbid_it)
{
	struct spin s = { .never = true };

	ck_assert_uint_eq(hurry(&s, 10000), 0);
}
END_TEST

START_TEST(one_wait_in_vain_is_bounded)
{
	struct spin s = { 0 };

	hurry(&s, 1000);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_le(wait_for(&s, NS_PER_S, NS_PER_S), SPIN_NS + 2 * NS_PER_US);
}
END_TEST

START_TEST(a_pause_after_each_file_does_not_stop_it)
{
	struct spin s = { 0 };
	uint64_t asked = 0;

	for (int i = 0; i < 1000; i++) {
		asked = hurry(&s, 3);
		wait_for(&s, NS_PER_MS, NS_PER_MS);
	}
	ck_assert_uint_ge(asked, 3 * 9 * NS_PER_US);
}
END_TEST

START_TEST(it_stops_when_nobody_hurries_any_more)
{
	struct spin s = { 0 };

	hurry(&s, 1000);
	repeat(&s, 1000, NS_PER_MS, NS_PER_MS);
	ck_assert_uint_le(repeat(&s, 1000, NS_PER_MS, NS_PER_MS), 1000 * 3 * NS_PER_US);
}
END_TEST

START_TEST(it_stops_at_once_when_others_need_the_cpu)
{
	struct spin s = { 0 };

	hurry(&s, 1000);
	while (!spin_begin(&s, now))
		spin_end(&s, now += 40 * NS_PER_US);
	now += 3 * NS_PER_MS;
	ck_assert(!spin_again(&s, now));
	spin_end(&s, now);
	ck_assert_uint_eq(hurry(&s, 60 * SPIN_PERIOD), 0);
	ck_assert_uint_gt(hurry(&s, 60 * SPIN_PERIOD), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spin");
	TCase *c = tcase_create("spin");

	now = NS_PER_S;
	tcase_add_test(c, where_asking_is_quicker_it_asks);
	tcase_add_test(c, where_sleeping_is_quicker_it_sleeps);
	tcase_add_test(c, where_it_is_all_the_same_it_sleeps);
	tcase_add_test(c, an_idle_daemon_hardly_ever_asks);
	tcase_add_test(c, the_admin_may_forbid_it);
	tcase_add_test(c, one_wait_in_vain_is_bounded);
	tcase_add_test(c, a_pause_after_each_file_does_not_stop_it);
	tcase_add_test(c, it_stops_when_nobody_hurries_any_more);
	tcase_add_test(c, it_stops_at_once_when_others_need_the_cpu);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
