/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Binds the files into a container that does not run yet. What lies below its root is the image's,
 * and may be hostile: it is only looked up below an open directory, without following a link, and
 * only the kernel's own file systems are bound over.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "cleanup.h"
#include "runtime.h"

/* The container's, each -1 where it has none that is the kernel's. */
struct target {
	int proc, sys;
};

static int open_below(int dir, const char *path, uint64_t more)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | more,
	};
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* The optional fields stand before the hyphen, behind paths that an image may have made long. */
bool oci_mount_is_shared(struct slice mountinfo, uint64_t id)
{
	struct slice line, word;
	uint64_t its;

	while (slice_line(&mountinfo, &line)) {
		if (!slice_next_u64(&line, &its) || its != id)
			continue;
		while (slice_word(&line, &word))
			if (slice_starts(word, "shared:") || slice_equal(word, "-"))
				return !slice_equal(word, "-");
	}
	return true;
}

/* -EPERM in a shared mount, for what is mounted there turns up wherever else it is mounted, on the
 * host too; another -errno where that cannot be told. */
static int check_private(int fd)
{
	autotext info = { 0 }, mounts = { 0 };
	char path[32];
	uint64_t id;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	r = read_file_at(AT_FDCWD, path, &info);
	if (r < 0)
		return r;
	if (!parse_key(slice_of(&info), "mnt_id", &id))
		return -EBADMSG;
	r = read_file_at(AT_FDCWD, "/proc/self/mountinfo", &mounts);
	if (r < 0)
		return r;
	return oci_mount_is_shared(slice_of(&mounts), id) ? -EPERM : 0;
}

/* The container's directory `name`, when a file system of that type is mounted there. */
static int open_top(int rootfs, const char *name, long magic)
{
	autoclose int fd = open_below(rootfs, name, 0);
	struct statfs fs;
	int r;

	if (fd < 0) {
		fprintf(stderr, "lxcfs: the container's /%s: %s: its files stay the kernel's\n",
			name, strerror(-fd));
		return -1;
	}
	if (fstatfs(fd, &fs) < 0 || fs.f_type != magic) {
		fprintf(stderr,
			"lxcfs: the container's /%s is not the kernel's: nothing is bound there\n",
			name);
		return -1;
	}
	r = check_private(fd);
	if (r == -EPERM)
		fprintf(stderr,
			"lxcfs: the container's /%s is shared with other mount namespaces: nothing "
			"is bound there; mount it private\n",
			name);
	else if (r < 0)
		fprintf(stderr, "lxcfs: the container's /%s: %s: its files stay the kernel's\n",
			name, strerror(-r));
	if (r < 0)
		return -1;
	return steal_fd(&fd);
}

/* A mount of its own, in no peer group: what a runtime mounts on it later (masked paths) stays
 * here. */
static int clone_mount(int dir, const char *path)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };
	autoclose int fd = open_tree(
		dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (unsigned)AT_SYMLINK_NOFOLLOW);

	if (fd < 0)
		return -errno;
	/* Linux 5.12; before that the runtime's own choice for its mounts stays. */
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 && errno != ENOSYS)
		return -errno;
	return steal_fd(&fd);
}

static bool same_kind(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && S_ISDIR(x.st_mode) == S_ISDIR(y.st_mode) &&
		(S_ISDIR(x.st_mode) || (S_ISREG(x.st_mode) && S_ISREG(y.st_mode)));
}

static int bind_at(int from, const char *path, int target)
{
	autoclose int tree = clone_mount(from, path);

	if (tree == -ENOENT)
		return 0;
	if (tree < 0)
		return tree;
	if (!same_kind(target, tree))
		return -ENOTDIR;
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/* 0 also where there is nothing to bind, or nothing to bind it over. */
static int bind_one(const struct target *to, int from, const struct view *v)
{
	const char *below = strchr(v->path, '/') + 1;
	int top = strncmp(v->path, "proc/", 5) == 0 ? to->proc : to->sys;
	autoclose int target = -1;

	if (top < 0)
		return 0;
	/* Across no mount: who mounted something there, a user with -v or the runtime to mask it,
	 * meant that. */
	target = open_below(top, below, RESOLVE_NO_XDEV);
	if (target == -ENOENT || target == -EXDEV)
		return 0;
	return target < 0 ? target : bind_at(from, v->path, target);
}

/* DIR/tree, when we are mounted there. */
static int open_source(const char *dir, const char *tree)
{
	autoclose int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct statfs fs;

	if (top < 0)
		return -errno;
	if (fstatfs(top, &fs) < 0)
		return -errno;
	if (fs.f_type != FUSE_SUPER_MAGIC)
		return -ENODEV;
	if (!*tree)
		return steal_fd(&top);
	fd = openat(top, tree, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : steal_fd(&fd);
}

void oci_bind_all(int rootfs, const char *dir, const char *tree)
{
	autoclose int from = open_source(dir, tree), proc = -1, sys = -1;
	struct target to;

	if (from < 0) {
		fprintf(stderr,
			"lxcfs: nothing is served at %s (%s): the container sees the machine; "
			"start lxcfs there\n",
			dir, strerror(-from));
		return;
	}
	proc = open_top(rootfs, "proc", PROC_SUPER_MAGIC);
	sys = open_top(rootfs, "sys", SYSFS_MAGIC);
	to = (struct target){ proc, sys };
	for (size_t i = 0; i < view_count; i++) {
		const struct view *v = &view_registry[i];
		int r = runtime_binds(v) ? bind_one(&to, from, v) : 0;

		if (r < 0)
			fprintf(stderr,
				"lxcfs: cannot bind over the container's /%s: %s: it stays the "
				"kernel's\n",
				v->path, strerror(-r));
	}
}

/* Where the directory is a mount already, or cannot be asked, it is somebody else's. */
static bool is_mount(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0 ||
		!(st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ||
		st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

void oci_bind_dir(int rootfs, const char *dir)
{
	autoclose int target = open_below(rootfs, dir + strspn(dir, "/"), 0);
	int r = target;

	if (target == -ENOENT || (target >= 0 && is_mount(target)))
		return;
	if (r >= 0)
		r = check_private(target);
	if (r >= 0)
		r = bind_at(AT_FDCWD, dir, target);
	if (r < 0)
		fprintf(stderr,
			"lxcfs: cannot bind %s in the container: %s: containers inside it see the "
			"machine\n",
			dir, strerror(-r));
}
