/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts requests between two looks, looks with and without others behind, and waits.
 */
#include "queue.h"

static void begin_streak(struct queue *q)
{
	q->ahead = q->gap = QUEUE_LOOK;
	q->signs = 0;
}

void queue_begin(struct queue *q)
{
	begin_streak(q);
	q->waits = 0;
}

void queue_found(struct queue *q)
{
	if (q->ahead > 0)
		q->ahead--;
	q->waits = 0;
}

void queue_waited(struct queue *q)
{
	begin_streak(q);
	q->waits++;
}

bool queue_look_due(const struct queue *q)
{
	return q->ahead == 0;
}

bool queue_looked(struct queue *q, bool more, bool known)
{
	if (more || known) {
		q->ahead = QUEUE_LOOK;
	} else {
		if (q->gap < QUEUE_LOOK_MAX)
			q->gap *= 3;
		q->ahead = q->gap;
	}
	q->signs = more ? q->signs + 1 : 0;
	if (q->signs < QUEUE_SIGNS)
		return false;
	q->signs = 0;
	return true;
}

bool queue_is_over(const struct queue *q)
{
	return q->waits >= QUEUE_OVER;
}
