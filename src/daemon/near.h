/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether another thread is to have the turn, because it may be nearer to the reader. Where both
 * share a CPU a request is there as soon as the thread looks. Where they do not, each waits for the
 * other's CPU to wake up, which in a virtual machine takes longer than the answer. The scheduler
 * leaves either as it is, but looks for a place when it wakes a thread up, and the CPU where
 * nothing runs is the one where the reader sleeps. Elsewhere that may not help, so it is tried, and
 * more seldom where it does not. Pure bookkeeping, no clock and no threads in it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define NEAR_NS (3 * NS_PER_US)      /* a wait below: sooner than anybody who was asleep is awake */
#define NEAR_FAR_NS (15 * NS_PER_US) /* a wait above: a wake-up that is dear */
#define NEAR_IDLE_NS (500 * NS_PER_US) /* a wait above: the reader was thinking */
#define NEAR_FAR 2u                    /* so many long waits in a row: another thread is tried */
#define NEAR_TRIES 8u                  /* threads in a row that were not: a rest */
#define NEAR_REST 16u                  /* occasions that a rest takes, twice as many each time */
#define NEAR_REST_MAX 64u

/* So many short waits in a row: it is the right one. A reader may pause before each OPEN, and has
 * no more than these in a cycle. */
#define NEAR_FOUND 3u

/* Of the whole loop. Begins as 0. */
struct near {
	uint8_t far;   /* long waits in a row */
	uint8_t found; /* short ones */
	uint8_t tries; /* threads in a row */
	uint8_t rest;  /* occasions until the next try */
	uint8_t rests; /* how many those were last time */
	bool apart;    /* leader and reader are on two CPUs, as far as can be told */
};

/* One word, so that it is loaded and stored in one piece: whoever has the turn goes on with it. */
union near_word {
	uint64_t word;
	struct near near;
};

/* A wait for a request is over. True: give the turn to another thread. */
bool near_waited(struct near *s, uint64_t took_ns);
