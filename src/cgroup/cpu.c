/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs a container may use, how much of them, and what it has used. How usage becomes
 * /proc/stat's columns is not known here.
 */
#include "tree.h"

#include <errno.h>
#include <limits.h>

#include "cleanup.h"

/* -ENOENT also for an empty list: a v1 cpuset that nobody has set up yet. */
static int read_list(struct cgroup *c, enum cgroup_file file, struct cpumask *ret)
{
	struct slice text;
	int r = cgroup_read(c, file, &text);

	if (r < 0)
		return r;
	if (cpumask_parse(text, ret) < 0)
		return cgroup_bad_text(c, file);
	return cpumask_next(ret, 0) == CPUMASK_MAX ? -ENOENT : 0;
}

int cgroup_read_cpuset(struct cgroup *c, enum cgroup_file *ret_file, struct cpumask *ret)
{
	static const enum cgroup_file files[] = { FILE_CPUSET_EFFECTIVE, FILE_CPUSET_CPUS };

	for (size_t i = 0; i < countof(files); i++) {
		int r = read_list(c, files[i], ret);

		if (r == 0)
			*ret_file = files[i];
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

int cgroup_cpuset(const struct cgroup_set *s, struct cpumask *ret)
{
	struct cpumask found;
	enum cgroup_file file;

	for (struct cgroup *c = cgroup_serving(s, CGROUP_CPUSET); c; c = c->parent) {
		int r = cgroup_read_cpuset(c, &file, &found);

		if (r == 0)
			*ret = found;
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

unsigned cgroup_whole_cpus(uint64_t quota, uint64_t period)
{
	uint64_t cpus = quota / period + (quota % period != 0);

	return (unsigned)min_u64(max_u64(cpus, 1), UINT_MAX);
}

int cgroup_cpu_quota(const struct cgroup_set *s, unsigned *ret_cpus)
{
	unsigned least = UINT_MAX;

	for (struct cgroup *c = cgroup_serving(s, CGROUP_CPU); c; c = c->parent) {
		uint64_t quota, period;
		int r = cgroup_version(c)->quota(c, &quota, &period);

		if (r == 0 && period > 0)
			least = (unsigned)min_u64(least, cgroup_whole_cpus(quota, period));
		if (r < 0 && r != -ENOENT)
			return r;
	}
	*ret_cpus = least;
	return 0;
}

int cgroup_cpu_usage(const struct cgroup_set *s, struct cgroup_cpu_usage *ret)
{
	const struct cgroup_layout *l = s->tree->layout;
	const int sources[] = { l->serves[CGROUP_CPUACCT], l->unified };

	for (size_t i = 0; i < countof(sources); i++) {
		struct cgroup *c = sources[i] < 0 ? NULL : s->in[sources[i]];
		struct cgroup_cpu_usage usage = { .known = true };
		int r = c ? cgroup_version(c)->cpu_usage(c, &usage) : -ENOENT;

		if (r == 0)
			*ret = usage;
		else
			cgroup_cpu_usage_free(&usage);
		if (r != -ENOENT)
			return r;
	}
	*ret = (struct cgroup_cpu_usage){ .known = false };
	return 0;
}

void cgroup_cpu_usage_free(struct cgroup_cpu_usage *u)
{
	free(u->cpu_usage); /* all three are one piece */
	*u = (struct cgroup_cpu_usage){ 0 };
}

int cgroup_tasks(const struct cgroup_set *s, uint64_t *ret)
{
	struct cgroup *c = cgroup_serving(s, CGROUP_PIDS);

	return c ? cgroup_read_u64(c, FILE_PIDS, ret) : -ENOENT;
}
