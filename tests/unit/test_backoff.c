/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When the next worker starts: at once while deaths are rare, once a second when it cannot be
 * helped, and never not at all.
 */
#include "../../src/daemon/backoff.h"
#include "cleanup.h"
#include "unit.h"

#define LONG 100000u

static struct backoff b;
static uint64_t now;

static void setup(void)
{
	b = (struct backoff){ 0 };
	now = 12345 * NS_PER_S;
}

/* A worker lives for `life_ns` and dies; how long readers wait for the next. */
static uint64_t dies(enum backoff_death death, uint64_t life_ns)
{
	uint64_t due, wait;

	now += life_ns;
	due = backoff_after(&b, death, now);
	ck_assert_uint_ge(due, now);
	wait = due - now;
	ck_assert_uint_le(wait, BACKOFF_NS);
	now = due;
	return wait;
}

START_TEST(ten_faults_are_met_at_once_and_then_it_is_one_start_a_second)
{
	const uint64_t first = now;

	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(dies(BACKOFF_FAULT, NS_PER_MS), 0);
	for (int i = 0; i < 1000; i++)
		dies(BACKOFF_FAULT, NS_PER_MS);
	ck_assert_uint_ge(now - first, 990 * NS_PER_S);
}
END_TEST

START_TEST(it_never_gives_up_and_forgets_what_is_over)
{
	for (unsigned i = 0; i < LONG; i++)
		dies(BACKOFF_FAULT, 0);
	now += 10 * NS_PER_S;
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(dies(BACKOFF_FAULT, NS_PER_MS), 0);
}
END_TEST

START_TEST(faults_that_are_rare_are_met_at_once)
{
	for (unsigned i = 0; i < LONG; i++)
		ck_assert_uint_eq(dies(BACKOFF_FAULT, 1001 * NS_PER_MS), 0);
}
END_TEST

START_TEST(who_kills_workers_ten_times_a_second_makes_nobody_wait)
{
	for (unsigned i = 0; i < LONG; i++)
		ck_assert_uint_eq(dies(BACKOFF_KILLED, 100 * NS_PER_MS), 0);
	for (unsigned i = 0; i < LONG; i++)
		ck_assert_uint_le(dies(BACKOFF_EARLY, 80 * NS_PER_MS), BACKOFF_EARLY_NS);
}
END_TEST

START_TEST(workers_that_are_killed_at_once_again_and_again_do_not_take_the_machine)
{
	static const enum backoff_death deaths[] = { BACKOFF_KILLED, BACKOFF_EARLY };

	for (unsigned d = 0; d < countof(deaths); d++) {
		uint64_t first;

		setup();
		for (int i = 0; i < 200; i++)
			dies(deaths[d], NS_PER_MS);
		first = now;
		for (int i = 0; i < 1000; i++)
			dies(deaths[d], NS_PER_MS);
		ck_assert_uint_ge(now - first, 40 * NS_PER_S);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backoff");
	TCase *c = tcase_create("backoff");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, ten_faults_are_met_at_once_and_then_it_is_one_start_a_second);
	tcase_add_test(c, it_never_gives_up_and_forgets_what_is_over);
	tcase_add_test(c, faults_that_are_rare_are_met_at_once);
	tcase_add_test(c, who_kills_workers_ten_times_a_second_makes_nobody_wait);
	tcase_add_test(c, workers_that_are_killed_at_once_again_and_again_do_not_take_the_machine);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
