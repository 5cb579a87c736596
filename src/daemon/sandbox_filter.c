/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system calls that the worker may make: what it and its C library use, and nothing that
 * changes anything but its own memory and the descriptors that it holds. Any other ends it by
 * SIGSYS.
 *
 * This is the wall that holds: CAP_SYS_PTRACE opens /proc/<pid>/root of every process, and so a
 * writable /proc of somebody else's, whatever mounts the worker has itself. (Landlock would close
 * that too, but refuses namespace links of processes outside its domain, which are what the
 * capability is for.)
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cleanup.h"

/* Linux 6.11; absent from older headers. */
#define GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)

/* Whatever their arguments are. First what a request costs. */
static const int allowed[] = { SCMP_SYS(read), SCMP_SYS(writev), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(newfstatat), SCMP_SYS(pread64), SCMP_SYS(futex), SCMP_SYS(close),
	SCMP_SYS(write), /* the log; what it may write to is what it could open */
	SCMP_SYS(statx), SCMP_SYS(getdents64), SCMP_SYS(readlinkat), SCMP_SYS(readlink),
	SCMP_SYS(lseek), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(statfs),
	SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(readv), SCMP_SYS(preadv), SCMP_SYS(dup), SCMP_SYS(pidfd_open),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock),
	/* threads, time, signals */
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(set_robust_list), SCMP_SYS(set_tid_address),
	SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getcpu), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(getrandom), SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	/* the same on CPUs of 32 bits */
	SCMP_SYS(_llseek), SCMP_SYS(fstat64), SCMP_SYS(stat64), SCMP_SYS(lstat64),
	SCMP_SYS(fstatat64), SCMP_SYS(statfs64), SCMP_SYS(fstatfs64), SCMP_SYS(clock_gettime64),
	SCMP_SYS(clock_getres_time64), SCMP_SYS(clock_nanosleep_time64), SCMP_SYS(futex_time64),
	SCMP_SYS(ppoll_time64), SCMP_SYS(sigreturn), SCMP_SYS(set_tls) };

/* Only with these bits of one argument: ints, whose upper half the kernel does not look at. */
struct bits {
	int call;
	unsigned argument;
	scmp_datum_t mask, value;
};

/* Linux 5.17 */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#define NO_WRITING (O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))
#define ANY_INT 0xffffffffu

#ifdef __s390__
#define CLONE_FLAGS_ARGUMENT 1
#else
#define CLONE_FLAGS_ARGUMENT 0
#endif
#define NEW_NAMESPACES                                                                             \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET)

static const struct bits allowed_bits[] = {
	{ SCMP_SYS(open), 1, NO_WRITING, 0 }, { SCMP_SYS(openat), 2, NO_WRITING, 0 },
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 }, { SCMP_SYS(mmap2), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(clone), CLONE_FLAGS_ARGUMENT, CLONE_VM | CLONE_THREAD | NEW_NAMESPACES,
		CLONE_VM | CLONE_THREAD },
	{ SCMP_SYS(ioctl), 1, ANY_INT, GET_PID_FROM_PIDNS },
	{ SCMP_SYS(ioctl), 1, ANY_INT, NS_GET_PARENT },
	{ SCMP_SYS(ioctl), 1, ANY_INT, TCGETS }, /* isatty(3) */
	{ SCMP_SYS(fcntl), 1, ANY_INT, F_GETFL }, { SCMP_SYS(fcntl), 1, ANY_INT, F_SETFL },
	{ SCMP_SYS(fcntl), 1, ANY_INT, F_GETFD }, { SCMP_SYS(fcntl), 1, ANY_INT, F_SETFD },
	{ SCMP_SYS(fcntl), 1, ANY_INT, F_DUPFD_CLOEXEC },
	{ SCMP_SYS(fcntl64), 1, ANY_INT, F_GETFL }, { SCMP_SYS(fcntl64), 1, ANY_INT, F_SETFL },
	{ SCMP_SYS(fcntl64), 1, ANY_INT, F_GETFD }, { SCMP_SYS(fcntl64), 1, ANY_INT, F_SETFD },
	{ SCMP_SYS(fcntl64), 1, ANY_INT, F_DUPFD_CLOEXEC },
	{ SCMP_SYS(prctl), 0, ANY_INT, PR_GET_NAME }, { SCMP_SYS(prctl), 0, ANY_INT, PR_SET_NAME },
	{ SCMP_SYS(prctl), 0, ANY_INT, PR_SET_VMA }, /* the C library names its memory */
	/* abort(3), and the C library's own signals. Not SIGSYS: whoever could catch that would
	 * outlive a refused call. */
	{ SCMP_SYS(rt_sigaction), 0, ANY_INT, SIGABRT },
	{ SCMP_SYS(rt_sigaction), 0, ANY_INT & ~1u, 32 },
