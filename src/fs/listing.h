/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A directory's entries packed into bytes: the snapshot of an open directory, which must mean the
 * same to the next worker.
 */
#pragma once

#include <stdint.h>

#include "parse.h"
#include "text.h"

struct listing_entry {
	uint64_t number;
	unsigned type; /* DT_* */
	struct slice name;
};

/* Appends an entry; names longer than 255 bytes are left out. */
void listing_add(struct text *t, uint64_t number, unsigned type, struct slice name);

/* Cuts the next entry off `rest`. False at the end, and on bytes that are no entry. */
bool listing_next(struct slice *rest, struct listing_entry *ret);
