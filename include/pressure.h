/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words that everybody uses who has to do with pressure stall information (SPEC 12,
 * Documentation/accounting/psi.rst): what can be short, and what a trigger is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"

enum pressure {
	PRESSURE_CPU,
	PRESSURE_MEMORY,
	PRESSURE_IO,
	PRESSURE_IRQ, /* Linux 6.1, where the kernel counts interrupt time */
	PRESSURES,
};

/* "some 150000 2000000": stalls of 150 ms within any 2 s are an event. */
struct pressure_trigger {
	bool full; /* all tasks were stalled, not only some */
	uint32_t threshold_us, window_us;
};

/*
 * Reads what is written to a pressure file, as far as a NUL, and leniently as the kernel does
 * (blanks are optional, what follows the second number is ignored). False unless it is a trigger
 * that the kernel takes from everybody: a window from 500 ms to 10 s that is a multiple of 2 s
 * (for a finer one it runs a real-time thread, and wants CAP_SYS_RESOURCE), and a threshold that
 * is not 0 and not above the window.
 */
bool pressure_trigger_parse(struct slice text, struct pressure_trigger *ret);

#define PRESSURE_TRIGGER_TEXT 32u /* the kernel reads no more */

/* The same in the kernel's words, with its NUL. */
void pressure_trigger_format(const struct pressure_trigger *t, char ret[PRESSURE_TRIGGER_TEXT]);
