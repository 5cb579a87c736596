/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One at a time: the last one's end comes before the next one's start.
 */
#include "healing.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "backoff.h"
#include "clock.h"
#include "heal.h"
#include "log.h"

#define REAP_STEPS 100 /* of 1 ms */

void healing_again(struct healing *h)
{
	h->due = true;
	if (h->pid != 0)
		kill(h->pid, SIGKILL);
}

void healing_start(struct healing *h, const char *dir, dev_t dev)
{
	pid_t pid;

	if (healing_due_ns(h) > clock_monotonic_ns())
		return;
	pid = heal_start(dir, dev);
	if (pid < 0) {
		log_limited("heal fork",
			"cannot look for dead binds of running containers: %s: trying again every "
			"second",
			strerror(-pid));
		h->due_ns = clock_monotonic_ns() + BACKOFF_NS;
		return;
	}
	h->pid = pid;
	h->due = false;
}

uint64_t healing_due_ns(const struct healing *h)
{
	return h->due && h->pid == 0 ? h->due_ns : UINT64_MAX;
}

void healing_reap(struct healing *h)
{
	int status;

	if (h->pid == 0 || waitpid(h->pid, &status, WNOHANG) != h->pid)
		return;
	h->pid = 0;
	if (WIFSIGNALED(status) && !h->due)
		log_limited("healer killed",
			"the process that puts dead binds right was ended by signal %d (%s): "
			"restart containers whose files say 'Transport endpoint is not connected'",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
}

/* It waits for nobody but our worker, and in /proc. */
void healing_end(struct healing *h)
{
	if (h->pid == 0)
		return;
	kill(h->pid, SIGKILL);
	for (int i = 0; i < REAP_STEPS && waitpid(h->pid, NULL, WNOHANG) == 0; i++)
		pause_ns(NS_PER_MS);
	h->pid = 0;
}
