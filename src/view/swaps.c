/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/swaps (SPEC 9): the kernel's header, and one row for all the swap a container may use. The
 * numbers are those of /proc/meminfo; which devices the host swaps to is not the container's.
 */
#include "cgroup.h"
#include "host.h"
#include "meminfo.h"
#include "parse.h"
#include "view.h"

/* Newer kernels (mm/swapfile.c, swap_show()) print two tabs behind "Size", and behind a number that
 * is below 10,000,000; older ones print one everywhere. */
static bool has_wide_columns(struct slice header)
{
	struct slice part, next;

	while (slice_cut(&header, '\t', &part))
		if (slice_equal(part, "Size"))
			return slice_cut(&header, '\t', &next) && next.n == 0;
	return false;
}

static void print_number(struct text *t, uint64_t value, bool wide)
{
	text_u64(t, value, 0);
	text_puts(t, wide && value < 10000000 ? "\t\t" : "\t");
}

static void print_row(struct text *t, const struct cgroup_swap *swap, bool wide)
{
	/* The name fills 40 columns, the type ends where "partition" does, at the second tab. */
	text_puts(t, "none                                    virtual\t\t");
	print_number(t, swap->total / 1024, wide);
	print_number(t, swap->used / 1024, wide);
	text_puts(t, "0\n");
}

int view_swaps(const struct view_args *a, struct text *t)
{
	autohost const struct host_meminfo *host = NULL;
	autohost const struct host_header *header = NULL;
	struct cgroup_memory memory;
	struct cgroup_swap swap = { 0 };
	int r = host_meminfo(a->host, a->now_ns, &host);

	if (r == 0)
		r = host_swaps(a->host, a->now_ns, &header);
	/* Where the host has none, no limit has to be looked at. */
	if (r == 0 && host->swap_total_kb > 0)
		r = meminfo_gather(a, host, &memory, &swap);
	if (r != 0)
		return r;
	text_add(t, header->text.data, header->text.len);
	if (swap.total >= 1024)
		print_row(t, &swap, has_wide_columns(slice_of(&header->text)));
	return text_error(t);
}
