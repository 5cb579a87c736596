/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which signals are waited for, and which are ignored. execve(2) and fork(2) hand on what is
 * blocked or ignored, so both sides are here.
 */
#include "signals.h"

#include <errno.h>
#include <stddef.h>
#include <sys/signalfd.h>

#include "cleanup.h"

int signals_open(int *ret_fd, sigset_t *ret_mask)
{
	static const int waited_for[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction hangup;
	sigset_t mask;
	int fd;

	/* Not for us, but for whoever reads our standard error and goes away. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&mask);
	for (size_t i = 0; i < countof(waited_for); i++)
		sigaddset(&mask, waited_for[i]);
	/* nohup(1) has it ignored, and means it. */
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN)
		sigdelset(&mask, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &mask, ret_mask) < 0)
		return -errno;
	/* The version before an upgrade left them blocked, as did a call that failed. */
	for (size_t i = 0; i < countof(waited_for); i++)
		sigdelset(ret_mask, waited_for[i]);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* A worker may be told to end by anybody who may kill(2) it, alone: that is a restart. What a
 * terminal sends to both is the supervisor's to answer. */
void signals_of_worker(const sigset_t *mask)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sigprocmask(SIG_SETMASK, mask, NULL);
}
