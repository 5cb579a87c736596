/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading whole files below an explicit root. No parsing, no paths of its own.
 */
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>

#include "cleanup.h"
#include "clock.h"

#define READ_STEP 4096u

int root_open(const char *path, struct root *ret)
{
	autoclose int top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int proc = top < 0 ? -1 : openat(top, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int sys = proc < 0 ? -1 : openat(top, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (sys < 0)
		return -errno;
	*ret = (struct root){ steal_fd(&top), steal_fd(&proc), steal_fd(&sys) };
	return 0;
}

void root_close(struct root *root)
{
	cleanup_close(&root->top);
	cleanup_close(&root->proc);
	cleanup_close(&root->sys);
	*root = ROOT_NONE;
}

DIR *open_dir_at(int dirfd, const char *path)
{
	autoclose int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir)
		steal_fd(&fd);
	return dir;
}

/* What ends a read before the file does; zeros: nothing. */
struct bounds {
	size_t max;
	uint64_t deadline_ns; /* of clock_thread_ns() */
};

static int over(const struct bounds *b, size_t got)
{
	if (b->max && got > b->max)
		return -EFBIG;
	if (b->deadline_ns && clock_thread_ns() > b->deadline_ns)
		return -ETIME;
	return 0;
}

/* Appends `fd` from offset 0 until a read says that it is the end. */
static int read_all(int fd, const struct bounds *bounds, struct text *t)
{
	const size_t before = t->len;
	int r = 0;

	while (r == 0) {
		size_t room;
		ssize_t n;

		if (!text_reserve(t, READ_STEP)) {
			t->len = before;
			return -ENOMEM;
		}
		room = t->capacity - t->len;
		n = pread(fd, t->data + t->len, room, (off_t)(t->len - before));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		else if (n == 0)
			return 0;
		else {
			t->len += (size_t)n;
			if (bounds)
				r = over(bounds, t->len - before);
		}
	}
	t->len = before;
	return r;
}

static int read_path(int dirfd, const char *path, const struct bounds *bounds, struct text *t)
{
	autoclose int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : read_all(fd, bounds, t);
}

int read_file_at(int dirfd, const char *path, struct text *t)
{
	return read_path(dirfd, path, NULL, t);
}

int read_file_bounded(int dirfd, const char *path, size_t max, uint64_t cpu_ns, struct text *t)
{
	const struct bounds bounds = { max, cpu_ns ? clock_thread_ns() + cpu_ns : 0 };

	return read_path(dirfd, path, &bounds, t);
}

int read_fd(int fd, struct text *t)
{
	return read_all(fd, NULL, t);
}

int read_fd_once(int fd, struct text *t)
{
	for (size_t room = READ_STEP;; room++) {
		ssize_t n;

		if (!text_reserve(t, room))
			return -ENOMEM;
		room = t->capacity - t->len;
		do
			n = pread(fd, t->data + t->len, room, 0);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
		/* What does not fit is read again, not on: the kernel keeps one text for each open
		 * file, and a second reader of the descriptor may have replaced it by now. */
		if ((size_t)n < room) {
			t->len += (size_t)n;
			return 0;
		}
	}
}
