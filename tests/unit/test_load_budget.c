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

int main(void)
{
	Suite *s = suite_create("load_budget");
	TCase *t = tcase_create("budget");

	tcase_add_test(t, what_looks_cost_is_gone_and_comes_back_with_time);
	tcase_add_test(t, nothing_is_saved_up);
	tcase_add_test(t, debts_are_paid_back_first);
	tcase_add_test(t, an_owner_pays_for_itself_and_nobody_for_nothing);
	suite_add_tcase(s, t);
	return unit_run(s);
}
