/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory, swap and huge pages of a container: limits that hold through all ancestors, and what they
 * leave. Each file is read once; an ancestor's usage only where it has a limit.
 */
#include "tree.h"

#include <errno.h>

/* One cgroup with a limit leaves this much to everybody below it. */
static void count_level(struct cgroup_memory *m, uint64_t limit, uint64_t usage,
	const struct cgroup_memory_stat *stat)
{
	uint64_t reclaimable =
		sat_add(sat_add(stat->active_file, stat->inactive_file), stat->slab_reclaimable);
	uint64_t available = sat_sub(sat_add(limit, reclaimable), usage);

	m->limit = min_u64(m->limit, limit);
	m->free = min_u64(m->free, sat_sub(limit, usage));
	m->available = min_u64(m->available, min_u64(limit, available));
}

static int count_ancestor(struct cgroup *c, uint64_t cap, struct cgroup_memory *m)
{
	struct cgroup_memory_lines lines;
	uint64_t limit, usage;
	int r = cgroup_read_limit(c, FILE_MEMORY_LIMIT, &limit);

	if (r < 0 || limit >= cap)
		return r;
	r = cgroup_read_u64(c, FILE_MEMORY_USAGE, &usage);
	if (r < 0)
		return r;
	r = cgroup_version(c)->memory_stat(c, &lines);
	if (r == 0)
		count_level(m, limit, usage, &lines.stat);
	return r;
}

static int count_ancestors(struct cgroup *c, uint64_t cap, struct cgroup_memory *m)
{
	for (;;) {
		int r = cgroup_version(c)->memory_parent(c, &c);

		if (r < 0 || !c)
			return r;
		r = count_ancestor(c, cap, m);
		if (r < 0)
			return r;
	}
}

/* The cgroup's own values, and its limit where nothing but its own file tells it. */
static int read_own(struct cgroup *c, struct cgroup_memory_lines *ret)
{
	const struct cgroup_version *v = cgroup_version(c);
	int r = v->memory_stat(c, ret);

	if (r < 0)
		return r;
	if (!v->stat_tells_limits)
		return cgroup_read_limit(c, FILE_MEMORY_LIMIT, &ret->limit);
	/* memory.stat has no slab there, but a file of its own for all kernel memory. */
	r = cgroup_read_u64(c, FILE_MEMORY_KERNEL, &ret->stat.slab_unreclaimable);
	return r == -ENOENT ? 0 : r;
}

int cgroup_memory(const struct cgroup_set *s, uint64_t cap, struct cgroup_memory *ret)
{
	struct cgroup_memory m = {
		.known = true,
		.limit = CGROUP_NO_LIMIT,
		.free = UINT64_MAX,
		.available = UINT64_MAX,
	};
	struct cgroup_memory_lines lines;
	struct cgroup *c = cgroup_serving(s, CGROUP_MEMORY);
	int r = cgroup_read_nearest(c, FILE_MEMORY_USAGE, &c, &m.usage);

	if (r == -ENOENT) {
		*ret = (struct cgroup_memory){ .known = false };
		return 0;
	}
	if (r < 0)
		return r;
	r = read_own(c, &lines);
	if (r < 0)
		return r;
	m.stat = lines.stat;
	m.memsw_limit = lines.memsw_limit;
	count_level(&m, min_u64(lines.limit, cap), m.usage, &m.stat);
	if (lines.limit < cap || !cgroup_version(c)->stat_tells_limits)
		r = count_ancestors(c, cap, &m);
	if (r < 0)
		return r;
	if (m.limit >= cap)
		m.limit = CGROUP_NO_LIMIT;
	*ret = m;
	return 0;
}

int cgroup_swap(const struct cgroup_set *s, const struct cgroup_memory *memory, uint64_t host_total,
	uint64_t host_free, struct cgroup_swap *ret)
{
	struct cgroup_swap swap = { 0 };
	struct cgroup *c = cgroup_serving(s, CGROUP_MEMORY);
	uint64_t usage;
	int r = -ENOENT;

	if (host_total > 0 && memory->known)
		r = cgroup_read_nearest(c, FILE_SWAP_USAGE, &c, &usage);
	if (r == 0)
		r = cgroup_version(c)->swap(c, memory, usage, host_total, &swap);
	else if (r == -ENOENT) /* no swap, or nobody counts it */
		r = 0;
	if (r < 0)
		return r;
	swap.total = min_u64(swap.total, host_total);
	swap.used = min_u64(swap.used, swap.total);
	swap.free = min_u64(min_u64(swap.free, host_free), swap.total - swap.used);
	*ret = swap;
	return 0;
}

/* Before Linux 5.9 the header is there even when nothing is accounted. */
static bool has_caches(struct slice text)
{
	struct slice line;

	while (slice_line(&text, &line))
		if (!slice_starts(line, "slabinfo - ") && !slice_starts(line, "#"))
			return true;
	return false;
}

int cgroup_slabinfo(const struct cgroup_set *s, struct text *t)
{
	struct cgroup *c = cgroup_serving(s, CGROUP_MEMORY);
	struct slice text;
	int r = c ? cgroup_read(c, FILE_MEMORY_SLABINFO, &text) : -ENOENT;

	if (r < 0)
		return r;
	if (!has_caches(text))
		return -ENOENT;
	text_add(t, text.p, text.n);
	return text_error(t);
}

int cgroup_hugetlb(
	const struct cgroup_set *s, const char *size, uint64_t *ret_limit, uint64_t *ret_usage)
{
	struct cgroup *c = cgroup_serving(s, CGROUP_HUGETLB);
	uint64_t limit = CGROUP_NO_LIMIT, usage, one;
	unsigned i;
	int r;

	if (!c)
		return -ENOENT;
	r = cgroup_huge_size(c, size, &i);
	if (r == 0)
		r = cgroup_read_nearest(c, FILE_HUGETLB_USAGE + i, &c, &usage);
	for (; r == 0 && c; c = c->parent) {
		r = cgroup_read_limit(c, FILE_HUGETLB_LIMIT + i, &one);
		if (r == 0)
			limit = min_u64(limit, one);
	}
	if (r != 0)
		return r;
	*ret_limit = limit;
	*ret_usage = usage;
	return 0;
}
