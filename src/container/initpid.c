/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PID 1 of a pid namespace (SPEC 2.1): asked of the kernel where it can tell (Linux 6.11), else
 * found in /proc. Never forks and never enters a namespace.
 */
#include "private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

/* linux/nsfs.h of 6.11; older headers lack the first. */
#ifndef NS_GET_PID_FROM_PIDNS
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#endif
#ifndef NS_GET_PARENT
#define NS_GET_PARENT _IO(0xb7, 0x2)
#endif

#define ATTEMPTS 4
#define WALK_MAX 4096 /* parents; a longer chain is found by the scan */

/* True when `pid` is PID 1 of the namespace at this moment. `failed` is set where it may be, but
 * cannot or may not be looked at. */
static bool is_init(const struct root *root, pid_t pid, uint64_t ns, int *failed)
{
	struct proc_status status = { 0 };
	uint64_t its_ns;
	int r = proc_ns(root, pid, "ns/pid", &its_ns);

	if (r == 0 && its_ns != ns)
		return false;
	if (r == 0)
		r = proc_status(root, pid, &status);
	if (r < 0 && r != -ESRCH)
		*failed = r;
	return r == 0 && status.innermost == 1;
}

/* Up the parents, which inside one namespace lead to its init; 0 where somebody entered the
 * namespace from outside. */
static pid_t walk_parents(const struct root *root, pid_t pid, uint64_t ns)
{
	for (int steps = 0; steps < WALK_MAX && pid > 0; steps++) {
		struct proc_status status;
		uint64_t its_ns;

		if (proc_ns(root, pid, "ns/pid", &its_ns) < 0 || its_ns != ns ||
			proc_status(root, pid, &status) < 0)
			return 0;
		if (status.innermost == 1)
			return pid;
		pid = status.parent;
	}
	return 0;
}

/* One pass over every process. */
static pid_t scan(const struct root *root, uint64_t ns, int *failed)
{
	autodir *dir = open_dir_at(root->proc, ".");
	struct dirent *entry;

	while (dir && (errno = 0, (entry = readdir(dir)))) {
		uint64_t pid;

		if (slice_u64(slice_str(entry->d_name), &pid) && pid <= INT32_MAX &&
			is_init(root, (pid_t)pid, ns, failed))
			return (pid_t)pid;
	}
	if (errno)
		*failed = -errno;
	return 0;
}

/* A candidate, not yet proven. 0: there is none. */
static pid_t find(
	const struct root *root, int ns_fd, uint64_t ns, pid_t caller, bool no_ioctl, int *failed)
{
	pid_t pid;

	if (!no_ioctl) {
		int r = ioctl(ns_fd, NS_GET_PID_FROM_PIDNS, 1);

		if (r > 0)
			return r;
		if (r < 0 && errno == ESRCH)
			return 0;
	}
	pid = walk_parents(root, caller, ns);
	return pid ? pid : scan(root, ns, failed);
}

int initpid_find(const struct root *root, int ns_fd, uint64_t ns, pid_t caller, bool no_ioctl,
	pid_t *ret_pid, int *ret_pidfd)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		int failed = 0;
		pid_t pid = find(root, ns_fd, ns, caller, no_ioctl, &failed);
		autoclose int pidfd = -1;

		if (pid == 0)
			return failed ? failed : -ESRCH;
		failed = 0; /* of others, whom the scan has met: this one was found */
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd < 0 && errno != ESRCH)
			return -errno;
		/* The number may have gone to another process before the pidfd was open; what is
		 * true of it now stays true as long as the pidfd does not say it ended. */
		if (pidfd >= 0 && is_init(root, pid, ns, &failed) && !initpid_ended(pidfd)) {
			*ret_pid = pid;
			*ret_pidfd = steal_fd(&pidfd);
			return 0;
		}
		if (failed)
			return failed;
	}
	return -ESRCH;
}

int initpid_parent_ns(int ns_fd, int *ret_fd, uint64_t *ret_ns)
{
	autoclose int fd = ioctl(ns_fd, NS_GET_PARENT);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	*ret_ns = st.st_ino;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* How many namespaces `ns` lies above the thread's own; -ENOENT when it does not; -errno. */
static int levels_up(const struct root *root, pid_t tid, uint64_t ns)
{
	struct proc_path path = proc_path(tid, "ns/pid");
	autoclose int fd = openat(root->proc, path.s, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint64_t its_ns;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	its_ns = st.st_ino;
	for (unsigned levels = 0; levels < DEPTH_MAX; levels++) {
		int parent, r;

		if (its_ns == ns)
			return (int)levels;
		r = initpid_parent_ns(fd, &parent, &its_ns);
		if (r == -EPERM)
			break; /* the next one would be above the daemon's */
		if (r < 0)
			return r;
		close(fd);
		fd = parent;
	}
	return -ENOENT;
}

int initpid_number(const struct root *root, pid_t tid, uint64_t ns, uint64_t *ret)
{
	struct proc_status status;
	int levels = levels_up(root, tid, ns);
	int r = levels < 0 ? levels : proc_status(root, tid, &status);

	if (r < 0)
		return r;
	if ((size_t)levels >= status.depth)
		return -ENOENT;
	*ret = status.numbers[status.depth - 1 - (size_t)levels];
	return 0;
}

bool initpid_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}
