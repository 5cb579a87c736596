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
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "clock.h"
#include "connection.h"
#include "heal.h"

#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x200 /* Linux 6.5 */
#endif

#define TYPE "fuse.lxcfs"
#define DELETED "//deleted" /* behind a root whose name was looked up since its daemon died */
#define BINDS_MAX 512u
#define STACKED_MAX 16u

/* Of struct heal_connection; every greater number is the time since when somebody asks. */
#define STATE_DEAD 1u
#define STATE_ALIVE 2u
#define ASKING_LIMIT_NS (300 * NS_PER_MS)

struct bind {
	const struct mount *mount;
	int fresh; /* a detached mount of the same file of the living connection, or -errno */
};

struct work {
	const struct heal_target *target;
	struct heal_shared *shared;
	int root;     /* the process's root directory */
	int self_fds; /* /proc/self/fd of our own /proc */
	struct bind binds[BINDS_MAX];
	size_t n;
	uint32_t healed;
};

static dev_t device_of(const struct mount *m)
{
	return makedev((unsigned)m->major, (unsigned)m->minor);
}

enum origin {
	ORIGIN_UNKNOWN,
	ORIGIN_OURS,
	ORIGIN_OTHER,
};

static enum origin origin_of(const struct heal_target *t, const struct mount *m)
{
	static const char key[] = "max_read=";
	struct slice rest = m->options, word;
	uint64_t n;

	while (slice_cut(&rest, ',', &word)) {
		if (!slice_starts(word, key))
			continue;
		word = (struct slice){ word.p + strlen(key), word.n - strlen(key) };
		if (slice_u64(word, &n) && n >= CONNECTION_MAX_READ_LEAST)
			return n == t->max_read ? ORIGIN_OURS : ORIGIN_OTHER;
	}
	return ORIGIN_UNKNOWN;
}

/* A whole tree in the daemon's own namespace may be another lxcfs's DIR, to be cleared away by its
 * next start. */
bool heal_may_need(const struct heal_target *t, const struct mount *m)
{
	enum origin origin;

	if (!m->visible || !slice_equal(m->type, TYPE) || device_of(m) == t->dev)
		return false;
	origin = origin_of(t, m);
	return origin == ORIGIN_OURS ||
		(origin == ORIGIN_UNKNOWN && !(t->own && slice_equal(m->root, "/")));
}

static int open_below(int dirfd, const char *path, uint64_t resolve)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = resolve | RESOLVE_NO_SYMLINKS };
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* The device number behind a descriptor, asking no daemon. */
static bool is_on(int fd, dev_t dev)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
		makedev(st.stx_dev_major, st.stx_dev_minor) == dev;
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
	char path[64];

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
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tree);
	return mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

/* "/proc/meminfo" is below the root of the connection, "/" the root itself. */
static bool path_of_root(const struct mount *m, char *ret, size_t size)
{
	size_t n;

	if (!parse_unescape(m->root, ret, size) || ret[0] != '/')
		return false;
	n = strlen(ret);
	if (slice_ends(slice_str(ret), DELETED))
		ret[n - strlen(DELETED)] = '\0';
	if (!ret[0] || !ret[1])
		memcpy(ret, "/.", 3);
	return true;
}

static int make_fresh(int dir, const struct mount *m)
{
	char path[PATH_MAX];
	autoclose int file = -1, tree = -1;
	int r;

	if (!path_of_root(m, path, sizeof(path)))
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

/* The place of a connection, made if need be; NULL when all are taken. */
static struct heal_connection *find_connection(struct heal_shared *s, dev_t dev)
{
	for (size_t i = 0; i < HEAL_CONNECTIONS; i++) {
		uint64_t there = 0;

		if (atomic_compare_exchange_strong(&s->connections[i].dev, &there, dev) ||
			there == dev)
			return &s->connections[i];
	}
	return NULL;
}

/* The kernel answers for a dead connection. For a living one its daemon does, and only if this
 * process may see that mount at all. */
static bool ask(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_TYPE, &st) < 0 &&
		(errno == ENOTCONN || errno == ECONNABORTED);
}

/* In a process that nobody waits for (heal.c's reaps it): it is held up as long as that daemon is.
 */
static void have_asked(struct heal_connection *c, int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		atomic_store(&c->state, ask(fd) ? STATE_DEAD : STATE_ALIVE);
		_exit(0);
	}
	if (pid < 0)
		atomic_store(&c->state, STATE_ALIVE); /* for all that is known */
}

/* A daemon that does not answer in time lives. */
static bool is_dead(struct heal_shared *s, dev_t dev, int fd)
{
	struct heal_connection *c = find_connection(s, dev);
	uint64_t now = clock_monotonic_ns(), state = 0;

	if (!c)
		return ask(fd);
	if (atomic_compare_exchange_strong(&c->state, &state, now))
		have_asked(c, fd);
	while ((state = atomic_load(&c->state)) > STATE_ALIVE && now < state + ASKING_LIMIT_NS) {
		usleep(100);
		now = clock_monotonic_ns();
	}
	return state == STATE_DEAD;
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
	return is_on(fd, device_of(m)) ? steal_fd(&fd) : -ESTALE;
}

static int open_dead(const struct work *w, const struct mount *m)
{
	autoclose int fd = open_mount(w, m);

	if (fd >= 0 && !is_dead(w->shared, device_of(m), fd))
		return -ESTALE;
	return steal_fd(&fd);
}

/* --- replacing -------------------------------------------------------------------------- */

/* Of the mount that `fd` is the root of, whatever is at its path by now. The working directory is
 * our own /proc/self/fd: the namespace's /proc is not to be trusted. */
