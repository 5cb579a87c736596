/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes of a box wait on a socket for commands and die with the test that made them.
 */
#include "box.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

/* Cgroups are named by the running process and a number, so the list is a count. */
static _Atomic unsigned *made;
static pid_t runner;

/* Boxes live in these hierarchies only: the others need settings before a process may enter. */
static bool wanted(const struct cgroup_hierarchy *h)
{
	return h->unified ||
		(h->controllers & (CGROUP_BIT(CGROUP_CPUACCT) | CGROUP_BIT(CGROUP_PIDS)));
}

bool box_possible(const struct cgroup_layout *layout)
{
	for (size_t i = 0; i < layout->n; i++)
		if (wanted(&layout->hierarchy[i]) &&
			faccessat(layout->hierarchy[i].dirfd, "cgroup.procs", W_OK, 0) == 0)
			return geteuid() == 0;
	return false;
}

void box_setup(void)
{
	runner = getpid();
	made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(made, MAP_FAILED);
}

/* Moves the process to the cgroup `path` in every hierarchy, which is made where it is missing. */
static void enter_path(const struct cgroup_layout *layout, const char *path)
{
	char procs[128];

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	for (size_t i = 0; i < layout->n; i++) {
		const struct cgroup_hierarchy *h = &layout->hierarchy[i];
		autoclose int fd = -1;

		if (!wanted(h))
			continue;
		if (mkdirat(h->dirfd, path, 0755) < 0 && errno != EEXIST)
			_exit(10);
		fd = openat(h->dirfd, procs, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(11);
	}
}

static void enter(const struct box *b, const char *leaf)
{
	char path[80];

	snprintf(path, sizeof(path), "%s%s", b->path + 1, leaf);
	enter_path(b->layout, path);
}

static void own_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(12);
}

static void mount_cgroups(const struct cgroup_layout *layout)
{
	char point[64];

	own_mounts();
	if (mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0)
		_exit(13);
	for (size_t i = 0; i < layout->n; i++) {
		const struct cgroup_hierarchy *h = &layout->hierarchy[i];

		if (!wanted(h))
			continue;
		snprintf(point, sizeof(point), "/sys/fs/cgroup/h%zu", i);
		if (mkdir(point, 0755) < 0 ||
			mount("cgroup", point, h->unified ? "cgroup2" : "cgroup", 0,
				h->unified ? NULL : h->name) < 0)
			_exit(14);
	}
}

/* fork(2), or one whose child is PID 1 of a new pid namespace. */
static pid_t spawn(bool pid_ns)
{
	return (pid_t)syscall(SYS_clone, (pid_ns ? CLONE_NEWPID : 0) | SIGCHLD, 0, 0, 0, 0);
}

static void serve(const struct box *b, int control, int child_control);

static void obey(const struct box *b, char command, int child_control)
{
	switch (command) {
	case BOX_UNSHARE_CGROUP:
		if (unshare(CLONE_NEWCGROUP) < 0)
			_exit(15);
		break;
	case BOX_UNSHARE_MOUNTS:
		own_mounts();
		break;
	case BOX_ENTER_LEAF:
		enter(b, "/leaf");
		break;
	case BOX_ENTER_BOX:
		enter(b, "");
		break;
	case BOX_LEAVE:
		enter_path(b->layout, ".");
		break;
	case BOX_FORK:
	case BOX_NEST:
		if (spawn(command == BOX_NEST) == 0)
			serve(b, child_control, -1);
		break;
	case BOX_CHROOT:
		if (chroot("/proc") < 0)
			_exit(19);
		break;
	case BOX_END_THREAD: /* serve() does it */
		break;
	default:
		_exit(16);
	}
}

/* Where another thread goes on; one in a process. */
static struct {
	const struct box *box;
	int control, child_control;
} next;

static void *serve_next(void *data)
{
	serve(next.box, next.control, next.child_control);
	return data;
}

/* Unlike pthread_exit(3) leaves nothing to be waited for. */
static void end_thread(const struct box *b, int control, int child_control)
{
	pthread_t thread;

	next.box = b;
	next.control = control;
	next.child_control = child_control;
	if (pthread_create(&thread, NULL, serve_next, NULL) != 0)
		_exit(20);
	syscall(SYS_exit, 0);
}

/* Never returns. */
static void serve(const struct box *b, int control, int child_control)
{
	char command;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	while (read(control, &command, 1) == 1) {
		obey(b, command, child_control);
		if (write(control, "k", 1) != 1)
			break;
		if (command == BOX_END_THREAD)
			end_thread(b, control, child_control);
	}
	_exit(0);
}

