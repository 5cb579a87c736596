/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The smallest container there is, for programs that need many quickly: a child cgroup in each
 * given directory, and a process that is PID 1 of a namespace of its own in them. Must not know
 * what it is read for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What they have in common. */
struct smallct_config {
	const char *name; /* of the cgroups, before their number */
	char **dirs;      /* where a cgroup is made for each; NULL-terminated; memory's first */
	const char *limit_file; /* of the memory controller, in bytes; NULL: no limit */
};

/* "DIR/name42/file" or, with `file` NULL, "DIR/name42". */
void smallct_path(const struct smallct_config *c, char *path, size_t size, const char *dir, long id,
	const char *file);

/* Makes the cgroups. False with errno, and `path` is what could not be made or written. */
bool smallct_make(const struct smallct_config *c, long id, long limit_kb, char *path, size_t size);
/* Waits for processes that were reaped a moment ago. */
void smallct_remove(const struct smallct_config *c, long id);

/* As fork(2), the child being init of a pid namespace of its own. */
pid_t smallct_fork(void);
/* The calling process, into all its cgroups. As smallct_make(). */
bool smallct_join(const struct smallct_config *c, long id, char *path, size_t size);
