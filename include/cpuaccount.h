/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one step behind /proc/stat and /proc/uptime: whichever of them is read advances the same
 * counters of the container, so that they never disagree.
 */
#pragma once

#include "cputime.h"
#include "view.h"

/* Gathers a sample and advances the container's account to it; without a place to keep it (no
 * store, a full table) every call is the first sight. `tasks`: those of the container just now, 0
 * where that is not known. 0, -ENODEV, -errno. */
int cpuaccount_advance(const struct view_args *a, const struct host_stat *host, uint64_t tasks,
	struct cputime *ret);
