/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system calls that the worker and its opener may make, and no other: every number there is is
 * tried behind the real filter, in a process of its own for each. What may pass is written down
 * here once more, from what the two do; it must not be taken from the filter.
 */
#include "../../src/daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "sanitized.h"
#include "unit.h"

/* Past all that Linux has; on x86-64 the last ones are the x32 ABI's own. */
#define CALLS 600
#define X32 0x40000000L
#define SOCKET 7
#define ARGUMENTS 6

/* Arguments that are known in the child alone. */
#define SELF 0x7e570001L
#define SUPERVISOR 0x7e570002L

/* Linux 6.11, 5.17; absent from older headers. */
#define PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#define SET_VMA 0x53564d41

/* --- one call ------------------------------------------------------------------------------ */

enum outcome { REFUSED, PASSED, NO_SUCH_CALL /* passed: ENOSYS */ };
enum { UNPREPARED = 77 };

typedef int filter_fn(void);

static int worker(void)
{
	return sandbox_filter_worker(-1);
}

static int worker_with_opener(void)
{
	return sandbox_filter_worker(SOCKET);
}

static int opener(void)
{
	return sandbox_filter_opener();
}

/* So that a call that passes does nothing: no capability, no descriptor, no core, and an end. */
static void make_harmless(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { 0 };

	signal(SIGALRM, SIG_DFL);
	signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler */
	alarm(30);
	close_range(0, ~0U, 0);
	if (syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(UNPREPARED);
}

static long meant(long argument)
{
	return argument == SELF           ? getpid()
		: argument == -SELF       ? -getpid()
		: argument == SUPERVISOR  ? getppid()
		: argument == -SUPERVISOR ? -getppid()
					  : argument;
}

/* As _exit(2), but for what a sanitizer does first, which takes calls that are no worker's. */
_Noreturn static void end(int status)
{
	for (;;)
		syscall(SYS_exit_group, status);
}

NO_CALLS_OF_ASAN _Noreturn static void call(filter_fn *filter, long number, const long *arguments)
{
	long a[ARGUMENTS], r;

	make_harmless();
	for (size_t i = 0; i < ARGUMENTS; i++)
		a[i] = meant(arguments[i]);
	if (filter() < 0)
		end(UNPREPARED);
	r = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	end(r < 0 && errno == ENOSYS ? NO_SUCH_CALL : PASSED);
}

/* Of a child. By SIGSYS alone it was refused, and nothing here handles that. */
static enum outcome outcome_of(pid_t pid)
{
	int status;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return REFUSED;
	ck_assert_msg(!WIFEXITED(status) || WEXITSTATUS(status) != UNPREPARED,
		"the filter cannot be loaded here");
	return WIFEXITED(status) && WEXITSTATUS(status) == NO_SUCH_CALL ? NO_SUCH_CALL : PASSED;
}

/* As fork(2), but for the thread that ThreadSanitizer then makes, which outlives exit(2). */
static pid_t fork_alone(void)
{
#ifdef SYS_fork
	return (pid_t)syscall(SYS_fork);
#else
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

static enum outcome outcome(filter_fn *filter, long number, const long *arguments)
{
	const pid_t pid = fork_alone();

	if (pid == 0)
		call(filter, number, arguments);
	return outcome_of(pid);
}

/* --- many, and what was wrong about them --------------------------------------------------- */

/* Check takes messages of 4096 bytes. */
static char wrong[2048];

static void __attribute__((format(printf, 1, 2))) note(const char *format, ...)
{
	const size_t n = strlen(wrong);
	va_list args;

	va_start(args, format);
	vsnprintf(wrong + n, sizeof(wrong) - n, format, args);
	va_end(args);
}

#define assert_nothing_wrong() ck_assert_msg(wrong[0] == '\0', "%s", wrong)

/* Below 0: no call of this CPU. */
static long number_of(const char *name)
{
	const int number = seccomp_syscall_resolve_name(name);

	ck_assert_msg(number != __NR_SCMP_ERROR, "no call is named %s", name);
	return number;
}

static bool is_one_of(long number, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (number_of(names[i]) == number)
			return true;
	return false;
}

static void note_number(long number, bool passes)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);

	note("%s (%ld) %s\n", name ? name : "?", number, passes ? "passes" : "is refused");
	free(name);
}

