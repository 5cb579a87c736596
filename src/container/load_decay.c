/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Load averages as the kernel computes them (kernel/sched/loadavg.c), in its fixed point and with
 * its rounding. Reads nothing.
 */
#include "load_private.h"

#include "parse.h"

/* 1 ÷ e^(5 s ÷ 1, 5, 15 min) in LOAD_ONE: EXP_1, EXP_5, EXP_15. */
static const uint64_t exponents[LOAD_SPANS] = { 1884, 2014, 2037 };

/* fixed_power_int(): x^n, rounded at each multiplication. */
static uint64_t power(uint64_t x, uint64_t n)
{
	uint64_t result = LOAD_ONE;

	for (; n > 0; n >>= 1) {
		if (n & 1)
			result = (result * x + LOAD_ONE / 2) >> LOAD_SHIFT;
		x = (x * x + LOAD_ONE / 2) >> LOAD_SHIFT;
	}
	return result;
}

/* calc_load(). Rounds up while the load rises, so that it reaches what it rises to. */
static uint64_t step(uint64_t load, uint64_t exponent, uint64_t active)
{
	uint64_t sum = load * exponent + active * (LOAD_ONE - exponent);

	if (active >= load)
		sum += LOAD_ONE - 1;
	return sum / LOAD_ONE;
}

void load_decay(uint64_t averages[LOAD_SPANS], uint64_t active, uint64_t steps)
{
	if (steps == 0)
		return;
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		averages[i] = step(averages[i], power(exponents[i], steps), active * LOAD_ONE);
}

void load_advance(struct load_state *state, const struct load_count *count, uint64_t period)
{
	struct load_values *v = &state->values;
	const uint64_t active = count->running + count->blocked;

	if (state->sampled == 0)
		for (unsigned i = 0; i < LOAD_SPANS; i++)
			v->averages[i] = active * LOAD_ONE;
	else
		load_decay(v->averages, active, sat_sub(period, state->sampled));
	v->running = count->running;
	v->blocked = count->blocked;
	v->threads = count->threads;
	state->sampled = period;
}
