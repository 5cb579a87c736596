/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine's cgroups: the daemon's own mountinfo, cgroup.controllers, and the files that a walk
 * reads (cgroup.procs, cpu.stat) say anything. An input begins with the file's name and a newline,
 * then a byte that chooses the machine; the rest is the file's text.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cgroup.h"
#include "fuzz.h"
#include "machine.h"
#include "mounts.h"

static void check_layout(const struct cgroup_layout *l)
{
	unsigned available = 0;

	FUZZ_ASSERT(l->n <= CGROUP_HIERARCHIES && l->unified >= -1 && l->unified < (int)l->n);
	FUZZ_ASSERT(l->unified < 0 || l->hierarchy[l->unified].unified);
	for (size_t i = 0; i < l->n; i++) {
		const struct cgroup_hierarchy *h = &l->hierarchy[i];

		FUZZ_ASSERT(h->name && h->mount_root && h->dirfd >= 0);
		FUZZ_ASSERT(!h->unified || !h->name[0]);
		for (size_t k = 0; k < i; k++)
			FUZZ_ASSERT(l->hierarchy[k].dev != h->dev);
	}
	for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
		const int serves = l->serves[c];

		FUZZ_ASSERT(serves >= -1 && serves < (int)l->n);
		if (serves < 0)
			continue;
		FUZZ_ASSERT(l->hierarchy[serves].controllers & CGROUP_BIT(c));
		available |= CGROUP_BIT(c);
		/* v1 takes a controller away from v2. */
		for (size_t i = 0; i < l->n; i++)
			FUZZ_ASSERT(!l->hierarchy[serves].unified || l->hierarchy[i].unified ||
				!(l->hierarchy[i].controllers & CGROUP_BIT(c)));
	}
	FUZZ_ASSERT(l->available == available);
}

static bool is_cgroup(const struct mount *m)
{
	return m->visible && (slice_equal(m->type, "cgroup") || slice_equal(m->type, "cgroup2"));
}

static bool can_be_opened(const struct root *root, const struct mount *m)
{
	char point[PATH_MAX];
	autoclose int fd = -1;

	if (parse_unescape(m->point, point, sizeof(point)))
		fd = openat(
			root->top, point[1] ? point + 1 : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0;
}

/* Whether it is what that mount shows of its hierarchy. */
static bool is_seen_at(const struct cgroup_hierarchy *h, const struct mount *m)
{
	char root[PATH_MAX];

	return is_cgroup(m) && h->dev == makedev((unsigned)m->major, (unsigned)m->minor) &&
		parse_unescape(m->root, root, sizeof(root)) && strcmp(root, h->mount_root) == 0;
}

/* Each mount's hierarchy is there, with what some mount of it shows. */
static void check_mounts(
	const struct cgroup_layout *l, const struct root *root, const struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->n && l->n < CGROUP_HIERARCHIES; i++) {
		const struct mount *m = &mounts->list[i];

		FUZZ_ASSERT(!is_cgroup(m) || !can_be_opened(root, m) ||
			cgroup_hierarchy_of_dev(
				l, makedev((unsigned)m->major, (unsigned)m->minor)));
	}
	for (size_t i = 0; i < l->n; i++) {
		bool seen = false;

		for (size_t k = 0; k < mounts->n; k++)
			seen = seen || is_seen_at(&l->hierarchy[i], &mounts->list[k]);
		FUZZ_ASSERT(seen);
	}
}

/* One line for people, whatever a mount is called. */
static void check_words(const struct cgroup_layout *l)
{
	autotext t = { 0 };

	cgroup_layout_describe(l, &t);
	FUZZ_ASSERT(text_error(&t) == 0 && t.len > 0 && !memchr(t.data, '\n', t.len));
}

/* What a process says of itself finds no hierarchy but by its name. */
static void check_paths(const struct cgroup_layout *l, const struct machine *m)
{
	struct cgroup_paths paths;

	FUZZ_ASSERT(cgroup_paths_parse(l, machine_cgroups(m), &paths) == 0);
	for (size_t i = 0; i < CGROUP_HIERARCHIES; i++)
		FUZZ_ASSERT(
			!paths.path[i] || (i < l->n && strcmp(paths.path[i], MACHINE_CGROUP) == 0));
	cgroup_paths_free(&paths);
}

static bool each_pid(pid_t pid, void *data)
{
	unsigned *n = data;

	FUZZ_ASSERT(pid > 0);
	return ++*n < 100;
}

static int visit(int dirfd, ino_t ino, void *data)
{
	unsigned *n = data;

	(void)ino;
	*n = 0;
	cgroup_pids(dirfd, false, each_pid, n);
	FUZZ_ASSERT(*n <= 100);
	return 0;
}

static void walk(const struct cgroup_layout *l)
{
	const struct cgroup_walk_limits limits = { .directories = 16 };
	unsigned n = 0;

	for (size_t i = 0; i < l->n; i++) {
		uint64_t usage;

		cgroup_walk(&l->hierarchy[i], MACHINE_CGROUP, &limits, visit, &n);
		cgroup_usage_at(&l->hierarchy[i], MACHINE_CGROUP, &usage);
	}
}

static void look(const struct machine *m)
{
	struct cgroup_layout *l;
	struct mounts mounts;
	autotext text = { 0 };

	if (cgroup_layout_new(machine_root(m), &l) < 0)
		return;
	check_layout(l);
	FUZZ_ASSERT(read_file_at(machine_root(m)->proc, "self/mountinfo", &text) == 0 &&
		mounts_parse(slice_of(&text), NULL, &mounts) == 0);
	check_mounts(l, machine_root(m), &mounts);
	mounts_free(&mounts);
	check_words(l);
	check_paths(l, m);
	walk(l);
	cgroup_layout_free(l);
}

static bool holds(struct slice s, const char *part)
{
	return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

/* A mount point that leads out of the machine's tree, by itself or through a process's root. */
static bool leads_out(struct slice text)
{
	struct mounts mounts;
	bool out = false;

	if (mounts_parse(text, NULL, &mounts) < 0)
		return true;
	for (size_t i = 0; i < mounts.n; i++)
		out = out || holds(mounts.list[i].point, "..") ||
			holds(mounts.list[i].point, "\\") || holds(mounts.list[i].point, "/root");
	mounts_free(&mounts);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size }, name;
	struct machine *m;
	size_t file;

	if (!slice_line(&rest, &name) || rest.n == 0)
		return 0;
	m = machine_get((uint8_t)rest.p[0] % MACHINES);
	rest = (struct slice){ rest.p + 1, rest.n - 1 };
	file = machine_find(m, name);
	if (file == machine_files(m) || leads_out(rest))
		return 0;
	machine_replace(m, file, rest.p, rest.n);
	look(m);
	machine_restore(m, file);
	return 0;
}