/* uretprobe and uprobe, which newer kernels let pass every filter: their own code in a traced
 * process makes them, and whoever else does is ended or told an error. */
static bool is_past_filters(long number)
{
#ifdef __x86_64__
	return number == 335 || number == 336;
#else
	(void)number;
	return false;
#endif
}

/* Every number but those of `untried`, with all arguments the same: `passing` pass. */
static void try_all(filter_fn *filter, long argument, const char *const *untried, size_t n_untried,
	const char *const *passing, size_t n_passing)
{
	long arguments[ARGUMENTS];

	for (size_t i = 0; i < ARGUMENTS; i++)
		arguments[i] = argument;
	for (long number = 0; number < CALLS; number++) {
		const bool expected = is_one_of(number, passing, n_passing);
		bool passes;

		if (is_past_filters(number) || is_one_of(number, untried, n_untried))
			continue;
		passes = outcome(filter, number, arguments) != REFUSED;
		if (passes != expected)
			note_number(number, passes);
	}
}

struct attempt {
	const char *name;
	long arguments[4];
};

static void try_one(filter_fn *filter, const struct attempt *a, bool expected)
{
	const long *arg = a->arguments, number = number_of(a->name);
	const long arguments[ARGUMENTS] = { arg[0], arg[1], arg[2], arg[3] };

	if (number >= 0 && (outcome(filter, number, arguments) != REFUSED) != expected)
		note("%s(%#lx, %#lx, %#lx, %#lx) %s\n", a->name, arg[0], arg[1], arg[2], arg[3],
			expected ? "is refused" : "passes");
}

#define assert_tried(filter, expected, ...)                                                        \
	do {                                                                                       \
		const struct attempt attempts[] = { __VA_ARGS__ };                                 \
                                                                                                   \
		for (size_t at = 0; at < countof(attempts); at++)                                  \
			try_one(filter, &attempts[at], expected);                                  \
		assert_nothing_wrong();                                                            \
	} while (0)
#define assert_pass(filter, ...) assert_tried(filter, true, __VA_ARGS__)
#define assert_refused(filter, ...) assert_tried(filter, false, __VA_ARGS__)

/* --- every number -------------------------------------------------------------------------- */

/* They change nothing but the caller's own memory, threads and descriptors, or the position in what
 * it holds open; what they write to it could not open. */
static const char *const of_the_worker[] = {
	/* reading the host's files, cgroups and namespaces' links */
	"read", "readv", "pread64", "preadv", "lseek", "_llseek", "close", "dup", "getdents64",
	"readlink", "readlinkat", "access", "faccessat", "faccessat2", "stat", "lstat", "fstat",
	"newfstatat", "statx", "statfs", "fstatfs", "stat64", "lstat64", "fstat64", "fstatat64",
	"statfs64", "fstatfs64",
	/* replies to the device, lines of the log, other threads that are woken */
	"write", "writev", "eventfd2",
	/* waiting for requests, for the ends of inits and for triggers */
	"poll", "ppoll", "ppoll_time64", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
	"pidfd_open",
	/* memory, which executes nothing: mmap(2) and mprotect(2) depend */
	"brk", "munmap", "mremap", "madvise", "mlock",
	/* threads of its own and their ends */
	"futex", "futex_time64", "set_robust_list", "set_tid_address", "set_tls", "rseq",
	"membarrier", "sched_yield", "sched_getaffinity", "getcpu", "gettid", "exit", "exit_group",
	/* signals that others send it */
	"rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack", "restart_syscall",
	/* the time */
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "gettimeofday",
	"nanosleep", "clock_nanosleep", "clock_nanosleep_time64",
	/* what it is and where it runs */
	"getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo",
	"getrandom",
	/* there is none, as far as it can tell */
	"clone3",
#ifdef __aarch64__
	"personality", /* the question, which -1 is */
#endif
};

START_TEST(the_worker_may_make_the_calls_of_its_list_and_no_other)
{
	try_all(worker, -1, NULL, 0, of_the_worker, countof(of_the_worker));
	assert_nothing_wrong();
}
END_TEST

START_TEST(others_pass_with_arguments_that_change_nothing)
{
	static const char *const reading[] = { "open", "openat", "mmap", "mmap2", "mprotect",
		"prlimit64" };

	/* Not those again: some of them would wait. */
	try_all(worker, 0, of_the_worker, countof(of_the_worker), reading, countof(reading));
	assert_nothing_wrong();
}
END_TEST

