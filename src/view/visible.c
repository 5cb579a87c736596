/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs a container sees: the one policy behind cpuinfo, stat, uptime and sysfs (SPEC 4).
 * Ids are always the kernel's.
 */
#include <errno.h>

#include "log.h"
#include "view.h"

/* The effective cpuset without what is offline; `online` where nothing restricts it. */
static int effective(const struct view_args *a, const struct cpumask *online, struct cpumask *ret)
{
	int r = cgroup_cpuset(a->subject->cgroups, ret);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0) {
		cpumask_and(ret, online);
		if (!cpumask_empty(ret))
			return 0;
		/* A v1 cpuset whose CPUs all went offline: the kernel has moved its tasks to the
		 * parent's and the caller is on its way there. */
		log_limited("empty cpuset",
			"a container's cpuset has no CPU that is online; it is shown all of them. "
			"Give its cgroup's cpuset.cpus a CPU that exists");
	}
	*ret = *online;
	return 0;
}

static int limit_to_quota(const struct view_args *a, struct cpumask *m)
{
	unsigned cpus;
	int r = cgroup_cpu_quota(a->subject->cgroups, &cpus);

	if (r == 0)
		cpumask_first(m, cpus > 0 ? cpus : 1);
	return r;
}

int view_visible_cpus(const struct view_args *a, struct cpumask *ret)
{
	autohost const struct host_cpus *cpus = NULL;
	struct cpumask visible;
	int r = host_cpus(a->host, a->now_ns, &cpus);

	if (r < 0)
		return r;
	if (a->subject->is_host) {
		*ret = cpus->online;
		return 0;
	}
	r = effective(a, &cpus->online, &visible);
	if (r == 0 && a->quota)
		r = limit_to_quota(a, &visible);
	if (r == 0)
		*ret = visible;
	return r;
}
