/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the mount namespaces that hold dead binds, and gives each to a process of its own with a
 * deadline. Reads nothing but /proc here: text that the kernel makes without asking any file
 * system.
 */
#include "heal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "clock.h"
#include "connection.h"
#include "log.h"
#include "root.h"
#include "sandbox.h"

/* When it looks: a killed daemon's connection lasts until its last thread is gone, and a container
 * may be just about to bind what is dead. A namespace that does not come to an end must not keep
 * the others waiting for long, nor may some: later looks are more patient. */
static const struct {
	unsigned at_s; /* after the start */
	unsigned job_ms;
} looks[] = { { 0, 500 }, { 1, 1000 }, { 5, 3000 } };

#define LOOK_LIMIT_NS (60 * NS_PER_S)
#define MOUNTINFO_MAX (16u << 20)
#define TYPE_WORD " fuse.lxcfs "

#define JOBS 16u
#define JOB_ABANDONED_NS (200 * NS_PER_MS) /* after its limit */

struct job {
	pid_t pid; /* 0: none */
	pid_t container;
	uint64_t abandoned_ns; /* CLOCK_MONOTONIC: then it is waited for no more */
};

struct healer {
	const char *dir;
	dev_t dev;
	uint32_t max_read;
	int proc;
	ino_t own_namespace;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC: of one look */
	unsigned job_ms;
	void *seen; /* tsearch(3)'s: struct view_of_mounts */
	struct job jobs[JOBS];
	struct heal_shared *shared;
};

/* --- jobs ------------------------------------------------------------------------------- */

static void job_ended(struct healer *h, pid_t pid, int status)
{
	for (size_t i = 0; i < JOBS; i++) {
		struct job *j = &h->jobs[i];

		if (j->pid != pid)
			continue;
		if (WIFSIGNALED(status)) /* its timer */
			heal_failed(h->shared, j->container, ETIME);
		j->pid = 0;
	}
}

/* Jobs, and what jobs that are over have left. */
static void reap(struct healer *h)
{
	const uint64_t now = clock_monotonic_ns();
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		job_ended(h, pid, status);
	for (size_t i = 0; i < JOBS; i++) {
		struct job *j = &h->jobs[i];

		if (j->pid == 0 || now < j->abandoned_ns)
			continue;
		/* The kernel holds it, until whoever holds it up answers or ends. */
		heal_failed(h->shared, j->container, ETIME);
		j->pid = 0;
	}
}

static unsigned running(const struct healer *h)
{
	unsigned n = 0;

	for (size_t i = 0; i < JOBS; i++)
		n += h->jobs[i].pid != 0;
	return n;
}

static void wait_until_running(struct healer *h, unsigned most)
{
	const struct timespec t = { 0, 20 * (long)NS_PER_MS };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (reap(h); running(h) > most; reap(h))
		sigtimedwait(&child, NULL, &t);
}

_Noreturn static void run_job(const struct healer *h, const struct heal_target *t, pid_t parent)
{
	const struct itimerval limit = { .it_value = {
						 h->job_ms / 1000, h->job_ms % 1000 * 1000 } };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setitimer(ITIMER_REAL, &limit, NULL); /* SIGALRM ends it */
	heal_namespace(t, h->shared);
	_exit(0);
}

static void start_job(struct healer *h, const struct heal_target *t)
{
	const pid_t parent = getpid();
	struct job *j = h->jobs;
	pid_t pid;

	wait_until_running(h, JOBS - 1);
	while (j->pid)
		j++;
	pid = fork();
	if (pid == 0)
		run_job(h, t, parent);
	if (pid < 0)
		heal_failed(h->shared, t->pid, errno);
	else
		*j = (struct job){ pid, t->pid,
			clock_monotonic_ns() + h->job_ms * NS_PER_MS + JOB_ABANDONED_NS };
}

/* --- processes -------------------------------------------------------------------------- */

/* Two processes of one namespace see the same mounts if they have the same root directory. */
struct view_of_mounts {
	ino_t namespace;
	char root[];
};

static int compare_views(const void *a, const void *b)
{
	const struct view_of_mounts *x = a, *y = b;

	if (x->namespace != y->namespace)
		return x->namespace < y->namespace ? -1 : 1;
	return strcmp(x->root, y->root);
}

/* False when what that process sees was looked at already, or cannot be told any more. The path is
 * the kernel's text: nothing is looked up. */
static bool is_new_view(struct healer *h, int process, bool *ret_own)
{
	char root[PATH_MAX];
	ssize_t n = readlinkat(process, "root", root, sizeof(root) - 1);
	struct view_of_mounts *v, **known;
	struct stat st;

	if (n < 0 || fstatat(process, "ns/mnt", &st, 0) < 0)
		return false;
	root[n] = '\0';
	v = malloc(sizeof(*v) + (size_t)n + 1);
	if (!v)
		return false;
	v->namespace = st.st_ino;
	memcpy(v->root, root, (size_t)n + 1);
	known = tsearch(v, &h->seen, compare_views);
	if (!known || *known != v) {
		free(v);
		return false;
	}
	*ret_own = st.st_ino == h->own_namespace;
	return true;
}

