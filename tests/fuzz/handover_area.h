/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hand-over areas for fuzz_handover.c: what a worker has left, with an input's changes. An area is
 * made anew for each input, of the few pages that are not empty: most of one is never touched.
 *
 * An input: byte 0 says what the area is (its size, whether it is sealed, whether a worker has used
 * it), byte 1 is the target's. Patches follow: section, index, offset in the element, length (a
 * byte each) and so many bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "container.h"
#include "root.h"

#define AREA_HEAD 2u

/* Of these tables as many as a worker is to be told of: the cost of an input depends on it. More
 * pages than the slab keeps warm, so that memory is given back. */
#define AREA_ACCOUNTS 256u
#define AREA_PAGES 2560u

/* Has a worker on the machine at `root` use an area; once. The handles are of `c`. */
void area_learn(const struct root *root, struct container *c);

/* A memfd. */
int area_new(const uint8_t *data, size_t size);
