/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine that is out of memory or descriptors, or whose files cannot be read, as a daemon meets
 * it: preloaded (LD_PRELOAD), it fails some of the calls of the C library that the daemon and
 * libfuse make. Makes no system call that a worker may not make, and never fails a read of the
 * device, nor anything of the supervisor's.
 *
 * $LXCFS_FAULTS names a file of six ints of 32 bits that a test writes: whose calls (a pid;
 * negative: everybody's but that one's), which (1 memory, 2 opening, 4 reading, added up), the
 * error, every how-many-th (0: none), and two that count: calls, and those that have failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { MEMORY = 1, OPENING = 2, READING = 4 };

static struct faults {
	_Atomic int32_t whose;
	_Atomic uint32_t which;
	_Atomic int32_t error;
	_Atomic uint32_t every;
	_Atomic uint32_t calls, failed;
} * faults;

static __attribute__((constructor)) void start(void)
{
	const char *path = getenv("LXCFS_FAULTS");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	faults = p == MAP_FAILED ? NULL : p;
	if (fd >= 0)
		close(fd);
}

static bool fails(uint32_t which)
{
	const uint32_t every = faults ? atomic_load(&faults->every) : 0;
	int32_t whose;

	if (every == 0 || !(atomic_load(&faults->which) & which))
		return false;
	whose = atomic_load(&faults->whose);
	if (whose > 0 ? getpid() != whose : getpid() == -whose)
		return false;
	if ((atomic_fetch_add(&faults->calls, 1) + 1) % every != 0)
		return false;
	atomic_fetch_add(&faults->failed, 1);
	errno = atomic_load(&faults->error);
	return true;
}

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);

/* Of the sanitizer that the daemon is built with, whose free(3) knows no other memory. */
__attribute__((weak)) void *__interceptor_malloc(size_t n);
__attribute__((weak)) void *__interceptor_calloc(size_t n, size_t size);
__attribute__((weak)) void *__interceptor_realloc(void *old, size_t n);

void *malloc(size_t n)
{
	if (fails(MEMORY))
		return NULL;
	return __interceptor_malloc ? __interceptor_malloc(n) : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	if (fails(MEMORY))
		return NULL;
	return __interceptor_calloc ? __interceptor_calloc(n, size) : __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
	if (fails(MEMORY))
		return NULL;
	return __interceptor_realloc ? __interceptor_realloc(old, n) : __libc_realloc(old, n);
}

static int open_at(int dirfd, const char *path, int flags, mode_t mode)
{
	return fails(OPENING) ? -1 : (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_at(AT_FDCWD, path, flags, mode);
}

int openat64(int dirfd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_at(dirfd, path, flags, mode);
}

int __openat64_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags)
{
	return open_at(dirfd, path, flags, 0);
}

ssize_t pread64(int fd, void *buffer, size_t size, off64_t offset)
{
	return fails(READING) ? -1 : syscall(SYS_pread64, fd, buffer, size, offset);
}

ssize_t readlinkat(int dirfd, const char *path, char *buffer, size_t size)
{
	return fails(READING) ? -1 : syscall(SYS_readlinkat, dirfd, path, buffer, size);
}
