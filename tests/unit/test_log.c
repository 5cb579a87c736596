/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What containers can cause has a line a minute in the log, whichever process tells it, and
 * whatever one of them does to what they share. The clock is this test's (--wrap in meson.build);
 * nothing here may wait.
 */
#include "log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "unit.h"

#define MINUTE (60 * NS_PER_S)

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);

static uint64_t now; /* 0: the machine's */
static void (*at_clock)(void);

/* Check's own library asks, too, and takes no test that ends before it begins or takes half an
 * hour. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (now == 0)
		return __real_clock_gettime(clock, ret);
	if (at_clock)
		at_clock();
	*ret = (struct timespec){ (time_t)(now / NS_PER_S), (long)(now % NS_PER_S) };
	return 0;
}

#define CHILDREN 4

static _Atomic unsigned *arrived;

/* The limiter asks for the time between its look at a cause and its verdict: there all children
 * wait for each other. */
static void meet(void)
{
	const unsigned before = atomic_fetch_add(arrived, 1);

	while (atomic_load(arrived) < before - before % CHILDREN + CHILDREN)
		sched_yield();
}

/* --- what is logged ------------------------------------------------------------------------ */

static int log_fd = -1;

static void setup(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_ge(log_fd, 0);
	/* Where the writers are many. */
	ck_assert_int_eq(fcntl(log_fd, F_SETFL, O_APPEND), 0);
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

/* --- processes that share their limits ------------------------------------------------------- */

/* A worker, say, that does this and dies. */
static pid_t begin_child(void (*what)(void))
{
	const pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	log_use_shared();
	what();
	_exit(0);
}

static void child_has_ended(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

/* What the log has of it. */
static const char *child(void (*what)(void))
{
	child_has_ended(begin_child(what));
	return logged();
}

static void refuse(void)
{
	log_limited(one, "refused");
}

static void refuse_another(void)
{
	log_limited(another, "refused, too");
}

/* --- a hostile one ------------------------------------------------------------------------ */

/* All that processes share here, as the kernel lists it. Returns how many bytes there were. */
static size_t each_shared_word(void (*change)(uint64_t *word))
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[256];
	size_t bytes = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t from, to;

		if (!strstr(line, " rw-s ") || !strstr(line, "/dev/zero"))
			continue;
		ck_assert_int_eq(sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to), 2);
		for (uintptr_t at = from; at < to; at += sizeof(uint64_t))
			change((uint64_t *)at);
		bytes += to - from;
	}
	fclose(maps);
	return bytes;
}

static void set_every_bit(uint64_t *word)
{
	*word = UINT64_MAX;
}

/* Pointers that would be the end of whoever followed them. */
static void set_to_anything(uint64_t *word)
{
	static uint64_t random = 1;

	random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
	*word = random;
}

static void put_time_off(uint64_t *word)
{
	if (*word == now)
		*word += 1000000 * MINUTE;
}

static void scribble(void)
{
	if (each_shared_word(set_every_bit) == 0)
		_exit(1);
}

static void scribble_anything(void)
{
	each_shared_word(set_to_anything);
}

static void claim_the_future(void)
{
	refuse();
	each_shared_word(put_time_off);
}

_Noreturn static void scribble_without_end(void)
{
	for (;;)
		each_shared_word(set_to_anything);
}

/* --- many at once --------------------------------------------------------------------------- */

#define CAUSES 100

static size_t first;

static void refuse_all(void)
{
	static const char causes[CAUSES][2];

	for (size_t i = 0; i < CAUSES; i++)
		log_limited(causes[(first + i) % CAUSES], "refused");
}

static void refuse_all_with_others(void)
{
	at_clock = meet;
	refuse_all();
}

/* As the lines tell. */
static unsigned long held_back(const char *text)
{
	unsigned long n = 0;

	for (; (text = strchr(text, '(')); text++)
		n += strtoul(text + 1, NULL, 10);
	return n;
}

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
	/* About 60 in src/, each served file is one, and a few are one for each error. */
	static const char causes[112][2];

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
		ck_assert_int_le(lines(text), 128);
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

