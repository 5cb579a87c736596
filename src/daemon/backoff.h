/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How soon the next worker may start after one has died. Pure bookkeeping: no clock and no process
 * in it. Times are CLOCK_MONOTONIC.
 */
#pragma once

#include <stdint.h>

#include "clock.h"

enum backoff_death {
	BACKOFF_FAULT,  /* of its own: the next one may well do the same */
	BACKOFF_KILLED, /* somebody ended it, and readers need not wait for that */
	BACKOFF_EARLY,  /* the same before it has served: memory may be short */
};

#define BACKOFF_NS NS_PER_S
#define BACKOFF_EARLY_NS (20 * NS_PER_MS)

/* All 0 when new. */
struct backoff {
	unsigned spent; /* of what may be spent on quick starts */
	uint64_t last_ns;
};

/* Notes a death at `now_ns`; when the next worker may start, never later than BACKOFF_NS from then.
 * Ten faults, or two hundred kills, are met at once; who goes on is held to about one start a
 * second, or twenty (ten when killed early). */
uint64_t backoff_after(struct backoff *b, enum backoff_death death, uint64_t now_ns);
