/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests that were read from the device and wait for a thread, in a line for each of those who
 * share the worker; the lines take turns. They lie in the hand-over memory, so that the next worker
 * finds them. Knows nothing of the device, and not what a request asks for.
 */
#pragma once

#include "handover.h"

struct backlog;

/* Adopts what the last worker left in `h`, but for what a slot holds as well: that is the slot's
 * thread's to answer. Requests of devices from `n_devices` on are dropped. Borrows `h`. 0 or
 * -ENOMEM. */
int backlog_new(struct handover *h, unsigned n_devices, struct backlog **ret);
void backlog_free(struct backlog *b);

/* Moves the request of a slot, which was read through `device`, to the end of the line of `whose`.
 * False when there is no room: it stays in the slot. */
bool backlog_put(struct backlog *b, struct handover_slot *slot, unsigned device, uint32_t whose,
	uint64_t now_ns);

/* Moves the request whose turn it is to an empty slot. False when none waits. */
bool backlog_take(struct backlog *b, struct handover_slot *slot);

/* How many wait just now. */
unsigned backlog_count(const struct backlog *b);
