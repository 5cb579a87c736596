/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands for code that an attacker has got to run in the worker: preloaded into the daemon
 * (LD_PRELOAD), it waits until the worker has given up its privileges and then tries, once, what
 * it may not do. Each try is a line on standard error: "try NAME: refused", or the error's name, or
 * "done". To outlive them it has put a handler of its own in the place of the daemon's while that
 * was still allowed, which code of an attacker has not.
 *
 * LXCFS_INTRUDE_PID: a process that is none of its business; LXCFS_INTRUDE_FILE: a file that it
 * shall not change; LXCFS_INTRUDE_CGROUP: a cgroup's directory; LXCFS_INTRUDE_ONLY: names: no other
 * is tried, for where they would succeed; LXCFS_INTRUDE_LAST: a name: that one alone is tried, and
 * the daemon's handler stays, but raise(3) does nothing; LXCFS_INTRUDE_OPENER: whatever is tried,
 * the process that opens pressure files tries it, and no worker.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int epoll_create1(int flags);
int sigaction(int number, const struct sigaction *action, struct sigaction *before);

static atomic_int *done; /* of all workers */
static volatile sig_atomic_t refused;
static pid_t pid;
static char mem[64], root_mem[96], root_file[4096], cgroup_file[4096];

static long own_fork(void)
{
	long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (child == 0)
		_exit(0);
	return child;
}

static long reopen_writable(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return syscall(SYS_openat, AT_FDCWD, path, O_RDWR);
}

static long by_openat2(void)
{
	struct open_how how = { .flags = O_RDWR };

	return syscall(SYS_openat2, AT_FDCWD, mem, &how, sizeof(how));
}

static long new_limit(void)
{
	struct rlimit limit = { 64, 64 };

	return syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &limit, NULL);
}

static long tell_other(void)
{
	return syscall(SYS_tgkill, pid, pid, 0);
}

static long is_dumpable(void)
{
	if (syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) == 1)
		return 1;
	errno = EACCES;
	return -1;
}

static int libc_sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
	int (*libc)(int, const struct sigaction *, struct sigaction *) =
		dlsym(RTLD_NEXT, "sigaction");

	return libc(number, action, before);
}

static void on_refused(int number)
{
	(void)number;
	refused = 1;
}

/* To outlive what is refused. */
static long own_handler(void)
{
	const struct sigaction own = { .sa_handler = on_refused };

	return libc_sigaction(SIGSYS, &own, NULL);
}

/* By its number, for a sanitizer has a sigaction(3) of its own, and handlers. */
static long ask_for_handler(void)
{
	return syscall(SYS_rt_sigaction, SIGSYS, NULL, NULL, 8);
}

/* A signal that the kernel sends for a call is not to be blocked: it then ends whoever blocked it,
 * and no handler is asked. */
static long refused_while_blocked(void)
{
	const uint64_t sigsys = UINT64_C(1) << (SIGSYS - 1);

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &sigsys, NULL, sizeof(sigsys));
	return syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, pid, 0, 0);
}

/* Calls whose numbers are others, of what is allowed by its own number. */
#ifdef __x86_64__
#define X32_BIT 0x40000000L

static long by_i386(void)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L /* getpid */) : "memory");
	return r;
}

#define TRIES_OF_OTHER_ABIS(X)                                                                     \
	X(i386, by_i386())                                                                         \
	X(x32, syscall(X32_BIT | SYS_getppid))                                                     \
	X(x32_of_no_name, syscall(X32_BIT | 1000))
#else
#define TRIES_OF_OTHER_ABIS(X)
#endif

