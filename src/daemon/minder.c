/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wait(2), and a patience for each thing that is waited for.
 */
#include "minder.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "clock.h"
#include "log.h"
#include "sandbox.h"

/* A start is a matter of milliseconds, but machines may be starved. */
#define START_NS (10 * NS_PER_S)
/* Readers wait meanwhile, and cannot be killed. */
#define CONTINUE_NS (100 * NS_PER_MS)
#define END_NS (500 * NS_PER_MS)

static void wait_for(struct minder *m, enum minder_wait what, uint64_t patience_ns)
{
	m->wait = what;
	m->until_ns = clock_monotonic_ns() + patience_ns;
}

void minder_started(struct minder *m, pid_t worker, uint32_t generation)
{
	m->worker = worker;
	m->generation = generation;
	wait_for(m, MINDER_START, START_NS);
}

bool minder_has_served(const struct minder *m)
{
	return atomic_load(&m->handover->generation) != m->generation;
}

/* --- what wait(2) and the worker itself tell ---------------------------------------------- */

static void reap_left(struct minder *m)
{
	for (size_t i = 0; i < MINDER_LEFT_MAX; i++)
		if (m->left[i] != 0 && waitpid(m->left[i], NULL, WNOHANG) != 0)
			m->left[i] = 0;
}

static bool is_ending(const struct minder *m)
{
	return m->wait == MINDER_ABORT || m->wait == MINDER_END;
}

static void note(struct minder *m, int status)
{
	if (is_ending(m))
		return;
	if (WIFCONTINUED(status)) {
		wait_for(m, MINDER_START, START_NS);
		return;
	}
	log_limited("worker stopped",
		"worker %d was stopped by signal %d (%s), and every reader waits: it is killed "
		"unless it goes on at once",
		m->worker, WSTOPSIG(status), strsignal(WSTOPSIG(status)));
	wait_for(m, MINDER_CONTINUE, CONTINUE_NS);
}

bool minder_reap(struct minder *m, int *ret_status)
{
	int status;

	reap_left(m);
	while (m->worker != 0 &&
		waitpid(m->worker, &status, WNOHANG | WUNTRACED | WCONTINUED) == m->worker) {
		if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
			note(m, status);
			continue;
		}
		m->worker = 0;
		*ret_status = status;
		return true;
	}
	if (m->worker != 0 && !is_ending(m) && minder_has_served(m) &&
		atomic_load(&m->handover->given_up) == m->generation + 1)
		wait_for(m, MINDER_ABORT, END_NS);
	return false;
}

/* Of one that the worker had beside it, and in whose place the next worker has another: the worker
 * ends itself when it misses it, or for another reason first. */
static void tell_end_of_opener(void)
{
	autofree char *refused = sandbox_refused_call(SANDBOX_OPENER);

	if (refused)
		log_limited("refused call of an opener",
			"the process that opens pressure files made the system call %s, which it "
			"may not: please report it: either it was attacked, or it needs that call "
			"here, and then --no-seccomp helps meanwhile",
			refused);
}

void minder_tell_end(pid_t worker, int status)
{
	const int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	/* Asked whatever the status is, so that no later worker's end is put down to it. */
	autofree char *refused = sandbox_refused_call(SANDBOX_WORKER);

	tell_end_of_opener();
	/* Whoever attacks the worker may have made it call anything; or its C library has learnt
	 * new ways. */
	if (refused)
		log_limited("refused call",
			"worker %d made the system call %s, which it may not: starting another, no "
			"request is lost; please report it: either the worker was attacked, or it "
			"needs that call here, and then --no-seccomp helps meanwhile",
			worker, refused);
	else if (number == SIGSYS)
		log_limited("worker killed for a call",
			"worker %d was killed by signal %d (%s): starting another, no request is "
			"lost; unless somebody sent it that signal, please report it: it was "
			"attacked and made a system call that it may not, without a note of which",
			worker, number, strsignal(number));
	else if (number != 0)
		log_limited("worker killed",
			"worker %d was killed by signal %d (%s): starting another, no request is "
			"lost",
			worker, number, strsignal(number));
	else
		log_limited("worker ended",
			"worker %d ended with status %d: starting another, no request is lost",
			worker, WEXITSTATUS(status));
}

/* --- patience ----------------------------------------------------------------------------- */

int minder_timeout(const struct minder *m, uint64_t now_ns)
{
	if (m->worker == 0 || m->wait == MINDER_CALM)
		return -1;
	return m->until_ns <= now_ns ? 0 : (int)((m->until_ns - now_ns) / NS_PER_MS) + 1;
}

void minder_kill(struct minder *m)
{
	if (m->worker == 0)
		return;
	kill(m->worker, SIGKILL);
	wait_for(m, MINDER_END, END_NS);
}

void minder_forget(struct minder *m)
{
	m->worker = 0;
}

static bool leave(struct minder *m)
{
	for (size_t i = 0; i < MINDER_LEFT_MAX; i++) {
		if (m->left[i] != 0)
			continue;
		log_limited("worker left",
			"worker %d cannot be ended: the kernel holds a thread of it (see "
			"/proc/%d/task/*/stack): starting another one beside it",
			m->worker, m->worker);
		m->left[i] = m->worker;
		m->worker = 0;
		return true;
	}
	log_limited("workers left",
		"%u workers cannot be ended: no more are started before one of them is gone",
		MINDER_LEFT_MAX);
	wait_for(m, MINDER_END, END_NS);
	return false;
}

bool minder_overdue(struct minder *m, uint64_t now_ns)
{
	if (m->worker == 0 || now_ns < m->until_ns)
		return false;
	switch (m->wait) {
	case MINDER_CALM:
		return false;
	case MINDER_START:
		if (minder_has_served(m)) {
			m->wait = MINDER_CALM;
			return false;
		}
		log_limited(
			"worker start", "worker %d does not begin to serve: killing it", m->worker);
		minder_kill(m);
		return false;
	case MINDER_CONTINUE:
	case MINDER_ABORT: /* stopped on its way, perhaps; its core dump has had its time */
		minder_kill(m);
		return false;
	case MINDER_END:
		return leave(m);
	}
	return false;
}
