/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When the leader gives its turn away to be nearer to the reader.
 */
#include "../../src/daemon/near.h"
#include "unit.h"

#define AT_ONCE NS_PER_US
#define AWAKE (10 * NS_PER_US) /* on another CPU, where waking up is cheap */
#define DEAR (50 * NS_PER_US)  /* on another CPU, where it is not */
#define THINKING (20 * NS_PER_MS)

/* How often the turn is given away in so many waits. */
static unsigned wait_for(struct near *s, unsigned times, uint64_t took_ns)
{
	unsigned given = 0;

	while (times-- > 0)
		given += near_waited(s, took_ns);
	return given;
}

START_TEST(a_thread_beside_its_reader_keeps_the_turn)
{
	struct near s = { 0 };

	ck_assert_uint_eq(wait_for(&s, 100000, AT_ONCE), 0);
}
END_TEST

START_TEST(where_waking_up_is_cheap_the_turn_is_kept)
{
	struct near s = { 0 };

	ck_assert_uint_eq(wait_for(&s, 100000, AWAKE), 0);
}
END_TEST

START_TEST(a_reader_who_thinks_says_nothing)
{
	struct near s = { 0 };

	ck_assert_uint_eq(wait_for(&s, 1000, THINKING), 0);
	/* In the midst of others, neither. */
	ck_assert_uint_eq(wait_for(&s, NEAR_FAR - 1, DEAR), 0);
	ck_assert_uint_eq(wait_for(&s, 1000, THINKING), 0);
	ck_assert_uint_eq(wait_for(&s, 1, DEAR), 1);
}
END_TEST

START_TEST(the_turn_goes_round_until_somebody_is_near)
{
	struct near s = { 0 };

	for (unsigned thread = 1; thread < NEAR_TRIES; thread++) {
		ck_assert_uint_eq(wait_for(&s, NEAR_FAR - 1, DEAR), 0);
		ck_assert_uint_eq(wait_for(&s, 1, DEAR), 1);
	}
	ck_assert_uint_eq(wait_for(&s, 1000, AT_ONCE), 0);
	/* And so it does the next time. */
	ck_assert_uint_eq(wait_for(&s, NEAR_FAR, DEAR), 1);
}
END_TEST

START_TEST(it_is_apart_from_long_waits_on_until_short_ones_come)
{
	struct near s = { 0 };

	wait_for(&s, NEAR_FAR - 1, DEAR);
	ck_assert(!s.apart);
	wait_for(&s, 1, DEAR);
	ck_assert(s.apart);
	wait_for(&s, NEAR_FOUND - 1, AT_ONCE);
	ck_assert(s.apart);
	wait_for(&s, 1, AT_ONCE);
	ck_assert(!s.apart);
}
END_TEST

/* OPEN comes late, READ, READ and RELEASE at once. */
START_TEST(a_reader_who_pauses_between_cycles_is_near_all_the_same)
{
	struct near s = { 0 };

	wait_for(&s, 100000, DEAR);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(wait_for(&s, 1, DEAR), 0);
		ck_assert_uint_eq(wait_for(&s, 3, AT_ONCE), 0);
		ck_assert(!s.apart);
	}
	/* No rest is left from before. */
	ck_assert_uint_eq(wait_for(&s, NEAR_FAR, DEAR), 1);
}
END_TEST

/* Who asks the device while apart waits for less, and is not nearer for that. */
START_TEST(while_apart_the_turn_goes_on_though_waiting_is_cheap)
{
	struct near s = { 0 };

	wait_for(&s, NEAR_FAR, DEAR);
	ck_assert_uint_eq(wait_for(&s, NEAR_FAR, AWAKE), 1);
	ck_assert(s.apart);
	wait_for(&s, NEAR_FOUND, AT_ONCE);
	ck_assert_uint_eq(wait_for(&s, NEAR_FAR, AWAKE), 0);
}
END_TEST

START_TEST(one_long_wait_among_short_ones_is_an_accident)
{
	struct near s = { 0 };

	for (int i = 0; i < 1000; i++) {
		ck_assert_uint_eq(wait_for(&s, NEAR_FAR - 1, DEAR), 0);
		ck_assert_uint_eq(wait_for(&s, 3, AT_ONCE), 0);
	}
}
END_TEST

START_TEST(where_it_never_helps_it_is_seldom_tried)
{
	const unsigned waits = 100000, occasions = waits / NEAR_FAR;
	struct near s = { 0 };
	unsigned given;

	wait_for(&s, 1000, DEAR);
	given = wait_for(&s, waits, DEAR);
	ck_assert_uint_gt(given, 0);
	ck_assert_uint_le(given, occasions * NEAR_TRIES / NEAR_REST_MAX);
}
END_TEST

START_TEST(after_a_rest_that_ends_well_it_is_tried_at_once_again)
{
	struct near s = { 0 };

	wait_for(&s, 100000, DEAR);
	wait_for(&s, NEAR_FOUND, AT_ONCE);
	ck_assert_uint_eq(wait_for(&s, NEAR_FAR * (NEAR_TRIES - 1), DEAR), NEAR_TRIES - 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("near");
	TCase *c = tcase_create("near");

	tcase_add_test(c, a_thread_beside_its_reader_keeps_the_turn);
	tcase_add_test(c, where_waking_up_is_cheap_the_turn_is_kept);
	tcase_add_test(c, a_reader_who_thinks_says_nothing);
	tcase_add_test(c, the_turn_goes_round_until_somebody_is_near);
	tcase_add_test(c, it_is_apart_from_long_waits_on_until_short_ones_come);
	tcase_add_test(c, a_reader_who_pauses_between_cycles_is_near_all_the_same);
	tcase_add_test(c, while_apart_the_turn_goes_on_though_waiting_is_cheap);
	tcase_add_test(c, one_long_wait_among_short_ones_is_an_accident);
	tcase_add_test(c, where_it_never_helps_it_is_seldom_tried);
	tcase_add_test(c, after_a_rest_that_ends_well_it_is_tried_at_once_again);
	suite_add_tcase(s, c);
	return unit_run(s);
}
