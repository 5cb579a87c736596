/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Section 11's times: from the I/O that a cgroup did to the columns of /proc/diskstats. A cgroup
 * counts its I/Os, not their time, so the time is the host device's mean time per I/O in each
 * interval × the container's I/Os in it, added up. A pure function from old state and one sample
 * to new state and columns; the state is plain bytes with a version, checked when it is read (a
 * state that cannot be right counts as none).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cgroup.h"
#include "host.h"
#include "parse.h"
#include "text.h"

/* What is known at one moment. */
struct disktime_sample {
	uint64_t now_ns;   /* CLOCK_BOOTTIME */
	uint64_t start_ns; /* the container's: the first interval begins there */
	const struct host_diskstats *host;
	const struct cgroup_io *io; /* the container's */
};

struct disktime_disk {
	const struct host_disk *host; /* head and count of columns */
	uint64_t values[HOST_DISK_COLUMNS];
};

struct disktime {
	struct disktime_disk *disks; /* those with I/O by the container, in the host's order */
	size_t n;
};

/*
 * `old`: the state of the last call, 0 bytes at first sight. The new state is appended to `state`;
 * nothing when the sample is older than `old`, which then stays right. No time ever decreases as
 * long as the state is handed on. 0 or -ENOMEM.
 */
int disktime_advance(struct slice old, const struct disktime_sample *sample, struct text *state,
	struct disktime *ret);
void disktime_free(struct disktime *d);
