/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether requests queue at the device, as one leader can tell: a request that was there already
 * may have others behind it. Looking costs a call, so it is done now and then, and more seldom
 * where nothing is found. Pure bookkeeping, no device and no threads in it.
 */
#pragma once

#include <stdbool.h>

/* A single reader's RELEASE has its next OPEN behind it, at every fourth request: no distance of
 * two looks may be a multiple of that. It is three times as long after each look in vain. */
#define QUEUE_LOOK 5u
#define QUEUE_LOOK_MAX 45u
#define QUEUE_SIGNS 2u /* looks in a row that found something: a queue */
#define QUEUE_OVER 4u  /* waits in a row: none any more */

struct queue {
	unsigned ahead; /* requests until the next look */
	unsigned gap;   /* how many those are where nothing is found */
	unsigned signs; /* looks in a row that found something */
	unsigned waits; /* requests in a row that were not there already */
};

/* A leader's turn begins. */
void queue_begin(struct queue *q);

/* A request was there already. */
void queue_found(struct queue *q);

/* One had to be waited for. */
void queue_waited(struct queue *q);

/* True when it is time for a look: queue_looked() is next. */
bool queue_look_due(const struct queue *q);

/* What it found: `more` requests or none, while a queue was `known` or not. True when another
 * leader should come. */
bool queue_looked(struct queue *q, bool more, bool known);

bool queue_is_over(const struct queue *q);
