/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text, slice and CPU list helpers: what every parser and renderer stands on.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "cpumask.h"
#include "parse.h"
#include "text.h"
#include "unit.h"

static void assert_text(struct text *t, const char *expected)
{
	ck_assert_int_eq(text_error(t), 0);
	ck_assert_uint_eq(t->len, strlen(expected));
	ck_assert_mem_eq(t->data, expected, t->len);
}

START_TEST(numbers_are_right_aligned_and_never_cut)
{
	autotext t = { 0 };

	text_u64(&t, 7, 4);
	text_puts(&t, "|");
	text_u64(&t, UINT64_MAX, 4);
	text_puts(&t, "|");
	text_u64(&t, 0, 0);
	assert_text(&t, "   7|18446744073709551615|0");
}
END_TEST

START_TEST(numbers_saturate_and_refuse_what_is_none)
{
	uint64_t v = 42;

	ck_assert(slice_u64(slice_str("18446744073709551616"), &v));
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert(!slice_u64(slice_str(""), &v));
	ck_assert(!slice_u64(slice_str("-1"), &v));
	ck_assert(!slice_u64(slice_str("max"), &v));
	ck_assert(!slice_u64(slice_str("1 "), &v));
	ck_assert_uint_eq(v, UINT64_MAX);
}
END_TEST

START_TEST(fields_are_found_in_any_order_and_by_whole_key)
{
	struct {
		uint64_t a, b, c;
	} v = { 1, 2, 3 };
	const struct field fields[] = { { "file", 0 }, { "anon", 8 }, { "shmem", 16 } };
	struct slice text = slice_str("anon 10\nfile_mapped 99\n\nfile 20\nshmem x\nanon_thp 5");

	ck_assert_uint_eq(parse_fields(text, fields, countof(fields), &v), 2);
	ck_assert_uint_eq(v.a, 20);
	ck_assert_uint_eq(v.b, 10);
	ck_assert_uint_eq(v.c, 3);
	ck_assert_uint_eq(parse_fields(slice_str("file: 7 kB"), fields, countof(fields), &v), 1);
	ck_assert_uint_eq(v.a, 7);
}
END_TEST

START_TEST(octal_escapes_are_undone)
{
	char out[16];

	ck_assert(parse_unescape(slice_str("/a\\040b\\134"), out, sizeof(out)));
	ck_assert_str_eq(out, "/a b\\");
	ck_assert(parse_unescape(slice_str("/a\\04"), out, sizeof(out)));
	ck_assert_str_eq(out, "/a\\04");
	ck_assert(!parse_unescape(slice_str("/0123456789abcdef"), out, sizeof(out)));
}
END_TEST

START_TEST(cpu_lists_survive_a_round_trip)
{
	static const char *const lists[] = { "", "0", "0-3", "0-1,3,5-7", "63-64", "0,8191" };
	struct cpumask m;

	for (size_t i = 0; i < countof(lists); i++) {
		autotext t = { 0 };

		ck_assert_int_eq(cpumask_parse(slice_str(lists[i]), &m), 0);
		cpumask_format(&t, &m);
		assert_text(&t, lists[i]);
	}
	ck_assert_int_eq(cpumask_parse(slice_str("0-1\n"), &m), 0);
	ck_assert_uint_eq(cpumask_count(&m), 2);
}
END_TEST

START_TEST(cpu_lists_that_are_none_leave_an_empty_set)
{
	static const char *const bad[] = { "x", "1-", "3-1", "8192", "-1", "1,,2",
		"0-99999999999" };
	struct cpumask m;

	for (size_t i = 0; i < countof(bad); i++) {
		ck_assert_int_eq(cpumask_parse(slice_str(bad[i]), &m), -EINVAL);
		ck_assert_uint_eq(cpumask_count(&m), 0);
	}
}
END_TEST

START_TEST(the_first_cpus_are_the_lowest_ids)
{
	struct cpumask m;
	autotext t = { 0 };

	ck_assert_int_eq(cpumask_parse(slice_str("1,62-66,700"), &m), 0);
	cpumask_first(&m, 4);
	cpumask_format(&t, &m);
	assert_text(&t, "1,62-64");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *c = tcase_create("base");

	tcase_add_test(c, numbers_are_right_aligned_and_never_cut);
	tcase_add_test(c, numbers_saturate_and_refuse_what_is_none);
	tcase_add_test(c, fields_are_found_in_any_order_and_by_whole_key);
	tcase_add_test(c, octal_escapes_are_undone);
	tcase_add_test(c, cpu_lists_survive_a_round_trip);
	tcase_add_test(c, cpu_lists_that_are_none_leave_an_empty_set);
	tcase_add_test(c, the_first_cpus_are_the_lowest_ids);
	suite_add_tcase(s, c);
	return unit_run(s);
}
