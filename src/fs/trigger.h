/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Triggers that containers have armed on their pressure files (SPEC 12, --enable-psi-poll): the
 * kernel's descriptors behind them, and the one thread that waits on all of those and wakes who
 * polls. What is armed on which handle is kept with the handle, so that the next worker arms it
 * again.
 */
#pragma once

#include <stdint.h>

#include "handover.h"
#include "pressure.h"

#define TRIGGERS_PER_CONTAINER 64u

/* What poll(2) says of the kernel's own files (psi_trigger_poll() in kernel/sched/psi.c). */
#define TRIGGER_NONE (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI | POLLERR)
#define TRIGGER_QUIET (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)
#define TRIGGER_EVENT (TRIGGER_QUIET | POLLPRI)

struct fs;
struct triggers;

/* Takes over what is armed; `max` descriptors at most. 0 or -errno. */
int triggers_new(struct fs *fs, unsigned max, struct triggers **ret);
/* Before the thread was started. NULL is fine. */
void triggers_free(struct triggers *ts);

/* Starts the thread: arms again what was taken over, and wakes who polls that, once each, since
 * nobody knows what was missed. 0 or -errno. */
int triggers_start(struct triggers *ts);

/*
 * Arms the trigger that `text` says on the own cgroup of the handle's container. -EBUSY when the
 * handle has one; -EINVAL; -EOPNOTSUPP where the container has no such file; -ENOSPC when the
 * container or everybody has too many, armed or being closed; -ESTALE; what the kernel says. `slot`
 * (may be NULL) is the request's, which may be replayed.
 */
int triggers_arm(struct triggers *ts, uint64_t fh, struct slice text, struct handover_slot *slot);

/* What poll(2) is to be told of the handle. An event is told once. */
unsigned triggers_poll(struct triggers *ts, uint64_t fh);
/* What triggers_poll() said did not reach anybody. */
void triggers_poll_lost(struct triggers *ts, uint64_t fh, unsigned told);

/* Does not wait for the kernel, until whose close the trigger counts. Handles without one are fine.
 */
void triggers_close(struct triggers *ts, uint64_t fh);