static int unmount(int fd)
{
	char name[32];

	snprintf(name, sizeof(name), "%d", fd);
	return umount2(name, MNT_DETACH) < 0 ? -errno : 0;
}

static int move_to(int tree, int at, unsigned more)
{
	const unsigned empty = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

	return move_mount(tree, "", at, "", empty | more) < 0 ? -errno : 0;
}

static const struct mount *mount_below(const struct heal_target *t, const struct mount *m)
{
	for (size_t i = 0; i < t->mounts.n; i++) {
		const struct mount *below = &t->mounts.list[i];

		if (below->id == m->parent && slice_same(below->point, m->point))
			return below;
	}
	return NULL;
}

/* Takes dead mounts away from a stack of them, as long as what is below them is some lxcfs's too.
 * What then is on top. */
static int unstack(const struct work *w, const struct mount *m, int at)
{
	for (unsigned i = 0; i < STACKED_MAX; i++) {
		const struct mount *below = mount_below(w->target, m);

		if (!below || !slice_equal(below->type, TYPE) || unmount(at) < 0)
			return at;
		close(at);
		m = below;
		at = open_mount(w, m);
		if (at < 0 || !is_dead(w->shared, device_of(m), at))
			return at;
	}
	return at;
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

static void mask(int directory, struct slice below)
{
	char path[PATH_MAX];
	autoclose int at = -1, empty = -1;

	if (!parse_unescape(below, path, sizeof(path)))
		return;
	at = open_below(directory, path, RESOLVE_BENEATH);
	empty = at < 0 ? -1 : empty_directory();
	if (empty >= 0)
		move_to(empty, at, 0);
}

/* What a runtime hides from its container with an empty tmpfs (thermal_throttle of each CPU) stays
 * hidden. The mounts themselves cannot be reached: a path that goes through a dead directory makes
 * the kernel drop them. */
static void mask_again(const struct work *w, const struct bind *b)
{
	const struct slice above = b->mount->point;

	for (size_t i = 0; i < w->target->mounts.n; i++) {
		const struct mount *m = &w->target->mounts.list[i];

		if (m->parent == b->mount->id && slice_equal(m->type, "tmpfs") &&
			m->point.n > above.n + 1 && mount_path_within(m->point, above))
			mask(b->fresh,
				(struct slice){
					m->point.p + above.n + 1, m->point.n - above.n - 1 });
	}
}

/*
 * Where the kernel can, the living mount goes below the dead one, which is then taken away. Else,
 * and where a user namespace locks the dead mount, it goes on top: to take the dead one away first
 * would let a reader see the host's file.
 */
static int replace(const struct work *w, const struct bind *b, int *at)
{
	int r = move_to(b->fresh, *at, MOVE_MOUNT_BENEATH);

	if (r == 0) {
		mask_again(w, b);
		return unmount(*at);
	}
	*at = unstack(w, b->mount, *at);
	if (*at < 0)
		return *at;
	r = move_to(b->fresh, *at, 0);
	if (r == 0)
		mask_again(w, b);
	return r;
}

/* A container that has unmounted it, moved it or ended needs nothing; one that has put a symbolic
 * link there gets nothing. */
static bool is_gone(int error)
{
	return error == -ESTALE || error == -ENOENT || error == -ENOTDIR || error == -ELOOP;
}

static void heal_bind(struct work *w, const struct bind *b)
{
	autoclose int at = open_dead(w, b->mount);
	int r = at;

	if (at >= 0 && b->fresh < 0) {
		heal_failed(w->shared, w->target->pid, -b->fresh);
		return;
	}
	if (at >= 0)
		r = replace(w, b, &at);
	if (r == 0)
		w->healed++;
	else if (!is_gone(r))
		heal_failed(w->shared, w->target->pid, -r);
}

/* --- the namespace ---------------------------------------------------------------------- */

/* Detached mounts can only be made in the namespace of what they are made of. */
static int make_all_fresh(struct work *w)
{
	const struct heal_target *t = w->target;
	autoclose int dir = open(t->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return -errno;
	if (!is_on(dir, t->dev))
		return -ESTALE;
	for (size_t i = 0; i < t->mounts.n && w->n < BINDS_MAX; i++) {
		const struct mount *m = &t->mounts.list[i];

		if (heal_may_need(t, m))
			w->binds[w->n++] = (struct bind){ m, make_fresh(dir, m) };
	}
	return 0;
}

/* Capabilities in the namespace's owner are ours too, since that is a descendant of our own user
 * namespace or none of our business. */
static int enter(struct work *w)
{
	autoclose int namespace = openat(w->target->process, "ns/mnt", O_RDONLY | O_CLOEXEC);

	if (namespace < 0)
		return -errno;
	w->root = openat(w->target->process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->root < 0)
		return -errno;
	w->self_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->self_fds < 0)
		return -errno;
	if (setns(namespace, CLONE_NEWNS) < 0 || fchdir(w->self_fds) < 0)
		return -errno;
	return 0;
}

void heal_namespace(const struct heal_target *t, struct heal_shared *shared)
{
	struct work w = { .target = t, .shared = shared };
	int r = make_all_fresh(&w);

	if (r == 0 && w.n > 0)
		r = enter(&w);
	if (r < 0) {
		if (!is_gone(r) && r != -ESRCH)
			heal_failed(shared, t->pid, -r);
		return;
	}
	for (size_t i = 0; i < w.n; i++)
		heal_bind(&w, &w.binds[i]);
	atomic_fetch_add(&shared->healed, w.healed);
	atomic_fetch_add(&shared->namespaces, w.healed > 0);
}
