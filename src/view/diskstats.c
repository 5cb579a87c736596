/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/diskstats (SPEC 11): the host's lines of the devices that the container did I/O on, with
 * its own numbers. disktime.c computes them; here they are gathered and printed.
 */
#include "disktime.h"
#include "kept.h"
#include "view.h"

static int advance(
	const struct view_args *a, const struct disktime_sample *sample, struct disktime *ret)
{
	autotext state = { 0 };
	struct kept kept;
	int r = kept_begin(a, ACCOUNT_DISK, &kept);

	if (r < 0)
		return r;
	r = disktime_advance(slice_of(&kept.old), sample, &state, ret);
	kept_end(&kept, r == 0 ? &state : NULL);
	return r;
}

static void print(const struct disktime *d, struct text *t)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct disktime_disk *disk = &d->disks[i];

		text_add(t, disk->host->head.p, disk->host->head.n);
		for (unsigned c = 0; c < disk->host->columns; c++) {
			text_add(t, " ", 1);
			text_u64(t, disk->values[c], 0);
		}
		text_add(t, "\n", 1);
	}
}

int view_diskstats(const struct view_args *a, struct text *t)
{
	autohost const struct host_diskstats *host = NULL;
	__attribute__((cleanup(cgroup_io_free))) struct cgroup_io io = { 0 };
	__attribute__((cleanup(disktime_free))) struct disktime times = { 0 };
	int r;

	/* First the container's counters: the host's then hold what they hold, as a rule. */
	r = cgroup_io(a->subject->cgroups, &io);
	if (r == 0)
		r = host_diskstats(a->host, a->now_ns, &host);
	if (r == 0)
		r = advance(a,
			&(struct disktime_sample){ a->now_ns, a->subject->start_ns, host, &io },
			&times);
	if (r < 0)
		return r;
	print(&times, t);
	return text_error(t);
}
