/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that puts dead binds right, as its parent has it: started when it is due, reaped,
 * ended. What it does: heal.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct healing {
	pid_t pid;       /* 0: none runs */
	bool due;        /* for a connection that took another's place */
	uint64_t due_ns; /* CLOCK_MONOTONIC: not before */
};

/* Another connection has taken the place of the one it works for. */
void healing_again(struct healing *h);

/* Starts it where that is due, with the mount of device number `dev` at `dir`. To be called while
 * a worker runs, whose answers it needs. */
void healing_start(struct healing *h, const char *dir, dev_t dev);

/* CLOCK_MONOTONIC: when it is to be started; UINT64_MAX: not before another one has ended. */
uint64_t healing_due_ns(const struct healing *h);

/* Where it has ended. */
void healing_reap(struct healing *h);

/* Ends it, which takes no longer than the kernel does. */
void healing_end(struct healing *h);
