/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs the machine has. Not which of them a container sees.
 */
#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "snapshot.h"

enum list { LIST_ONLINE, LIST_POSSIBLE };

static void destroy(struct host_snapshot *base)
{
	free(base);
}

/* -ENOENT where there is no such file, or none that we may see or that names a CPU. */
static int load_list(struct host_cache *c, enum list list, struct cpumask *ret)
{
	autotext t = { 0 };
	int r = host_cache_read(c, list, &t);

	if (r == -EACCES || r == -EPERM)
		return -ENOENT;
	if (r < 0)
		return r;
	return cpumask_parse(slice_of(&t), ret) == 0 && !cpumask_empty(ret) ? 0 : -ENOENT;
}

/* Kernels without SMP, and captured trees, may have no sysfs list. */
static int online_of_stat(struct host *h, uint64_t now_ns, struct cpumask *ret)
{
	autohost const struct host_stat *stat = NULL;
	int r = host_stat(h, now_ns, &stat);

	if (r < 0)
		return r;
	cpumask_clear(ret);
	for (size_t i = 0; i < stat->n_cpus; i++)
		cpumask_set(ret, stat->cpus[i].cpu);
	return 0;
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	struct host_cpus *cpus = (struct host_cpus *)base;
	int r = load_list(c, LIST_ONLINE, &cpus->online);

	if (r == -ENOENT)
		r = online_of_stat(c->host, now_ns, &cpus->online);
	if (r < 0)
		return r;
	r = load_list(c, LIST_POSSIBLE, &cpus->possible);
	if (r != -ENOENT)
		return r;
	cpus->possible = cpus->online;
	return 0;
}

const struct host_kind host_kind_cpus = {
	.files = {
		[LIST_ONLINE] = "sys/devices/system/cpu/online",
		[LIST_POSSIBLE] = "sys/devices/system/cpu/possible",
	},
	.max_age_ns = 10 * NS_PER_MS,
	.size = sizeof(struct host_cpus),
	.load = load,
	.destroy = destroy,
};

int host_cpus(struct host *h, uint64_t now_ns, const struct host_cpus **ret)
{
	const struct host_snapshot *s;
	int r = host_cache_get(&h->cpus, now_ns, &s);

	if (r == 0)
		*ret = (const struct host_cpus *)s;
	return r;
}