static const char *const of_the_opener[] = { "recv", "recvfrom", "openat2", "sendmsg", "close",
	"exit_group", "restart_syscall", "rt_sigreturn" };

START_TEST(the_opener_opens_answers_and_ends)
{
	try_all(opener, -1, NULL, 0, of_the_opener, countof(of_the_opener));
	try_all(opener, 0, of_the_opener, countof(of_the_opener), NULL, 0);
	assert_nothing_wrong();
}
END_TEST

START_TEST(a_socket_is_no_more_to_a_worker_than_one_to_its_opener)
{
	static const char *const sends[] = { "send", "sendto", "recvmsg" };

	try_all(worker_with_opener, SOCKET, of_the_worker, countof(of_the_worker), sends,
		countof(sends));
	assert_nothing_wrong();
	assert_refused(worker_with_opener, { "sendto", { SOCKET + 1 } },
		{ "recvmsg", { SOCKET + 1 } }, { "sendto", { 0 } }, { "recvmsg", { 0 } });
}
END_TEST

static void assert_numbers_refused(filter_fn *filter)
{
	static const long numbers[] = { -1, -2, 1L << 10, 1L << 16, X32 - 1, X32 << 1, 0x7fffffff };
	static const long none[ARGUMENTS] = { 0 };

	for (size_t i = 0; i < countof(numbers); i++)
		if (outcome(filter, numbers[i], none) != REFUSED)
			note_number(numbers[i], true);
	assert_nothing_wrong();
}

START_TEST(numbers_of_no_call_are_refused)
{
	assert_numbers_refused(worker);
	assert_numbers_refused(opener);
}
END_TEST

#ifdef __x86_64__
START_TEST(calls_of_the_x32_abi_are_refused)
{
	static const long all_ones[ARGUMENTS] = { -1, -1, -1, -1, -1, -1 };

	for (long number = 0; number < CALLS; number++)
		if (outcome(worker, X32 | number, all_ones) != REFUSED)
			note_number(X32 | number, true);
	assert_nothing_wrong();
}
END_TEST

NO_CALLS_OF_ASAN _Noreturn static void call_with_32_bits(void)
{
	long r;

	make_harmless();
	if (worker() < 0)
		end(UNPREPARED);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L /* getpid */) : "memory");
	end(PASSED);
}

START_TEST(calls_of_32_bits_are_refused)
{
	const pid_t pid = fork_alone();
	int status;

	if (pid == 0)
		call_with_32_bits();
	/* Where the kernel has none of them it is a fault. */
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
}
END_TEST
#endif

/* --- by their arguments -------------------------------------------------------------------- */

START_TEST(files_can_be_opened_for_reading_alone)
{
	static const int reading[] = { O_RDONLY, O_PATH, O_DIRECTORY, O_NOFOLLOW | O_NONBLOCK };
	static const int writing[] = { O_WRONLY, O_RDWR, O_ACCMODE, O_CREAT, O_TRUNC, O_TMPFILE,
		O_TMPFILE & ~O_DIRECTORY, O_TMPFILE | O_RDWR, O_WRONLY | O_APPEND,
		O_RDWR | O_PATH };

	/* No path: EFAULT */
	for (size_t i = 0; i < countof(reading); i++)
		assert_pass(worker, { "openat", { AT_FDCWD, 0, reading[i] | O_CLOEXEC } },
			{ "open", { 0, reading[i] | O_CLOEXEC } });
	for (size_t i = 0; i < countof(writing); i++)
		assert_refused(worker, { "openat", { AT_FDCWD, 0, writing[i] | O_CLOEXEC } },
			{ "open", { 0, writing[i] | O_CLOEXEC } },
			{ "openat", { AT_FDCWD, 0, writing[i] } }, { "open", { 0, writing[i] } });
	/* Its flags are out of a filter's sight. */
	assert_refused(worker, { "openat2", { AT_FDCWD, 0, 0, 24 } },
		{ "openat2", { AT_FDCWD, 0, 0, 0 } });
}
END_TEST

