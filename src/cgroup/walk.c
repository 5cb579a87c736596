/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a cgroup down to every one below it, and the processes in each, by path: nothing is kept of
 * what is met. Holds one descriptor at a time, however deep and wide the tree is. Knows no
 * containers.
 */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "clock.h"

/* Directories yet to be visited. */
struct walk {
	const struct cgroup_hierarchy *hierarchy;
	const struct cgroup_walk_limits *limits;
	cgroup_visit visit;
	void *data;
	char **paths; /* below the hierarchy's dirfd */
	size_t n, capacity;
	size_t met;   /* all that were ever put there */
	int left_out; /* why something was; 0 */
};

static void leave_out(struct walk *w, int why)
{
	if (w->left_out == 0)
		w->left_out = why;
}

/* Takes the path. */
static void push(struct walk *w, char *path)
{
	if (w->n == w->capacity) {
		size_t capacity = w->capacity ? w->capacity * 2 : 16;
		char **paths = realloc(w->paths, capacity * sizeof(*paths));

		if (!paths) {
			free(path);
			leave_out(w, -ENOMEM);
			return;
		}
		w->paths = paths;
		w->capacity = capacity;
	}
	w->paths[w->n++] = path;
	w->met++;
}

/* How deep in the hierarchy "." (the mount point), "./a" and "a" are. */
static unsigned depth_of(const struct walk *w, const char *below)
{
	const bool from_top = below[0] == '.' && (below[1] == '\0' || below[1] == '/');

	return cgroup_path_depth(w->hierarchy->mount_root) + cgroup_path_depth(below) + !from_top;
}

/* One that is deeper than any container is found is neither met nor left out. False: enough. */
static bool push_child(struct walk *w, const char *parent, const char *name)
{
	char *path;

	if (depth_of(w, parent) >= CGROUP_DEPTH_MAX)
		return false;
	if (w->met >= w->limits->directories) {
		leave_out(w, -E2BIG);
		return false;
	}
	if (asprintf(&path, "%s/%s", parent, name) < 0)
		leave_out(w, -ENOMEM);
	else
		push(w, path);
	return true;
}

static void push_children(struct walk *w, const char *path, int fd)
{
	autodir *dir = open_dir_at(fd, ".");
	const struct dirent *entry;
	bool more = true;

	if (!dir)
		leave_out(w, -errno);
	while (dir && more && (errno = 0, (entry = readdir(dir))))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0)
			more = push_child(w, path, entry->d_name);
	if (dir && more && errno)
		leave_out(w, -errno);
}

static bool is_late(const struct walk *w)
{
	return w->limits->deadline_ns && clock_thread_ns() > w->limits->deadline_ns;
}

/* One that is not there any more is not left out, nor one whose path is too long for any container
 * to be found there. */
static int visit_unopened(struct walk *w, const char *path)
{
	struct stat st;

	if (errno == ENOENT || errno == ENAMETOOLONG)
		return 0;
	if (errno != EACCES || fstatat(w->hierarchy->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		leave_out(w, -errno);
		return 0;
	}
	return w->visit(-1, st.st_ino, w->data);
}

static int visit_one(struct walk *w, const char *path)
{
	autoclose int fd =
		openat(w->hierarchy->dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return visit_unopened(w, path);
	r = w->visit(fd, st.st_ino, w->data);
	/* Cgroup file systems count a directory's subdirectories as links, and most have none. */
	if (r == 0 && st.st_nlink != 2)
		push_children(w, path, fd);
	return r;
}

int cgroup_walk(const struct cgroup_hierarchy *h, const char *path,
	const struct cgroup_walk_limits *limits, cgroup_visit visit, void *data)
{
	struct walk w = { .hierarchy = h, .limits = limits, .visit = visit, .data = data };
	const char *below = cgroup_path_below(h, path);
	char *top = below ? strdup(below) : NULL;
	int r = 0;

	if (!top)
		return below ? -ENOMEM : -ENOENT;
	push(&w, top);
	while (w.n > 0) {
		autofree char *next = w.paths[--w.n];

		if (r == 0 && is_late(&w))
			r = -ETIME;
		if (r == 0)
			r = visit_one(&w, next);
	}
	free(w.paths);
	return r < 0 ? r : w.left_out;
}

/* A number that may go on in the next piece of text. */
struct digits {
	uint64_t value;
	bool any;
};

/* False: `each` has had enough. */
static bool scan(const char *s, size_t n, struct digits *d, cgroup_each_pid each, void *data)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] >= '0' && s[i] <= '9') {
			d->value = min_u64(d->value * 10 + (uint64_t)(s[i] - '0'), UINT32_MAX);
			d->any = true;
			continue;
		}
		/* 0: in a pid namespace that the daemon does not see. */
		if (d->any && d->value > 0 && d->value <= INT32_MAX && !each((pid_t)d->value, data))
			return false;
		*d = (struct digits){ 0 };
	}
	return true;
}

int cgroup_pids(int dirfd, bool threads, cgroup_each_pid each, void *data)
{
	autoclose int fd =
		openat(dirfd, threads ? "cgroup.threads" : "cgroup.procs", O_RDONLY | O_CLOEXEC);
	struct digits digits = { 0 };
	char piece[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!scan(piece, (size_t)n, &digits, each, data))
			break;
	}
	return 0;
}

int cgroup_usage_at(const struct cgroup_hierarchy *h, const char *path, uint64_t *ret)
{
	const char *below = cgroup_path_below(h, path);
	autofree char *name = NULL;
	autotext t = { 0 };
	struct slice rest, line;
	int r;

	if (!below)
		return -ENOENT;
	if (asprintf(&name, "%s/%s", below, h->unified ? "cpu.stat" : "cpuacct.usage") < 0) {
		name = NULL;
		return -ENOMEM;
	}
	r = read_file_at(h->dirfd, name, &t);
	if (r < 0)
		return r;
	rest = slice_of(&t);
	if (h->unified)
		return parse_key(rest, "usage_usec", ret) ? 0 : -ENOENT;
	return slice_line(&rest, &line) && slice_u64(line, ret) ? 0 : -EBADMSG;
}
