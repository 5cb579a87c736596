/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls that may fail. Only calls that the daemon's objects make come here (ld's --wrap), so
 * those of the C library itself and of Check do not, and what a sanitizer puts in their place
 * stays.
 */
#include "faults.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

const struct fault faults[] = {
	{ FAULT_MEMORY, ENOMEM, false },
	{ FAULT_MEMORY, ENOMEM, true },
	{ FAULT_OPEN, EMFILE, false },
	{ FAULT_OPEN, ENFILE, true },
	{ FAULT_OPEN, EIO, false },
	{ FAULT_OPEN, ENODEV, false },
	{ FAULT_READ, EIO, false },
	{ FAULT_READ, EIO, true },
	{ FAULT_READ, ENODEV, false },
	{ FAULT_READ, ENODEV, true },
};
const unsigned n_faults = sizeof(faults) / sizeof(faults[0]);

/* Threads of the code under test go on while the next one is armed. */
static const struct fault *_Atomic armed;
static _Atomic bool has_hit;
static atomic_uint nth_call, calls;
static atomic_long blocks;

void fault_arm(const struct fault *f, unsigned nth)
{
	atomic_store(&armed, NULL);
	atomic_store(&has_hit, false);
	atomic_store(&calls, 0);
	atomic_store(&nth_call, nth);
	atomic_store(&armed, f);
}

bool fault_disarm(void)
{
	atomic_store(&armed, NULL);
	return atomic_load(&has_hit);
}

bool fault_fails(enum fault_call call)
{
	const struct fault *f = atomic_load(&armed);
	unsigned n;

	if (!f || f->call != call)
		return false;
	n = atomic_fetch_add(&calls, 1) + 1;
	if (f->lasting ? n < atomic_load(&nth_call) : n != atomic_load(&nth_call))
		return false;
	atomic_store(&has_hit, true);
	errno = f->error;
	return true;
}

void faults_exhaust(fault_attempt *attempt, const void *what, int without, bool all)
{
	unsigned descriptors;
	long held;

	attempt(what, &faults[0], FAILURES_MAX); /* what is kept for good exists from now on */
	held = fault_blocks();
	descriptors = fault_descriptors();
	for (unsigned i = 0; i < n_faults; i++) {
		unsigned nth = 1;

		if (faults[i].error == without)
			continue;
		while (attempt(what, &faults[i], nth))
			ck_assert_uint_lt(++nth, FAILURES_MAX);
		ck_assert_msg(!all || nth > 1, "none of kind %d", (int)faults[i].call);
	}
	ck_assert_int_eq(fault_blocks(), held);
	ck_assert_uint_eq(fault_descriptors(), descriptors);
}

void fault_hold(long more)
{
	atomic_fetch_add(&blocks, more);
}

long fault_blocks(void)
{
	return atomic_load(&blocks);
}

unsigned fault_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* --- memory --------------------------------------------------------------------------------- */

static void *counted(void *p)
{
	if (p)
		atomic_fetch_add(&blocks, 1);
	return p;
}

#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

WRAP(void *, malloc, size_t n)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_malloc(n));
}

WRAP(void *, calloc, size_t n, size_t size)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_calloc(n, size));
}

WRAP(void *, realloc, void *old, size_t n)
{
	void *p = fault_fails(FAULT_MEMORY) ? NULL : __real_realloc(old, n);

	return old ? p : counted(p);
}

WRAP(void *, reallocarray, void *old, size_t n, size_t size)
{
	void *p = fault_fails(FAULT_MEMORY) ? NULL : __real_reallocarray(old, n, size);

	return old ? p : counted(p);
}

WRAP(char *, strdup, const char *s)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_strdup(s));
}

WRAP(char *, strndup, const char *s, size_t n)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_strndup(s, n));
}

/* Leaves rubbish in `ret` when it fails, as the manual page allows. */
__attribute__((format(printf, 2, 0))) static int print(char **ret, const char *format, va_list args)
{
	int n;

	if (fault_fails(FAULT_MEMORY)) {
		*ret = (char *)1;
		return -1;
	}
	n = vasprintf(ret, format, args);
	if (n >= 0)
		counted(*ret);
	return n;
}

int __wrap_asprintf(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **ret, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = print(ret, format, args);
	va_end(args);
	return n;
}

