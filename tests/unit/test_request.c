/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether whoever waits for an answer has been killed, from texts as in /proc/<pid>/status.
 */
#include <string.h>

#include "../../src/daemon/request.h"
#include "unit.h"

#define SETS(thread, process)                                                                      \
	"Name:\tcat\nSigQ:\t1/7823\nSigPnd:\t" thread "\nShdPnd:\t" process                        \
	"\nSigBlk:\t0000000000000100\nSigIgn:\t0000000000000100\n"
#define NONE "0000000000000000"
#define KILL "0000000000000100"
#define TERM "0000000000004000"

static bool is_killed(const char *status)
{
	return request_parse_killed(slice_str(status));
}

START_TEST(a_kill_of_the_thread_or_of_the_process_is_seen)
{
	ck_assert(is_killed(SETS(KILL, NONE)));
	ck_assert(is_killed(SETS(NONE, KILL)));
	ck_assert(is_killed(SETS(NONE, "ffffffffffffffff")));
}
END_TEST

START_TEST(other_signals_and_sets_that_are_not_pending_are_none)
{
	ck_assert(!is_killed(SETS(NONE, NONE)));
	ck_assert(!is_killed(SETS(TERM, TERM)));
	ck_assert(!is_killed(""));
}
END_TEST

START_TEST(a_process_called_like_a_line_is_not_killed)
{
	ck_assert(!is_killed("Name:\tSigPnd:\t" KILL "\nSigPnd:\t" NONE "\nShdPnd:\t" NONE "\n"));
}
END_TEST

START_TEST(nothing_behind_the_text_is_read)
{
	static const char text[] = "SigPnd:\t1" /* ends here */ "00\n";

	ck_assert(!request_parse_killed((struct slice){ text, strlen("SigPnd:\t1") }));
	ck_assert(!is_killed("SigPnd:\t\n" KILL "\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("request");
	TCase *c = tcase_create("request");

	tcase_add_test(c, a_kill_of_the_thread_or_of_the_process_is_seen);
	tcase_add_test(c, other_signals_and_sets_that_are_not_pending_are_none);
	tcase_add_test(c, a_process_called_like_a_line_is_not_killed);
	tcase_add_test(c, nothing_behind_the_text_is_read);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