START_TEST(memory_cannot_be_made_executable)
{
	static const int data[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };

	/* Of length 0, and at a place that is none: EINVAL */
	for (size_t i = 0; i < countof(data); i++) {
		assert_pass(worker, { "mmap", { 0, 0, data[i] } }, { "mmap2", { 0, 0, data[i] } },
			{ "mprotect", { -1, 0, data[i] } });
		assert_refused(worker, { "mmap", { 0, 0, data[i] | PROT_EXEC } },
			{ "mmap2", { 0, 0, data[i] | PROT_EXEC } },
			{ "mprotect", { -1, 0, data[i] | PROT_EXEC } },
			{ "pkey_mprotect", { -1, 0, data[i], -1 } });
	}
#ifdef __aarch64__
	assert_pass(worker, { "personality", { 0 } }, { "personality", { PER_LINUX32 } });
	assert_refused(worker, { "personality", { READ_IMPLIES_EXEC } },
		{ "personality", { PER_LINUX32 | READ_IMPLIES_EXEC } });
#else
	assert_refused(worker, { "personality", { 0 } }, { "personality", { READ_IMPLIES_EXEC } });
#endif
}
END_TEST

/* The flags' place differs between CPUs. */
#define CLONE(flags)                                                                               \
	{                                                                                          \
		"clone",                                                                           \
		{                                                                                  \
			(flags), (flags)                                                           \
		}                                                                                  \
	}

START_TEST(threads_can_be_made_and_no_processes)
{
	static const int namespaces[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
		CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET };
	static const long all_ones[ARGUMENTS] = { -1, -1, -1, -1, -1, -1 };

	/* A thread, but for the handlers that it does not share: EINVAL */
	assert_pass(worker, CLONE(CLONE_VM | CLONE_THREAD),
		CLONE(CLONE_VM | CLONE_THREAD | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM |
			CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID));
	assert_refused(worker, CLONE(0), CLONE(SIGCHLD), CLONE(CLONE_VM), CLONE(CLONE_THREAD),
		CLONE(CLONE_VM | CLONE_VFORK | SIGCHLD), CLONE(CLONE_VM | CLONE_SIGHAND | SIGCHLD),
		CLONE(CLONE_PARENT | SIGCHLD));
	for (size_t i = 0; i < countof(namespaces); i++)
		assert_refused(worker, CLONE(namespaces[i]), CLONE(namespaces[i] | SIGCHLD),
			CLONE(CLONE_VM | CLONE_THREAD | namespaces[i]),
			{ "unshare", { namespaces[i] } }, { "setns", { -1, namespaces[i] } });
	/* So that the C library goes on to clone(2). */
	ck_assert_int_eq(outcome(worker, number_of("clone3"), all_ones), NO_SUCH_CALL);
}
END_TEST

START_TEST(signals_go_to_the_worker_itself_and_sigchld_alone_to_the_supervisor)
{
	assert_pass(worker, { "kill", { SELF, 0 } }, { "tgkill", { SELF, SELF, 0 } },
		{ "kill", { SUPERVISOR, SIGCHLD } });
	assert_refused(worker, { "kill", { 0, 0 } }, { "kill", { -1, 0 } }, { "kill", { 1, 0 } },
		{ "kill", { -SELF, 0 } }, { "kill", { -SUPERVISOR, 0 } },
		{ "kill", { 1, SIGCHLD } }, { "kill", { -SUPERVISOR, SIGCHLD } },
		{ "tgkill", { SUPERVISOR, SUPERVISOR, 0 } },
		{ "tgkill", { SUPERVISOR, SUPERVISOR, SIGCHLD } }, { "tkill", { SELF, 0 } },
		{ "tkill", { SUPERVISOR, SIGCHLD } },
		{ "rt_sigqueueinfo", { SUPERVISOR, SIGCHLD } },
		{ "rt_tgsigqueueinfo", { SUPERVISOR, SUPERVISOR, SIGCHLD } },
		{ "pidfd_send_signal", { -1, SIGCHLD } }, { "pidfd_send_signal", { -1, SIGKILL } });
	/* First what would do nothing. */
	for (int signal = 0; signal <= 64; signal++)
		if (signal != SIGCHLD)
			assert_refused(worker, { "kill", { SUPERVISOR, signal } });
}
END_TEST

START_TEST(the_opener_signals_itself_alone)
{
	assert_pass(opener, { "kill", { SELF, 0 } }, { "tgkill", { SELF, SELF, 0 } });
	assert_refused(opener, { "kill", { SUPERVISOR, 0 } }, { "kill", { SUPERVISOR, SIGCHLD } },
		{ "tgkill", { SUPERVISOR, SUPERVISOR, 0 } }, { "kill", { -1, 0 } },
		{ "kill", { -SELF, 0 } });
}
END_TEST

