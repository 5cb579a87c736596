/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Harms a daemon from inside, where and when a test says: preloaded into it (LD_PRELOAD), it stands
 * between the daemon and a few calls of the C library. The daemon itself has no such hook.
 *
 * $LXCFS_HARM names a file of RULES records of 128 bytes, which a test writes at any time:
 *
 *   WHERE WHAT TIMES TEXT
 *
 * WHERE: "read": before a file whose path holds TEXT is read; "ahead": the same, by a thread that
 * has answered what it read last, and so is asked by nobody; "fetch": after any request was read;
 * "reply", "replied": before and after a reply whose content begins with TEXT is written. WHAT: a
 * signal's number, "hang", "spin", or "sleep" (a second, which is less than the daemon takes for
 * stuck). It is done TIMES times in all, which the record's last four bytes count.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES 4
#define CONTENT 64
#define DEVICE "/dev/fuse"

struct rule {
	char words[124];
	_Atomic unsigned hits;
};

static struct rule *rules;

/* The request that this thread read last, by a rule in force all the time. */
static _Thread_local bool has_answered;

static __attribute__((constructor)) void start(void)
{
	const char *path = getenv("LXCFS_HARM");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = mmap(NULL, RULES * sizeof(*rules), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	rules = p == MAP_FAILED ? NULL : p;
}

static void do_harm(const char *what)
{
	const struct timespec second = { 1, 0 };

	if (!strcmp(what, "sleep"))
		nanosleep(&second, NULL);
	else if (!strcmp(what, "hang"))
		for (;;)
			poll(NULL, 0, -1); /* a call that a worker may make */
	else if (!strcmp(what, "spin"))
		for (volatile int i = 0;; i++)
			;
	else
		syscall(SYS_tgkill, getpid(), gettid(), atoi(what));
}

static bool is_read(const char *where)
{
	return !strcmp(where, "read") || !strcmp(where, "ahead");
}

static void consider(struct rule *r, const char *where, const char *subject)
{
	char words[sizeof(r->words)], at[16], what[16], text[96] = "";
	unsigned times;

	memcpy(words, r->words, sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	if (sscanf(words, "%15s %15s %u %95s", at, what, &times, text) < 3 || strcmp(at, where))
		return;
	if (is_read(where) ? !strstr(subject, text) : strncmp(subject, text, strlen(text)))
		return;
	if (atomic_load(&r->hits) < times && atomic_fetch_add(&r->hits, 1) < times)
		do_harm(what);
}

static void harm(const char *where, const char *subject)
{
	for (int i = 0; rules && i < RULES; i++)
		if (rules[i].words[0])
			consider(&rules[i], where, subject);
}

static bool is_armed(void)
{
	for (int i = 0; rules && i < RULES; i++)
		if (rules[i].words[0])
			return true;
	return false;
}

/* What it is of, if any rule is in force. */
static bool path_of(int fd, char *ret, size_t size)
{
	char link[32];
	ssize_t n;

	if (!is_armed()) {
		has_answered = false;
		return false;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, size - 1);
	if (n < 0)
		return false;
	ret[n] = '\0';
	return true;
}

/* True when it is the device. */
static bool before_read(int fd)
{
	char path[512];

	if (!path_of(fd, path, sizeof(path)))
		return false;
	if (!strcmp(path, DEVICE))
		return true;
	harm("read", path);
	if (has_answered)
		harm("ahead", path);
	return false;
}

/* True when it is a reply, whose content's begin is in `ret`. */
static bool before_write(int fd, const void *content, size_t size, char ret[CONTENT])
{
	char path[512];

	if (!path_of(fd, path, sizeof(path)) || strcmp(path, DEVICE))
		return false;
	memset(ret, 0, CONTENT);
	memcpy(ret, content, size < CONTENT ? size : CONTENT - 1);
	harm("reply", ret);
	return true;
}

static void after_write(const char content[CONTENT])
{
	has_answered = true;
	harm("replied", content);
}

ssize_t read(int fd, void *buffer, size_t size)
{
	const bool device = before_read(fd);
	ssize_t n = syscall(SYS_read, fd, buffer, size);

	if (device && n > 0) {
		has_answered = false;
		harm("fetch", "");
	}
	return n;
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
	before_read(fd);
	return syscall(SYS_pread64, fd, buffer, size, offset);
}

ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room);
ssize_t __pread64_chk(int fd, void *buffer, size_t size, off_t offset, size_t room);

ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room)
{
	(void)room;
	return read(fd, buffer, size);
}

ssize_t __pread64_chk(int fd, void *buffer, size_t size, off_t offset, size_t room)
{
	(void)room;
	return pread(fd, buffer, size, offset);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	char content[CONTENT];
	const bool reply = n > 1 && before_write(fd, iov[1].iov_base, iov[1].iov_len, content);
	ssize_t written = syscall(SYS_writev, fd, iov, n);

	if (reply)
		after_write(content);
	return written;
}

ssize_t write(int fd, const void *buffer, size_t size)
{
	char content[CONTENT];
	const size_t header = sizeof(struct fuse_out_header);
	const bool reply = size > header &&
		before_write(fd, (const char *)buffer + header, size - header, content);
	ssize_t written = syscall(SYS_write, fd, buffer, size);

	if (reply)
		after_write(content);
	return written;
}
