/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One advance of a container's CPU times while it is being computed; shared by cputime*.c alone.
 */
#pragma once

#include "cputime_state.h"

/* One CPU during an advance. */
struct lane {
	struct cputime_state_cpu kept;
	bool known;    /* it was in the old state */
	bool visible;  /* now */
	uint64_t room; /* what of the interval nobody was busy in yet */
};

struct advance {
	const struct cputime_sample *sample;
	struct cputime_state_head head; /* its `carry` is the pool */
	struct lane *lanes;
	size_t n;
	bool first;
	uint64_t dt_ns;
};

enum cputime_source cputime_source_of(const struct cgroup_cpu_usage *u);

/* Credits the increase of usage since the last sample to lanes, or to the pool. */
void cputime_credit(struct advance *a);

/* Spreads the pool over the lanes with room: most to those that were busiest on the host,
 * none above 100 %. What has no room stays in the pool. */
void cputime_spread(struct advance *a);
