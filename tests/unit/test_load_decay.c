/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How counts of tasks become load averages (SPEC 10), and what the kernel says of one task.
 */
#include "../../src/container/load_private.h"
#include "../../src/container/private.h"

#include "cleanup.h"
#include "unit.h"

/* --- averages ------------------------------------------------------------------------------- */

START_TEST(averages_go_the_kernels_way_step_by_step)
{
	/* calc_load() with EXP_1, EXP_5 and EXP_15 worked by hand: the first is
	 * (0 × 1884 + 2048 × 164 + 2047) ÷ 2048. */
	static const uint64_t rising[][LOAD_SPANS] = { { 164, 34, 11 }, { 315, 68, 22 },
		{ 454, 101, 33 } };
	uint64_t averages[LOAD_SPANS] = { 0 };

	for (size_t i = 0; i < countof(rising); i++) {
		load_decay(averages, 1, 1);
		ck_assert_mem_eq(averages, rising[i], sizeof(averages));
	}
	/* After a minute of one task: 0.63 0.18 0.06. */
	for (size_t i = countof(rising); i < 12; i++)
		load_decay(averages, 1, 1);
	ck_assert_uint_eq(averages[LOAD_1], 1299);
	ck_assert_uint_eq(averages[LOAD_5], 378);
	ck_assert_uint_eq(averages[LOAD_15], 132);
}
END_TEST

START_TEST(averages_reach_what_they_rise_to_and_zero)
{
	uint64_t averages[LOAD_SPANS] = { 0 };

	for (unsigned i = 0; i < 1000; i++)
		load_decay(averages, 3, 1);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		ck_assert_uint_eq(averages[i], 3 * LOAD_ONE);
	for (unsigned i = 0; i < 2000; i++)
		load_decay(averages, 0, 1);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		ck_assert_uint_eq(averages[i], 0);
}
END_TEST

START_TEST(a_late_sample_decays_by_the_time_that_went_by)
{
	uint64_t steps[LOAD_SPANS] = { 4 * LOAD_ONE, 4 * LOAD_ONE, 4 * LOAD_ONE };
	uint64_t late[LOAD_SPANS] = { 4 * LOAD_ONE, 4 * LOAD_ONE, 4 * LOAD_ONE };

	for (unsigned i = 0; i < 60; i++)
		load_decay(steps, 0, 1);
	/* Five minutes at once; the kernel's fixed_power_int() rounds otherwise than sixty steps
	 * do: e^-1 × 4 is 1.47, sixty steps make it 1.46. */
	load_decay(late, 0, 60);
	ck_assert_uint_eq(late[LOAD_1], 56);
	ck_assert_uint_eq(late[LOAD_5], 3024);
	ck_assert_uint_eq(late[LOAD_15], 5920);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		ck_assert_uint_le(late[i] - steps[i], 48);
	load_decay(late, 2, UINT64_MAX / 2);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		ck_assert_uint_eq(late[i], 2 * LOAD_ONE);
	load_decay(late, 7, 0);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		ck_assert_uint_eq(late[i], 2 * LOAD_ONE);
}
END_TEST

START_TEST(the_first_count_is_all_three_averages)
{
	const struct load_count count = { .running = 2, .blocked = 3, .threads = 9 };
	const struct load_count none = { .threads = 8 };
	struct load_state state = { 0 };

	load_advance(&state, &count, 1000);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		ck_assert_uint_eq(state.values.averages[i], 5 * LOAD_ONE);
	ck_assert_uint_eq(state.values.running, 2);
	ck_assert_uint_eq(state.values.blocked, 3);
	ck_assert_uint_eq(state.values.threads, 9);
	load_advance(&state, &none, 1001);
	ck_assert_uint_eq(state.values.averages[LOAD_1], 5 * 1884);
	ck_assert_uint_eq(state.values.averages[LOAD_15], 5 * 2037);
	ck_assert_uint_eq(state.values.running, 0);
	ck_assert_uint_eq(state.values.threads, 8);
	/* What was asked earlier and is answered later takes nothing back. */
	load_advance(&state, &count, 1001);
	ck_assert_uint_eq(state.values.averages[LOAD_1], 5 * 1884);
}
END_TEST

/* --- one task ------------------------------------------------------------------------------- */

#define NUMBERS " 1 2 3 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 "

START_TEST(stat_is_read_behind_whatever_the_name_is)
{
	static const struct {
		const char *text;
		char state;
		uint64_t threads, start;
	} cases[] = {
		{ "10 (cat) R" NUMBERS "1 0 4711 99 98\n", 'R', 1, 4711 },
		{ "10 (a) R 1 (b) S" NUMBERS "2 0 5 9\n", 'S', 2, 5 },
		{ "10 () D) D" NUMBERS "3 0 6 9\n", 'D', 3, 6 },
		{ "10 (:-) (:-) S) (x) I" NUMBERS "4 0 7 9\n", 'I', 4, 7 },
		{ "10 ()))) R 2 3) Z" NUMBERS "1 0 8 9\n", 'Z', 1, 8 },
		{ "10 (\\n) T" NUMBERS "1 0 9 0", 'T', 1, 9 },
	};
	struct proc_stat stat;

	for (size_t i = 0; i < countof(cases); i++) {
		ck_assert_int_eq(proc_parse_stat(slice_str(cases[i].text), &stat), 0);
		ck_assert_int_eq(stat.state, cases[i].state);
		ck_assert_uint_eq(stat.threads, cases[i].threads);
		ck_assert_uint_eq(stat.start, cases[i].start);
		ck_assert_uint_eq(stat.flags, 4194304);
	}
	ck_assert_int_lt(proc_parse_stat(slice_str(""), &stat), 0);
	ck_assert_int_lt(proc_parse_stat(slice_str("10 (cat"), &stat), 0);
	ck_assert_int_lt(proc_parse_stat(slice_str("10 (cat)"), &stat), 0);
	ck_assert_int_lt(proc_parse_stat(slice_str("10 (cat) R" NUMBERS "1 0"), &stat), 0);
	ck_assert_int_lt(proc_parse_stat(slice_str("10 (cat) R" NUMBERS "x 0 1 2"), &stat), 0);
}
END_TEST
int main(void)
{
	Suite *s = suite_create("load_decay");
	TCase *t = tcase_create("decay");

	tcase_add_test(t, averages_go_the_kernels_way_step_by_step);
	tcase_add_test(t, averages_reach_what_they_rise_to_and_zero);
	tcase_add_test(t, a_late_sample_decays_by_the_time_that_went_by);
	tcase_add_test(t, the_first_count_is_all_three_averages);
	tcase_add_test(t, stat_is_read_behind_whatever_the_name_is);
	suite_add_tcase(s, t);
	return unit_run(s);
}
