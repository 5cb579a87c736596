/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is in a container, and what each of its threads is doing at this moment. Tasks come and go
 * meanwhile: one that is gone counts for nothing. Never reads what could wait for a task.
 */
#include "private.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "load_private.h"
#include "log.h"

#define DIRECTORIES_MAX LOAD_TASKS_MAX

struct deadline {
	uint64_t at_ns; /* of clock_thread_ns(); 0: none */
	bool passed;    /* while there was more to look at */
};

/* The processes, or in a threaded cgroup the threads, before any is looked at. */
struct pids {
	const struct load_place *place;
	struct deadline *deadline;
	pid_t *all;
	size_t n, capacity;
	size_t directories;
	bool threads; /* the container's own cgroup is a threaded one */
	bool failed;  /* no memory */
};

static bool is_late(struct deadline *d)
{
	d->passed = d->passed || (d->at_ns && clock_thread_ns() >= d->at_ns);
	return d->passed;
}

static bool add_pid(pid_t pid, void *data)
{
	struct pids *p = data;

	if (p->n == p->capacity) {
		size_t capacity = p->capacity ? p->capacity * 2 : 64;
		pid_t *all = realloc(p->all, capacity * sizeof(*all));

		p->failed = !all;
		if (!all)
			return false;
		p->all = all;
		p->capacity = capacity;
	}
	p->all[p->n++] = pid;
	/* One more than can be looked at, so that it shows. */
	return p->n <= LOAD_TASKS_MAX && !is_late(p->deadline);
}

/* --- where they are found ------------------------------------------------------------------- */

static int add_directory(int dirfd, ino_t ino, void *data)
{
	struct pids *p = data;
	int r;

	/* A cgroup that was made anew is another container's. */
	if (p->directories++ == 0 && ino != p->place->key.cgroup_ino)
		return -ENODEV;
	r = dirfd < 0 ? -EACCES : cgroup_pids(dirfd, p->threads, add_pid, p);
	/* Below a domain the processes of threaded cgroups are the domain's; a container that is
	 * such a cgroup itself has threads alone. */
	if (r == -EOPNOTSUPP && p->directories == 1) {
		p->threads = true;
		r = cgroup_pids(dirfd, true, add_pid, p);
	}
	if (p->failed)
		return -ENOMEM;
	if (is_shortage(r) || (r == -ENODEV && p->directories == 1))
		return r;
	if (p->deadline->passed)
		return -ETIME;
	return p->n > LOAD_TASKS_MAX ? -E2BIG : 0;
}

static int find_in_cgroup(const struct load_config *config, struct pids *p)
{
	const struct cgroup_walk_limits limits = { DIRECTORIES_MAX, p->deadline->at_ns };
	const struct cgroup_hierarchy *h =
		cgroup_hierarchy_of_dev(config->layout, p->place->key.cgroup_dev);
	int r = h ? cgroup_walk(h, p->place->cgroup, &limits, add_directory, p) : -ENODEV;

	if (is_shortage(r) || r == -ENODEV)
		return r;
	if (r == -ETIME)
		p->deadline->passed = true;
	else if (p->directories == 0)
		return -ENODEV;
	if (r == -E2BIG)
		log_limited("load-tasks",
			"cgroup %s has more than %u tasks or cgroups: its load average counts the "
			"first of them alone",
			p->place->cgroup, LOAD_TASKS_MAX);
	return 0;
}

/* The next entry that is a number; 0 at the end; -errno. */
static int next_pid(DIR *dir)
{
	struct dirent *entry;
	uint64_t pid;

	while (errno = 0, (entry = readdir(dir)))
		if (slice_u64(slice_str(entry->d_name), &pid) && pid > 0 && pid <= INT32_MAX)
			return (int)pid;
	return -errno;
}

/* A container that is in the root of every hierarchy is told by its pid namespace alone. */
static int find_in_pid_ns(const struct load_config *config, struct pids *p)
{
	autodir *dir = open_dir_at(config->root->proc, ".");
	bool more = true;
	int pid = 0;

	if (!dir)
		return -errno;
	while (more && (pid = next_pid(dir)) > 0 && !is_late(p->deadline)) {
		uint64_t ns;
		int r = proc_ns(config->root, pid, "ns/pid", &ns);

		if (r == 0 && ns == p->place->pid_ns)
			more = add_pid(pid, p);
		else if (r < 0 && !proc_is_none(r))
			return r;
	}
	return p->failed ? -ENOMEM : pid < 0 ? pid : 0;
}

