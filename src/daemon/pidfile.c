/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The locked pidfile. flock(2), since such a lock survives execve(2) and is not lost when some
 * other descriptor of the file is closed.
 */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "cleanup.h"

/* 1 or 0; -errno: it cannot be told. */
static int is_at(const char *path, int fd)
{
	struct stat there, ours;

	if (fstat(fd, &ours) < 0)
		return -errno;
	if (stat(path, &there) < 0)
		return errno == ENOENT ? 0 : -errno;
	return there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

/* 0: there is none in it; -errno. */
static pid_t read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	struct slice rest = { text, n > 0 ? (size_t)n : 0 }, line;
	uint64_t pid;

	if (n < 0)
		return -errno;
	return slice_line(&rest, &line) && slice_u64(line, &pid) && pid < INT32_MAX ? (pid_t)pid
										    : 0;
}

int pidfile_lock(const char *path, struct pidfile *ret, pid_t *ret_holder)
{
	for (;;) {
		autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
		int r;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK)
				return -errno;
			*ret_holder = read_pid(fd);
			if (*ret_holder < 0)
				*ret_holder = 0;
			return -EBUSY;
		}
		/* A daemon that ends removes its file: the one that we locked may be that one, and
		 * somebody else may have made and locked the next. */
		r = is_at(path, fd);
		if (r < 0)
			return r;
		if (r > 0) {
			*ret = (struct pidfile){ path, steal_fd(&fd) };
			return 0;
		}
	}
}

int pidfile_take(const char *path, int fd, struct pidfile *ret)
{
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	*ret = (struct pidfile){ path, fd };
	return 0;
}

/* Whether a line of /proc/locks says so: "1: FLOCK  ADVISORY  WRITE 4711 00:1c:123 0 EOF". Not the
 * device's numbers: btrfs has others there than stat(2) tells. */
static bool is_lock(struct slice line, pid_t pid, ino_t ino)
{
	static const char *const fixed[] = { NULL, "FLOCK", "ADVISORY", "WRITE" };
	struct slice word, part;
	uint64_t value;

	for (size_t i = 0; i < countof(fixed); i++)
		if (!slice_word(&line, &word) || (fixed[i] && !slice_equal(word, fixed[i])))
			return false;
	if (!slice_next_u64(&line, &value) || value != (uint64_t)pid || !slice_word(&line, &word))
		return false;
	while (slice_cut(&word, ':', &part))
		;
	return slice_u64(part, &value) && value == ino;
}

bool pidfile_parse_locks(struct slice locks, pid_t pid, ino_t ino)
{
	struct slice line;

	while (slice_line(&locks, &line))
		if (is_lock(line, pid, ino))
			return true;
	return false;
}

int pidfile_holder(const struct root *root, const char *path, pid_t *ret)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	autotext locks = { 0 };
	struct stat st;
	pid_t pid;
	int r;

	*ret = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	pid = read_pid(fd);
	if (pid < 0)
		return pid;
	if (fstat(fd, &st) < 0)
		return -errno;
	r = read_file_at(root->proc, "locks", &locks);
	if (r < 0)
		return r;
	if (pid > 0 && pidfile_parse_locks(slice_of(&locks), pid, st.st_ino))
		*ret = pid;
	return 0;
}

int pidfile_write(const struct pidfile *p)
{
	char text[32];
	const int n = snprintf(text, sizeof(text), "%d\n", getpid());
	const ssize_t written = pwrite(p->fd, text, (size_t)n, 0);

	if (written < 0 || ftruncate(p->fd, n) < 0)
		return -errno;
	return written == n ? 0 : -EIO;
}

void pidfile_remove(struct pidfile *p)
{
	if (p->fd < 0)
		return;
	/* One that is left although nobody holds it is nobody's: the next daemon takes it. */
	if (is_at(p->path, p->fd) > 0)
		unlink(p->path);
	cleanup_close(&p->fd);
	*p = PIDFILE_NONE;
}
