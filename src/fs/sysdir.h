/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory of the CPUs in sysfs as it is passed through: which names there are, what they are
 * and where links lead. Only listings know who asks (they get the CPUs to show); everything else
 * is the same for every caller, who all share one tree of names in the kernel.
 */
#pragma once

#include <sys/stat.h>

#include "cpumask.h"
#include "root.h"
#include "text.h"
#include "tree.h"

/* fstatat(2) of a path of the registry, through the open directory it lies in: the daemon must not
 * meet its own mount, should an admin have bound our files over the host's. -ENOENT for the root.
 */
int sysdir_host_stat(const struct root *root, const char *path, struct stat *ret);

/* The number of `name` in a passed-through directory, and what the host says of it. -ENOENT for
 * what is not there or not served. */
int sysdir_lookup(struct tree *t, const struct root *root, const struct node *dir,
	struct slice name, uint64_t *ret_number, struct stat *ret_stat);

/* What the host says of a node's own path. -ESTALE when it is no longer what it was. */
int sysdir_stat(const struct root *root, const struct node *node, struct stat *ret);

/* Where a symbolic link leads, as a string. -EINVAL for what is none. */
int sysdir_readlink(const struct root *root, const struct node *node, char *ret, size_t size);

/* Appends entries (listing.h) for the host's names in `dir`, but for those of the registry. `show`:
 * the CPUs to list, NULL for all. 0 or -errno, the text then not being usable. */
int sysdir_list(struct tree *t, const struct root *root, const struct node *dir,
	const struct cpumask *show, struct text *ret);
