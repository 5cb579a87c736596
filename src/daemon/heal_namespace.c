/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replaces the dead binds of one mount namespace. Whoever owns that namespace may move, unmount and
 * replace everything in it meanwhile, so nothing is done to a path: it is looked up once, without
 * symbolic links, and what was found must be the dead mount itself. What lies below a dead bind
 * (the host's file) must not be seen for a moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "connection.h"
#include "heal.h"
#include "mounts.h"
#include "root.h"
#include "sanitized.h"

#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x200 /* Linux 6.5 */
#endif

#define MOUNTINFO_MAX (16u << 20)
#define BINDS_MAX 512u

struct bind {
	const struct mount *mount;
	bool ours; /* not only perhaps */
	int fresh; /* a detached mount of the same file of the living connection, or -errno */
};

struct work {
	const struct heal_source *source;
	struct mounts mounts; /* of the namespace, as seen from its root */
	bool own;             /* the namespace is the source's */
	int self_fds;         /* our own /proc/self/fd: the working directory */
	int root;             /* the namespace's */
	struct bind binds[BINDS_MAX];
	size_t n;
	struct heal_shared *shared;
	unsigned job;
	dev_t asked; /* the last connection that was asked whether it is dead */
	bool asked_is_dead;
	uint32_t healed;
	int failed; /* the first -errno */
};

static int open_below(int dirfd, const char *path, uint64_t resolve)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = resolve | RESOLVE_NO_SYMLINKS };
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* What was found is this very mount's root. No daemon is asked. */
static bool is_mount(int fd, const struct mount *m)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &st) ==
		0 &&
		(st.stx_attributes & STATX_ATTR_MOUNT_ROOT) && st.stx_mnt_id == m->id &&
		makedev(st.stx_dev_major, st.stx_dev_minor) == heal_device_of(m);
}

/* --- the living file -------------------------------------------------------------------- */

static const struct {
	const char *word; /* in mountinfo's field 6 */
	uint64_t set, clear;
} flags[] = {
	{ "ro", MOUNT_ATTR_RDONLY, 0 },
	{ "nosuid", MOUNT_ATTR_NOSUID, 0 },
	{ "nodev", MOUNT_ATTR_NODEV, 0 },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0 },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, 0 },
	{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME },
};

/* The bind's own flags on top of those that DIR has. Private: as a peer of DIR's mount, what the
 * container mounts in a directory would come up at the host's. */
static int adapt(int tree, const struct mount *m)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };
	struct slice rest = m->flags, word;
	char name[16];

	while (slice_cut(&rest, ',', &word))
		for (size_t i = 0; i < countof(flags); i++)
			if (slice_equal(word, flags[i].word)) {
				attr.attr_set |= flags[i].set;
				attr.attr_clr |= flags[i].clear;
			}
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
		return 0;
	if (errno != ENOSYS)
		return -errno;
	/* Before Linux 5.12 a detached mount's flags cannot be changed: "ro" is lost, but no file
	 * can be written that the container's root could not write before. */
	snprintf(name, sizeof(name), "%d", tree);
	return mount(NULL, name, NULL, MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

static int make_fresh(int dir, const struct mount *m)
{
	char path[PATH_MAX];
	autoclose int file = -1, tree = -1;
	int r;

	if (!heal_path_of_root(m, path, sizeof(path)))
		return -ENAMETOOLONG;
	file = open_below(dir, path + 1, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
	if (file < 0)
		return file;
	tree = open_tree(file, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return -errno;
	r = adapt(tree, m);
	return r < 0 ? r : steal_fd(&tree);
}

/* --- is it dead? ------------------------------------------------------------------------ */

static bool is_silent(const struct work *w, dev_t dev)
{
	for (unsigned i = 0; i < w->shared->n_silent; i++)
		if (w->shared->silent[i] == dev)
			return true;
	return false;
}

/* The kernel answers for a dead connection. For a living one its daemon does, and only if this
 * process may see that mount at all. */
static bool ask(const struct work *w, dev_t dev, int fd)
{
	struct statx st;
	bool dead;

	atomic_store(&w->shared->asking[w->job], dev);
	dead = statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_TYPE, &st) < 0 &&
		(errno == ENOTCONN || errno == ECONNABORTED);
	atomic_store(&w->shared->asking[w->job], 0);
	return dead;
}

static bool is_dead(struct work *w, dev_t dev, int fd)
{
	if (w->asked != dev) {
		w->asked_is_dead = !is_silent(w, dev) && ask(w, dev, fd);
		w->asked = dev;
	}
	return w->asked_is_dead;
}

/* What is at the mount point, if that is still this mount. */
static int open_mount(const struct work *w, const struct mount *m)
{
	char path[PATH_MAX];
	autoclose int fd = -1;

	if (!parse_unescape(m->point, path, sizeof(path)))
		return -ENAMETOOLONG;
	fd = open_below(w->root, path, RESOLVE_IN_ROOT);
	if (fd < 0)
		return fd;
	return is_mount(fd, m) ? steal_fd(&fd) : -ESTALE;
}

static int open_dead(struct work *w, const struct mount *m)
{
	autoclose int fd = open_mount(w, m);

	if (fd >= 0 && !is_dead(w, heal_device_of(m), fd))
		return -ESTALE;
	return steal_fd(&fd);
}

/* --- replacing -------------------------------------------------------------------------- */

/* Of the mount that `fd` is the root of, whatever is at its path by now: the working directory is
 * our own /proc/self/fd. */
static int unmount(int fd)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	return umount2(name, MNT_DETACH) < 0 ? -errno : 0;
}

static int move_to(int tree, int at, unsigned more)
{
	const unsigned empty = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

	return move_mount(tree, "", at, "", empty | more) < 0 ? -errno : 0;
}

static int empty_directory(void)
{
	autoclose int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
	return fd < 0 ? -errno : fd;
}

static const struct bind *find_bind(const struct work *w, const struct mount *m)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->binds[i].mount == m)
			return &w->binds[i];
	return NULL;
}

