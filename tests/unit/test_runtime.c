/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the hook goes by, from texts: whether a mount is shared with others, which keeps it from
 * binding there, and the config.json that it is added to.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "parse.h"
#include "runtime.h"
#include "unit.h"

#define OTHERS                                                                                     \
	"1 0 0:1 / / rw - rootfs rootfs rw\n"                                                      \
	"77 1 0:20 / /dev rw shared:2 - devtmpfs devtmpfs rw\n"

static bool is_shared(const char *line)
{
	autotext t = { 0 };

	text_puts(&t, OTHERS);
	text_puts(&t, line);
	return oci_mount_is_shared(slice_of(&t), 7);
}

START_TEST(a_mount_is_shared_when_an_optional_field_says_so)
{
	ck_assert(is_shared("7 1 0:21 / /proc rw,relatime shared:12 - proc proc rw\n"));
	ck_assert(is_shared("7 1 0:21 / /proc rw,relatime master:3 shared:12 - proc proc rw\n"));
	ck_assert(!is_shared("7 1 0:21 / /proc rw,relatime - proc proc rw\n"));
	ck_assert(!is_shared("7 1 0:21 / /proc rw,relatime master:3 - proc proc rw\n"));
}
END_TEST

START_TEST(what_the_mount_was_made_of_is_no_optional_field)
{
	ck_assert(!is_shared("7 1 0:21 / /proc rw - proc shared:12 rw\n"));
	ck_assert(!is_shared("7 1 0:21 /shared:12 /shared:12 rw - proc proc rw\n"));
}
END_TEST

START_TEST(it_is_found_behind_a_path_of_any_length)
{
	autotext line = { 0 };

	text_puts(&line, "7 1 0:21 / ");
	for (unsigned i = 0; i < 1000; i++)
		text_puts(&line, "/\\040"); /* a name that is a blank */
	text_puts(&line, "/proc rw shared:12 - proc proc rw\n");
	text_add(&line, "", 1);
	ck_assert_uint_gt(line.len, 4096);
	ck_assert(is_shared(line.data));
}
END_TEST

START_TEST(what_cannot_be_told_counts_as_shared)
{
	ck_assert(is_shared(""));
	ck_assert(is_shared("7 1 0:21 / /proc rw,relatime"));
	ck_assert(is_shared("70 1 0:21 / /proc rw - proc proc rw\n"));
}
END_TEST

static int add_hook(const char *config, struct text *t)
{
	return oci_config_add_hook(slice_str(config), "/usr/bin/lxcfs", "/var/lib/lxcfs", t);
}

START_TEST(a_hook_is_added_to_what_a_config_says)
{
	autotext t = { 0 };

	ck_assert_int_eq(add_hook("{\"a\":[-0.10,1E+2,18446744073709551615]}\n", &t), 0);
	text_add(&t, "", 1);
	ck_assert_str_eq(t.data,
		"{\"a\":[-0.10,1E+2,18446744073709551615],\"hooks\":{\"createContainer\":["
		"{\"args\":[\"lxcfs\",\"--oci-hook\",\"/var/lib/lxcfs\"],"
		"\"path\":\"/usr/bin/lxcfs\"}]}}");
}
END_TEST

START_TEST(what_is_not_quite_a_config_is_not_rewritten)
{
	static const char *const configs[] = { "{\"a\":1E+}", "{\"a\":0e}", "{\"a\":[1,]}", "{} {}",
		"[]", "" };

	for (size_t i = 0; i < countof(configs); i++) {
		autotext t = { 0 };

		ck_assert_int_eq(add_hook(configs[i], &t), -EINVAL);
		ck_assert_uint_eq(t.len, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runtime");
	TCase *c = tcase_create("runtime");

	tcase_add_test(c, a_mount_is_shared_when_an_optional_field_says_so);
	tcase_add_test(c, what_the_mount_was_made_of_is_no_optional_field);
	tcase_add_test(c, it_is_found_behind_a_path_of_any_length);
	tcase_add_test(c, what_cannot_be_told_counts_as_shared);
	tcase_add_test(c, a_hook_is_added_to_what_a_config_says);
	tcase_add_test(c, what_is_not_quite_a_config_is_not_rewritten);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
