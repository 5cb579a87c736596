/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One reader's cycle of open, read to the end, close; and the middle and the tail of many.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of one. Ends the process when the file cannot be read, or is empty. */
uint64_t timing_cycle(const char *file);

/* Sorts `ns`. */
uint64_t timing_percentile(uint64_t *ns, size_t n, unsigned percent);

/* Prints "median p99". Sorts `ns`. */
void timing_print(uint64_t *ns, size_t n);
