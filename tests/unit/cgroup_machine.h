/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A captured machine with its cgroups, and ways to make a set on it, for the tests of cgroup/.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* --- a machine made up in a temporary directory ----------------------------------------------- */

static char made_path[] = "/tmp/lxcfs-test-cgroup.XXXXXX";

static inline const char *made_below(const char *path, char *whole, size_t size)
{
	ck_assert_uint_lt((size_t)snprintf(whole, size, "%s/%s", made_path, path), size);
	return whole;
}

/* With all directories above it. */
static inline void made_directory(const char *path)
{
	char whole[4096];

	made_below(path, whole, sizeof(whole));
	for (char *p = whole + strlen(made_path) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		if (mkdir(whole, 0755) < 0)
			ck_assert_int_eq(errno, EEXIST);
	}
	ck_assert_int_eq(mkdir(whole, 0755), 0);
}

static inline void made_file(const char *path, const char *text)
{
	char whole[4096];
	int fd = open(made_below(path, whole, sizeof(whole)), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline void made_move(const char *from, const char *to)
{
	char a[4096], b[4096];

	made_below(from, a, sizeof(a));
	made_below(to, b, sizeof(b));
	ck_assert_int_eq(rename(a, b), 0);
}

static inline void made_machine(const char *mountinfo)
{
	strcpy(made_path + strlen(made_path) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(made_path));
	made_directory("proc/self");
	made_directory("sys/fs/cgroup");
	made_file("proc/self/mountinfo", mountinfo);
}

static inline void made_remove(void)
{
	char command[sizeof(made_path) + 16];

	snprintf(command, sizeof(command), "rm -r '%s'", made_path);
	ck_assert_int_eq(system(command), 0);
}
