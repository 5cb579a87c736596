/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Closes on a thread of its own what the kernel takes long to close: a trigger waits there for
 * every CPU (synchronize_rcu() in psi_trigger_destroy(), 8 to 30 ms), and the triggers of one file
 * wait for each other. Threads that serve requests would all be in it while others' lie there.
 */
#pragma once

#include <stdbool.h>

struct container;

struct closed {
	int fd; /* negative: comes after what was handed over before */
	bool counted;
	struct container *container; /* NULL: nobody's */
};

/* Called when `closed->fd` is closed, on whichever thread did it. */
typedef void (*closed_fn)(void *data, const struct closed *closed);

struct closing;

/* For `max` descriptors that wait. 0 or -ENOMEM. */
int closing_new(unsigned max, closed_fn then, void *data, struct closing **ret);

/* Starts the thread. 0 or -errno. */
int closing_start(struct closing *c);

/* Ends the thread when all is closed that was handed over. NULL is fine. */
void closing_free(struct closing *c);

/* Takes the descriptor and closes it later, in turn. Here and now, and says so (slow.h), where
 * there is no thread or no room. */
void closing_take(struct closing *c, const struct closed *closed);
