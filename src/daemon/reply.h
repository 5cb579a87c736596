/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How answers get to the kernel: through the clone of the device that the request was read through,
 * and whatever becomes of that, no reader waits for ever.
 */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <stdbool.h>
#include <stdint.h>

#include "handover.h"

/* Most replies are no longer: they are sent in one piece. */
#define REPLY_PAGE SLAB_PAGE

/* A thread's. */
struct replies {
	struct handover_slot *slot; /* with the request */
	int device;                 /* the thread's clone */
	const int *devices;         /* all clones, of which the slot's request may name another */
	unsigned n;
	_Alignas(REPLY_PAGE) char page[REPLY_PAGE];
};

/* What the session answers in the calling thread goes this way from now on. */
void replies_of_this_thread(struct replies *r);

/* For fuse_session_custom_io(). */
extern const struct fuse_custom_io reply_io;

/* A positive errno that INIT was answered with last in this thread, which sends no such answer; 0.
 */
int reply_init_error(void);

/* Answers the request `unique`, which came like the one in the slot, with a positive errno. False
 * when it was answered before, or could not be; ends the process when memory is short for half a
 * second, the request being left to the next one. */
bool reply_error(const struct replies *r, uint64_t unique, int error);
