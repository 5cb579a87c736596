/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For how long the readers of one outermost container may look at tasks (SPEC 10).
 */
#include "../../src/container/load_private.h"

#include "unit.h"
#include "use.h"

#define NOW (1000 * NS_PER_S)

START_TEST(what_looks_cost_is_gone_and_comes_back_with_time)
{
	struct use use = { 0 };

	ck_assert_uint_eq(load_budget_left(&use, NOW), 200 * NS_PER_MS);
	load_budget_charge(&use, NOW, 150 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW), 50 * NS_PER_MS);
	load_budget_charge(&use, NOW, 50 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW), 0);
	/* 20 ms a second. */
	ck_assert_uint_eq(load_budget_left(&use, NOW + NS_PER_S / 20), NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW + NS_PER_S), 20 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW + 9 * NS_PER_S), 180 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW + 10 * NS_PER_S), 200 * NS_PER_MS);
}
END_TEST

START_TEST(nothing_is_saved_up)
{
	struct use use = { 0 };

	load_budget_charge(&use, NOW, 10 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, 2 * NOW), 200 * NS_PER_MS);
	load_budget_charge(&use, 2 * NOW, 200 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, 2 * NOW), 0);
}
END_TEST

START_TEST(debts_are_paid_back_first)
{
	struct use use = { 0 };

	load_budget_charge(&use, NOW, 300 * NS_PER_MS);
	/* Of one that read the clock before. */
	load_budget_charge(&use, NOW - NS_PER_S, 100 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW), 0);
	ck_assert_uint_eq(load_budget_left(&use, NOW + 10 * NS_PER_S), 0);
	ck_assert_uint_eq(load_budget_left(&use, NOW + 11 * NS_PER_S), 20 * NS_PER_MS);
	load_budget_charge(&use, NOW, UINT64_MAX);
	load_budget_charge(&use, NOW, UINT64_MAX);
	ck_assert_uint_eq(load_budget_left(&use, NOW + 1000 * NS_PER_S), 0);
}
END_TEST

START_TEST(an_owner_pays_for_itself_and_nobody_for_nothing)
{
	struct use use = { 0 }, other = { 0 };

	load_budget_charge(&use, NOW, 200 * NS_PER_MS);
	load_budget_charge(NULL, NOW, 200 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW), 0);
	ck_assert_uint_eq(load_budget_left(&other, NOW), 200 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(NULL, NOW), 200 * NS_PER_MS);
}
END_TEST

START_TEST(looks_at_the_same_time_have_no_more_than_all_of_it)
{
	struct use use = { 0 };
	uint64_t taken = 0;

	ck_assert_uint_eq(load_budget_take(&use, NOW, 0), 100 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_take(&use, NOW, 0), 50 * NS_PER_MS);
	for (unsigned i = 0; i < 100; i++)
		taken += load_budget_take(&use, NOW, 0);
	ck_assert_uint_le(taken, 50 * NS_PER_MS);
	ck_assert_uint_ge(taken, 49 * NS_PER_MS);
	ck_assert_uint_le(load_budget_take(NULL, NOW, 0), 200 * NS_PER_MS);
}
END_TEST

START_TEST(a_look_has_what_it_is_known_to_want_or_nothing)
{
	struct use use = { 0 };

	ck_assert_uint_eq(load_budget_take(&use, NOW, 201 * NS_PER_MS), 0);
	ck_assert_uint_eq(load_budget_take(&use, NOW, 150 * NS_PER_MS), 150 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_take(&use, NOW, 51 * NS_PER_MS), 0);
	ck_assert_uint_eq(load_budget_take(&use, NOW, 10 * NS_PER_MS), 25 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW), 25 * NS_PER_MS);
}
END_TEST

START_TEST(what_a_look_did_not_use_comes_back_and_what_it_used_beyond_is_charged)
{
	struct use use = { 0 };
	uint64_t taken = load_budget_take(&use, NOW, 0);

	load_budget_settle(&use, NOW, taken, 10 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW), 190 * NS_PER_MS);
	taken = load_budget_take(&use, NOW, 0);
	load_budget_settle(&use, NOW, taken, taken + 20 * NS_PER_MS);
	ck_assert_uint_eq(load_budget_left(&use, NOW), 75 * NS_PER_MS);
	load_budget_settle(NULL, NOW, 2, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("load_budget");
	TCase *t = tcase_create("budget");

	tcase_add_test(t, what_looks_cost_is_gone_and_comes_back_with_time);
	tcase_add_test(t, nothing_is_saved_up);
	tcase_add_test(t, debts_are_paid_back_first);
	tcase_add_test(t, an_owner_pays_for_itself_and_nobody_for_nothing);
	tcase_add_test(t, looks_at_the_same_time_have_no_more_than_all_of_it);
	tcase_add_test(t, a_look_has_what_it_is_known_to_want_or_nothing);
	tcase_add_test(t, what_a_look_did_not_use_comes_back_and_what_it_used_beyond_is_charged);
	suite_add_tcase(s, t);
	return unit_run(s);
}
