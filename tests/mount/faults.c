/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine that is out of memory or descriptors, or whose files cannot be read, as a daemon meets
 * it: preloaded (LD_PRELOAD), it fails some of the calls of the C library that the daemon and
 * libfuse make. Makes no system call that a worker or its opener may not make, and never fails a
 * read of the device.
 *
 * $LXCFS_FAULTS names a file of six ints of 32 bits that a test writes: whose calls (a pid;
 * 0: everybody's; 1: theirs who heal; 2: everybody else's; negative: everybody's but that one's),
 * which (1 memory, 2 opening, 4 reading files, directories, attributes and numbers of the kernel,
 * 8 what the opener opens, 16 watching by epoll, 32 forking and threads, 64 storing a byte in the
 * kernel's page cache, 128 making the filter of system calls, 256 mounting and changing namespaces,
 * 512 writing files, added up), the error, every how-many-th (0: none; negative: all from the
 * so-many-th on), and two that count: calls, and those that have failed.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
	MEMORY = 1,
	OPENING = 2,
	READING = 4,
	OPENER = 8,
	WATCHING = 16,
	FORKING = 32,
	STORING = 64,
	FILTERING = 128,
	MOUNTING = 256,
	WRITING = 512
};

#define WHO_HEALS 1
#define WHO_SERVES 2

