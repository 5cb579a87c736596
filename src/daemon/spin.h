/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether the leader asks the device again and again for the next request or sleeps until there is
 * one. Asking spares a wake-up, but burns a CPU that somebody may need, the reader itself not
 * seldom; which of them is quicker depends on the CPUs, the scheduler and the readers. So both are
 * tried, and the quicker one is kept. Pure bookkeeping, no clock and no device in it. Times are
 * CLOCK_MONOTONIC.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define SPIN_NS (30 * NS_PER_US)         /* asks that long */
#define SPIN_ROBBED_NS (100 * NS_PER_US) /* two questions that far apart: another task ran */
#define SPIN_PERIOD 16u                  /* waits that are judged together */

struct spin {
	bool never;       /* --disable-polling, or a single CPU */
	bool kept;        /* what has proved quicker: to ask */
	bool trial;       /* this period tries the other way */
	unsigned waits;   /* of this period so far */
	unsigned rest;    /* periods until the next trial */
	unsigned rests;   /* how many that were last time */
	uint64_t sum_ns;  /* what this period's waits took */
	uint64_t kept_ns; /* what a period of the kept way takes, 0: not known */
	uint64_t began_ns, last_ns;
};

/* A wait begins: true to ask the device at once, false to sleep. */
bool spin_begin(struct spin *s, uint64_t now_ns);

/* Nothing is there: true to ask again, false to sleep. */
bool spin_again(struct spin *s, uint64_t now_ns);

/* The request came. How long it took since spin_begin(). */
uint64_t spin_end(struct spin *s, uint64_t now_ns);