START_TEST(a_child_that_dies_leaves_its_limits_to_the_next)
{
	ck_assert_int_eq(log_share(), 0);
	ck_assert_str_eq(child(refuse), "lxcfs: refused\n");
	for (unsigned i = 0; i < 5; i++)
		ck_assert_str_eq(child(refuse), "");
	ck_assert_str_eq(child(refuse_another), "lxcfs: refused, too\n");
	now += MINUTE;
	ck_assert_str_eq(child(refuse), "lxcfs: refused (5 more like it were not logged)\n");
	ck_assert_str_eq(child(refuse), "");
}
END_TEST

START_TEST(what_is_not_shared_ends_with_its_process)
{
	ck_assert_str_eq(child(refuse), "lxcfs: refused\n");
	ck_assert_str_eq(child(refuse), "lxcfs: refused\n");
}
END_TEST

START_TEST(as_soon_as_the_machine_runs_a_line_is_logged)
{
	const uint64_t began = now;

	now = 1;
	refuse();
	refuse();
	now = began;
	ck_assert_str_eq(logged(), "lxcfs: refused\n");
}
END_TEST

START_TEST(a_child_holds_none_of_its_parents_lines_back)
{
	ck_assert_int_eq(log_share(), 0);
	child(refuse);
	refuse();
	ck_assert_str_eq(logged(), "lxcfs: refused\n");
	refuse();
	ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(whatever_a_child_scribbles_its_parent_and_the_next_one_are_heard)
{
	ck_assert_int_eq(log_share(), 0);
	child(refuse);
	child(scribble);
	ck_assert_int_eq(lines(child(refuse)), 1);
	refuse();
	refuse();
	ck_assert_str_eq(logged(), "lxcfs: refused\n");
	child(scribble_anything);
	ck_assert_int_eq(lines(child(refuse_another)), 1);
	refuse();
	ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(a_line_in_the_future_silences_nobody)
{
	ck_assert_int_eq(log_share(), 0);
	child(claim_the_future);
	ck_assert_str_eq(child(refuse), "lxcfs: refused\n");
	ck_assert_str_eq(child(refuse), "");
	now += MINUTE;
	ck_assert_int_eq(lines(child(refuse)), 1);
}
END_TEST

START_TEST(beside_a_child_that_scribbles_without_end_its_parent_is_exact)
{
	const uint64_t began = now;
	pid_t hostile;

	ck_assert_int_eq(log_share(), 0);
	hostile = begin_child(scribble_without_end);
	for (unsigned minute = 1; minute <= 200; minute++, now += MINUTE) {
		child_has_ended(begin_child(refuse_all));
		logged();
		refuse();
		refuse();
		ck_assert_int_eq(lines(logged()), 1);
	}
	kill(hostile, SIGKILL);
	waitpid(hostile, NULL, 0);
	now = began;
}
END_TEST

START_TEST(of_many_at_once_one_logs_the_line)
{
	arrived = mmap(
		NULL, sizeof(*arrived), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(arrived, MAP_FAILED);
	for (unsigned times = 0; times < 50; times++, now -= MINUTE) {
		pid_t pids[CHILDREN];
		const char *text;
		unsigned long told;

		ck_assert_int_eq(log_share(), 0);
		/* All of one cause at a time, or each of another. */
		for (size_t i = 0; i < CHILDREN; i++) {
			first = times % 2 * i * (CAUSES / CHILDREN);
			pids[i] = begin_child(refuse_all_with_others);
		}
		for (size_t i = 0; i < CHILDREN; i++)
			child_has_ended(pids[i]);
		text = logged();
		ck_assert_int_eq(lines(text), CAUSES);
		/* And none of those that were held back is forgotten. */
		told = held_back(text);
		now += MINUTE;
		told += held_back(child(refuse_all));
		ck_assert_uint_eq(told, (CHILDREN - 1) * CAUSES);
	}
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
	tcase_add_test(c, a_child_that_dies_leaves_its_limits_to_the_next);
	tcase_add_test(c, what_is_not_shared_ends_with_its_process);
	tcase_add_test(c, as_soon_as_the_machine_runs_a_line_is_logged);
	tcase_add_test(c, a_child_holds_none_of_its_parents_lines_back);
	tcase_add_test(c, whatever_a_child_scribbles_its_parent_and_the_next_one_are_heard);
	tcase_add_test(c, a_line_in_the_future_silences_nobody);
	tcase_add_test(c, beside_a_child_that_scribbles_without_end_its_parent_is_exact);
	tcase_add_test(c, of_many_at_once_one_logs_the_line);
	suite_add_tcase(s, c);
	return unit_run(s);
}
