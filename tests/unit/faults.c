/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls that may fail. Only calls that the daemon's objects make come here (ld's --wrap), so
 * those of the C library itself and of Check do not, and what a sanitizer puts in their place
 * stays.
 *
 * Of those that `nm -u` lists for the daemon's libraries these are left out: what takes nothing
 * that could be short (close, kill, waitid, prctl, uname, setsockopt, sem_init, the rest of
 * fcntl...); poll and epoll_wait on a few descriptors, recv; dup2 and sigaltstack, whose place is
 * there; pthread_key_create, which takes one of 1024 numbers; madvise and mlock, whose failure
 * nobody looks at; stdio on the standard streams; other libraries (libfuse, libcap, libseccomp;
 * json_faults.c has libjson-c); mounts, namespaces and what only a healer or a hook calls besides
 * (mount, setns, tsearch, renameat...), which take a mount: tests/mount.
 */
#include "faults.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
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

/* Threads of the code under test go on while the next one is armed, and so do children that it has
 * forked: their calls are counted here, too. */
static struct {
	const struct fault *_Atomic armed;
	_Atomic bool has_hit;
	atomic_uint nth, calls;
} * shared;

static atomic_long blocks;

__attribute__((constructor)) static void share(void)
{
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
}

void fault_arm(const struct fault *f, unsigned nth)
{
	atomic_store(&shared->armed, NULL);
	atomic_store(&shared->has_hit, false);
	atomic_store(&shared->calls, 0);
	atomic_store(&shared->nth, nth);
	atomic_store(&shared->armed, f);
}

bool fault_disarm(void)
{
	atomic_store(&shared->armed, NULL);
	return atomic_load(&shared->has_hit);
}

/* Before `shared` is there the C library may allocate. */
static bool is_armed(enum fault_call call)
{
	const struct fault *f = shared ? atomic_load(&shared->armed) : NULL;

	return f && f->call == call;
}

bool fault_fails(enum fault_call call)
{
	const struct fault *f = shared ? atomic_load(&shared->armed) : NULL;
	unsigned n;

	if (!f || f->call != call)
		return false;
	n = atomic_fetch_add(&shared->calls, 1) + 1;
	if (f->lasting ? n < atomic_load(&shared->nth) : n != atomic_load(&shared->nth))
		return false;
	atomic_store(&shared->has_hit, true);
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

void faults_reach(fault_attempt *attempt, const void *what, size_t n, size_t size, int without)
{
	for (unsigned i = 0; i < n_faults; i++) {
		bool hit = faults[i].error == without;

		for (size_t k = 0; !hit && k < n; k++)
			hit = attempt((const char *)what + k * size, &faults[i], 1);
		ck_assert_msg(hit, "none of kind %d", (int)faults[i].call);
	}
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

WRAP(void *, aligned_alloc, size_t alignment, size_t n)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_aligned_alloc(alignment, n));
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

WRAP(void *, mmap64, void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	return fault_fails(FAULT_MEMORY) ? MAP_FAILED
					 : __real_mmap64(at, n, protection, flags, fd, offset);
}

WRAP(int, setenv, const char *name, const char *value, int overwrite)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_setenv(name, value, overwrite);
}

WRAP(char *, getcwd, char *ret, size_t n)
{
	return fault_fails(FAULT_MEMORY) ? NULL : __real_getcwd(ret, n);
}

WRAP(pid_t, fork, void)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_fork();
}

WRAP(int, execv, const char *path, char *const argv[])
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_execv(path, argv);
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

/* O_TMPFILE is no flag that the daemon gives. */
#define MODE_OF(flags)                                                                             \
	__extension__({                                                                            \
		mode_t _mode = 0;                                                                  \
		va_list _args;                                                                     \
                                                                                                   \
		va_start(_args, flags);                                                            \
		if ((flags)&O_CREAT)                                                               \
			_mode = va_arg(_args, mode_t);                                             \
		va_end(_args);                                                                     \
		_mode;                                                                             \
	})

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	const mode_t mode = MODE_OF(flags);

	return fault_fails(FAULT_OPEN) ? -1 : __real_open64(path, flags, mode);
}

int __real_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
	const mode_t mode = MODE_OF(flags);

	return fault_fails(FAULT_OPEN) ? -1 : __real_openat64(dirfd, path, flags, mode);
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

WRAP(int, memfd_create, const char *name, unsigned flags)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_memfd_create(name, flags);
}

