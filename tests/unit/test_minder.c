/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whoever the next worker takes over from is dead: a process that stands for a worker, and time
 * that has passed because the test says so.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/daemon/minder.h"
#include "unit.h"

#define LATER UINT64_MAX

static struct handover *area;
static struct minder minder;
static pid_t worker;

static void setup(void)
{
	int fd;

	ck_assert_int_eq(handover_new(&fd, &area), 0);
	close(fd);
	minder = (struct minder){ .handover = area };
	worker = fork();
	ck_assert_int_ge(worker, 0);
	while (worker == 0)
		pause();
	minder_started(&minder, worker, 0);
}

static void teardown(void)
{
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
	handover_free(area);
}

static void serve(void)
{
	atomic_store(&area->generation, 1);
	ck_assert(!minder_overdue(&minder, LATER));
}

static void stop(void)
{
	siginfo_t info;

	ck_assert_int_eq(kill(worker, SIGSTOP), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)worker, &info, WSTOPPED | WNOWAIT), 0);
}

/* Nothing was left beside the next worker. */
static void assert_killed(void)
{
	siginfo_t info;
	int status;

	ck_assert_int_eq(waitid(P_PID, (id_t)worker, &info, WEXITED | WNOWAIT), 0);
	ck_assert(minder_reap(&minder, &status));
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(minder.worker, 0);
}

START_TEST(a_worker_that_serves_is_left_alone)
{
	int status;

	serve();
	ck_assert(!minder_reap(&minder, &status));
	ck_assert(!minder_overdue(&minder, LATER));
	ck_assert_int_eq(kill(worker, 0), 0);
	ck_assert_int_eq(minder_timeout(&minder, 0), -1);
}
END_TEST

START_TEST(one_that_never_serves_is_killed)
{
	ck_assert(!minder_overdue(&minder, 0));
	ck_assert(!minder_overdue(&minder, LATER));
	assert_killed();
}
END_TEST

START_TEST(one_that_was_stopped_is_killed)
{
	int status;

	serve();
	stop();
	ck_assert(!minder_reap(&minder, &status));
	ck_assert(!minder_overdue(&minder, LATER));
	assert_killed();
}
END_TEST

/* abort(3) comes after the word that it has given up, and what runs between is not ours to say. */
START_TEST(one_that_gave_itself_up_and_does_not_end_is_killed)
{
	int status;

	serve();
	atomic_store(&area->given_up, 1);
	if (_i)
		stop();
	ck_assert(!minder_reap(&minder, &status));
	ck_assert(!minder_overdue(&minder, 0)); /* a core dump takes a moment */
	ck_assert_int_gt(minder_timeout(&minder, 0), 0);
	ck_assert(!minder_overdue(&minder, LATER));
	assert_killed();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("minder");
	TCase *c = tcase_create("minder");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_worker_that_serves_is_left_alone);
	tcase_add_test(c, one_that_never_serves_is_killed);
	tcase_add_test(c, one_that_was_stopped_is_killed);
	tcase_add_loop_test(c, one_that_gave_itself_up_and_does_not_end_is_killed, 0, 2);
	suite_add_tcase(s, c);
	return unit_run(s);
}
