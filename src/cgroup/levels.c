/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each cgroup on the way up says of a limit, for people who ask where a number comes from.
 * Which one is in force is the typed getters' to say, not this file's.
 */
#include "tree.h"

#include <errno.h>

static int bytes_level(
	struct cgroup *c, enum cgroup_file *file, struct cgroup_level *l, struct text *says)
{
	struct slice text;
	int r = cgroup_read(c, *file, &text);

	if (r == 0)
		text_add(says, text.p, text.n);
	return r == 0 ? cgroup_read_limit(c, *file, &l->limit) : r;
}

static int quota_level(
	struct cgroup *c, enum cgroup_file *file, struct cgroup_level *l, struct text *says)
{
	uint64_t quota, period;
	int r = cgroup_version(c)->quota(c, &quota, &period);

	(void)file;
	if (r < 0)
		return r;
	if (period == 0) {
		text_puts(says, "max");
		return 0;
	}
	text_printf(says, "%llu %llu", (unsigned long long)quota, (unsigned long long)period);
	l->limit = cgroup_whole_cpus(quota, period);
	return 0;
}

static int cpuset_level(
	struct cgroup *c, enum cgroup_file *file, struct cgroup_level *l, struct text *says)
{
	struct cpumask cpus;
	int r = cgroup_read_cpuset(c, file, &cpus);

	if (r == 0) {
		cpumask_format(says, &cpus);
		l->limit = 0;
	}
	return r;
}

static const struct kind {
	enum cgroup_controller controller;
	enum cgroup_file file;
	bool as_memory; /* v1's use_hierarchy decides whether the parent's holds */
	/* -ENOENT: there is nothing. Sets `*file` where it is another one. */
	int (*read)(struct cgroup *c, enum cgroup_file *file, struct cgroup_level *l,
		struct text *says);
} kinds[CGROUP_LIMITS] = {
	[CGROUP_LIMIT_MEMORY] = { CGROUP_MEMORY, FILE_MEMORY_LIMIT, true, bytes_level },
	[CGROUP_LIMIT_SWAP] = { CGROUP_MEMORY, FILE_SWAP_LIMIT, true, bytes_level },
	[CGROUP_LIMIT_CPUSET] = { CGROUP_CPUSET, FILE_CPUSET_EFFECTIVE, false, cpuset_level },
	[CGROUP_LIMIT_QUOTA] = { CGROUP_CPU, FILE_CPU_QUOTA, false, quota_level },
};

static int parent_of(struct cgroup *c, bool as_memory, struct cgroup **ret)
{
	if (as_memory)
		return cgroup_version(c)->memory_parent(c, ret);
	*ret = c->parent;
	return 0;
}

static struct slice first_line(const struct text *t)
{
	struct slice rest = slice_of(t), line = { 0 };

	slice_line(&rest, &line);
	return line;
}

int cgroup_levels(const struct cgroup_set *s, enum cgroup_limit_kind kind,
	void (*tell)(const struct cgroup_level *level, void *data), void *data)
{
	const struct kind *k = &kinds[kind];
	struct cgroup *c = cgroup_serving(s, k->controller);
	int r = 0;

	while (r == 0 && c) {
		enum cgroup_file file = k->file;
		autotext says = { 0 };
		struct cgroup_level level = { .path = c->path, .limit = CGROUP_NO_LIMIT };

		r = k->read(c, &file, &level, &says);
		if (r == 0)
			r = text_error(&says);
		if (r < 0 && r != -ENOENT)
			return r;
		level.file = cgroup_version(c)->file[file].name;
		level.there = r == 0;
		level.says = first_line(&says);
		tell(&level, data);
		r = parent_of(c, k->as_memory, &c);
	}
	return r;
}
