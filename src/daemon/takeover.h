/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Going on with a connection that another process opened: whether it can be done, and doing it; and
 * leaving one to the service manager.
 */
#pragma once

#include "connection.h"
#include "inherit.h"
#include "text.h"

/* Whether this version can go on with it; changes nothing, asks the mount for nothing. 0; -EPROTO
 * when it cannot, or -errno of a shortage, `why` then telling it. */
int takeover_check(const struct inherited *in, struct text *why);

/* Goes on with it; a shortage is waited out for two seconds. What was taken over from the service
 * manager's store is mounted at DIR, which must be free; across execve(2) it still is. `in` is
 * empty afterwards. 0; -errno after a line in the log, everything being closed. */
int takeover(enum inherit_origin origin, struct inherited *in, const struct options *options,
	struct connection *ret, int *ret_memory, struct handover **ret_handover);

/* What is to be handed over: borrowed. */
void takeover_offer(const struct connection *c, int memory, struct inherited *ret);

/* Takes the connection away from `dir` and leaves it to the service manager's store, where it waits
 * for the next start or for its end. The worker must be gone. */
void takeover_leave(const struct connection *c, int memory, const char *dir);
