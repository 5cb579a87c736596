/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The credit of spinning. Three requests of four come soon after the last reply (open, read, read
 * at the end, close; then the reader thinks), so one in vain may cost as much as two that paid
 * give; a reader with one question at a time makes it stop.
 */
#include "spin.h"

#define CREDIT_MAX 16
#define CREDIT_VAIN 2       /* a spin that ended in sleep */
#define CREDIT_MIN (-4)     /* so that it takes five soon ones to begin */
#define CREDIT_ROBBED (-64) /* all CPUs are busy: it would be at somebody's cost */

bool spin_again(struct spin *s, uint64_t now_ns)
{
	if (!s->asking) {
		s->asking = true;
		s->began_ns = s->last_ns = now_ns;
		return s->credit > 0 && !s->never;
	}
	if (s->asleep || s->never || s->credit <= 0)
		return false;
	if (now_ns - s->last_ns > SPIN_ROBBED_NS)
		s->credit = CREDIT_ROBBED;
	else if (now_ns - s->began_ns > SPIN_NS)
		s->credit -= CREDIT_VAIN;
	else {
		s->last_ns = now_ns;
		return true;
	}
	s->asleep = true;
	return false;
}

void spin_over(struct spin *s, uint64_t now_ns)
{
	const bool soon = now_ns - s->began_ns <= SPIN_NS + SPIN_WAKE_NS;

	s->asking = s->asleep = false;
	if (soon && s->credit < CREDIT_MAX)
		s->credit++;
	else if (!soon && s->credit <= 0 && s->credit > CREDIT_MIN)
		s->credit--;
}
