/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of triggers (kernel/sched/psi.c, psi_trigger_create()). Opens and arms nothing.
 */
#include "pressure.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WINDOW_MIN_US 500000u
#define WINDOW_MAX_US 10000000u
#define WINDOW_STEP_US 2000000u /* PSI_FREQ: how often averages are computed anyway */

static bool is_blank(char c)
{
	return strchr(" \t\n\v\f\r", c) != NULL; /* callers know that it is no NUL */
}

/* As sscanf(" %u"), but that saturates where the kernel's wraps. */
static bool take_number(struct slice *s, uint64_t *ret)
{
	size_t digits = 0;

	while (s->n > 0 && is_blank(*s->p))
		*s = (struct slice){ s->p + 1, s->n - 1 };
	while (digits < s->n && s->p[digits] >= '0' && s->p[digits] <= '9')
		digits++;
	if (!slice_u64((struct slice){ s->p, digits }, ret))
		return false;
	*s = (struct slice){ s->p + digits, s->n - digits };
	return true;
}

static bool is_allowed(uint64_t threshold_us, uint64_t window_us)
{
	return window_us >= WINDOW_MIN_US && window_us <= WINDOW_MAX_US &&
		window_us % WINDOW_STEP_US == 0 && threshold_us > 0 && threshold_us <= window_us;
}

bool pressure_trigger_parse(struct slice text, struct pressure_trigger *ret)
{
	const bool full = slice_starts(text, "full");
	uint64_t threshold_us, window_us;
	struct slice rest;

	if (!full && !slice_starts(text, "some"))
		return false;
	rest = (struct slice){ text.p + 4, strnlen(text.p + 4, text.n - 4) };
	if (!take_number(&rest, &threshold_us) || !take_number(&rest, &window_us) ||
		!is_allowed(threshold_us, window_us))
		return false;
	*ret = (struct pressure_trigger){ full, (uint32_t)threshold_us, (uint32_t)window_us };
	return true;
}

void pressure_trigger_format(const struct pressure_trigger *t, char ret[PRESSURE_TRIGGER_TEXT])
{
	snprintf(ret, PRESSURE_TRIGGER_TEXT, "%s %" PRIu32 " %" PRIu32, t->full ? "full" : "some",
		t->threshold_us, t->window_us);
}
