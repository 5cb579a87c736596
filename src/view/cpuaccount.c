/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gathers what cputime.c computes from and keeps its state. Nothing of the kernel is read with the
 * account locked.
 */
#include "cpuaccount.h"

#include <errno.h>

#include "kept.h"

static int advance(
	const struct view_args *a, const struct cputime_sample *sample, struct cputime *ret)
{
	autotext state = { 0 };
	struct kept kept;
	int r = kept_begin(a, a->quota ? ACCOUNT_CPU_QUOTA : ACCOUNT_CPU, &kept);

	if (r < 0)
		return r;
	r = cputime_advance(slice_of(&kept.old), slice_of(&kept.predecessor), sample, &state, ret);
	kept_end(&kept, r == 0 ? &state : NULL);
	return r;
}

int cpuaccount_advance(const struct view_args *a, const struct host_stat *host, uint64_t tasks,
	struct cputime *ret)
{
	__attribute__((cleanup(cgroup_cpu_usage_free))) struct cgroup_cpu_usage usage = { 0 };
	struct cpumask visible;
	const struct cputime_sample sample = { .now_ns = a->now_ns,
		.start_ns = a->subject->start_ns,
		.visible = &visible,
		.usage = &usage,
		.host = host,
		.tasks = tasks,
		.user_hz = a->user_hz };
	int r = view_visible_cpus(a, &visible);

	if (r == 0)
		r = cgroup_cpu_usage(a->subject->cgroups, &usage);
	if (r < 0)
		return r;
	return advance(a, &sample, ret);
}