WRAP(int, pipe2, int ret[2], int flags)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_pipe2(ret, flags);
}

WRAP(int, socket, int domain, int type, int protocol)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_socket(domain, type, protocol);
}

WRAP(int, socketpair, int domain, int type, int protocol, int ret[2])
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_socketpair(domain, type, protocol, ret);
}

WRAP(int, signalfd, int fd, const sigset_t *mask, int flags)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_signalfd(fd, mask, flags);
}

WRAP(int, open_tree, int dirfd, const char *path, unsigned flags)
{
	return fault_fails(FAULT_OPEN) ? -1 : __real_open_tree(dirfd, path, flags);
}

WRAP(FILE *, fopen64, const char *path, const char *mode)
{
	return fault_fails(FAULT_OPEN) ? NULL : __real_fopen64(path, mode);
}

/* By number alone are called what makes a descriptor (pidfd_open(2), openat2(2)), and what takes
 * nothing. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	const bool opens = number == SYS_pidfd_open || number == SYS_openat2;
	va_list args;
	long a[6];

	va_start(args, number);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	return opens && fault_fails(FAULT_OPEN)
		? -1
		: __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* linux/nsfs.h: a descriptor of the namespace above, or a number. */
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	const bool has_argument = _IOC_DIR(request) != _IOC_NONE;
	va_list args;
	long argument;

	va_start(args, request);
	argument = va_arg(args, long);
	va_end(args);
	return fault_fails(has_argument ? FAULT_READ : FAULT_OPEN)
		? -1
		: __real_ioctl(fd, request, argument);
}

/* Of an open file the driver alone can refuse something: a change of O_NONBLOCK. */
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list args;
	long argument;

	va_start(args, command);
	argument = va_arg(args, long);
	va_end(args);
	if (command == F_DUPFD_CLOEXEC ? fault_fails(FAULT_OPEN)
				       : command == F_SETFL && fault_fails(FAULT_READ))
		return -1;
	return __real_fcntl64(fd, command, argument);
}

/* Whoever has too many gets the message without the descriptor (MSG_CTRUNC). */
WRAP(ssize_t, recvmsg, int fd, struct msghdr *m, int flags)
{
	const ssize_t n = __real_recvmsg(fd, m, flags);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(m);
	int received;

	if (c && c->cmsg_type == SCM_RIGHTS && fault_fails(FAULT_OPEN)) {
		memcpy(&received, CMSG_DATA(c), sizeof(received));
		close(received);
		m->msg_controllen = 0;
		m->msg_flags |= MSG_CTRUNC;
	}
	return n;
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

WRAP(ssize_t, readlink, const char *path, char *buffer, size_t n)
{
	return fault_fails(FAULT_READ) ? -1 : __real_readlink(path, buffer, n);
}

/* --- what is written ------------------------------------------------------------------------ */

/* The counter behind eventfd(2) is there, and a log that cannot be written to is no failure. */
static bool needs_memory(int fd)
{
	char self[32], target[32] = "";

	if (fd == STDERR_FILENO || !is_armed(FAULT_MEMORY))
		return false;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return __real_readlink(self, target, sizeof(target) - 1) < 0 ||
		strcmp(target, "anon_inode:[eventfd]") != 0;
}

WRAP(ssize_t, write, int fd, const void *bytes, size_t n)
{
	return needs_memory(fd) && fault_fails(FAULT_MEMORY) ? -1 : __real_write(fd, bytes, n);
}

WRAP(ssize_t, writev, int fd, const struct iovec *iov, int n)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_writev(fd, iov, n);
}

WRAP(ssize_t, pwrite64, int fd, const void *bytes, size_t n, off_t offset)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_pwrite64(fd, bytes, n, offset);
}

WRAP(int, ftruncate64, int fd, off_t n)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_ftruncate64(fd, n);
}

WRAP(int, flock, int fd, int operation)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_flock(fd, operation);
}

WRAP(ssize_t, send, int fd, const void *bytes, size_t n, int flags)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_send(fd, bytes, n, flags);
}

WRAP(ssize_t, sendmsg, int fd, const struct msghdr *m, int flags)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_sendmsg(fd, m, flags);
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

WRAP(int, stat64, const char *path, struct stat *st)
{
	return fault_fails(FAULT_READ) ? -1 : __real_stat64(path, st);
}

WRAP(int, fstatfs64, int fd, struct statfs *st)
{
	return fault_fails(FAULT_READ) ? -1 : __real_fstatfs64(fd, st);
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
