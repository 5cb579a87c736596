/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that opens pressure files, and the worker that asks it, on a machine that is out of
 * memory or descriptors or cannot be read: each call of either that can fail fails once, and from
 * it on for good. The worker has the file, or is told that error, or ends when the opener has
 * ended; nobody waits for ever, and nothing is left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "faults.h"
#include "opener.h"
#include "unit.h"

#define FILE_OF_ROOT "cpu.pressure"
#define PATIENCE_S 30

static const struct options options = { .debug = true, .no_seccomp = true };

/* How a worker of the test ends. Of its own accord it ends so when the opener is lost. */
enum {
	HAS_ANSWER,
	LOST = EXIT_FAILURE, /* as opener.c has it */
	TOLD,                /* the error that it was, */
	TOLD_ANOTHER,        /* or another */
	LEAKS,
	NOT_SERVED, /* afterwards */
	STAYS,      /* the opener does */
};

/* What the opener answers where nothing fails; without pressure an error. */
static int right_answer;

static int ask(int sock)
{
	autoclose int fd = opener_ask(&sock, FILE_OF_ROOT);

	return fd < 0 ? fd : 0;
}

/* A message may come without its descriptor, whatever the reason. */
static bool is_told(int r, const struct fault *f)
{
	return r == -f->error || (f->call == FAULT_OPEN && r == -EMFILE);
}

/* With an opener that starts meanwhile, or one that has begun. */
static int worker(const struct fault *f, unsigned nth, bool begun)
{
	const unsigned descriptors = fault_descriptors();
	const long blocks = fault_blocks();
	int sock = begun ? opener_start(&options) : -1;
	int r, status;
	bool right;

	alarm(PATIENCE_S);
	if (begun && ask(sock) != right_answer)
		return NOT_SERVED;
	fault_arm(f, nth);
	if (!begun)
		sock = opener_start(&options);
	r = sock < 0 ? sock : ask(sock);
	fault_disarm();
	right = sock >= 0 && r == right_answer;
	if (!right && !is_told(r, f))
		return TOLD_ANOTHER;
	if (fault_descriptors() != descriptors + (sock >= 0) || fault_blocks() != blocks)
		return LEAKS;
	if (sock < 0)
		return waitpid(-1, NULL, 0) < 0 ? TOLD : STAYS;
	if (ask(sock) != right_answer)
		return NOT_SERVED;
	close(sock);
	if (waitpid(-1, &status, 0) < 0 || status != 0)
		return STAYS;
	return right ? HAS_ANSWER : TOLD;
}

/* In a process of its own, which may end. Check allocates, too, and may not while calls fail. */
static int run_worker(const struct fault *f, unsigned nth, bool begun, bool *ret_hit)
{
	const pid_t pid = fork();
	int status = 0;
	pid_t ended;

	if (pid == 0)
		_exit(worker(f, nth, begun));
	ended = waitpid(pid, &status, 0);
	*ret_hit = fault_disarm();
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(ended, pid);
	return status;
}

static bool attempt(const void *unused, const struct fault *f, unsigned nth)
{
	bool hit;
	const int status = run_worker(f, nth, false, &hit);

	(void)unused;
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) <= (hit ? TOLD : HAS_ANSWER),
		"call %u of kind %d failed with %s: the worker's status is %#x", nth, (int)f->call,
		strerror(f->error), status);
	return hit;
}

/* ENODEV: what files of removed cgroups say, and none is read. */
START_TEST(a_worker_has_the_file_or_an_error_or_ends)
{
	faults_exhaust(attempt, NULL, ENODEV, true);
}
END_TEST

START_TEST(an_opener_that_has_begun_outlives_a_shortage)
{
	static const struct fault passing[] = { { FAULT_MEMORY, ENOMEM, false },
		{ FAULT_OPEN, EMFILE, false } };
	unsigned nth = 0;
	bool hit = true;

	while (hit) {
		const int status = run_worker(&passing[_i], ++nth, true, &hit);

		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), hit ? TOLD : HAS_ANSWER);
	}
	ck_assert_uint_gt(nth, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("opener_faults");
	TCase *c = tcase_create("faults");
	const int sock = opener_start(&options);

	if (sock == -ENOENT) {
		puts("1..0 # SKIP needs a unified hierarchy");
		return 0;
	}
	if (sock < 0) {
		printf("Bail out! no opener starts: %s\n", strerror(-sock));
		return EXIT_FAILURE;
	}
	right_answer = ask(sock);
	close(sock);
	waitpid(-1, NULL, 0);
	tcase_add_test(c, a_worker_has_the_file_or_an_error_or_ends);
	tcase_add_loop_test(c, an_opener_that_has_begun_outlives_a_shortage, 0, 2);
	suite_add_tcase(s, c);
	return unit_run(s);
}
