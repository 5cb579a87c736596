/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What --inspect says on a machine that is out of memory or descriptors or cannot be read: each
 * call that can fail fails once, and from it on for good. The answer is an error or what it is
 * otherwise, never a part of it, and nothing leaks.
 */
#include "../../src/inspect/private.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "container_env.h"
#include "faults.h"
#include "handover.h"
#include "unit.h"

static char scratch[] = "/tmp/lxcfs-unit-XXXXXX", pidfile[64], dir[64];
static struct box box;
static pid_t daemon_pid;

/* What there is to see of a daemon: a command line, a locked pidfile, DIR among its mounts, and the
 * hand-over memory, which may say that every file is the kernel's own. DIR is a FIFO, for whose
 * writer cat(1) waits; that has an option -u, too. */
_Noreturn static void be_daemon(bool pass_through)
{
	struct handover *h;
	int fd, memory;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(dir, dir, NULL, MS_BIND, NULL) < 0 || handover_new(&memory, &h) < 0)
		_exit(1);
	atomic_store(&h->pass_through, pass_through);
	fd = open(pidfile, O_RDWR | O_CREAT, 0600);
	if (flock(fd, LOCK_EX) < 0 || dprintf(fd, "%d\n", getpid()) < 0 ||
		fcntl(memory, F_SETFD, 0) < 0)
		_exit(1);
	execl("/bin/cat", "lxcfs", "-u", dir, NULL);
	_exit(1);
}

static bool is_daemon(void)
{
	char path[64], command[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", daemon_pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, command, sizeof(command) - 1), 0);
	close(fd);
	return strcmp(command, "lxcfs") == 0;
}

static void start_daemon(bool pass_through)
{
	daemon_pid = fork();
	ck_assert_int_ge(daemon_pid, 0);
	if (daemon_pid == 0)
		be_daemon(pass_through);
	BY_NOW(is_daemon());
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	snprintf(pidfile, sizeof(pidfile), "%s/pid", scratch);
	snprintf(dir, sizeof(dir), "%s/dir", scratch);
	ck_assert_int_eq(mkfifo(dir, 0600), 0);
	box_start(&box, layout, MODERN);
	/* Its thread's calls would be counted. */
	container_cache_free(cache);
	cache = NULL;
}

static void teardown(void)
{
	box_stop(&box);
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	unlink(pidfile);
	unlink(dir);
	rmdir(scratch);
}

/* What changes from one look to the next. */
static void still(struct inspection *in)
{
	in->now_ns = in->start_ns;
	in->cpu_time_ns = in->host_swap_kb = 0;
	in->memory = (struct cgroup_memory){ .known = in->memory.known, .limit = in->memory.limit };
	in->swap = (struct cgroup_swap){ .total = in->swap.total };
}

/* Both ways to say it, in one text, and what only binds are compared with. 0 or -errno. */
static int ask(struct text *ret)
{
	static struct inspection in;
	const struct options options = { .pidfile = pidfile };
	int r = inspect_gather(&root, &options, box.pid, &in);

	if (r == 0) {
		still(&in);
		inspect_print(&in, ret);
		r = inspect_json(&in, ret);
		text_u64(ret, in.daemon.minor, 0);
	}
	inspect_free(&in);
	text_add(ret, "", 1);
	return r < 0 ? r : text_error(ret);
}

/* The line that differs first; Check takes messages of 4096 bytes. */
static int differing(const struct text *a, const struct text *b)
{
	size_t n = 0, line = 0;

	for (; n < a->len && n < b->len && a->data[n] == b->data[n]; n++)
		if (a->data[n] == '\n')
			line = n + 1;
	return (int)line;
}

static bool attempt(const void *what, const struct fault *f, unsigned nth)
{
	const struct text *right = what;
	autotext answer = { 0 };
	bool hit;
	int r, at;

	fault_arm(f, nth);
	r = ask(&answer);
	hit = fault_disarm();
	/* -EAGAIN: pthread_create(3)'s */
	if (r < 0 && hit && (is_shortage(r) || r == -EAGAIN))
		return true;
	ck_assert_msg(r == 0, "call %u of kind %d failed with %s: %s", nth, (int)f->call,
		strerror(f->error), strerror(-r));
	at = differing(&answer, right);
	ck_assert_msg(slice_same(slice_of(&answer), slice_of(right)),
		"call %u of kind %d failed with %s:\n%.200s\ninstead of\n%.200s", nth, (int)f->call,
		strerror(f->error), answer.data + at, right->data + at);
	return hit;
}

static void assert_all_is_found(const struct text *answer, bool pass_through)
{
	const char *said[] = { pass_through ? "sent the daemon SIGUSR2" : "No CPU quota limits it",
		"\"disable_swap\":true", "\"other_namespaces\":false", box.path };

	for (size_t i = 0; i < countof(said); i++)
		ck_assert_msg(strstr(answer->data, said[i]), "no '%s'", said[i]);
}

/* ENODEV: what files of removed cgroups say, and none is. */
START_TEST(a_process_is_told_of_as_it_is_or_not_at_all)
{
	autotext right = { 0 };

	start_daemon(_i);
	ck_assert_int_eq(ask(&right), 0);
	assert_all_is_found(&right, _i);
	faults_exhaust(attempt, &right, ENODEV, true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("inspect_faults");
	TCase *c = make_case("faults");

	if (!c) {
		puts("1..0 # SKIP needs root and a cgroup hierarchy to make cgroups in");
		return 0;
	}
	tcase_set_tags(c, "long"); /* not under valgrind, which does not know pidfd_open(2) */
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, a_process_is_told_of_as_it_is_or_not_at_all, 0, 2);
	suite_add_tcase(s, c);
	return unit_run(s);
}