int __wrap___asprintf_chk(char **ret, int flag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int __wrap___asprintf_chk(char **ret, int flag, const char *format, ...)
{
	va_list args;
	int n;

	(void)flag;
	va_start(args, format);
	n = print(ret, format, args);
	va_end(args);
	return n;
}

WRAP(void, free, void *p)
{
	if (p)
		atomic_fetch_sub(&blocks, 1);
	__real_free(p);
}

/* These return the error. */
WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *data)
{
	return fault_fails(FAULT_MEMORY) ? EAGAIN : __real_pthread_create(thread, attr, run, data);
}

WRAP(int, pthread_setspecific, pthread_key_t key, const void *value)
{
	return fault_fails(FAULT_MEMORY) ? ENOMEM : __real_pthread_setspecific(key, value);
}

/* --- descriptors ---------------------------------------------------------------------------- */

/* Nothing below a test creates files by these. */
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_open64(path, flags);
}

int __real_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_openat64(dirfd, path, flags);
}

WRAP(int, __openat64_2, int dirfd, const char *path, int flags)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real___openat64_2(dirfd, path, flags);
}

WRAP(int, epoll_create1, int flags)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_epoll_create1(flags);
}

WRAP(int, eventfd, unsigned initval, int flags)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_eventfd(initval, flags);
}

/* Of all that can be asked for by number only pidfd_open(2), for which there is no function before
 * glibc 2.36. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	va_list args;
	pid_t pid;
	unsigned flags;

	va_start(args, number);
	pid = va_arg(args, pid_t);
	flags = va_arg(args, unsigned);
	va_end(args);
	return fault_fails(FAULT_OPEN) ? -1 : __real_syscall(number, pid, flags);
}

/* linux/nsfs.h: a descriptor of the namespace above, or a number. */
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	const bool has_number = _IOC_DIR(request) != _IOC_NONE;
	va_list args;
	int number = 0;

	va_start(args, request);
	if (has_number)
		number = va_arg(args, int);
	va_end(args);
	return fault_fails(has_number ? FAULT_READ : FAULT_OPEN)
		? -1
		: __real_ioctl(fd, request, number);
}

/* A descriptor that was opened is never lost by what is made of it. */
WRAP(DIR *, fdopendir, int fd)
{
	return fault_fails(FAULT_MEMORY) ? NULL : __real_fdopendir(fd);
}

WRAP(int, epoll_ctl, int epoll_fd, int op, int fd, struct epoll_event *event)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_epoll_ctl(epoll_fd, op, fd, event);
}

WRAP(char *, realpath, const char *path, char *resolved)
{
	if (fault_fails(FAULT_MEMORY))
		return NULL;
	return resolved ? __real_realpath(path, resolved) : counted(__real_realpath(path, NULL));
}

/* --- reads ---------------------------------------------------------------------------------- */

WRAP(ssize_t, read, int fd, void *buffer, size_t n)
{
	return fault_fails(FAULT_READ) ? -1 : __real_read(fd, buffer, n);
}

WRAP(ssize_t, pread64, int fd, void *buffer, size_t n, off_t offset)
{
	return fault_fails(FAULT_READ) ? -1 : __real_pread64(fd, buffer, n, offset);
}

WRAP(ssize_t, readlinkat, int dirfd, const char *path, char *buffer, size_t n)
{
	return fault_fails(FAULT_READ) ? -1 : __real_readlinkat(dirfd, path, buffer, n);
}

WRAP(int, fstat64, int fd, struct stat *st)
{
	return fault_fails(FAULT_READ) ? -1 : __real_fstat64(fd, st);
}

WRAP(int, fstatat64, int dirfd, const char *path, struct stat *st, int flags)
{
	return fault_fails(FAULT_READ) ? -1 : __real_fstatat64(dirfd, path, st, flags);
}

WRAP(int, statx, int dirfd, const char *path, int flags, unsigned mask, struct statx *st)
{
	return fault_fails(FAULT_READ) ? -1 : __real_statx(dirfd, path, flags, mask, st);
}

WRAP(int, faccessat, int dirfd, const char *path, int mode, int flags)
{
	return fault_fails(FAULT_READ) ? -1 : __real_faccessat(dirfd, path, mode, flags);
}

WRAP(struct dirent *, readdir64, DIR *dir)
{
	return fault_fails(FAULT_READ) ? NULL : __real_readdir64(dir);
}
