/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker's own mount namespace: /proc, /sys and the cgroup hierarchies, read-only, and nothing
 * else. A plain copy of the host's mounts would keep the host from unmounting its disks, and DIR's
 * connection from ending.
 *
 * /proc and /sys come without what is mounted below them: whoever binds our files over the host's
 * own shall not make us read ourselves. Only what is below /sys/fs/cgroup is the host's as it is,
 * also later.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "log.h"
#include "mounts.h"
#include "root.h"

#define CGROUP_TOP "/sys/fs/cgroup"
#define READ_ONLY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define CARRIED_MAX 40u

/* Copies of mounts, taken from the host's tree and not in any tree yet. */
struct carried {
	struct {
		int fd;
		char *point;
	} list[CARRIED_MAX];
	size_t n;
};

static void carried_free(struct carried *c)
{
	for (size_t i = 0; i < c->n; i++) {
		cleanup_close(&c->list[i].fd);
		free(c->list[i].point);
	}
}

static int make_read_only(int fd, unsigned flags, uint64_t propagation)
{
	struct mount_attr attr = { .attr_set = READ_ONLY, .propagation = propagation };

	return mount_setattr(fd, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static int take(struct carried *c, const char *point, unsigned flags, uint64_t propagation)
{
	autofree char *copy = strdup(point);
	autoclose int fd = -1;
	int r;

	if (!copy)
		return -ENOMEM;
	if (c->n == CARRIED_MAX)
		return -ENOSPC;
	fd = open_tree(AT_FDCWD, point, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	r = fd < 0 ? -errno : make_read_only(fd, flags, propagation);
	if (r < 0)
		return r;
	c->list[c->n].fd = steal_fd(&fd);
	c->list[c->n++].point = steal_ptr(&copy);
	return 0;
}

/* In a user namespace of its own the daemon may not uncover what is covered. */
static int take_bare(struct carried *c, const char *point)
{
	int r = take(c, point, 0, MS_PRIVATE);

	return r == -EINVAL ? take(c, point, AT_RECURSIVE, MS_PRIVATE) : r;
}

static bool is_elsewhere(const struct mount *m)
{
	return m->visible && (slice_equal(m->type, "cgroup") || slice_equal(m->type, "cgroup2")) &&
		!mount_path_within(m->point, slice_str("/sys")) &&
		!mount_path_within(m->point, slice_str("/proc"));
}

/* Hierarchies that are mounted where nobody would look for them. */
static int take_elsewhere(struct carried *c)
{
	autotext text = { 0 };
	struct mounts mounts;
	int r = read_file_at(AT_FDCWD, "/proc/self/mountinfo", &text);

	if (r == 0)
		r = mounts_parse(slice_of(&text), NULL, &mounts);
	if (r != 0)
		return r;
	for (size_t i = 0; i < mounts.n && !is_shortage(r) && r != -ENOSPC; i++) {
		const struct slice point = mounts.list[i].point;
		autofree char *path = malloc(point.n + 1);

		if (!path)
			r = -ENOMEM;
		else if (is_elsewhere(&mounts.list[i]) && parse_unescape(point, path, point.n + 1))
			r = take(c, path, 0, MS_SLAVE);
	}
	mounts_free(&mounts);
	return is_shortage(r) || r == -ENOSPC ? r : 0;
}

static int take_all(struct carried *c)
{
	int r = take_bare(c, "/proc");

	if (r == 0)
		r = take_bare(c, "/sys");
	if (r == 0)
		r = take(c, CGROUP_TOP, AT_RECURSIVE, MS_SLAVE);
	/* -EINVAL: it is a directory of /sys, and no mount point. */
	return r == 0 || r == -ENOENT || r == -EINVAL ? take_elsewhere(c) : r;
}

/* Puts one at its place below the working directory. */
static int put(int fd, const char *point)
{
	autofree char *path = strdup(point + 1);

	if (!path)
		return -ENOMEM;
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST && errno != EROFS)
		return -errno;
	return move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* The new root lies over /proc until it is the root, since that place is there everywhere. */
static int change_root(const struct carried *c)
{
	struct mount_attr attr = { .attr_set = READ_ONLY };

	if (mount("lxcfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    "size=64k,mode=755") < 0 ||
		chdir("/proc") < 0)
		return -errno;
	for (size_t i = 0; i < c->n; i++) {
		int r = put(c->list[i].fd, c->list[i].point);

		if (r < 0)
			return r;
	}
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static int fill_namespace(void)
{
	struct carried c = { .n = 0 };
	int r = 0;

	/* What is done here must not reach the host. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -errno;
	r = take_all(&c);
	if (r == 0)
		r = change_root(&c);
	carried_free(&c);
	return r;
}

int sandbox_own_mounts(void)
{
	autoclose int before = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int r;

	if (before < 0 || unshare(CLONE_NEWNS) < 0)
		return -errno;
	r = fill_namespace();
	if (r < 0 && setns(before, CLONE_NEWNS) < 0)
		log_limited("mount namespace",
			"cannot leave a mount namespace that could not be filled: %m");
	return r;
}
