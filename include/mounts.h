/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lines of a mountinfo, and which of its mounts a path lookup still reaches. Only text: nothing
 * is opened, and what a mount means for cgroups is for others to say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "parse.h"

/* One line (proc_pid_mountinfo(5)). The slices lie in the text that was parsed, escapes as they
 * are. */
struct mount {
	uint64_t id, parent;
	uint64_t major, minor;
	struct slice root;    /* field 4: what of the file system is seen at the mount point */
	struct slice point;   /* field 5 */
	struct slice flags;   /* field 6: of this mount, not of the file system */
	struct slice type;    /* of the file system */
	struct slice options; /* the super block's: v1's controllers are among them */
	bool visible;         /* not hidden by a mount on top of it or on a directory above it */
	bool queued;          /* mounts_parse()'s own */
};

struct mounts {
	struct mount *list; /* in no particular order */
	size_t n;
};

/* Reads all lines whose mount point is `wanted` (NULL: all). A filter must want every directory
 * above a wanted one, or visibility cannot be known. Lines that are none are skipped. 0 or
 * -ENOMEM. */
int mounts_parse(struct slice text, bool (*wanted)(struct slice point), struct mounts *ret);
void mounts_free(struct mounts *m);

/* As cgroup_path_within(), for slices. */
bool mount_path_within(struct slice path, struct slice ancestor);
