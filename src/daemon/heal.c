/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds all mount namespaces and gives each to a process of its own with a deadline. Looks at
 * nothing here whose size or answer a container decides: one hostile container must not take the
 * time of the others.
 */
#include "heal.h"

#include <errno.h>
#include <fcntl.h>
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
#include "sanitized.h"

/* When it looks: a killed daemon's connection lasts until its last thread is gone, and a container
 * may be just about to bind what is dead. A namespace that does not come to an end must not keep
 * the others waiting for long: later looks are more patient. */
static const struct {
	unsigned at_s; /* after the first */
	unsigned job_ms;
} looks[] = { { 0, 500 }, { 1, 1000 }, { 5, 3000 } };

#define LOOK_LIMIT_NS (30 * NS_PER_S)
#define LIMIT_S 120u                   /* more than all looks can take */
#define PATIENCE (SANITIZED ? 4u : 1u) /* what watches memory or threads is slow */

#define GIVEN_UP_AFTER_NS (200 * NS_PER_MS) /* a job that its limit did not end */
#define GIVEN_UP_MAX 32u
#define STATUS_MAX (64u << 10)

struct job {
	pid_t pid; /* 0: none */
	pid_t process;
	ino_t namespace;
	uint64_t given_up_ns; /* CLOCK_MONOTONIC: then it is waited for no more */
	int error;            /* when it came to nothing */
};

struct healer {
	struct heal_source source;
	struct heal_shared *shared;
	ino_t own_namespace;
	ino_t own_pid_namespace;
	struct job jobs[HEAL_JOBS];
	struct job
		given_up[GIVEN_UP_MAX]; /* jobs that the kernel holds: one a namespace, no more */
	unsigned n_given_up;
	unsigned binds, namespaces; /* put right in all looks; one in two looks counts twice */

	/* of one look */
	unsigned job_ms;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	void *seen;           /* tsearch(3)'s, of namespaces: the numbers themselves */
	unsigned failed;      /* namespaces */
	pid_t failed_process; /* in the first of them */
	int failed_error;
	pid_t denied; /* a container's init that may not be looked at; 0: none */
	int unseen;   /* why not every process was looked at, the first time; 0 */
};

/* --- jobs ------------------------------------------------------------------------------- */

static void note_failure(struct healer *h, pid_t process, int error)
{
	if (h->failed++ > 0)
		return;
	h->failed_process = process;
	h->failed_error = error;
}

/* A daemon that does not answer in time lives: nothing of its is in need of healing. */
static void job_failed(struct healer *h, struct job *j, int error)
{
	struct heal_shared *s = h->shared;
	const uint64_t asked = atomic_exchange(&s->asking[j - h->jobs], 0);

	j->error = asked ? 0 : error;
	if (!asked)
		note_failure(h, j->process, error);
	else if (s->n_silent < HEAL_SILENT_MAX)
		s->silent[s->n_silent++] = asked;
}

static void job_ended(struct healer *h, struct job *j, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM) {
		/* somebody else's doing: of whom it asks nothing is known */
		atomic_store(&h->shared->asking[j - h->jobs], 0);
		job_failed(h, j, EINTR);
	} else if (WIFSIGNALED(status)) /* its timer */
		job_failed(h, j, ETIME);
	else if (WEXITSTATUS(status) != 0)
		job_failed(h, j, WEXITSTATUS(status));
	j->pid = 0;
}

/* The kernel holds it until whoever it waits for answers or ends. */
static void give_up(struct healer *h, struct job *j)
{
	job_failed(h, j, ETIME);
	if (h->n_given_up < GIVEN_UP_MAX)
		h->given_up[h->n_given_up++] = *j;
	j->pid = 0;
}

static void reap(struct healer *h)
{
	const uint64_t now = clock_monotonic_ns();
	int status;

	for (struct job *j = h->jobs; j < h->jobs + HEAL_JOBS; j++) {
		if (j->pid == 0)
			continue;
		if (waitpid(j->pid, &status, WNOHANG) == j->pid)
			job_ended(h, j, status);
		else if (now >= j->given_up_ns)
			give_up(h, j);
	}
}

