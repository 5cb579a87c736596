/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cgroup paths as the kernel tells them of a process: /proc/<pid>/cgroup and the roots of its
 * cgroup mounts. Only text; containers write parts of it, so anything may stand there.
 */
#include "cgroup.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "mounts.h"

#define CGROUP_MOUNT_POINT "/sys/fs/cgroup"
#define INIT_SCOPE "/init.scope"
/* Deeper mount points are not looked at: nobody has them but to keep the daemon busy. */
#define MAX_DEPTH 16

bool cgroup_path_within(const char *path, const char *ancestor)
{
	return mount_path_within(slice_str(path), slice_str(ancestor));
}

bool cgroup_path_goes_up(const char *path)
{
	return strncmp(path, "/..", 3) == 0 && (path[3] == '/' || path[3] == '\0');
}

unsigned cgroup_path_depth(const char *path)
{
	unsigned depth = 0;

	for (; *path; path++)
		depth += path[0] == '/' && path[1] != '/' && path[1] != '\0';
	return depth;
}

const char *cgroup_path_below(const struct cgroup_hierarchy *h, const char *path)
{
	if (!path || !cgroup_path_within(path, h->mount_root))
		return NULL;
	if (strcmp(h->mount_root, "/") != 0)
		path += strlen(h->mount_root);
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

const struct cgroup_hierarchy *cgroup_hierarchy_of_dev(const struct cgroup_layout *l, dev_t dev)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->hierarchy[i].dev == dev)
			return &l->hierarchy[i];
	return NULL;
}

void cgroup_path_strip_init_scope(char *path)
{
	size_t n = strlen(path);

	if (!slice_ends(slice_str(path), INIT_SCOPE))
		return;
	n -= strlen(INIT_SCOPE);
	path[n ? n : 1] = '\0';
}

void cgroup_paths_free(struct cgroup_paths *paths)
{
	for (size_t i = 0; i < CGROUP_HIERARCHIES; i++)
		free(paths->path[i]);
	*paths = (struct cgroup_paths){ 0 };
}

static bool has_word(struct slice words, struct slice wanted)
{
	struct slice word;

	while (slice_cut(&words, ',', &word))
		if (slice_same(word, wanted))
			return true;
	return false;
}

/* Whether every word of `some` is one of `words`. */
static bool has_words(struct slice words, struct slice some)
{
	struct slice word;

	while (slice_cut(&some, ',', &word))
		if (!has_word(words, word))
			return false;
	return true;
}

/* The hierarchy with exactly these controllers; "" is the unified one. -1: not mounted. */
static int find_hierarchy(const struct cgroup_layout *l, struct slice name)
{
	if (name.n == 0)
		return l->unified;
	for (size_t i = 0; i < l->n; i++) {
		struct slice own = slice_str(l->hierarchy[i].name);

		if (!l->hierarchy[i].unified && has_words(own, name) && has_words(name, own))
			return (int)i;
	}
	return -1;
}

/* Replaces what was there before. */
static int set_path(struct cgroup_paths *paths, int hierarchy, struct slice path)
{
	char *copy = strndup(path.p, path.n);

	if (!copy)
		return -ENOMEM;
	free(paths->path[hierarchy]);
	paths->path[hierarchy] = copy;
	return 0;
}

int cgroup_paths_parse(const struct cgroup_layout *l, struct slice text, struct cgroup_paths *ret)
{
	struct cgroup_paths paths = { 0 };
	struct slice line, id, name;
	int hierarchy, r = 0;

	while (r == 0 && slice_line(&text, &line)) {
		if (!slice_cut(&line, ':', &id) || !slice_cut(&line, ':', &name) ||
			!slice_starts(line, "/"))
			continue;
		hierarchy = find_hierarchy(l, name);
		if (hierarchy >= 0)
			r = set_path(&paths, hierarchy, line);
	}
	if (r < 0)
		cgroup_paths_free(&paths);
	else
		*ret = paths;
	return r;
}

/* Mounts at or below /sys/fs/cgroup, and what lies on the way there and may hide them. */
static bool is_wanted(struct slice point)
{
	size_t depth = 0;

	for (size_t i = 0; i < point.n; i++)
		depth += point.p[i] == '/';
	return depth <= MAX_DEPTH &&
		(mount_path_within(point, slice_str(CGROUP_MOUNT_POINT)) ||
			mount_path_within(slice_str(CGROUP_MOUNT_POINT), point));
}

/* The hierarchy that a mount shows; -1: not a cgroup mount at or below /sys/fs/cgroup, or one that
 * the daemon does not have. */
static int mounted_hierarchy(const struct cgroup_layout *l, const struct mount *m)
{
	if (!m->visible || !mount_path_within(m->point, slice_str(CGROUP_MOUNT_POINT)))
		return -1;
	if (slice_equal(m->type, "cgroup2"))
		return l->unified;
	if (!slice_equal(m->type, "cgroup"))
		return -1;
	/* The super block's options hold more words than its controllers. */
	for (size_t i = 0; i < l->n; i++)
		if (!l->hierarchy[i].unified && l->hierarchy[i].name[0] &&
			has_words(m->options, slice_str(l->hierarchy[i].name)))
			return (int)i;
	return -1;
}

static int set_mount_root(struct cgroup_paths *paths, int hierarchy, struct slice root)
{
	autofree char *plain = malloc(root.n + 1);

	if (!plain)
		return -ENOMEM;
	if (!parse_unescape(root, plain, root.n + 1) || plain[0] != '/')
		return 0;
	return set_path(paths, hierarchy, slice_str(plain));
}

int cgroup_mount_roots_parse(
	const struct cgroup_layout *l, struct slice mountinfo, struct cgroup_paths *ret)
{
	struct slice points[CGROUP_HIERARCHIES] = { 0 };
	struct cgroup_paths roots = { 0 };
	struct mounts mounts;
	int r = mounts_parse(mountinfo, is_wanted, &mounts);

	if (r < 0)
		return r;
	for (size_t i = 0; i < mounts.n && r == 0; i++) {
		const struct mount *m = &mounts.list[i];
		int hierarchy = mounted_hierarchy(l, m);

		/* Of several mount points the highest is the container's view of the hierarchy,
		 * one below it a part that was bound once more (LXC's cgroup:mixed). */
		if (hierarchy < 0 || (points[hierarchy].n && points[hierarchy].n <= m->point.n))
			continue;
		points[hierarchy] = m->point;
		r = set_mount_root(&roots, hierarchy, m->root);
	}
	mounts_free(&mounts);
	if (r < 0)
		cgroup_paths_free(&roots);
	else
		*ret = roots;
	return r;
}