START_TEST(no_handler_outlives_a_refused_call)
{
	/* abort(3), and the C library's own */
	assert_pass(worker, { "rt_sigaction", { SIGABRT, 0, 0, -1 } },
		{ "rt_sigaction", { 32, 0, 0, -1 } }, { "rt_sigaction", { 33, 0, 0, -1 } });
	for (int signal = 0; signal <= 64; signal++)
		if (signal != SIGABRT && signal != 32 && signal != 33)
			assert_refused(worker, { "rt_sigaction", { signal, 0, 0, -1 } });
}
END_TEST

/* Every command up to `end` passes or not as it is one of those. */
static void try_commands(
	const char *name, size_t argument, long from, long end, const long *passing, size_t n)
{
	for (long command = from; command < end; command++) {
		struct attempt a = { name, { -1, -1, -1, -1 } };
		bool expected = false;

		for (size_t i = 0; i < n; i++)
			expected |= passing[i] == command;
		a.arguments[argument] = command;
		try_one(worker, &a, expected);
	}
}

START_TEST(a_descriptor_can_be_copied_and_its_flags_set_and_nothing_else)
{
	/* No owner, who would be sent signals; no lock or lease, which others would wait for. */
	static const long passing[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC };

	try_commands("fcntl", 1, 0, 64, passing, countof(passing));
	try_commands("fcntl", 1, F_SETLEASE - 8, F_SETLEASE + 64, passing, countof(passing));
	try_commands("fcntl64", 1, 0, 64, passing, countof(passing));
	try_commands("fcntl64", 1, F_SETLEASE - 8, F_SETLEASE + 64, passing, countof(passing));
	assert_nothing_wrong();
}
END_TEST

START_TEST(namespaces_are_asked_and_no_device_is_told_anything)
{
	/* The pid namespace that is around one, inits in it, and isatty(3). */
	static const long passing[] = { NS_GET_PARENT, PID_FROM_PIDNS, TCGETS };

	for (size_t i = 0; i < countof(passing); i++)
		assert_pass(worker, { "ioctl", { -1, passing[i] } });
	/* All of terminals and of files, and with every direction those of namespaces and the
	 * device */
	try_commands("ioctl", 1, 0x5400, 0x5480, passing, countof(passing));
	for (long type = 0xb700; type <= 0xe500; type += 0xe500 - 0xb700)
		for (long direction = 0; direction < 4; direction++) {
			const long command = direction << 30 | 4 << 16 | type;

			try_commands("ioctl", 1, command, command + 12, passing, countof(passing));
		}
	try_commands("ioctl", 1, NS_GET_USERNS, NS_GET_USERNS + 12, passing, countof(passing));
	assert_nothing_wrong();
}
END_TEST

START_TEST(a_thread_can_be_named_and_cannot_be_made_dumpable)
{
	static const long passing[] = { PR_SET_NAME, PR_GET_NAME, SET_VMA };

	try_commands("prctl", 0, 0, 96, passing, countof(passing));
	try_commands("prctl", 0, SET_VMA - 1, SET_VMA + 2, passing, countof(passing));
	try_commands("prctl", 0, PR_SET_PTRACER, PR_SET_PTRACER + 1, passing, countof(passing));
	assert_nothing_wrong();
}
END_TEST

START_TEST(its_own_limits_are_looked_at_and_none_is_set)
{
	assert_pass(worker, { "prlimit64", { 0, RLIMIT_NOFILE, 0, 0 } });
	assert_refused(worker, { "prlimit64", { 0, RLIMIT_NOFILE, -1, 0 } },
		{ "prlimit64", { 0, RLIMIT_NOFILE, 1, 0 } }, { "prlimit64", { SELF, 0, 0, 0 } },
		{ "prlimit64", { SUPERVISOR, RLIMIT_NOFILE, 0, 0 } },
		{ "prlimit64", { 1, RLIMIT_NOFILE, 0, 0 } });
}
END_TEST

#if __SIZEOF_LONG__ == 8
/* What the kernel does not look at. */
#define UPPER (~0UL << 32)

