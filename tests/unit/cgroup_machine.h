/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A captured machine with its cgroups, and ways to make a set on it, for the tests of cgroup/.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "unit.h"

#define MiB (UINT64_C(1) << 20)

struct machine {
	struct root root;
	struct cgroup_layout *layout;
	struct cgroup_tree *tree;
};

static inline struct machine machine_open_at(const char *path, unsigned max_files)
{
	struct machine m;

	ck_assert_int_eq(root_open(path, &m.root), 0);
	ck_assert_int_eq(cgroup_layout_new(&m.root, &m.layout), 0);
	ck_assert_int_eq(cgroup_tree_new(m.layout, max_files, &m.tree), 0);
	return m;
}

/* One of tests/fixtures. */
static inline struct machine machine_open(const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), TESTS_DIR "/fixtures/%s", name);
	return machine_open_at(path, 16);
}

static inline void machine_close(struct machine *m)
{
	cgroup_tree_free(m->tree);
	cgroup_layout_free(m->layout);
	root_close(&m->root);
}

/* The hierarchy called `name`. */
static inline unsigned hierarchy_of(const struct machine *m, const char *name)
{
	for (unsigned i = 0; i < m->layout->n; i++)
		if (strcmp(m->layout->hierarchy[i].name, name) == 0)
			return i;
	ck_abort_msg("no hierarchy %s", name);
}

/* `path` in every hierarchy. */
static inline int set_new(const struct machine *m, const char *path, struct cgroup_set **ret)
{
	struct cgroup_paths paths = { 0 };
	int r;

	for (unsigned i = 0; i < m->layout->n; i++)
		paths.path[i] = strdup(path);
	r = cgroup_set_new(m->tree, &paths, ret);
	cgroup_paths_free(&paths);
	return r;
}

static inline struct cgroup_set *set_at(const struct machine *m, const char *path)
{
	struct cgroup_set *s;

	ck_assert_int_eq(set_new(m, path, &s), 0);
	return s;
}
