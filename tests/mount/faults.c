/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine that is out of memory or descriptors, or whose files cannot be read, as a daemon meets
 * it: preloaded (LD_PRELOAD), it fails some of the calls of the C library that the daemon and
 * libfuse make. Makes no system call that a worker or its opener may not make, and never fails a
 * read of the device.
 *
 * $LXCFS_FAULTS names a file of six ints of 32 bits that a test writes: whose calls (a pid;
 * 0: everybody's; 1: theirs who heal; negative: everybody's but that one's), which (1 memory,
 * 2 opening, 4 reading files, directories, attributes and numbers of the kernel, 8 what the opener
 * opens, 16 watching by epoll, 32 forking, 64 storing a byte in the kernel's page cache, 128 making
 * the filter of system calls, added up), the error, every how-many-th (0: none), and two that
 * count: calls, and those that have failed.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum {
	MEMORY = 1,
	OPENING = 2,
	READING = 4,
	OPENER = 8,
	WATCHING = 16,
	FORKING = 32,
	STORING = 64,
	FILTERING = 128
};

#define WHO_HEALS 1

static struct faults {
	_Atomic int32_t whose;
	_Atomic uint32_t which;
	_Atomic int32_t error;
	_Atomic uint32_t every;
	_Atomic uint32_t calls, failed;
} * faults;

/* Asked for here, since the opener may not. */
static pid_t self;
static bool heals; /* and those it forks */

static void know_self(void)
{
	self = getpid();
}

static __attribute__((constructor)) void start(void)
{
	const char *path = getenv("LXCFS_FAULTS");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	know_self();
	pthread_atfork(NULL, NULL, know_self);
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
	if (whose == WHO_HEALS ? !heals : whose > 0 ? self != whose : self == -whose)
		return false;
	if ((atomic_fetch_add(&faults->calls, 1) + 1) % every != 0)
		return false;
	atomic_fetch_add(&faults->failed, 1);
	errno = atomic_load(&faults->error);
	return true;
}

/* By its name, which it gives itself. */
int prctl(int option, ...)
{
	va_list args;
	unsigned long a[4];

	va_start(args, option);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_NAME && strcmp((const char *)a[0], "lxcfs-heal") == 0)
		heals = true;
	return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

/* The C library's own, which runs what pthread_atfork(3) was told. */
pid_t fork(void)
{
	static pid_t (*_Atomic next)(void);

	if (!atomic_load(&next))
		atomic_store(&next, (pid_t(*)(void))dlsym(RTLD_NEXT, "fork"));
	return fails(FORKING) ? -1 : atomic_load(&next)();
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

int fstatat64(int dirfd, const char *path, struct stat64 *st, int flags)
{
	return fails(READING) ? -1 : (int)syscall(SYS_newfstatat, dirfd, path, st, flags);
}

typedef struct dirent64 *readdir_fn(DIR *dir);

struct dirent64 *readdir64(DIR *dir)
{
	static readdir_fn *_Atomic next;

	if (!atomic_load(&next))
		atomic_store(&next, (readdir_fn *)dlsym(RTLD_NEXT, "readdir64"));
	return fails(READING) ? NULL : atomic_load(&next)(dir);
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Not of the device, a socket or an eventfd. */
ssize_t read(int fd, void *buffer, size_t size)
{
	return is_file(fd) && fails(READING) ? -1 : syscall(SYS_read, fd, buffer, size);
}

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	return fails(WATCHING) ? -1 : (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

/* As the kernel's answer for want of a page. */
struct fuse_session;
struct fuse_bufvec;
typedef int store_fn(struct fuse_session *session, uint64_t number, off_t offset,
	struct fuse_bufvec *bytes, int flags);
store_fn fuse_lowlevel_notify_store;

int fuse_lowlevel_notify_store(struct fuse_session *session, uint64_t number, off_t offset,
	struct fuse_bufvec *bytes, int flags)
{
	static store_fn *_Atomic next;

	if (!atomic_load(&next))
		atomic_store(&next, (store_fn *)dlsym(RTLD_NEXT, "fuse_lowlevel_notify_store"));
	return fails(STORING) ? -errno : atomic_load(&next)(session, number, offset, bytes, flags);
}

/* Whose errors are negative, too. */
int seccomp_rule_add(void *filter, uint32_t action, int number, unsigned n, ...)
{
	static int (*_Atomic next)(void *, uint32_t, int, unsigned, const struct scmp_arg_cmp *);
	struct scmp_arg_cmp conditions[6];
	va_list args;

	if (!atomic_load(&next))
		atomic_store(&next,
			(int (*)(void *, uint32_t, int, unsigned, const struct scmp_arg_cmp *))
				dlsym(RTLD_NEXT, "seccomp_rule_add_array"));
	va_start(args, n);
	for (unsigned i = 0; i < n; i++)
		conditions[i] = va_arg(args, struct scmp_arg_cmp);
	va_end(args);
	return fails(FILTERING) ? -errno
				: atomic_load(&next)(filter, action, number, n, conditions);
}

/* linux/nsfs.h: one with an argument asks for a number, one without opens. */
static bool fails_about_namespaces(unsigned long request)
{
	return _IOC_TYPE(request) == 0xb7 &&
		fails(_IOC_DIR(request) == _IOC_NONE ? OPENING : READING);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	return fails_about_namespaces(request) ? -1
					       : (int)syscall(SYS_ioctl, fd, request, argument);
}

/* Where there is no function of the C library: pidfd_open(2) of the worker's, openat2(2) of its
 * opener's. */
long syscall(long number, ...)
{
	static long (*_Atomic next)(long number, ...);
	va_list args;
	long a[6];

	if (!atomic_load(&next))
		atomic_store(&next, (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"));
	va_start(args, number);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_pidfd_open && fails(OPENING))
		return -1;
	if (number == SYS_openat2 && fails(OPENER))
		return -1;
	return atomic_load(&next)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
