/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gathers what cputime.c computes from and keeps its state. Nothing of the kernel is read with the
 * account locked.
 */
#include "cpuaccount.h"

#include <errno.h>

#include "log.h"

static int advance(
	const struct view_args *a, const struct cputime_sample *sample, struct cputime *ret)
{
	struct account_key key = a->subject->account;
	autotext old = { 0 };
	autotext predecessor = { 0 };
	autotext state = { 0 };
	struct account *account = NULL;
	int r = -ENOSPC;

	key.kind = a->quota ? ACCOUNT_CPU_QUOTA : ACCOUNT_CPU;
	if (a->accounts)
		r = account_begin(a->accounts, &key, &old, &predecessor, &account);
	if (r < 0 && r != -ENOSPC)
		return r;
	r = cputime_advance(slice_of(&old), slice_of(&predecessor), sample, &state, ret);
	/* Where there is no room for the new bytes the old ones stay, and their interval goes on.
	 */
	if (account && account_end(account, state.data, r == 0 ? state.len : 0) == -ENOSPC)
		log_limited("cpu accounts",
			"no room to keep a container's CPU times: they may stand still or start "
			"again. Too many files are held open in containers, or too many containers "
			"run");
	return r;
}

int cpuaccount_advance(const struct view_args *a, const struct host_stat *host, struct cputime *ret)
{
	__attribute__((cleanup(cgroup_cpu_usage_free))) struct cgroup_cpu_usage usage = { 0 };
	struct cpumask visible;
	struct cputime_sample sample = { .now_ns = a->now_ns,
		.start_ns = a->subject->start_ns,
		.visible = &visible,
		.usage = &usage,
		.host = host,
		.user_hz = a->user_hz };
	int r = view_visible_cpus(a, &visible);

	if (r == 0)
		r = cgroup_cpu_usage(a->subject->cgroups, &usage);
	if (r < 0)
		return r;
	r = cgroup_tasks(a->subject->cgroups, &sample.tasks);
	if (r < 0 && r != -ENOENT) /* no pids controller: unknown */
		return r;
	return advance(a, &sample, ret);
}
