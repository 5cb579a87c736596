/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of a file that was opened just now, made while its reader is on the way from open(2) to
 * read(2): that READ finds it ready. Must not answer any other READ, nor one that comes late, nor
 * when a reader was told something newer. Pure bookkeeping: no clock in it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "shared.h"

/* At most so long is a text kept for its READ: less than the kernel's clock ticks are apart, more
 * than a reader takes that goes on at once. */
#define AHEAD_NS (100 * NS_PER_US)

/* One that took longer to make (of a machine of many CPUs, or a thread that lost its CPU) is not
 * kept: its first values are from too long ago. */
#define AHEAD_MAKING_NS NS_PER_MS

/* So many occasions are let pass after a text that was of no use, twice as many each time. */
#define AHEAD_REST 2u
#define AHEAD_REST_MAX 64u

/* What is asked for, and when. */
struct ahead_question {
	uint64_t fh; /* the handle; 0: nothing is */
	struct shared_key key;
	uint64_t told; /* texts that readers have been told so far, by any thread */
	uint64_t at_ns;
};

/* Of one thread: the READ mostly comes to the one that answered the OPEN. Begins as 0. */
struct ahead {
	struct ahead_question made; /* when that began */
	uint64_t ready_ns;
	unsigned rest;  /* occasions until the next one is made */
	unsigned rests; /* how many those were last time */
	struct text text;
};

void ahead_free(struct ahead *a);

/* A file was opened. True when its text may pay; the last one is gone. */
bool ahead_due(struct ahead *a);

/* It is ready: `t`, whose buffer is another one then, if it was made quickly. */
void ahead_keep(
	struct ahead *a, const struct ahead_question *made, uint64_t now_ns, struct text *t);

/* True when there is one for this handle: ahead_take() is next. */
bool ahead_has(const struct ahead *a, uint64_t fh);

/* True when it is the answer: in `ret`. It is gone in any case. */
bool ahead_take(struct ahead *a, const struct ahead_question *asked, struct text *ret);
