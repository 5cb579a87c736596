/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What containers can cause has a line a minute in the log. The clock is this test's (--wrap in
 * meson.build); nothing here may wait.
 */
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "unit.h"

#define MINUTE (60 * NS_PER_S)

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);

static uint64_t now; /* 0: the machine's */

/* Check's own library asks, too. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (now == 0)
		return __real_clock_gettime(clock, ret);
	*ret = (struct timespec){ (time_t)(now / NS_PER_S), (long)(now % NS_PER_S) };
	return 0;
}

/* --- what is logged ------------------------------------------------------------------------ */

static int log_fd = -1;

static void setup(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_ge(log_fd, 0);
	ck_assert_int_ge(dup2(log_fd, STDERR_FILENO), 0);
	now = 1000 * NS_PER_S;
}

/* Since it was last asked. */
static const char *logged(void)
{
	static char text[65536];
	const ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(n, 0);
	ck_assert_int_lt(n, (ssize_t)sizeof(text) - 1);
	text[n] = '\0';
	ck_assert_int_eq(ftruncate(log_fd, 0), 0);
	ck_assert_int_eq(lseek(log_fd, 0, SEEK_SET), 0);
	return text;
}

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static const char one[] = "a cause", another[] = "another cause";

/* --- tests --------------------------------------------------------------------------------- */

START_TEST(a_cause_has_one_line_a_minute)
{
	log_limited(one, "refused %d", 1);
	ck_assert_str_eq(logged(), "lxcfs: refused 1\n");
	log_limited(one, "refused %d", 2);
	now += MINUTE - 1;
	log_limited(one, "refused %d", 3);
	ck_assert_str_eq(logged(), "");
	now += 1;
	log_limited(one, "refused %d", 4);
	ck_assert_int_eq(lines(logged()), 1);
	now += MINUTE - 1;
	log_limited(one, "refused %d", 5);
	ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(a_cause_without_end_has_no_more)
{
	/* Ten minutes, and a hundred times a second. */
	for (unsigned i = 0; i < 10 * 60 * 100; i++, now += NS_PER_S / 100)
		log_limited(one, "refused");
	ck_assert_int_eq(lines(logged()), 10);
}
END_TEST

START_TEST(the_next_line_tells_how_many_were_held_back)
{
	for (unsigned i = 0; i < 8; i++)
		log_limited(one, "refused");
	ck_assert_str_eq(logged(), "lxcfs: refused\n");
	now += MINUTE;
	log_limited(one, "refused");
	ck_assert_str_eq(logged(), "lxcfs: refused (7 more like it were not logged)\n");
	now += MINUTE;
	log_limited(one, "refused");
	ck_assert_str_eq(logged(), "lxcfs: refused\n");
}
END_TEST

START_TEST(causes_do_not_hold_each_other_back)
{
	log_limited(one, "of one");
	log_limited(one, "of one");
	now += MINUTE / 2;
	log_limited(another, "of another");
	ck_assert_str_eq(logged(), "lxcfs: of one\nlxcfs: of another\n");
	now += MINUTE / 2;
	log_limited(another, "of another");
	log_limited(one, "of one");
	ck_assert_str_eq(logged(), "lxcfs: of one (1 more like it were not logged)\n");
	now += MINUTE / 2;
	log_limited(one, "of one");
	log_limited(another, "of another");
	ck_assert_str_eq(logged(), "lxcfs: of another (1 more like it were not logged)\n");
}
END_TEST

START_TEST(a_line_is_held_back_whatever_it_says)
{
	log_limited(one, "the container of pid %d", 1);
	log_limited(one, "the container of pid %d", 2);
	ck_assert_str_eq(logged(), "lxcfs: the container of pid 1\n");
}
END_TEST

START_TEST(there_is_room_for_every_cause_of_this_program)
{
	/* About 40 in src/, and each served file is one. */
	static const char causes[56][2];

	for (unsigned times = 0; times < 100; times++)
		for (size_t i = 0; i < countof(causes); i++)
			log_limited(causes[i], "refused");
	ck_assert_int_eq(lines(logged()), countof(causes));
}
END_TEST

START_TEST(causes_without_number_leave_the_log_bounded_and_the_first_ones_their_lines)
{
	static const char causes[10000][2];

	for (unsigned minute = 1; minute <= 3; minute++, now += MINUTE) {
		const char *text;

		for (size_t i = 0; i < countof(causes); i++)
			log_limited(causes[i], "cause %zu", i);
		text = logged();
		ck_assert_int_le(lines(text), 64);
		ck_assert_int_eq(strncmp(text, "lxcfs: cause 0\n", 15), 0);
	}
}
END_TEST

START_TEST(a_line_holds_nothing_that_a_terminal_obeys)
{
	log_error("cgroup /a\033[2J\n\x9b\x7f~ z");
	ck_assert_str_eq(logged(), "lxcfs: cgroup /a?[2J???~ z\n");
}
END_TEST

START_TEST(with_debug_nothing_is_held_back)
{
	log_set_debug(true);
	for (unsigned i = 0; i < 5; i++)
		log_limited(one, "refused");
	ck_assert_int_eq(lines(logged()), 5);
}
END_TEST

START_TEST(what_the_host_causes_is_not_held_back)
{
	for (unsigned i = 0; i < 5; i++) {
		log_error("broken");
		log_info("mended");
	}
	ck_assert_int_eq(lines(logged()), 10);
}
END_TEST

START_TEST(a_long_line_is_cut_and_still_tells_how_many_were_held_back)
{
	static const char said[] = " (1 more like it were not logged)\n";
	char text[4096];
	const char *line;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_limited(one, "%s", text);
	log_limited(one, "%s", text);
	ck_assert_int_eq(lines(logged()), 1);
	now += MINUTE;
	log_limited(one, "%s", text);
	line = logged();
	ck_assert_int_eq(lines(line), 1);
	ck_assert_uint_le(strlen(line), 1024);
	ck_assert_str_eq(line + strlen(line) - strlen(said), said);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *c = tcase_create("log");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, a_cause_has_one_line_a_minute);
	tcase_add_test(c, a_cause_without_end_has_no_more);
	tcase_add_test(c, the_next_line_tells_how_many_were_held_back);
	tcase_add_test(c, causes_do_not_hold_each_other_back);
	tcase_add_test(c, a_line_is_held_back_whatever_it_says);
	tcase_add_test(c, there_is_room_for_every_cause_of_this_program);
	tcase_add_test(
		c, causes_without_number_leave_the_log_bounded_and_the_first_ones_their_lines);
	tcase_add_test(c, a_line_holds_nothing_that_a_terminal_obeys);
	tcase_add_test(c, with_debug_nothing_is_held_back);
	tcase_add_test(c, what_the_host_causes_is_not_held_back);
	tcase_add_test(c, a_long_line_is_cut_and_still_tells_how_many_were_held_back);
	suite_add_tcase(s, c);
	return unit_run(s);
}