/* --- what they do --------------------------------------------------------------------------- */

static bool is_newer(const struct load_task *a, const struct load_task *b)
{
	return a->start != b->start ? a->start > b->start : a->tid > b->tid;
}

static void note_newest(struct load_count *c, struct load_task task)
{
	unsigned at = c->n_newest;

	if (at == LOAD_NEWEST && !is_newer(&task, &c->newest[--at]))
		return;
	for (; at > 0 && is_newer(&task, &c->newest[at - 1]); at--)
		c->newest[at] = c->newest[at - 1];
	c->newest[at] = task;
	if (c->n_newest < LOAD_NEWEST)
		c->n_newest++;
}

static void count_thread(struct load_count *c, pid_t tid, const struct proc_stat *stat)
{
	c->running += stat->state == 'R';
	c->blocked += stat->state == 'D';
	c->looked_at++;
	note_newest(c, (struct load_task){ stat->start, tid });
}

/* All but the first. */
static int count_other_threads(
	const struct root *root, pid_t pid, struct deadline *deadline, struct load_count *c)
{
	struct proc_path path = proc_path(pid, "task");
	autodir *dir = open_dir_at(root->proc, path.s);
	struct proc_stat stat;
	int tid = 0;

	if (!dir)
		return -errno;
	while (c->looked_at < LOAD_TASKS_MAX && (tid = next_pid(dir)) > 0 && !is_late(deadline)) {
		int r = tid != pid ? proc_stat_at(dirfd(dir), tid, &stat) : -ESRCH;

		if (r == 0)
			count_thread(c, tid, &stat);
		else if (!proc_is_none(r))
			return r;
	}
	return tid < 0 ? tid : 0;
}

static int count_one(const struct root *root, const struct pids *p, pid_t pid, struct load_count *c)
{
	struct proc_stat stat;
	int r = proc_stat_at(root->proc, pid, &stat);

	if (r < 0)
		return r;
	count_thread(c, pid, &stat);
	/* 0: it is being reaped. */
	c->threads += p->threads ? 1 : max_u64(stat.threads, 1);
	if (p->threads || stat.threads <= 1)
		return 0;
	return count_other_threads(root, pid, p->deadline, c);
}

static int compare(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A process whose threads are in several cgroups (v1), or that moved during the walk, is in
 * several lists. */
static int count_all(const struct root *root, const struct pids *p, struct load_count *c)
{
	int r = 0;

	qsort(p->all, p->n, sizeof(*p->all), compare);
	for (size_t i = 0; i < p->n && c->looked_at < LOAD_TASKS_MAX && !is_late(p->deadline);
		i++) {
		if (i == 0 || p->all[i] != p->all[i - 1])
			r = count_one(root, p, p->all[i], c);
		if (r < 0 && !proc_is_none(r))
			return r;
	}
	return 0;
}

static void log_cut_off(const struct load_place *place)
{
	log_limited("load-time",
		"cgroup %s, or others of the same outermost container, have more tasks than can be "
		"looked at while their readers wait: until the next sample, some seconds later, "
		"its load average is the last one, or counts the first of its tasks alone",
		place->cgroup ? place->cgroup : "/");
}

int load_count_tasks(const struct load_config *config, const struct load_place *place,
	uint64_t deadline_ns, struct load_count *ret)
{
	struct deadline deadline = { .at_ns = deadline_ns };
	struct pids pids = { .place = place, .deadline = &deadline };
	struct load_count count = { 0 };
	int r = 0;

	if (!is_late(&deadline))
		r = place->cgroup ? find_in_cgroup(config, &pids) : find_in_pid_ns(config, &pids);
	if (r == 0 && pids.n > 0)
		r = count_all(config->root, &pids, &count);
	free(pids.all);
	if (r < 0)
		return r;
	if (deadline.passed)
		log_cut_off(place);
	count.cut_off = deadline.passed;
	count.cost = (unsigned)max_u64(count.looked_at, pids.directories);
	*ret = count;
	return 0;
}
