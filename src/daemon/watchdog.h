/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service manager's watchdog (sd_watchdog_enabled(3)): it is told that all is well only while
 * requests are answered, or there are none. Without one nothing is looked at and nobody woken.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "handover.h"

struct watchdog {
	uint64_t period_ns; /* between two looks; 0: there is no watchdog */
	uint64_t due_ns;    /* CLOCK_MONOTONIC */
	unsigned stuck;     /* looks in a row that found requests waiting and nothing done */
	uint64_t seen[HANDOVER_SLOTS];
};

void watchdog_init(struct watchdog *w);

/* When the next look is due, CLOCK_MONOTONIC; UINT64_MAX: never. */
uint64_t watchdog_due_ns(const struct watchdog *w);

/* Looks, if it is due, and tells the manager. True when the worker is to be replaced. */
bool watchdog_look(struct watchdog *w, struct handover *h, const struct connection *c);

/* WATCHDOG_USEC and WATCHDOG_PID (NULL: not set), in nanoseconds; 0: there is no watchdog. */
uint64_t watchdog_parse(const char *usec, const char *pid, pid_t self);
