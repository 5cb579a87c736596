/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that answers requests. It may die at any instant: the next one takes over from the
 * hand-over memory.
 */
#pragma once

#include "handover.h"
#include "options.h"

/* How a worker ends on purpose; anything else is a death. */
enum worker_exit {
	WORKER_EXIT_DISCONNECTED = 10, /* read(2) said ENODEV: unmounted or aborted */
	WORKER_EXIT_CANNOT_START = 11, /* told in the log */
};

/* `devices`: one clone of the connection for each of `n` threads. Never returns. */
_Noreturn void worker_run(
	const struct options *options, struct handover *handover, const int *devices, unsigned n);