START_TEST(the_upper_half_of_an_int_hides_nothing)
{
	assert_refused(worker, { "openat", { AT_FDCWD, 0, (long)(UPPER | O_RDWR) } },
		{ "mprotect", { -1, 0, (long)(UPPER | PROT_EXEC) } },
		{ "rt_sigaction", { (long)(UPPER | SIGSYS), 0, 0, -1 } },
		{ "fcntl", { -1, (long)(UPPER | F_SETOWN) } },
		{ "prctl", { (long)(UPPER | PR_SET_DUMPABLE), 0 } },
		{ "prlimit64", { 0, RLIMIT_NOFILE, (long)UPPER, 0 } },
		CLONE((long)(UPPER | CLONE_VM | CLONE_THREAD | CLONE_NEWUSER)));
}
END_TEST
#endif

/* --- what is told of a refused call -------------------------------------------------------- */

START_TEST(a_refused_call_is_told_once_by_the_name_that_its_architecture_has_for_it)
{
	static const struct {
		uint32_t arch; /* 0: this one */
		int number;
		const char *told;
	} calls[] = {
		{ 0, SYS_ptrace, "ptrace" },
		{ 0, 1000, "number 1000" },
		/* None that libseccomp has made up */
		{ 0, -1, "number -1" },
		{ 0, __PNR_socket, "number -101" },
		{ SCMP_ARCH_X86, 20, "getpid of the i386 ABI" },
		{ SCMP_ARCH_X86, -1, "number -1 of the i386 ABI" },
		{ SCMP_ARCH_X86_64, X32 | 521, "ptrace of the x32 ABI" },
		{ SCMP_ARCH_X86_64, X32 | 1000, "number 1000 of the x32 ABI" },
		{ SCMP_ARCH_S390X, 26, "ptrace of the architecture 0x80000016" },
		{ 1, 26, "number 26 of the architecture 0x1" },
	};

	ck_assert_int_eq(sandbox_prepare(), 0);
	for (size_t i = 0; i < countof(calls); i++) {
		const uint32_t arch = calls[i].arch ? calls[i].arch : seccomp_arch_native();
		char *told;

		sandbox_note_refused(arch, calls[i].number);
		ck_assert_ptr_null(sandbox_refused_call(SANDBOX_OPENER));
		told = sandbox_refused_call(SANDBOX_WORKER);
		ck_assert_str_eq(told, calls[i].told);
		free(told);
		ck_assert_ptr_null(sandbox_refused_call(SANDBOX_WORKER));
	}
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *c;

	s = suite_create("filter");
	c = tcase_create("filter");
	/* valgrind makes calls of its own behind it. */
	tcase_set_tags(c, "long");
	tcase_add_test(c, the_worker_may_make_the_calls_of_its_list_and_no_other);
	tcase_add_test(c, others_pass_with_arguments_that_change_nothing);
	tcase_add_test(c, the_opener_opens_answers_and_ends);
	tcase_add_test(c, a_socket_is_no_more_to_a_worker_than_one_to_its_opener);
	tcase_add_test(c, numbers_of_no_call_are_refused);
#ifdef __x86_64__
	tcase_add_test(c, calls_of_the_x32_abi_are_refused);
	tcase_add_test(c, calls_of_32_bits_are_refused);
#endif
	tcase_add_test(c, files_can_be_opened_for_reading_alone);
	tcase_add_test(c, memory_cannot_be_made_executable);
	tcase_add_test(c, threads_can_be_made_and_no_processes);
	tcase_add_test(c, signals_go_to_the_worker_itself_and_sigchld_alone_to_the_supervisor);
	tcase_add_test(c, the_opener_signals_itself_alone);
	tcase_add_test(c, no_handler_outlives_a_refused_call);
	tcase_add_test(c, a_descriptor_can_be_copied_and_its_flags_set_and_nothing_else);
	tcase_add_test(c, namespaces_are_asked_and_no_device_is_told_anything);
	tcase_add_test(c, a_thread_can_be_named_and_cannot_be_made_dumpable);
	tcase_add_test(c, its_own_limits_are_looked_at_and_none_is_set);
#if __SIZEOF_LONG__ == 8
	tcase_add_test(c, the_upper_half_of_an_int_hides_nothing);
#endif
	tcase_add_test(c, a_refused_call_is_told_once_by_the_name_that_its_architecture_has_for_it);
	suite_add_tcase(s, c);
	return unit_run(s);
}
