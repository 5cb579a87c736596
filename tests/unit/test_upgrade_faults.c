/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon that hands on what it holds (to another version, or to the service manager's store) on a
 * machine that is out of memory or descriptors or cannot be read: each call of it and of its
 * children that can fail fails once, and from it on for good. What cannot be done is told, with
 * that reason; then all is as before, and no process or descriptor is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "faults.h"
#include "notify.h"
#include "root.h"
#include "unit.h"
#include "upgrade.h"

#define HANDED 3u /* descriptors */
#define PATIENCE_NS (20 * NS_PER_S)

static struct inherited in;

static void setup(void)
{
	int *handed[HANDED] = { &in.memory, &in.device, &in.clones[0] };

	inherit_none(&in);
	for (size_t i = 0; i < HANDED; i++)
		ck_assert_int_ge(*handed[i] = open("/dev/null", O_RDWR | O_CLOEXEC), 0);
}

static void teardown(void)
{
	inherit_close(&in);
}

/* Nobody else gets them by execve(2). */
static bool is_kept(void)
{
	char name[INHERIT_NAME];
	unsigned i = 0;
	int fd;

	while (inherit_next(&in, &i, name, &fd))
		if (fcntl(fd, F_GETFD) != FD_CLOEXEC)
			return false;
	return !getenv(INHERIT_VARIABLE);
}

/* --- descriptors that execve(2) hands over ---------------------------------------------------- */

static bool attempt_leave(const void *unused, const struct fault *f, unsigned nth)
{
	struct inherited taken;
	unsigned strangers;
	bool hit;
	int r;

	(void)unused;
	fault_arm(f, nth);
	r = inherit_leave(&in);
	hit = fault_disarm();
	if (r == 0) {
		ck_assert_int_eq(inherit_take(&taken, &strangers), INHERIT_BEFORE);
		ck_assert_mem_eq(&taken, &in, sizeof(in));
	} else {
		ck_assert_int_eq(r, -f->error);
		inherit_keep(&in);
	}
	ck_assert(is_kept());
	return hit;
}

START_TEST(all_is_left_or_nothing)
{
	faults_exhaust(attempt_leave, NULL, 0, false);
	ck_assert(attempt_leave(NULL, &faults[0], 1));
}
END_TEST

/* --- the service manager ---------------------------------------------------------------------- */

static int manager_start(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(a);
	char name[sizeof(a.sun_path) + 1];
	const int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* The kernel finds a name that nobody has. */
	ck_assert_int_eq(bind(s, (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(getsockname(s, (struct sockaddr *)&a, &size), 0);
	snprintf(name, sizeof(name), "@%.*s",
		(int)(size - offsetof(struct sockaddr_un, sun_path) - 1), a.sun_path + 1);
	setenv("NOTIFY_SOCKET", name, 1);
	return s;
}

struct heard {
	unsigned messages, stored;
};

/* All that was said. */
static struct heard hear(int manager)
{
	struct heard ret = { 0 };

	for (;;) {
		char text[512];
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
		struct iovec line = { text, sizeof(text) };
		struct msghdr m = { .msg_iov = &line,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control) };
		int fd;

		if (recvmsg(manager, &m, MSG_CMSG_CLOEXEC) < 0)
			return ret;
		ret.messages++;
		if (!CMSG_FIRSTHDR(&m))
			continue;
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
		close(fd);
		ret.stored++;
	}
}

static bool attempt_notify(const void *what, const struct fault *f, unsigned nth)
{
	const int manager = *(const int *)what;
	struct heard heard;
	bool hit;
	int r;

	fault_arm(f, nth);
	notify("STATUS=%s", "as it is");
	r = notify_store(&in);
	notify_unstore(&in);
	hit = fault_disarm();
	heard = hear(manager);
	if (r < 0)
		ck_assert_int_eq(r, -f->error);
	else
		ck_assert_uint_eq(heard.stored, HANDED);
	ck_assert(hit || heard.messages == 1 + 2 * HANDED);
	return hit;
}

START_TEST(what_is_stored_is_whole_or_there_is_an_error)
{
	autoclose int manager = manager_start();
	const struct fault opening = { FAULT_OPEN, EMFILE, false };

	faults_exhaust(attempt_notify, &manager, 0, false);
	ck_assert(attempt_notify(&manager, &faults[0], 1));
	ck_assert(attempt_notify(&manager, &opening, 1));
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

/* --- another version ---------------------------------------------------------------------------
 */

/* A file that says what one must, and the log meanwhile. */
struct next {
	char dir[32], path[48];
	int log, standard_error;
	struct upgrade *u;
};

static void next_start(struct next *ret)
{
	static const char text[] = "#!/bin/sh\necho 'lxcfs takes over: 9.9'\n";
	static char name[] = "lxcfs", *argv[] = { name, NULL };
	static struct upgrade u;
	sigset_t none;
	int fd;

	*ret = (struct next){ .dir = "/tmp/lxcfs-unit-XXXXXX", .u = &u };
	ck_assert_ptr_nonnull(mkdtemp(ret->dir));
	snprintf(ret->path, sizeof(ret->path), "%s/lxcfs", ret->dir);
	fd = open(ret->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	sigemptyset(&none);
	upgrade_init(&u, argv, &none);
	strcpy(u.path, ret->path);
	ret->standard_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	ret->log = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_eq(dup2(ret->log, STDERR_FILENO), STDERR_FILENO);
}

static void next_stop(struct next *n)
{
	dup2(n->standard_error, STDERR_FILENO);
	close(n->standard_error);
	close(n->log);
	unlink(n->path);
	rmdir(n->dir);
}

static bool log_says(const struct next *n, const char *words)
{
	char text[4096];
	const ssize_t size = pread(n->log, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(size, 0);
	text[size] = '\0';
	return strstr(text, words) != NULL;
}

static void log_empty(const struct next *n)
{
	ck_assert_int_eq(ftruncate(n->log, 0), 0);
	ck_assert_int_eq(lseek(n->log, 0, SEEK_SET), 0);
}

/* Nothing is asserted, since calls fail. */
static enum upgrade_verdict verdict_of(struct upgrade *u)
{
	const uint64_t end = clock_monotonic_ns() + PATIENCE_NS;
	enum upgrade_verdict v = UPGRADE_NO_NEWS;

	while (v == UPGRADE_NO_NEWS && clock_monotonic_ns() < end) {
		poll(NULL, 0, 1);
		v = upgrade_verdict(u);
	}
	return v;
}

static void assert_nothing_is_left(const struct next *n)
{
	ck_assert_int_eq(n->u->checker, 0);
	ck_assert_int_eq(n->u->answer, -1);
	ck_assert_int_lt(waitpid(-1, NULL, WNOHANG), 0);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert(is_kept());
}

static bool attempt_check(const void *what, const struct fault *f, unsigned nth)
{
	const struct next *n = what;
	enum upgrade_verdict verdict;
	bool hit;

	log_empty(n);
	fault_arm(f, nth);
	verdict = upgrade_check(n->u, &in) ? verdict_of(n->u) : UPGRADE_REFUSED;
	hit = fault_disarm();
	assert_nothing_is_left(n);
	ck_assert_msg(verdict == (hit ? UPGRADE_REFUSED : UPGRADE_FITS),
		"call %u of kind %d failed with %s: verdict %d", nth, (int)f->call,
		strerror(f->error), (int)verdict);
	ck_assert_msg(!hit || log_says(n, strerror(f->error)),
		"call %u of kind %d failed with %s, and the log does not say so", nth, (int)f->call,
		strerror(f->error));
	return hit;
}

START_TEST(a_version_is_checked_or_refused_with_the_reason)
{
	struct next n;

	next_start(&n);
	faults_exhaust(attempt_check, &n, 0, true);
	next_stop(&n);
}
END_TEST

/* How the process ends that would become the other version. */
enum { BECAME, GOES_ON, CHANGED };

static int execute(const struct next *n, const struct fault *f, unsigned nth)
{
	dup2(in.device, STDOUT_FILENO); /* which the version would write to */
	fault_arm(f, nth);
	upgrade_execute(n->u, &in);
	fault_disarm();
	return is_kept() && log_says(n, strerror(f->error)) ? GOES_ON : CHANGED;
}

static bool attempt_execute(const void *what, const struct fault *f, unsigned nth)
{
	const struct next *n = what;
	const pid_t pid = fork();
	int status = 0;
	bool hit;

	if (pid == 0)
		_exit(execute(n, f, nth));
	if (pid > 0)
		waitpid(pid, &status, 0);
	hit = fault_disarm();
	ck_assert_int_gt(pid, 0);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == (hit ? GOES_ON : BECAME),
		"call %u of kind %d failed with %s: status %#x", nth, (int)f->call,
		strerror(f->error), status);
	return hit;
}

START_TEST(whoever_cannot_become_another_version_goes_on_as_before)
{
	struct next n;

	next_start(&n);
	faults_exhaust(attempt_execute, &n, 0, false);
	ck_assert(attempt_execute(&n, &faults[0], 1));
	next_stop(&n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("upgrade_faults");
	TCase *c = tcase_create("faults");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, all_is_left_or_nothing);
	tcase_add_test(c, what_is_stored_is_whole_or_there_is_an_error);
	tcase_add_test(c, a_version_is_checked_or_refused_with_the_reason);
	tcase_add_test(c, whoever_cannot_become_another_version_goes_on_as_before);
	suite_add_tcase(s, c);
	return unit_run(s);
}
