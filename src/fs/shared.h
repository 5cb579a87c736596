/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One text for all who waited for it: where many readers of a container's file are in line, a text
 * that was begun after a READ had come answers that READ as well as one that is begun now. Must not
 * answer a READ with anything older than itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

#define SHARED_MAX (64u << 10) /* texts that are larger are not kept */

/* What a text depends on, besides the time. */
struct shared_key {
	uint64_t record; /* container_number() */
	uint64_t node;
	uint32_t flags; /* of the handle */
	bool pass_through;
};

/* The last text that a thread has made while others were in line. */
struct shared_text {
	struct shared_key key;
	uint64_t began_ns;  /* CLOCK_MONOTONIC before anything was read for it; 0: there is none */
	uint64_t begins_ns; /* of one that is being made; 0: not to be kept */
	struct text text;
};

bool shared_key_is(const struct shared_key *a, const struct shared_key *b);

void shared_free(struct shared_text *s);

/* True when the text was begun after the request of the calling thread's slot had come, and is that
 * of `key`: it is in `ret`, which may be in an error state. Else one is about to be made... */
bool shared_find(struct shared_text *s, const struct shared_key *key, struct text *ret);
/* ... and here it is. */
void shared_keep(struct shared_text *s, const struct text *t);