/* A container that has unmounted it, moved it or ended needs nothing; one that has put a symbolic
 * link there gets nothing. */
static bool is_gone(int error)
{
	return error == -ESTALE || error == -ENOENT || error == -ENOTDIR || error == -ELOOP;
}

/* Puts a mount (or -errno of its making) on the file `below` (a path) of the living directory. */
static int restore(int directory, struct slice below, int tree)
{
	char path[PATH_MAX];
	autoclose int at = -1;

	if (tree < 0)
		return tree;
	if (!parse_unescape(below, path, sizeof(path)))
		return -ENAMETOOLONG;
	at = open_below(directory, path, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
	return at < 0 ? at : move_to(tree, at, 0);
}

/*
 * What lay on files of a dead directory: binds of ours, and what a runtime hides with an empty
 * tmpfs (thermal_throttle of each CPU). The mounts themselves cannot be reached: a path that goes
 * through a dead directory makes the kernel drop them. 0, or the first -errno: the others are put
 * back nevertheless.
 */
static int restore_mounts_on(const struct work *w, const struct bind *b)
{
	const struct slice above = b->mount->point;
	int first = 0;

	for (size_t i = 0; i < w->mounts.n; i++) {
		const struct mount *m = &w->mounts.list[i];
		const struct bind *nested;
		struct slice below;
		int r = 0;

		if (m->parent != b->mount->id || m->point.n <= above.n + 1 ||
			!mount_path_within(m->point, above))
			continue;
		nested = find_bind(w, m);
		below = (struct slice){ m->point.p + above.n + 1, m->point.n - above.n - 1 };
		if (nested) {
			r = restore(b->fresh, below, nested->fresh);
			if (r == 0)
				r = restore_mounts_on(w, nested);
		} else if (slice_equal(m->type, "tmpfs")) {
			autoclose int empty = empty_directory();

			r = restore(b->fresh, below, empty);
		}
		if (first == 0 && !is_gone(r))
			first = r;
	}
	return first;
}

static const struct mount *mount_below(const struct work *w, const struct mount *m)
{
	for (size_t i = 0; i < w->mounts.n; i++) {
		const struct mount *below = &w->mounts.list[i];

		if (below->id == m->parent && slice_same(below->point, m->point))
			return below;
	}
	return NULL;
}

/* On top of the dead mount; instead of it, where it lies on a dead one itself from an earlier
 * healing, or they would pile up. */
static int put_on_top(const struct work *w, const struct bind *b, int at)
{
	const struct mount *below = mount_below(w, b->mount);
	autoclose int at_below = -1;

	if (below && slice_equal(below->type, HEAL_TYPE) && unmount(at) == 0) {
		at_below = open_mount(w, below);
		if (at_below < 0)
			return at_below;
		at = at_below;
	}
	return move_to(b->fresh, at, 0);
}

/*
 * Where the kernel can, the living mount goes below the dead one, which is then taken away. Else,
 * and where a user namespace locks the dead mount, it goes on top: to take the dead one away first
 * would let a reader see the host's file.
 */
static int replace(const struct work *w, const struct bind *b, int at)
{
	const bool beneath = move_to(b->fresh, at, MOVE_MOUNT_BENEATH) == 0;
	int r = beneath ? 0 : put_on_top(w, b, at), restored;

	if (r < 0)
		return r;
	restored = restore_mounts_on(w, b);
	if (beneath)
		r = unmount(at);
	return restored < 0 ? restored : r;
}

static void heal_bind(struct work *w, const struct bind *b)
{
	autoclose int at = open_dead(w, b->mount);
	int r = at;

	if (at >= 0)
		r = b->fresh < 0 ? b->fresh : replace(w, b, at);
	if (r == 0) {
		atomic_fetch_add(&w->shared->binds, 1);
		atomic_fetch_add(&w->shared->namespaces, w->healed++ == 0);
	} else if (w->failed == 0 && (at >= 0 || !is_gone(r)))
		w->failed = r;
}

/* --- the namespace ---------------------------------------------------------------------- */

/* Capabilities in the namespace's owner are ours too, since that is a descendant of our own user
 * namespace or none of our business. */
static int enter(const struct work *w, int namespace)
{
	/* A sanitizer's thread shares our root and working directory, which setns(2) refuses. */
	if (SANITIZED && unshare(CLONE_FS) < 0)
		return -errno;
	return setns(namespace, CLONE_NEWNS) < 0 || fchdir(w->self_fds) < 0 ? -errno : 0;
}

/* Outer ones first, for they take those on their files with them; and behind those of our DIR the
 * others, whose daemon may be there and not answer. */
static int compare_binds(const void *a, const void *b)
{
	const struct bind *x = a, *y = b;

	if (x->ours != y->ours)
		return x->ours ? -1 : 1;
	return (x->mount->point.n > y->mount->point.n) - (x->mount->point.n < y->mount->point.n);
}

static int find_binds(struct work *w, int process, struct text *text)
{
	int r = read_file_bounded(process, "mountinfo", MOUNTINFO_MAX, 0, text);

	if (r < 0 || !text->len || !memmem(text->data, text->len, HEAL_TYPE, strlen(HEAL_TYPE)))
		return r;
	r = mounts_parse(slice_of(text), NULL, &w->mounts);
	if (r < 0)
		return r;
	for (size_t i = 0; i < w->mounts.n; i++) {
		const struct mount *m = &w->mounts.list[i];
		const enum heal_origin origin = heal_origin_of(w->source, w->own, m);

		if (origin == HEAL_ORIGIN_NOT_OURS)
			continue;
		if (w->n == BINDS_MAX)
			return -EMFILE;
		w->binds[w->n++] = (struct bind){ m, origin == HEAL_ORIGIN_OURS, -1 };
	}
	qsort(w->binds, w->n, sizeof(w->binds[0]), compare_binds);
	return 0;
}

static void make_all_fresh(struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		w->binds[i].fresh = make_fresh(w->source->dir, w->binds[i].mount);
}

static void heal_all(struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		heal_bind(w, &w->binds[i]);
}

/* There and back again: detached mounts can only be made in the namespace of what they are made
 * of, and which must be made is seen from the other one's root. */
static int heal_entered(struct work *w, int namespace, struct text *text)
{
	autoclose int self = openat(w->source->proc, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int found = self < 0 ? -errno : find_binds(w, self, text);
	int r;

	if (w->n == 0)
		return found;
	r = enter(w, w->source->namespace);
	if (r < 0)
		return r;
	make_all_fresh(w);
	r = enter(w, namespace);
	if (r < 0)
		return r;
	w->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->root < 0)
		return -errno;
	heal_all(w);
	return w->failed ? w->failed : found;
}

int heal_namespace(const struct heal_source *source, const struct heal_place *place,
	struct heal_shared *shared, unsigned job)
{
	struct work w = { .source = source, .own = place->own, .shared = shared, .job = job };
	autotext text = { 0 };
	int r, found;

	w.self_fds = openat(source->proc, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.self_fds < 0)
		return -errno;
	r = enter(&w, place->namespace);
	if (r == 0)
		return heal_entered(&w, place->namespace, &text);
	/* That matters only where binds of ours are, if that can be found out. */
	found = find_binds(&w, place->process, &text);
	return w.n > 0 ? r : is_shortage(found) ? found : 0;
}