/* A thread alone may enter what it has made for its children. */
static void enter_time_ns(void)
{
	static const char offset[] = "boottime 86400 0";
	autoclose int fd = -1, offsets = -1;

	if (unshare(CLONE_NEWTIME) < 0)
		return; /* before Linux 5.6 */
	offsets = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (write(offsets, offset, strlen(offset)) != (ssize_t)strlen(offset))
		_exit(21);
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (setns(fd, CLONE_NEWTIME) < 0)
		_exit(22);
}

static void first_process(const struct box *b, unsigned flags, int control, int child_control)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (flags & BOX_OWN_CGROUP)
		enter(b, "");
	if ((flags & BOX_CGROUP_NS) && unshare(CLONE_NEWCGROUP) < 0)
		_exit(17);
	if (flags & BOX_TIME_NS)
		enter_time_ns();
	if (flags & BOX_CGROUP_MOUNT)
		mount_cgroups(b->layout);
	if (write(control, "k", 1) != 1)
		_exit(18);
	serve(b, control, child_control);
}

static void await(int control)
{
	char answer = 0;

	ck_assert_int_eq(read(control, &answer, 1), 1);
	ck_assert_int_eq(answer, 'k');
}

void box_start(struct box *b, const struct cgroup_layout *layout, unsigned flags)
{
	int first[2], child[2];

	*b = (struct box){ .layout = layout };
	snprintf(b->path, sizeof(b->path), "/lxcfs-unit-%d-%u", (int)runner,
		atomic_fetch_add(made, 1));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, child), 0);
	b->pid = spawn(flags & BOX_PID_NS);
	ck_assert_int_ge(b->pid, 0);
	if (b->pid == 0) {
		close(first[0]);
		close(child[0]);
		first_process(b, flags, first[1], child[1]);
	}
	close(first[1]);
	close(child[1]);
	b->control = first[0];
	b->child_control = child[0];
	await(b->control);
}

void box_move(const struct box *b, pid_t pid)
{
	char procs[128], number[16];

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", b->path + 1);
	snprintf(number, sizeof(number), "%d", (int)pid);
	for (size_t i = 0; i < b->layout->n; i++) {
		autoclose int fd = -1;

		if (!wanted(&b->layout->hierarchy[i]))
			continue;
		fd = openat(b->layout->hierarchy[i].dirfd, procs, O_WRONLY | O_CLOEXEC);
		ck_assert_int_gt(write(fd, number, strlen(number)), 0);
	}
}

/* The daemon's number of the one child. */
static pid_t child_of(pid_t pid)
{
	char path[64], line[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	return (pid_t)atoi(line);
}

static void tell(int control, enum box_command command)
{
	const char byte = (char)command;

	ck_assert_int_eq(write(control, &byte, 1), 1);
	await(control);
}

void box_tell(struct box *b, enum box_command command)
{
	tell(b->control, command);
	if (command == BOX_FORK || command == BOX_NEST)
		b->child = child_of(b->pid);
}

void box_tell_child(struct box *b, enum box_command command)
{
	tell(b->child_control, command);
}

void box_kill(struct box *b)
{
	if (b->pid <= 0)
		return;
	if (b->child > 0)
		kill(b->child, SIGKILL);
	kill(b->pid, SIGKILL);
	waitpid(b->pid, NULL, 0);
	close(b->control);
	close(b->child_control);
	b->pid = 0;
}

/* A cgroup whose last process was just killed stays busy for a moment. */
static void remove_dir(int dirfd, const char *name)
{
	for (int i = 0; i < 200; i++) {
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return;
		usleep(10000);
	}
}

static void remove_path(const struct cgroup_layout *layout, const char *path)
{
	char leaf[128];

	snprintf(leaf, sizeof(leaf), "%s/leaf", path + 1);
	for (size_t i = 0; i < layout->n; i++) {
		remove_dir(layout->hierarchy[i].dirfd, leaf);
		remove_dir(layout->hierarchy[i].dirfd, path + 1);
	}
}

void box_remove(struct box *b)
{
	remove_path(b->layout, b->path);
}

void box_stop(struct box *b)
{
	box_kill(b);
	box_remove(b);
}

void box_teardown(void)
{
	struct root root;
	struct cgroup_layout *layout;

	if (*made == 0)
		return;
	ck_assert_int_eq(root_open("/", &root), 0);
	ck_assert_int_eq(cgroup_layout_new(&root, &layout), 0);
	for (unsigned i = 0; i < *made; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/lxcfs-unit-%d-%u", (int)runner, i);
		remove_path(layout, path);
	}
	cgroup_layout_free(layout);
	root_close(&root);
}