#ifdef __aarch64__
	/* A thread's own (host/compat32.c); not what makes memory executable. */
	{ SCMP_SYS(personality), 0, READ_IMPLIES_EXEC, 0 },
	{ SCMP_SYS(personality), 0, ANY_INT, ANY_INT }, /* the question */
#endif
};

static int allow_bits(scmp_filter_ctx ctx, const struct bits *b)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, b->call, 1,
		SCMP_CMP(b->argument, SCMP_CMP_MASKED_EQ, b->mask, b->value));
}

/* Signals go to the worker itself: others of its uid are the host's. */
static int allow_own_signals(scmp_filter_ctx ctx)
{
	const scmp_datum_t self = (scmp_datum_t)getpid();
	const int calls[] = { SCMP_SYS(kill), SCMP_SYS(tgkill) };
	int r = 0;

	for (size_t i = 0; i < countof(calls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 1,
			SCMP_CMP(0, SCMP_CMP_MASKED_EQ, ANY_INT, self));
	return r;
}

static int allow_calls(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

/* What tells the supervisor to look at how its worker fares. */
static int allow_call_for_help(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(kill), 2,
		SCMP_CMP(0, SCMP_CMP_MASKED_EQ, ANY_INT, (scmp_datum_t)getppid()),
		SCMP_CMP(1, SCMP_CMP_MASKED_EQ, ANY_INT, SIGCHLD));
}

/* The socket to the process that opens pressure files, and no other. */
static int allow_socket(scmp_filter_ctx ctx, int sock)
{
	const int calls[] = { SCMP_SYS(send), SCMP_SYS(sendto), SCMP_SYS(recvmsg) };
	int r = 0;

	for (size_t i = 0; i < countof(calls) && r == 0 && sock >= 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 1,
			SCMP_CMP(0, SCMP_CMP_MASKED_EQ, ANY_INT, (scmp_datum_t)sock));
	return r;
}

static int worker_rules(scmp_filter_ctx ctx, int sock)
{
	int r = allow_own_signals(ctx);

	if (r == 0)
		r = allow_call_for_help(ctx);
	if (r == 0)
		r = allow_calls(ctx, allowed, countof(allowed));
	if (r == 0)
		r = allow_socket(ctx, sock);
	for (size_t i = 0; i < countof(allowed_bits) && r == 0; i++)
		r = allow_bits(ctx, &allowed_bits[i]);
	/* Limits are looked at, and nobody else's, nor set. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
			SCMP_A0(SCMP_CMP_MASKED_EQ, ANY_INT, 0), SCMP_A2(SCMP_CMP_EQ, 0, 0));
	/* Its flags lie in memory, where a filter does not see: glibc then calls clone(2). */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

/* Its one loop, and its end. What openat2(2) is given lies in memory, where a filter does not see.
 */
static int opener_rules(scmp_filter_ctx ctx, int unused)
{
	static const int calls[] = { SCMP_SYS(openat2), SCMP_SYS(recv), SCMP_SYS(recvfrom),
		SCMP_SYS(sendmsg), SCMP_SYS(close), SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
		SCMP_SYS(rt_sigreturn) };
	int r = allow_own_signals(ctx);

	(void)unused;
	return r == 0 ? allow_calls(ctx, calls, countof(calls)) : r;
}

/* SIGSYS, and not death at once: its handler (watch.c) notes which call it was. A thread that has
 * it blocked or ignored dies all the same. */
static int load(int (*rules)(scmp_filter_ctx, int), int sock)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int r;

	if (!ctx)
		return -ENOMEM;
	/* Nor may it make those of another architecture, or of x32: their numbers mean others. */
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRAP);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);      /* set already */
	seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1); /* why, not ECANCELED */
	/* Before Linux 5.16 a filter made the CPU slower, too. */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	/* A tree, not a list: of 100 comparisons it makes 7. */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = rules(ctx, sock);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int sandbox_filter_worker(int opener)
{
	return load(worker_rules, opener);
}

int sandbox_filter_opener(void)
{
	return load(opener_rules, -1);
}
