/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a container may have of the host's huge pages, for /proc/meminfo: the hugetlb controller's
 * limits where it has some. Most machines have no huge page in any pool, and nothing is asked.
 */
#include <errno.h>
#include <stdio.h>

#include "cleanup.h"
#include "meminfo.h"

/* The name that the hugetlb controller gives to a page size (mm/hugetlb_cgroup.c, mem_fmt()). */
static void size_name(uint64_t page_kb, char *ret, size_t size)
{
	static const char *const units[] = { "KB", "MB", "GB" };
	size_t unit = 0;

	for (; unit + 1 < countof(units) && page_kb >= 1024; unit++)
		page_kb /= 1024;
	snprintf(ret, size, "%llu%s", (unsigned long long)page_kb, units[unit]);
}

/* What may be used of pages of this size, and is. No limit and no usage without the controller. */
static int ask(
	const struct cgroup_set *s, uint64_t page_kb, uint64_t *ret_limit, uint64_t *ret_usage)
{
	char size[32];
	int r;

	size_name(page_kb, size, sizeof(size));
	r = cgroup_hugetlb(s, size, ret_limit, ret_usage);
	if (r != -ENOENT)
		return r;
	*ret_limit = CGROUP_NO_LIMIT;
	*ret_usage = 0;
	return 0;
}

/* Adds up what may be used of each pool but the one of the default size. */
static int gather_others(const struct view_args *a, uint64_t but_kb, struct meminfo_huge *ret)
{
	autohost const struct host_hugepages *host = NULL;
	uint64_t sum = 0;
	int r = host_hugepages(a->host, a->now_ns, &host);

	if (r == -ENOENT)
		return 0; /* a kernel without sysfs: the host's own sum is all that is known */
	for (size_t i = 0; r == 0 && i < host->n; i++) {
		const struct host_hugepages_pool *pool = &host->pools[i];
		const uint64_t bytes = mul_div(pool->pages, mul_div(pool->page_kb, 1024, 1), 1);
		uint64_t limit, usage;

		if (pool->page_kb == but_kb || pool->pages == 0)
			continue;
		r = ask(a->subject->cgroups, pool->page_kb, &limit, &usage);
		if (r == 0)
			sum = sat_add(sum, min_u64(limit, bytes));
	}
	if (r == 0)
		ret->others = sum;
	return r;
}

int meminfo_gather_huge(
	const struct view_args *a, const struct host_meminfo *host, struct meminfo_huge *ret)
{
	const uint64_t pool_kb = mul_div(host->huge_total, host->huge_page_kb, 1);
	int r = 0;

	*ret = (struct meminfo_huge){ CGROUP_NO_LIMIT, 0, CGROUP_NO_LIMIT };
	if (pool_kb > 0)
		r = ask(a->subject->cgroups, host->huge_page_kb, &ret->limit, &ret->usage);
	if (r == 0 && host->huge_all_kb > pool_kb)
		r = gather_others(a, host->huge_page_kb, ret);
	return r;
}