static bool needs_healing(const struct heal_target *t)
{
	for (size_t i = 0; i < t->mounts.n; i++)
		if (heal_may_need(t, &t->mounts.list[i]))
			return true;
	return false;
}

static int read_mounts(struct healer *h, int process, struct text *text, struct mounts *ret)
{
	int r = read_file_bounded(process, "mountinfo", MOUNTINFO_MAX, h->deadline_ns, text);

	if (r < 0)
		return r;
	if (!text->len || !memmem(text->data, text->len, TYPE_WORD, strlen(TYPE_WORD)))
		return 0;
	return mounts_parse(slice_of(text), NULL, ret);
}

static void look_at_process(struct healer *h, pid_t pid, const char *name)
{
	autoclose int process = openat(h->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct heal_target t = { .process = process,
		.pid = pid,
		.dir = h->dir,
		.dev = h->dev,
		.max_read = h->max_read };
	autotext text = { 0 };
	int r;

	if (process < 0 || !is_new_view(h, process, &t.own))
		return;
	r = read_mounts(h, process, &text, &t.mounts);
	if (r == -EFBIG || r == -ENOMEM)
		heal_failed(h->shared, pid, -r);
	if (r == 0 && needs_healing(&t))
		start_job(h, &t);
	mounts_free(&t.mounts);
}

static void look(struct healer *h)
{
	autodir *dir = open_dir_at(h->proc, ".");
	struct dirent *entry;

	h->deadline_ns = clock_monotonic_ns() + LOOK_LIMIT_NS;
	memset(h->shared, 0, sizeof(*h->shared));
	while (dir && (entry = readdir(dir)) && clock_monotonic_ns() < h->deadline_ns) {
		uint64_t pid;

		if (slice_u64(slice_str(entry->d_name), &pid) && pid <= INT_MAX)
			look_at_process(h, (pid_t)pid, entry->d_name);
	}
	wait_until_running(h, 0);
	tdestroy(h->seen, free);
	h->seen = NULL;
}

/* --- the process that heals ------------------------------------------------------------- */

void heal_failed(struct heal_shared *shared, pid_t pid, int error)
{
	int none = 0;

	atomic_fetch_add(&shared->failed, 1);
	if (atomic_compare_exchange_strong(&shared->failed_pid, &none, pid))
		atomic_store(&shared->failed_error, error);
}

static void tell(const struct heal_shared *s, bool last)
{
	if (s->healed)
		log_info("put %u dead binds right in %u mount namespaces: no container need be "
			 "restarted",
			s->healed, s->namespaces);
	if (s->failed && last)
		log_error("%u dead binds could not be put right, among them some that process %d "
			  "sees: %s: restart these containers",
			s->failed, s->failed_pid, strerror(s->failed_error));
}

static int prepare(struct healer *h)
{
	struct stat st;

	h->max_read = connection_max_read(h->dir);
	h->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (h->proc < 0 || fstatat(h->proc, "self/ns/mnt", &st, 0) < 0)
		return -errno;
	h->own_namespace = st.st_ino;
	h->shared = mmap(NULL, sizeof(*h->shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return h->shared == MAP_FAILED ? -errno : 0;
}

/* Till the first worker answers; a job's time is not for that. */
static void wait_for_daemon(const struct healer *h)
{
	struct statx st;

	statx(AT_FDCWD, h->dir, AT_STATX_FORCE_SYNC, STATX_TYPE, &st);
}

_Noreturn static void heal(struct healer *h)
{
	unsigned slept_s = 0;
	int r = prepare(h);

	if (r < 0)
		log_error("cannot look for dead binds: %s: restart the containers whose files say "
			  "'Transport endpoint is not connected'",
			strerror(-r));
	for (size_t i = 0; r == 0 && i < countof(looks); i++) {
		sleep(looks[i].at_s - slept_s);
		slept_s = looks[i].at_s;
		reap(h);
		h->job_ms = looks[i].job_ms;
		wait_for_daemon(h);
		look(h);
		tell(h->shared, i == countof(looks) - 1);
	}
	_exit(0);
}

/* Only what ends a wait for children is held back. */
static void child_signals(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

pid_t heal_start(const char *dir, dev_t dev)
{
	struct healer h = { .dir = dir, .dev = dev, .proc = -1 };
	const pid_t parent = getpid();
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	/* Nothing of the connection's: it would live as long as somebody who is held up. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	child_signals();
	prctl(PR_SET_NAME, "lxcfs-heal");
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (sandbox_enter_healing() < 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* behind every change of capabilities, which undo it */
	if (getppid() != parent)
		_exit(1);
	heal(&h);
}
