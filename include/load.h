/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load of containers (SPEC 10). A container is sampled from its first read on, every 5 s, until
 * nobody has read for 24 h; while none is, nothing runs. Averages are kept with the container's
 * accounts, so they go on over workers.
 */
#pragma once

#include <stdint.h>

#include "account.h"
#include "cgroup.h"
#include "root.h"
#include "view.h"

/* The kernel's fixed point (include/linux/sched/loadavg.h): 2048 is a load of 1. */
#define LOAD_SHIFT 11u
#define LOAD_ONE (UINT64_C(1) << LOAD_SHIFT)

enum load_span { LOAD_1, LOAD_5, LOAD_15, LOAD_SPANS };

/* Of the container's cgroup and all below it, at the last sample. */
struct load_values {
	uint64_t averages[LOAD_SPANS]; /* of 1, 5 and 15 minutes, in LOAD_ONE */
	uint64_t running;              /* threads in state R */
	uint64_t blocked;              /* threads in state D */
	uint64_t threads;              /* all */
	uint64_t newest; /* number of the newest thread in the container's own pid namespace */
};

struct load_config {
	const struct root *root;
	const struct cgroup_layout *layout;
	struct account_store *accounts; /* may be NULL: averages end with the worker */
};

/* The sampler. */
struct load;

/* Knows whatever an earlier worker sampled. Copies `config`. 0; -errno of a shortage: some of that
 * could not be found out. */
int load_new(const struct load_config *config, struct load **ret);
/* Starts its thread. Not before everything in the hand-over memory is adopted: it writes there. 0
 * or -errno. */
int load_start(struct load *l);
/* NULL is fine. */
void load_free(struct load *l);

/* What the last sample said, which the first read takes itself; no system call otherwise. For a
 * subject that is_host only `newest` tells anything. 0; -ENODEV when the cgroup is gone; -EAGAIN of
 * slow_ahead(): a first sample is taken for somebody who reads; -errno. */
int load_get(struct load *l, const struct subject *s, struct load_values *ret);
