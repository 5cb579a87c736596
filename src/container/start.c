/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When a container without an init of its own started (SPEC 7): the oldest process in its cgroup at
 * first sight, kept with its accounts and never moved. The one place here that looks into a cgroup.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "account.h"
#include "cleanup.h"
#include "root.h"

#define DIRS_MAX 256u
#define LOOK_NS (20 * NS_PER_MS)

int start_hierarchy(const struct cgroup_layout *layout, dev_t dev)
{
	for (size_t i = 0; i < layout->n; i++)
		if (layout->hierarchy[i].dev == dev)
			return (int)i;
	return -1;
}

const char *start_below_mount(const struct cgroup_hierarchy *h, const char *path)
{
	if (!path || !cgroup_path_within(path, h->mount_root))
		return NULL;
	if (strcmp(h->mount_root, "/") != 0)
		path += strlen(h->mount_root);
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

/* The search for the oldest process: cgroups yet to look into, and what was found. */
struct search {
	const struct root *root;
	uint64_t deadline_ns;
	int dirs[DIRS_MAX]; /* descriptors; a handful, but for containers with nested cgroups */
	unsigned n_dirs;
	uint64_t oldest; /* clock ticks */
};

static bool in_time(const struct search *s)
{
	return clock_monotonic_ns() < s->deadline_ns;
}

static void look_at_processes(struct search *s, int dirfd)
{
	autotext t = { 0 };
	struct slice rest, line;

	/* A threaded cgroup has no cgroup.procs (EOPNOTSUPP): its domain's has its processes. */
	if (read_file_bounded(dirfd, "cgroup.procs", MOUNTINFO_MAX, s->deadline_ns, &t) < 0)
		return;
	rest = slice_of(&t);
	while (in_time(s) && slice_line(&rest, &line)) {
		uint64_t pid, ticks;

		/* 0: in a pid namespace the daemon does not see. */
		if (slice_u64(line, &pid) && pid > 0 && pid <= INT32_MAX &&
			proc_start(s->root, (pid_t)pid, &ticks) == 0)
			s->oldest = min_u64(s->oldest, ticks);
	}
}

static void add_children(struct search *s, int dirfd)
{
	autodir *dir = open_dir_at(dirfd, ".");
	struct dirent *entry;

	if (!dir)
		return;
	while (s->n_dirs < DIRS_MAX && (entry = readdir(dir))) {
		int child;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(dirfd, entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0)
			s->dirs[s->n_dirs++] = child;
	}
}

/* The start of the oldest process in the cgroup and below it; UINT64_MAX when there is none. */
static uint64_t oldest_process(const struct root *root, int dirfd)
{
	struct search s = {
		.root = root, .deadline_ns = clock_monotonic_ns() + LOOK_NS, .oldest = UINT64_MAX
	};

	look_at_processes(&s, dirfd);
	add_children(&s, dirfd);
	while (s.n_dirs > 0) {
		autoclose int fd = s.dirs[--s.n_dirs];

		if (!in_time(&s))
			continue;
		look_at_processes(&s, fd);
		add_children(&s, fd);
	}
	return s.oldest;
}

static uint64_t find_start(
	struct container_cache *c, dev_t dev, const struct cgroup_paths *paths, pid_t fallback)
{
	int h = start_hierarchy(c->config.layout, dev);
	const struct cgroup_hierarchy *hierarchy = h < 0 ? NULL : &c->config.layout->hierarchy[h];
	const char *path = h < 0 ? NULL : start_below_mount(hierarchy, paths->path[h]);
	autoclose int fd =
		path ? openat(hierarchy->dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	uint64_t ticks = UINT64_MAX, own;

	if (fd >= 0)
		ticks = oldest_process(c->config.root, fd);
	if (proc_start(c->config.root, fallback, &own) == 0)
		ticks = min_u64(ticks, own);
	return ticks == UINT64_MAX ? clock_boottime_ns() : proc_ticks_to_ns(ticks);
}

/* What the account remembers, else `found`, which it remembers from then on; 0 without either. */
static uint64_t remember(
	struct account_store *accounts, const struct account_key *key, uint64_t found)
{
	autotext state = { 0 };
	autotext predecessor = { 0 };
	struct account *account;
	bool known;

	if (!accounts || account_begin(accounts, key, &state, &predecessor, &account) < 0)
		return found;
	known = state.len == sizeof(found);
	if (known)
		memcpy(&found, state.data, sizeof(found));
	account_end(account, &found, known || !found ? 0 : sizeof(found));
	return found;
}

uint64_t start_of_cgroup(struct container_cache *c, const struct cgroup_set *set,
	const struct cgroup_paths *paths, pid_t fallback)
{
	struct account_key key = { .kind = ACCOUNT_START };
	uint64_t start;
	dev_t dev;
	ino_t ino;

	if (!cgroup_set_identity(set, &dev, &ino))
		return 0;
	key.cgroup_dev = dev;
	key.cgroup_ino = ino;
	/* An account is locked while it is open, so the search is not made with it. */
	start = remember(c->config.accounts, &key, 0);
	if (start == 0)
		start = remember(c->config.accounts, &key, find_start(c, dev, paths, fallback));
	return start;
}
