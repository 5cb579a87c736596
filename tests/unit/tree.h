/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A captured machine for unit tests: a directory of its own with proc/ and sys/, and the fixtures
 * of the source tree.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "root.h"

struct tree {
	char path[64];
	struct root root;
};

/* Makes the directories above the last part of `path` below the tree. */
static inline void tree_mkdirs(const struct tree *t, const char *path)
{
	char part[512];

	for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		ck_assert(mkdirat(t->root.top, part, 0755) == 0 || errno == EEXIST);
	}
}

static inline void tree_new(struct tree *t)
{
	snprintf(t->path, sizeof(t->path), "/tmp/lxcfs-unit-XXXXXX");
	t->root = ROOT_NONE;
	ck_assert_ptr_nonnull(mkdtemp(t->path));
	t->root.top = open(t->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	tree_mkdirs(t, "proc/");
	tree_mkdirs(t, "sys/");
	root_close(&t->root);
	ck_assert_int_eq(root_open(t->path, &t->root), 0);
}

static inline int tree_remove_one(
	const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static inline void tree_free(struct tree *t)
{
	root_close(&t->root);
	nftw(t->path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* (Over)writes a file in place, so that who has it open sees the new bytes. */
static inline void tree_write_bytes(
	const struct tree *t, const char *path, const void *bytes, size_t n)
{
	int fd;

	tree_mkdirs(t, path);
	fd = openat(t->root.top, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static inline void tree_write(const struct tree *t, const char *path, const char *s)
{
	tree_write_bytes(t, path, s, strlen(s));
}

/* The bytes of a file below tests/. */
static inline void fixture_read(const char *path, struct text *t)
{
	int dir = open(TESTS_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(dir, 0);
	ck_assert_msg(read_file_at(dir, path, t) == 0, "cannot read %s", path);
	close(dir);
}
