/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another version of the program in place of this one, in the same process: first a child runs its
 * self-check, then execve(2). Nothing here waits for anybody.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "inherit.h"

#define UPGRADE_PATH 4096u

struct upgrade {
	char path[UPGRADE_PATH]; /* where the program was started from */
	char **argv;             /* borrowed */
	sigset_t mask;           /* of signals, for the child */
	pid_t checker;           /* 0: no check is under way */
	int answer;              /* what it prints */
	uint64_t deadline_ns;    /* CLOCK_MONOTONIC; 0: it was given up, and is not reaped yet */
	struct stat seen;        /* the file that is checked */
};

/* `argv`: of main(), kept; `mask`: what the process was started with. */
void upgrade_init(struct upgrade *u, char **argv, const sigset_t *mask);

/* Starts the check of what lies at the path now, with what it would be handed. False, after a line
 * in the log, when it cannot be, or when one is under way. */
bool upgrade_check(struct upgrade *u, const struct inherited *in);

enum upgrade_verdict {
	UPGRADE_NO_NEWS,
	UPGRADE_REFUSED, /* the log tells why */
	UPGRADE_FITS,    /* upgrade_execute() is next */
};

/* After SIGCHLD, and when upgrade_timeout_ns() is over. */
enum upgrade_verdict upgrade_verdict(struct upgrade *u);

/* Until when the check may take, CLOCK_MONOTONIC; UINT64_MAX: there is none. */
uint64_t upgrade_due_ns(const struct upgrade *u);

/* Ends a check that is under way. */
void upgrade_cancel(struct upgrade *u);

/* Becomes the version that was checked. Returns only when that fails, after a line in the log; then
 * nothing has changed. The worker must be gone. */
void upgrade_execute(struct upgrade *u, const struct inherited *in);