static unsigned running(const struct healer *h)
{
	unsigned n = 0;

	for (size_t i = 0; i < HEAL_JOBS; i++)
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

_Noreturn static void run_job(
	struct healer *h, const struct heal_place *p, unsigned job, pid_t parent)
{
	const struct itimerval limit = { .it_value = {
						 h->job_ms / 1000, h->job_ms % 1000 * 1000L } };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	setitimer(ITIMER_REAL, &limit, NULL); /* SIGALRM ends it */
	_exit(-heal_namespace(&h->source, p, h->shared, job));
}

static void start_job(struct healer *h, const struct heal_place *p)
{
	const pid_t parent = getpid();
	unsigned i = 0;
	pid_t pid;

	wait_until_running(h, HEAL_JOBS - 1);
	while (h->jobs[i].pid)
		i++;
	pid = fork();
	if (pid == 0)
		run_job(h, p, i, parent);
	if (pid < 0)
		note_failure(h, p->pid, errno);
	else
		h->jobs[i] = (struct job){ .pid = pid,
			.process = p->pid,
			.namespace = p->number,
			.given_up_ns =
				clock_monotonic_ns() + h->job_ms * NS_PER_MS + GIVEN_UP_AFTER_NS };
}

/* --- namespaces ------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
	return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

static const struct job *given_up(const struct healer *h, ino_t namespace)
{
	for (unsigned i = 0; i < h->n_given_up; i++)
		if (h->given_up[i].namespace == namespace)
			return &h->given_up[i];
	return NULL;
}

static bool is_container_init(int process)
{
	autotext text = { 0 };

	return read_file_bounded(process, "status", STATUS_MAX, 0, &text) == 0 &&
		heal_parse_is_init(slice_of(&text));
}

static void heal_there(struct healer *h, const struct heal_place *p)
{
	const struct job *before = given_up(h, p->number);

	if (!before)
		start_job(h, p);
	else if (before->error)
		note_failure(h, p->pid, before->error);
}

/* The number of a namespace that a process is in; 0: the process is gone, or kept from us. */
static ino_t namespace_of(const struct healer *h, const char *process, const char *link)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "%.16s/ns/%s", process, link);
	return fstatat(h->source.proc, path, &st, 0) < 0 ? 0 : st.st_ino;
}

