/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks four times in the watchdog's time. What the worker's own watch cannot see is seen here: a
 * worker that is stopped as a whole, or whose every thread waits in the kernel.
 */
#include "watchdog.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/fuse.h>

#include "clock.h"
#include "log.h"
#include "notify.h"
#include "parse.h"

#define LOOKS 4u
#define STUCK_MAX 2u /* then the worker is replaced, and another has two looks to do better */

uint64_t watchdog_parse(const char *usec, const char *pid, pid_t self)
{
	uint64_t us, whose;

	if (!usec || !slice_u64(slice_str(usec), &us))
		return 0;
	if (pid && (!slice_u64(slice_str(pid), &whose) || whose != (uint64_t)self))
		return 0;
	return us <= UINT64_MAX / NS_PER_US ? us * NS_PER_US : 0;
}

void watchdog_init(struct watchdog *w)
{
	const uint64_t ns =
		watchdog_parse(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid());

	*w = (struct watchdog){ .period_ns = ns / LOOKS };
}

uint64_t watchdog_due_ns(const struct watchdog *w)
{
	return w->period_ns != 0 ? w->due_ns : UINT64_MAX;
}

static bool is_any_waiting(struct handover *h, const struct connection *c)
{
	struct pollfd p = { .fd = c->device, .events = POLLIN };

	return handover_is_busy(h, c->n) || (poll(&p, 1, 0) > 0 && (p.revents & POLLIN));
}

/* Every request has a number of its own, which stays in the slot until the next. */
static bool has_moved(struct watchdog *w, const struct handover *h, unsigned n)
{
	bool moved = false;

	for (unsigned i = 0; i < n; i++) {
		struct fuse_in_header header;

		memcpy(&header, h->slots[i].request, sizeof(header));
		moved |= header.unique != w->seen[i];
		w->seen[i] = header.unique;
	}
	return moved;
}

bool watchdog_look(struct watchdog *w, struct handover *h, const struct connection *c)
{
	const uint64_t now = clock_monotonic_ns();
	bool moved;

	if (now < watchdog_due_ns(w))
		return false;
	w->due_ns = now + w->period_ns;
	moved = has_moved(w, h, c->n);
	if (moved || !is_any_waiting(h, c)) {
		w->stuck = 0;
		notify("WATCHDOG=1");
		return false;
	}
	if (++w->stuck % STUCK_MAX != 0)
		return false;
	log_limited("watchdog",
		"requests wait and none is answered for %llu ms: starting another worker",
		(unsigned long long)(w->period_ns * STUCK_MAX / NS_PER_MS));
	return true;
}
