/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/slabinfo (SPEC 13). A cgroup is not told which caches its objects lie in, but how much slab
 * they take: one row for what can be reclaimed and one for what cannot, so that slabtop's total is
 * /proc/meminfo's Slab. The host's own rows are never shown: they tell what others do.
 */
#include <errno.h>

#include "cleanup.h"
#include "view.h"

/* Bytes. */
struct slabs {
	uint64_t reclaimable, unreclaimable;
};

static struct slabs of_host(const struct host_meminfo *host)
{
	static const struct field fields[] = {
		FIELD("SReclaimable", struct slabs, reclaimable),
		FIELD("SUnreclaim", struct slabs, unreclaimable),
	};
	struct slabs kb = { 0 };

	parse_fields(slice_of(&host->text), fields, countof(fields), &kb);
	return (struct slabs){ mul_div(kb.reclaimable, 1024, 1),
		mul_div(kb.unreclaimable, 1024, 1) };
}

/* What the container's meminfo says. 0; VIEW_OF_HOST where that is the host's; -errno. */
static int gather(const struct view_args *a, struct slabs *ret)
{
	autohost const struct host_meminfo *host = NULL;
	struct cgroup_memory memory;
	uint64_t total;
	int r = host_meminfo(a->host, a->now_ns, &host);

	if (r < 0)
		return r;
	total = mul_div(host->mem_total_kb, 1024, 1);
	r = cgroup_memory(a->subject->cgroups, total, &memory);
	if (r < 0)
		return r;
	if (!memory.known) {
		*ret = of_host(host);
		return VIEW_OF_HOST;
	}
	total = min_u64(memory.limit, total);
	ret->reclaimable = min_u64(memory.stat.slab_reclaimable, total);
	ret->unreclaimable = min_u64(memory.stat.slab_unreclaimable, total - ret->reclaimable);
	return 0;
}

/* As mm/slab_common.c's cache_show() prints a cache whose objects are whole pages, all in use. */
static void print_row(const struct view_args *a, const char *name, uint64_t bytes, struct text *t)
{
	const uint64_t page = a->page_size;
	const unsigned long long n = mul_div(sat_add(bytes, page - 1), 1, page);

	text_printf(t,
		"%-17s %6llu %6llu %6u %4u %4u : tunables %4u %4u %4u"
		" : slabdata %6llu %6llu %6u\n",
		name, n, n, a->page_size, 1u, 1u, 0u, 0u, 0u, n, n, 0u);
}

int view_slabinfo(const struct view_args *a, struct text *t)
{
	autohost const struct host_header *header = NULL;
	struct slabs slabs;
	int of_cgroup = cgroup_slabinfo(a->subject->cgroups, t), kind, r;

	if (of_cgroup != -ENOENT)
		return of_cgroup;
	kind = gather(a, &slabs);
	if (kind < 0)
		return kind;
	r = host_slabinfo(a->host, a->now_ns, &header);
	if (r < 0)
		return r;
	text_add(t, header->text.data, header->text.len);
	print_row(a, "reclaimable", slabs.reclaimable, t);
	print_row(a, "unreclaimable", slabs.unreclaimable, t);
	return kind;
}
