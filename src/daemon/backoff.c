/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An allowance that each death spends from and that time refills.
 */
#include "backoff.h"

#define ALLOWANCE 200u
#define REFILL_NS (NS_PER_S / 20) /* for 1 of it */

static const unsigned cost_of[] = {
	[BACKOFF_FAULT] = ALLOWANCE / 10,
	[BACKOFF_KILLED] = 1,
	[BACKOFF_EARLY] = 2,
};

static void refill(struct backoff *b, uint64_t now_ns)
{
	const uint64_t n = (now_ns - b->last_ns) / REFILL_NS;

	if (n >= b->spent) {
		b->spent = 0;
		b->last_ns = now_ns;
		return;
	}
	b->spent -= (unsigned)n;
	b->last_ns += n * REFILL_NS;
}

uint64_t backoff_after(struct backoff *b, enum backoff_death death, uint64_t now_ns)
{
	refill(b, now_ns);
	b->spent += cost_of[death];
	if (b->spent > ALLOWANCE) {
		b->spent = ALLOWANCE + cost_of[death]; /* the wait pays for this one alone */
		return now_ns + BACKOFF_NS;
	}
	return death == BACKOFF_EARLY ? now_ns + BACKOFF_EARLY_NS : now_ns;
}