/* The tries: one expression each. */
#define TRIES(X)                                                                                   \
	X(memory, syscall(SYS_openat, AT_FDCWD, mem, O_RDWR))                                      \
	X(memory_around, syscall(SYS_openat, AT_FDCWD, root_mem, O_WRONLY))                        \
	X(memory_high_bits, syscall(SYS_openat, AT_FDCWD, mem, 0xff00000000000000UL | O_RDWR))     \
	X(openat2, by_openat2())                                                                   \
	X(cgroup, syscall(SYS_openat, AT_FDCWD, cgroup_file, O_WRONLY))                            \
	X(truncating, syscall(SYS_openat, AT_FDCWD, root_file, O_RDONLY | O_TRUNC))                \
	X(creating, syscall(SYS_openat, AT_FDCWD, "/new", O_RDONLY | O_CREAT, 0600))               \
	X(temporary, syscall(SYS_openat, AT_FDCWD, "/", O_TMPFILE | O_WRONLY, 0600))               \
	X(reopening, reopen_writable())                                                            \
	X(truncate, syscall(SYS_truncate, root_file, 0))                                           \
	X(unlinkat, syscall(SYS_unlinkat, AT_FDCWD, root_file, 0))                                 \
	X(mkdirat, syscall(SYS_mkdirat, AT_FDCWD, "/new", 0700))                                   \
	X(fchmodat, syscall(SYS_fchmodat, AT_FDCWD, root_file, 0777))                              \
	X(ptrace, syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, pid, 0, 0))                          \
	X(process_vm_readv, syscall(SYS_process_vm_readv, pid, NULL, 0, NULL, 0, 0))               \
	X(process_vm_writev, syscall(SYS_process_vm_writev, pid, NULL, 0, NULL, 0, 0))             \
	X(pidfd_getfd, syscall(SYS_pidfd_getfd, -1, 0, 0))                                         \
	X(open_by_handle_at, syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY))             \
	X(mount, syscall(SYS_mount, "none", "/proc", "tmpfs", 0, NULL))                            \
	X(umount2, syscall(SYS_umount2, "/proc", 2))                                               \
	X(open_tree, syscall(SYS_open_tree, AT_FDCWD, "/proc", OPEN_TREE_CLONE))                   \
	X(move_mount, syscall(SYS_move_mount, -1, "", -1, "", 0))                                  \
	X(mount_setattr, syscall(SYS_mount_setattr, -1, "", 0, NULL, 0))                           \
	X(fsopen, syscall(SYS_fsopen, "proc", 0))                                                  \
	X(pivot_root, syscall(SYS_pivot_root, "/", "/"))                                           \
	X(chroot, syscall(SYS_chroot, "/proc"))                                                    \
	X(unshare, syscall(SYS_unshare, CLONE_NEWUSER))                                            \
	X(setns, syscall(SYS_setns, -1, 0))                                                        \
	X(execve, syscall(SYS_execve, "/proc/self/exe", NULL, NULL))                               \
	X(clone3, syscall(SYS_clone3, NULL, 0))                                                    \
	X(fork, own_fork())                                                                        \
	X(socket, syscall(SYS_socket, 1, 1, 0))                                                    \
	X(sendmsg, syscall(SYS_sendmsg, 2, NULL, 0))                                               \
	X(kill, syscall(SYS_kill, pid, 0))                                                         \
	X(kill_group, syscall(SYS_kill, -1, 0))                                                    \
	X(tgkill, tell_other())                                                                    \
	X(pidfd_send_signal, syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0))                       \
	X(prlimit64, new_limit())                                                                  \
	X(io_uring_setup, syscall(SYS_io_uring_setup, 1, NULL))                                    \
	X(bpf, syscall(SYS_bpf, 0, NULL, 0))                                                       \
	X(userfaultfd, syscall(SYS_userfaultfd, 0))                                                \
	X(perf_event_open, syscall(SYS_perf_event_open, NULL, pid, -1, -1, 0))                     \
	X(dumpable, syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0))                               \
	X(is_dumpable, is_dumpable())                                                              \
	X(own_handler, ask_for_handler())                                                          \
	X(no_call, syscall(1000))                                                                  \
	X(code,                                                                                    \
		syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,  \
			-1, 0))                                                                    \
	X(ioctl, syscall(SYS_ioctl, 2, 0x5412 /* TIOCSTI */, "x"))

/* What no handler of its own outlives: tried when it is asked for by name. */
#define LAST_TRIES(X) X(blocked, refused_while_blocked())

#define ONE(name, expression)                                                                      \
	static long try_##name(void)                                                               \
	{                                                                                          \
		return expression;                                                                 \
	}
TRIES(ONE)
TRIES_OF_OTHER_ABIS(ONE)
LAST_TRIES(ONE)

static const struct {
	const char *name;
	long (*call)(void);
	bool is_last;
} tries[] = {
#define ROW(name, expression) { #name, try_##name, false },
#define LAST_ROW(name, expression) { #name, try_##name, true },
	TRIES(ROW) TRIES_OF_OTHER_ABIS(ROW) LAST_TRIES(LAST_ROW)
};

static void attempt(size_t i)
{
	char line[128];
	long r;
	int n;

	refused = 0;
	r = tries[i].call();
	n = snprintf(line, sizeof(line), "try %s: %s\n", tries[i].name,
		refused         ? "refused"
			: r < 0 ? strerrorname_np(errno)
				: "done");
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(1);
}

static int is_word(const char *words, const char *word)
{
	const size_t n = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return 1;
	return 0;
}

static void intrude(void)
{
	const char *last = getenv("LXCFS_INTRUDE_LAST");
	const char *only = last ? last : getenv("LXCFS_INTRUDE_ONLY");

	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++)
		if (only ? is_word(only, tries[i].name) : !tries[i].is_last)
			attempt(i);
}

static void intrude_once(void)
{
	if (done && atomic_exchange(done, 1) == 0)
		intrude();
}

static bool is_for_opener(void)
{
	return getenv("LXCFS_INTRUDE_OPENER") != NULL;
}

/* The daemon's, when it puts up its own handler. */
int sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
	if (number == SIGSYS && done && !getenv("LXCFS_INTRUDE_LAST"))
		return (int)own_handler();
	return libc_sigaction(number, action, before);
}

/* The same is done to outlive it, for the daemon's handlers call it: whoever runs code in a process
 * can change what its calls lead to. */
int raise(int number)
{
	return getenv("LXCFS_INTRUDE_LAST") ? 0
					    : (int)syscall(SYS_tgkill, getpid(), gettid(), number);
}

/* The first that is called, of what a worker alone calls, and with its privileges gone. */
int epoll_create1(int flags)
{
	if (!is_for_opener())
		intrude_once();
	return (int)syscall(SYS_epoll_create1, flags);
}

/* What the opener alone calls: it is asked for a file, which it does not answer. */
ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
	const ssize_t n = syscall(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);

	if (is_for_opener())
		intrude_once();
	return n;
}

static __attribute__((constructor)) void prepare(void)
{
	const char *target = getenv("LXCFS_INTRUDE_PID");
	const char *file = getenv("LXCFS_INTRUDE_FILE");
	const char *cgroup = getenv("LXCFS_INTRUDE_CGROUP");

	if (!target || !file || !cgroup)
		return;
	pid = (pid_t)atoi(target);
	snprintf(mem, sizeof(mem), "/proc/%d/mem", pid);
	snprintf(root_mem, sizeof(root_mem), "/proc/%d/root/proc/%d/mem", pid, pid);
	snprintf(root_file, sizeof(root_file), "/proc/%d/root%s", pid, file);
	snprintf(cgroup_file, sizeof(cgroup_file), "%s/cgroup.procs", cgroup);
	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (done == MAP_FAILED)
		done = NULL;
}
