/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether the leader asks the device again at once or sleeps until there is something. A reader's
 * next request comes some microseconds after the last reply, much sooner than a sleeper is awake;
 * but asking in vain burns a CPU that somebody may need. So it adapts: pure bookkeeping, no clock
 * and no device in it. Times are CLOCK_MONOTONIC.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define SPIN_NS (30 * NS_PER_US)         /* asks that long */
#define SPIN_WAKE_NS (20 * NS_PER_US)    /* what it takes to be awake */
#define SPIN_ROBBED_NS (100 * NS_PER_US) /* two questions that far apart: another task ran */

struct spin {
	bool never;  /* --disable-polling */
	int credit;  /* above 0: spinning has paid lately */
	bool asking; /* since `began_ns` */
	bool asleep; /* has given up asking */
	uint64_t began_ns, last_ns;
};

/* Nothing is there: true to ask again at once, false to sleep. */
bool spin_again(struct spin *s, uint64_t now_ns);

/* Something came after at least one spin_again(). */
void spin_over(struct spin *s, uint64_t now_ns);
