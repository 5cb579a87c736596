/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which of the files that a process opens are ours: from the text of its mountinfo alone.
 */
#include "private.h"

#include <stdio.h>
#include <stdlib.h>

#include "mounts.h"

#define TYPE "fuse.lxcfs"

/* A bind's root is the path below DIR. */
static enum inspect_tree tree_of(const struct mount *m)
{
	if (slice_starts(m->root, "/quota/"))
		return INSPECT_TREE_QUOTA;
	return slice_starts(m->root, "/cpuset/") ? INSPECT_TREE_CPUSET : INSPECT_TREE_DEFAULT;
}

/* The mount that a path lies in: the one with the longest mount point. */
static const struct mount *mount_at(const struct mounts *mounts, struct slice path)
{
	const struct mount *found = NULL;

	for (size_t i = 0; i < mounts->n; i++) {
		const struct mount *m = &mounts->list[i];

		if (m->visible && mount_path_within(path, m->point) &&
			(!found || m->point.n > found->point.n))
			found = m;
	}
	return found;
}

static struct inspect_bind look_at(
	const struct mounts *mounts, const struct view *v, const struct inspect_daemon *daemon)
{
	char path[256];
	const struct mount *m;
	bool known = daemon->major || daemon->minor;

	snprintf(path, sizeof(path), "/%s", v->path);
	m = mount_at(mounts, slice_str(path));
	if (!m || !slice_equal(m->type, TYPE))
		return (struct inspect_bind){ .bound = false };
	return (struct inspect_bind){
		.bound = true,
		.stale = known && (m->major != daemon->major || m->minor != daemon->minor),
		.tree = tree_of(m),
	};
}

int inspect_binds(
	struct slice mountinfo, const struct inspect_daemon *daemon, struct inspect_bind *ret)
{
	struct mounts mounts;
	int r = mounts_parse(mountinfo, NULL, &mounts);

	if (r < 0)
		return r;
	for (size_t i = 0; i < view_count; i++)
		ret[i] = look_at(&mounts, &view_registry[i], daemon);
	mounts_free(&mounts);
	return 0;
}
