/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Minds the one worker: notices its end, and what is as bad as that and not told by wait(2) alone:
 * that it was stopped, that it never begins to serve, that a thread of it cannot be ended. Starts
 * nothing and knows nothing of the connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "handover.h"

/* Workers that were killed and are not gone. A killed thread never runs again, so the next worker
 * may take over from one whose thread the kernel still holds; but not from any number of them, for
 * it is likely to be held at the same place. */
#define MINDER_LEFT_MAX 4u

struct minder {
	const struct handover *handover;
	pid_t worker;        /* 0: none */
	uint32_t generation; /* of workers that served before it */
	enum minder_wait {
		MINDER_CALM,
		MINDER_START,    /* until it serves */
		MINDER_CONTINUE, /* until it is not stopped any more */
		MINDER_ABORT,    /* until it is gone, having given itself up */
		MINDER_END,      /* until it is gone, having been killed */
	} wait;
	uint64_t until_ns; /* CLOCK_MONOTONIC: the patience with `wait` */
	pid_t left[MINDER_LEFT_MAX];
};

/* `generation`: the area's, from before the fork. */
void minder_started(struct minder *m, pid_t worker, uint32_t generation);

/* It has got through all that comes before the first request. */
bool minder_has_served(const struct minder *m);

/* After SIGCHLD. True when the worker is gone, with wait(2)'s status; no worker is minded then. */
bool minder_reap(struct minder *m, int *ret_status);

/* Logs how that worker ended, and what follows from it. */
void minder_tell_end(pid_t worker, int status);

/* Milliseconds until minder_overdue() may have something to do, for poll(2); -1: nothing to wait
 * for. */
int minder_timeout(const struct minder *m, uint64_t now_ns);

/* Ends the worker for a reason that it does not know of. */
void minder_kill(struct minder *m);

/* The worker was ended, and is waited for, by the caller: no worker is minded. */
void minder_forget(struct minder *m);

/* Kills a worker that has used up the patience with it. True when that did not help: another one is
 * to be started beside what is left of it, and no worker is minded then. */
bool minder_overdue(struct minder *m, uint64_t now_ns);
