/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 8's table and section 9's swap, apart from where the numbers come from: what a container
 * of this size sees in place of each line that the running kernel prints. /proc/swaps shares the
 * swap part, so that both files tell the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cgroup.h"
#include "host.h"
#include "text.h"
#include "view.h"

/* What a cgroup may use of the host's huge pages and does. Without the hugetlb controller: no
 * limits and no usage, which shows the host's pools. In bytes. */
struct meminfo_huge {
	uint64_t limit, usage; /* pages of the default size (Hugepagesize) */
	uint64_t others;       /* of the pools of all other sizes; CGROUP_NO_LIMIT: what there is */
};

struct meminfo_sources {
	const struct host_meminfo *host;
	struct cgroup_memory memory; /* known */
	struct cgroup_swap swap;
	struct meminfo_huge huge;
	bool no_zswap; /* --disable-zswap */
};

/* Appends the whole file: the host's lines in their order and layout, each with the container's
 * number. A line that section 8 does not know keeps its number (SPEC 3), but for one that is above
 * MemTotal (SPEC 1). */
void meminfo_print(const struct meminfo_sources *s, struct text *t);

/* True for a line that section 8 knows. */
bool meminfo_knows(struct slice name);

/* 0, -ENODEV, -errno. */
int meminfo_gather_huge(
	const struct view_args *a, const struct host_meminfo *host, struct meminfo_huge *ret);

/* The memory and the swap of the subject, for both files. 0; VIEW_KERNELS_OWN without a memory
 * controller; -ENODEV; -errno. */
int meminfo_gather(const struct view_args *a, const struct host_meminfo *host,
	struct cgroup_memory *ret_memory, struct cgroup_swap *ret_swap);