static struct faults {
	_Atomic int32_t whose;
	_Atomic uint32_t which;
	_Atomic int32_t error;
	_Atomic int32_t every;
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

static bool is_meant(int32_t whose)
{
	switch (whose) {
	case 0:
		return true;
	case WHO_HEALS:
		return heals;
	case WHO_SERVES:
		return !heals;
	default:
		return whose > 0 ? self == whose : self != -whose;
	}
}

static bool fails(uint32_t which)
{
	const int32_t every = faults ? atomic_load(&faults->every) : 0;
	uint32_t call;

	if (every == 0 || !(atomic_load(&faults->which) & which))
		return false;
	if (!is_meant(atomic_load(&faults->whose)))
		return false;
	call = atomic_fetch_add(&faults->calls, 1) + 1;
	if (every < 0 ? call < -(uint32_t)every : call % (uint32_t)every != 0)
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

/* The function of that name behind this one: the C library's, or a sanitizer's. */
#define NEXT(name)                                                                                 \
	({                                                                                         \
		static __typeof__(&name) _Atomic _next;                                            \
                                                                                                   \
		if (!atomic_load(&_next))                                                          \
			atomic_store(&_next, (__typeof__(&name))dlsym(RTLD_NEXT, #name));          \
		atomic_load(&_next);                                                               \
	})

/* Runs what pthread_atfork(3) was told. */
pid_t fork(void)
{
	return fails(FORKING) ? -1 : NEXT(fork)();
}

int pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *data)
{
	return fails(FORKING) ? errno : NEXT(pthread_create)(thread, attributes, run, data);
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

void *aligned_alloc(size_t alignment, size_t n)
{
	return fails(MEMORY) ? NULL : NEXT(aligned_alloc)(alignment, n);
}

void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t offset)
{
	return fails(MEMORY) ? MAP_FAILED : NEXT(mmap64)(at, n, protection, flags, fd, offset);
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

int memfd_create(const char *name, unsigned flags)
{
	return fails(OPENING) ? -1 : NEXT(memfd_create)(name, flags);
}

int fcntl64(int fd, int command, ...)
{
	va_list args;
	long argument;

	va_start(args, command);
	argument = va_arg(args, long);
	va_end(args);
	return command == F_DUPFD_CLOEXEC && fails(OPENING) ? -1
							    : NEXT(fcntl64)(fd, command, argument);
}

int pipe2(int fds[2], int flags)
{
	return fails(OPENING) ? -1 : NEXT(pipe2)(fds, flags);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
	return fails(OPENING) ? -1 : NEXT(socketpair)(domain, type, protocol, fds);
}

int socket(int domain, int type, int protocol)
{
	return fails(OPENING) ? -1 : NEXT(socket)(domain, type, protocol);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
	return fails(OPENING) ? -1 : NEXT(signalfd)(fd, mask, flags);
}

int epoll_create1(int flags)
{
	return fails(OPENING) ? -1 : NEXT(epoll_create1)(flags);
}

int eventfd(unsigned value, int flags)
{
	return fails(OPENING) ? -1 : NEXT(eventfd)(value, flags);
}

int fsopen(const char *type, unsigned flags)
{
	return fails(OPENING) ? -1 : NEXT(fsopen)(type, flags);
}

int fsmount(int fd, unsigned flags, unsigned attributes)
{
	return fails(OPENING) ? -1 : NEXT(fsmount)(fd, flags, attributes);
}

int open_tree(int dirfd, const char *path, unsigned flags)
{
	return fails(OPENING) ? -1 : NEXT(open_tree)(dirfd, path, flags);
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

int fstat64(int fd, struct stat64 *st)
{
	return fails(READING) ? -1 : (int)syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
}

int stat64(const char *path, struct stat64 *st)
{
	return fails(READING) ? -1 : (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *st)
{
	return fails(READING) ? -1 : (int)syscall(SYS_statx, dirfd, path, flags, mask, st);
}

int fstatfs64(int fd, struct statfs64 *st)
{
	return fails(READING) ? -1 : NEXT(fstatfs64)(fd, st);
}

int faccessat(int dirfd, const char *path, int mode, int flags)
{
	return fails(READING) ? -1 : NEXT(faccessat)(dirfd, path, mode, flags);
}

ssize_t readlink(const char *path, char *buffer, size_t size)
{
	return fails(READING) ? -1 : syscall(SYS_readlinkat, AT_FDCWD, path, buffer, size);
}

struct dirent64 *readdir64(DIR *dir)
{
	return fails(READING) ? NULL : NEXT(readdir64)(dir);
}

static bool is_file(int fd)
{
	struct stat64 st;

	return syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISREG(st.st_mode);
}

/* Not of the device, a socket or an eventfd. */
ssize_t read(int fd, void *buffer, size_t size)
{
	return is_file(fd) && fails(READING) ? -1 : syscall(SYS_read, fd, buffer, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return fails(MEMORY) ? -1 : NEXT(sendmsg)(fd, message, flags);
}

ssize_t send(int fd, const void *buffer, size_t size, int flags)
{
	return fails(MEMORY) ? -1 : NEXT(send)(fd, buffer, size, flags);
}

int flock(int fd, int operation)
{
	return fails(MEMORY) ? -1 : NEXT(flock)(fd, operation);
}

int execv(const char *path, char *const argv[])
{
	return fails(MEMORY) ? -1 : NEXT(execv)(path, argv);
}

/* Not of the log. */
ssize_t write(int fd, const void *buffer, size_t size)
{
	return fd != STDERR_FILENO && is_file(fd) && fails(WRITING)
		? -1
		: syscall(SYS_write, fd, buffer, size);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t offset)
{
	return fails(WRITING) ? -1 : syscall(SYS_pwrite64, fd, buffer, size, offset);
}

int ftruncate64(int fd, off64_t size)
{
	return fails(WRITING) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
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
	return fails(STORING)
		? -errno
		: NEXT(fuse_lowlevel_notify_store)(session, number, offset, bytes, flags);
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

int mount(const char *source, const char *target, const char *type, unsigned long flags,
	const void *data)
{
	return fails(MOUNTING) ? -1 : NEXT(mount)(source, target, type, flags, data);
}

int umount2(const char *target, int flags)
{
	return fails(MOUNTING) ? -1 : NEXT(umount2)(target, flags);
}

int move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
	return fails(MOUNTING) ? -1 : NEXT(move_mount)(from, from_path, to, to_path, flags);
}

int mount_setattr(int dirfd, const char *path, unsigned flags, struct mount_attr *attr, size_t size)
{
	return fails(MOUNTING) ? -1 : NEXT(mount_setattr)(dirfd, path, flags, attr, size);
}

int unshare(int flags)
{
	return fails(MOUNTING) ? -1 : NEXT(unshare)(flags);
}

int setns(int fd, int type)
{
	return fails(MOUNTING) ? -1 : NEXT(setns)(fd, type);
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
	return fails_about_namespaces(request) || (request == FUSE_DEV_IOC_CLONE && fails(MEMORY))
		? -1
		: (int)syscall(SYS_ioctl, fd, request, argument);
}

/* Where there is no function of the C library: pidfd_open(2) and pivot_root(2) of the worker's,
 * openat2(2) of its opener's. */
long syscall(long number, ...)
{
	va_list args;
	long a[6];

	va_start(args, number);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_pidfd_open && fails(OPENING))
		return -1;
	if (number == SYS_openat2 && fails(OPENER))
		return -1;
	if (number == SYS_pivot_root && fails(MOUNTING))
		return -1;
	return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
