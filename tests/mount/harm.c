/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Harms a daemon from inside, where and when a test says: preloaded into it (LD_PRELOAD), it stands
 * between the daemon and a few calls of the C library. The daemon itself has no such hook.
 *
 * $LXCFS_HARM names a file of RULES records of 128 bytes, which a test writes at any time:
 *
 *   WHERE WHAT TIMES TEXT
 *
 * WHERE: "read": before a file whose path holds TEXT is read; "fetch": after any request was read;
 * "reply", "replied": before and after a reply whose content begins with TEXT is written. WHAT: a
 * signal's number, "hang", "spin", or "sleep" (half a second). It is done TIMES times in all, which
 * the record's last four bytes count.
 */
#include <fcntl.h>
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

struct rule {
	char words[124];
	_Atomic unsigned hits;
};

static struct rule *rules;

static __attribute__((constructor)) void start(void)
{
	const char *path = getenv("LXCFS_HARM");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = mmap(NULL, RULES * sizeof(*rules), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	rules = p == MAP_FAILED ? NULL : p;
}

static void do_harm(const char *what)
{
	const struct timespec half = { 0, 500000000 };

	if (!strcmp(what, "sleep"))
		nanosleep(&half, NULL);
	else if (!strcmp(what, "hang"))
		for (;;)
			poll(NULL, 0, -1); /* a call that a worker may make */
	else if (!strcmp(what, "spin"))
		for (volatile int i = 0;; i++)
			;
	else
		syscall(SYS_tgkill, getpid(), gettid(), atoi(what));
}

static void consider(struct rule *r, const char *where, const char *subject)
{
	char words[sizeof(r->words)], at[16], what[16], text[96] = "";
	unsigned times;

	memcpy(words, r->words, sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	if (sscanf(words, "%15s %15s %u %95s", at, what, &times, text) < 3 || strcmp(at, where))
		return;
	if (!strcmp(where, "read") ? !strstr(subject, text) : strncmp(subject, text, strlen(text)))
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

static bool before_read(int fd)
{
	char link[32], path[512] = "";

	if (!is_armed())
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, path, sizeof(path) - 1) < 0)
		return false;
	if (!strcmp(path, "/dev/fuse"))
		return true;
	harm("read", path);
	return false;
}

ssize_t read(int fd, void *buffer, size_t size)
{
	const bool device = before_read(fd);
	ssize_t n = syscall(SYS_read, fd, buffer, size);

	if (device && n > 0)
		harm("fetch", "");
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
	char content[64] = "";
	ssize_t written;

	if (n < 2 || !is_armed())
		return syscall(SYS_writev, fd, iov, n);
	memcpy(content, iov[1].iov_base,
		iov[1].iov_len < sizeof(content) ? iov[1].iov_len : sizeof(content) - 1);
	harm("reply", content);
	written = syscall(SYS_writev, fd, iov, n);
	harm("replied", content);
	return written;
}
