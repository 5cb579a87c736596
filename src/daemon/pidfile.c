/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The locked pidfile. flock(2), since such a lock survives execve(2) and is not lost when some
 * other descriptor of the file is closed.
 */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "parse.h"

static bool is_at(const char *path, int fd)
{
	struct stat there, ours;

	return stat(path, &there) == 0 && fstat(fd, &ours) == 0 && there.st_dev == ours.st_dev &&
		there.st_ino == ours.st_ino;
}

static pid_t read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	struct slice rest = { text, n > 0 ? (size_t)n : 0 }, line;
	uint64_t pid;

	return slice_line(&rest, &line) && slice_u64(line, &pid) && pid < INT32_MAX ? (pid_t)pid
										    : 0;
}

int pidfile_lock(const char *path, struct pidfile *ret, pid_t *ret_holder)
{
	for (;;) {
		autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK)
				return -errno;
			*ret_holder = read_pid(fd);
			return -EBUSY;
		}
		/* A daemon that ends removes its file: the one that we locked may be that one, and
		 * somebody else may have made and locked the next. */
		if (is_at(path, fd)) {
			*ret = (struct pidfile){ path, steal_fd(&fd) };
			return 0;
		}
	}
}

int pidfile_write(const struct pidfile *p)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	if (pwrite(p->fd, text, (size_t)n, 0) != n || ftruncate(p->fd, n) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

void pidfile_remove(struct pidfile *p)
{
	if (p->fd < 0)
		return;
	if (is_at(p->path, p->fd))
		unlink(p->path);
	cleanup_close(&p->fd);
	*p = PIDFILE_NONE;
}
