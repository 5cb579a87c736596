/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The check is what saves the connection: after execve(2) there is no way back. So the file must
 * say in so many words that it can go on with these very descriptors; an exit status of 0 alone
 * says nothing, as /bin/true shows.
 */
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "clock.h"
#include "log.h"
#include "parse.h"
#include "supervisor.h"
#include "takeover.h"

#define OPTION "--self-check"
#define ANSWER "lxcfs takes over: " /* and its version */
#define CHECK_NS (10 * NS_PER_S)
#define ANSWER_MAX 400u

/* --- where the program is --------------------------------------------------------------- */

/* As it was called, not where links lead to: an upgrade may lead them elsewhere. */
static bool called_as(char *ret, size_t size)
{
	const char *called = (const char *)getauxval(AT_EXECFN);
	size_t n = 0;

	/* fexecve(3) */
	if (!called || slice_starts(slice_str(called), "/dev/fd/") ||
		slice_starts(slice_str(called), "/proc/"))
		return false;
	if (*called != '/') {
		if (!getcwd(ret, size - 1))
			return false;
		n = strlen(ret);
		ret[n++] = '/';
	}
	if (n + strlen(called) >= size)
		return false;
	strcpy(ret + n, called);
	return true;
}

void upgrade_init(struct upgrade *u, char **argv, const sigset_t *mask)
{
	*u = (struct upgrade){ .argv = argv, .mask = *mask, .answer = -1 };
	if (!called_as(u->path, sizeof(u->path)) &&
		readlink("/proc/self/exe", u->path, sizeof(u->path) - 1) < 0)
		u->path[0] = '\0';
}

/* --- the check -------------------------------------------------------------------------- */

static void tell_refusal(const struct upgrade *u, const char *why)
{
	log_error("no upgrade, the running version " LXCFS_VERSION
		  " goes on: %s: %s: install one that can take over and send SIGUSR1 again, or "
		  "stop and start the service",
		u->path, why);
}

/* The option first, the rest as it is: what the new version does not know it shall say now. */
static char **check_arguments(char **argv)
{
	static char option[] = OPTION;
	size_t n = 0;
	char **ret;

	while (argv[n])
		n++;
	ret = n > 0 ? calloc(n + 2, sizeof(*ret)) : NULL;
	if (!ret)
		return NULL;
	ret[0] = argv[0];
	ret[1] = option;
	memcpy(ret + 2, argv + 1, (n - 1) * sizeof(*ret));
	return ret;
}

_Noreturn static void become_checker(const struct upgrade *u, const struct inherited *in, int out)
{
	char **argv = check_arguments(u->argv);

	/* A group of its own, so that what it starts ends with it. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &u->mask, NULL);
	if (argv && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0 &&
		inherit_leave(in) == 0)
		execv(u->path, argv);
	dprintf(out, "%s\n", strerror(errno));
	_exit(EXIT_FAILURE);
}

bool upgrade_check(struct upgrade *u, const struct inherited *in)
{
	int fds[2];

	if (u->checker != 0) {
		log_info("SIGUSR1: the check of %s is still under way", u->path);
		return false;
	}
	if (stat(u->path, &u->seen) < 0) {
		tell_refusal(u, strerror(errno));
		return false;
	}
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		tell_refusal(u, strerror(errno));
		return false;
	}
	u->checker = fork();
	if (u->checker == 0)
		become_checker(u, in, fds[1]);
	close(fds[1]);
	u->answer = fds[0];
	if (u->checker > 0) {
		u->deadline_ns = clock_monotonic_ns() + CHECK_NS;
		return true;
	}
	tell_refusal(u, strerror(errno));
	u->checker = 0;
	cleanup_close(&u->answer);
	u->answer = -1;
	return false;
}

/* --- its answer ------------------------------------------------------------------------- */

/* The first line, fit to be logged. 0 or -errno. */
static int read_answer(const struct upgrade *u, char ret[ANSWER_MAX])
{
	const ssize_t n = read(u->answer, ret, ANSWER_MAX - 1);

	if (n < 0 && errno != EAGAIN)
		return -errno;
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return 0;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static enum upgrade_verdict judge(const struct upgrade *u, int status)
{
	char answer[ANSWER_MAX];
	struct stat now;
	const int r = read_answer(u, answer);

	if (r < 0)
		tell_refusal(u, strerror(-r));
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		tell_refusal(u, answer[0] ? answer : "it does not run");
	else if (!slice_starts(slice_str(answer), ANSWER))
		tell_refusal(u, "it is another program, or too old to know of this");
	else if (stat(u->path, &now) < 0)
		tell_refusal(u, strerror(errno));
	else if (!is_same_file(&now, &u->seen))
		tell_refusal(u, "it was changed while it was checked");
	else {
		log_info("SIGUSR1: version " LXCFS_VERSION " hands over to version %s at %s",
			answer + strlen(ANSWER), u->path);
		return UPGRADE_FITS;
	}
	return UPGRADE_REFUSED;
}

static void forget(struct upgrade *u)
{
	cleanup_close(&u->answer);
	u->answer = -1;
	u->deadline_ns = 0;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		info.si_pid == pid;
}

enum upgrade_verdict upgrade_verdict(struct upgrade *u)
{
	enum upgrade_verdict verdict;
	int status;

	if (u->checker == 0)
		return UPGRADE_NO_NEWS;
	if (has_ended(u->checker)) {
		/* What it started must not go on either; until it is reaped the group is its. */
		kill(-u->checker, SIGKILL);
		waitpid(u->checker, &status, 0);
		u->checker = 0;
		if (u->deadline_ns == 0)
			return UPGRADE_NO_NEWS;
		verdict = judge(u, status);
		forget(u);
		return verdict;
	}
	if (clock_monotonic_ns() < upgrade_due_ns(u))
		return UPGRADE_NO_NEWS;
	tell_refusal(u, "its self-check does not come to an end");
	upgrade_cancel(u);
	return UPGRADE_REFUSED;
}

uint64_t upgrade_due_ns(const struct upgrade *u)
{
	return u->checker != 0 && u->deadline_ns != 0 ? u->deadline_ns : UINT64_MAX;
}

void upgrade_cancel(struct upgrade *u)
{
	if (u->checker == 0)
		return;
	/* Its group may not be made yet. */
	kill(u->checker, SIGKILL);
	kill(-u->checker, SIGKILL);
	forget(u);
}

/* --- execve(2) -------------------------------------------------------------------------- */

void upgrade_execute(struct upgrade *u, const struct inherited *in)
{
	int r = inherit_leave(in);

	/* Signals stay blocked: one that comes meanwhile is the next version's to answer. */
	if (r == 0) {
		execv(u->path, u->argv);
		r = -errno;
	}
	inherit_keep(in);
	tell_refusal(u, strerror(-r));
}

/* --- the other side --------------------------------------------------------------------- */

int supervisor_self_check(void)
{
	struct inherited in;
	autotext why = { 0 };
	unsigned strangers;

	if (inherit_take(&in, &strangers) != INHERIT_BEFORE || strangers > 0)
		text_puts(&why,
			"what is handed over has names that version " LXCFS_VERSION
			" does not know");
	else if (takeover_check(&in, &why) == 0) {
		puts(ANSWER LXCFS_VERSION);
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	printf("%.*s\n", (int)why.len, why.data);
	return EXIT_FAILURE;
}