/* Of others, such as our own, nobody need be told. */
static void note_denied(struct healer *h, pid_t pid, const char *name)
{
	autoclose int process = openat(h->source.proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (h->denied == 0 && process >= 0 && is_container_init(process))
		h->denied = pid;
}

static void note_unseen(struct healer *h, int error)
{
	if (h->unseen == 0)
		h->unseen = error;
}

/* Of one that is gone nobody need be told; inits are looked at twice. */
static void pass_over(struct healer *h, pid_t pid, const char *name, bool inits_alone, int error)
{
	if (error == EACCES || error == EPERM)
		note_denied(h, pid, name);
	else if (!inits_alone && error != ENOENT && error != ESRCH)
		note_unseen(h, error);
}

static void look_into(struct healer *h, pid_t pid, const char *name, bool inits_alone)
{
	autoclose int process = openat(h->source.proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int namespace = -1;
	struct stat st;

	if (process >= 0 && inits_alone && !is_container_init(process))
		return;
	namespace = process < 0 ? -1 : openat(process, "ns/mnt", O_RDONLY | O_CLOEXEC);
	if (namespace < 0 || fstat(namespace, &st) < 0)
		pass_over(h, pid, name, inits_alone, errno);
	else if (tsearch((void *)(uintptr_t)st.st_ino, &h->seen, compare_numbers))
		heal_there(h,
			&(struct heal_place){ pid, process, namespace, st.st_ino,
				st.st_ino == h->own_namespace });
	else
		note_failure(h, pid, ENOMEM);
}

/* Most processes are in namespaces that were looked into already: that takes one system call. */
static void look_at_process(struct healer *h, pid_t pid, const char *name, bool inits_alone)
{
	ino_t number;

	if (inits_alone && namespace_of(h, name, "pid") == h->own_pid_namespace)
		return;
	number = namespace_of(h, name, "mnt");
	if (number == 0)
		pass_over(h, pid, name, inits_alone, errno);
	else if (!tfind((void *)(uintptr_t)number, &h->seen, compare_numbers))
		look_into(h, pid, name, inits_alone);
}

static bool is_cut_short(const struct healer *h)
{
	return h->n_given_up == GIVEN_UP_MAX || clock_monotonic_ns() > h->deadline_ns;
}

static void look_at_processes(struct healer *h, bool inits_alone)
{
	autodir *dir = open_dir_at(h->source.proc, ".");
	struct dirent *entry;
	uint64_t pid;

	while (dir && !is_cut_short(h) && (errno = 0, entry = readdir(dir)))
		if (slice_u64(slice_str(entry->d_name), &pid) && pid <= INT32_MAX)
			look_at_process(h, (pid_t)pid, entry->d_name, inits_alone);
	if (!inits_alone && !is_cut_short(h))
		note_unseen(h, errno);
}

static void forget(void *number)
{
	(void)number;
}

/* Containers' own namespaces come first, for those that somebody inside makes may be many. */
static void look(struct healer *h)
{
	h->deadline_ns = clock_monotonic_ns() + LOOK_LIMIT_NS;
	h->failed = 0;
	h->denied = 0;
	h->unseen = 0;
	/* NOLINTNEXTLINE(clang-analyzer-core.*): no start without */
	memset(h->shared, 0, sizeof(*h->shared));
	look_at_process(h, getppid(), "self", false);
	look_at_processes(h, true);
	look_at_processes(h, false);
	wait_until_running(h, 0);
	h->binds += h->shared->binds;
	h->namespaces += h->shared->namespaces;
	tdestroy(h->seen, forget);
	h->seen = NULL;
}

/* --- the process that heals ------------------------------------------------------------- */

/* At the end of all looks alone: whoever keeps aborting the connection, and so has every healing
 * ended for the next, fills no log by it. What one that was ended has seen, the next one sees. */
static void tell(const struct healer *h)
{
	if (h->binds)
		log_info("put %u dead binds right in %u mount namespaces: no container need be "
			 "restarted",
			h->binds, h->namespaces);
	if (h->failed)
		log_error("dead binds in %u mount namespaces could not be put right, among them "
			  "that of process %d: %s: restart these containers",
			h->failed, h->failed_process, strerror(h->failed_error));
	if (is_cut_short(h))
		log_error("not every mount namespace could be looked at for dead binds: restart "
			  "containers whose files say 'Transport endpoint is not connected'");
	if (h->unseen)
		log_error("not every process could be looked at for dead binds: %s: restart "
			  "containers whose files say 'Transport endpoint is not connected'",
			strerror(h->unseen));
	if (h->denied)
		log_error("the container of process %d, and others maybe, may not be looked at for "
			  "dead binds: allow the daemon to, with CAP_SYS_PTRACE and \"ptrace "
			  "(read),\" in its AppArmor profile if it has one, and restart it, or "
			  "containers whose files say 'Transport endpoint is not connected'",
			h->denied);
}

static int prepare(struct healer *h, const char *dir, dev_t dev)
{
	struct heal_source *s = &h->source;
	struct stat st;
	int r = connection_max_read(dir, &s->max_read);

	if (r < 0)
		return r;
	s->dev = dev;
	s->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	s->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->proc < 0 || s->dir < 0)
		return -errno;
	s->namespace = openat(s->proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (s->namespace < 0 || fstat(s->namespace, &st) < 0)
		return -errno;
	h->own_namespace = st.st_ino;
	if (fstatat(s->proc, "self/ns/pid", &st, 0) < 0)
		return -errno;
	h->own_pid_namespace = st.st_ino;
	h->shared = mmap(NULL, sizeof(*h->shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return h->shared == MAP_FAILED ? -errno : 0;
}

/* Till the first worker answers; a job's time is not for that. */
static void wait_for_daemon(const struct healer *h)
{
	struct statx st;

	statx(h->source.dir, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_TYPE, &st);
}

static int heal(const char *dir, dev_t dev)
{
	struct healer h = { 0 };
	unsigned slept_s = 0;
	int r = prepare(&h, dir, dev);

	if (r < 0)
		return r;
	wait_for_daemon(&h);
	alarm(LIMIT_S);
	for (size_t i = 0; i < countof(looks); i++) {
		sleep(looks[i].at_s - slept_s);
		slept_s = looks[i].at_s;
		h.job_ms = looks[i].job_ms * PATIENCE;
		wait_for_daemon(&h);
		look(&h);
	}
	tell(&h);
	return 0;
}

/* Only what ends a wait for children is held back. */
static void child_signals(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

static int heal_apart(const char *dir, dev_t dev, pid_t parent)
{
	int r;

	/* Nothing of the connection's: it would live as long as somebody who is held up. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	child_signals();
	prctl(PR_SET_NAME, "lxcfs-heal");
	r = sandbox_enter_healing();
	if (r < 0)
		return r;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* behind every change of capabilities, which undo it */
	return getppid() != parent ? -ESRCH : heal(dir, dev);
}

pid_t heal_start(const char *dir, dev_t dev)
{
	const pid_t parent = getpid();
	pid_t pid = fork();
	int r;

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	r = heal_apart(dir, dev, parent);
	if (r < 0)
		log_error("cannot look for dead binds: %s: restart containers whose files say "
			  "'Transport endpoint is not connected'",
			strerror(-r));
	_exit(0);
}
