/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Both ends of the opener's socket. What comes out of the worker is not trusted: a path is opened
 * below the hierarchy's mount point and through no link, and only if it names a pressure file.
 */
#include "opener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "log.h"
#include "sandbox.h"
#include "sanitized.h"

#define PATH_ROOM 4096

/* An answer: 0 with a descriptor, or an errno. What is said first is how the start went. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* --- in the opener ---------------------------------------------------------------------- */

static bool is_pressure_file(const char *path)
{
	static const char *const names[] = { "cpu.pressure", "memory.pressure", "io.pressure",
		"irq.pressure" };
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(slash ? slash + 1 : path, names[i]) == 0)
			return true;
	return false;
}

static int open_below(int dirfd, const char *path)
{
	struct open_how how = { .flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			RESOLVE_NO_XDEV };
	int fd;

	if (!is_pressure_file(path))
		return -EACCES;
	fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* `error`: a positive errno or 0; `fd`: below 0 for none. */
static int say(int sock, int error, int fd)
{
	struct iovec iov = { &error, sizeof(error) };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* `fd`: or -errno. A message with a descriptor takes more memory than one without. */
static int answer(int sock, int fd)
{
	if (say(sock, fd < 0 ? -fd : 0, fd) == 0)
		return 0;
	return say(sock, ENOMEM, -1);
}

/* Until the worker has ended. */
static void serve(int sock, int dirfd)
{
	char path[PATH_ROOM];

	for (;;) {
		ssize_t n = recv(sock, path, sizeof(path) - 1, 0);
		autoclose int fd = -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		path[n] = '\0';
		fd = open_below(dirfd, path);
		if (answer(sock, fd) < 0)
			return;
	}
}

/* Its socket's end tells it of the worker's, once it serves. Before that it may be held up: Debian
 * 12's libseccomp, which is short of memory, can go round in a circle for ever, of which a worker
 * is relieved by the supervisor. */
NO_CALLS_OF_ASAN _Noreturn static void run(
	const struct options *options, int sock, int dirfd, pid_t worker)
{
	const int kept[] = { dirfd, sock };
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != worker)
		_exit(EXIT_FAILURE);
	prctl(PR_SET_NAME, "lxcfs-opener");
	r = sandbox_enter_opener(options, kept, countof(kept));
	if (say(sock, -r, -1) < 0 || r < 0)
		_exit(EXIT_FAILURE);
	serve(sock, dirfd);
	_exit(0);
}

/* --- in the worker ---------------------------------------------------------------------- */

/* The unified hierarchy, where the worker will find it too. */
static int open_unified(void)
{
	struct cgroup_layout *layout;
	struct root root;
	int fd = -ENOENT;
	int r = root_open("/", &root);

	if (r < 0)
		return r;
	r = cgroup_layout_new(&root, &layout);
	root_close(&root);
	if (r < 0)
		return r;
	if (layout->unified >= 0) {
		fd = fcntl(layout->hierarchy[layout->unified].dirfd, F_DUPFD_CLOEXEC, 3);
		fd = fd < 0 ? -errno : fd;
	}
	cgroup_layout_free(layout);
	return fd;
}

/* How its start went: a worker without one would end when the first trigger is armed. Where memory
 * is so short that it cannot be said, or that it was killed, it ends without a word. */
static int take_start(int sock)
{
	int error = 0;
	ssize_t n;

	do
		n = read(sock, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(error) ? -error : -ENOMEM;
}

int opener_start(const struct options *options)
{
	autoclose int dirfd = open_unified();
	const pid_t worker = getpid();
	int sockets[2], r;
	pid_t pid;

	if (dirfd < 0)
		return dirfd;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		run(options, sockets[1], dirfd, worker);
	r = pid < 0 ? -errno : 0;
	close(sockets[1]);
	if (r == 0)
		r = take_start(sockets[0]);
	if (r == 0)
		return sockets[0];
	close(sockets[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

/* The next worker has another one. */
_Noreturn static void opener_lost(void)
{
	log_limited("opener lost",
		"the process that opens pressure files has ended: starting another worker");
	_exit(EXIT_FAILURE);
}

static int take_answer(int sock)
{
	int error = 0, fd = -1;
	struct iovec iov = { &error, sizeof(error) };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(error))
		opener_lost();
	if (error != 0)
		return -error;
	/* Without a descriptor: we have too many. */
	if (m.msg_controllen < CMSG_LEN(sizeof(int)) || control.header.cmsg_type != SCM_RIGHTS)
		return -EMFILE;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

int opener_ask(void *data, const char *path)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	const int sock = *(const int *)data;
	int fd;

	pthread_mutex_lock(&one_at_a_time);
	if (send(sock, path, strlen(path), MSG_NOSIGNAL) >= 0)
		fd = take_answer(sock);
	else if (errno == ENOBUFS || errno == ENOMEM)
		fd = -ENOMEM; /* it was not asked */
	else
		opener_lost();
	pthread_mutex_unlock(&one_at_a_time);
	return fd;
}
