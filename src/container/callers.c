/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of containers that open files again and again. Their /proc/<tid>/ns stays open, so that
 * one link is to be read each time instead of two, and from where it lies: a thread never leaves
 * its pid namespace, and a descriptor of a thread that has ended finds nothing, whoever has its
 * number by then. Knows no records, and keeps nothing that somebody else would have to look at.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct callers {
	const struct root *root;
	unsigned n;
	struct caller {
		_Atomic bool taken; /* by one who reads or changes what follows */
		pid_t tid;          /* who was here last; 0: nobody */
		int ns_fd;          /* its /proc/<tid>/ns; -1: it was here once */
		uint64_t pid_ns;
	} places[];
};

int callers_new(const struct root *root, unsigned max, struct callers **ret)
{
	struct callers *all = calloc(1, sizeof(*all) + max * sizeof(all->places[0]));

	if (!all)
		return -ENOMEM;
	all->root = root;
	all->n = max;
	for (unsigned i = 0; i < max; i++)
		all->places[i].ns_fd = -1;
	*ret = all;
	return 0;
}

static void leave(struct caller *p)
{
	if (p->ns_fd >= 0)
		close(p->ns_fd);
	p->ns_fd = -1;
	p->tid = 0;
}

void callers_free(struct callers *all)
{
	for (unsigned i = 0; all && i < all->n; i++)
		leave(&all->places[i]);
	free(all);
}

/* NULL while another thread of ours is at it: nobody waits for a short cut. */
static struct caller *take_place(struct caller *p)
{
	return atomic_exchange_explicit(&p->taken, true, memory_order_acquire) ? NULL : p;
}

static struct caller *take(struct callers *all, pid_t tid)
{
	return all->n > 0 ? take_place(&all->places[(unsigned)tid % all->n]) : NULL;
}

static void give_back(struct caller *p)
{
	atomic_store_explicit(&p->taken, false, memory_order_release);
}

bool callers_find(struct callers *all, pid_t tid, struct caller_key *ret)
{
	struct caller *p = take(all, tid);
	uint64_t cgroup_ns;
	bool found;

	if (!p)
		return false;
	found = p->tid == tid && p->ns_fd >= 0;
	if (found && proc_ns_at(p->ns_fd, "cgroup", &cgroup_ns) < 0) {
		leave(p);
		found = false;
	}
	if (found)
		*ret = (struct caller_key){ .pid_ns = p->pid_ns, .cgroup_ns = cgroup_ns };
	give_back(p);
	return found;
}

/* What the descriptor leads to says itself which namespace that is: the thread may have been killed
 * meanwhile, and its number be another's. */
static void stay(struct callers *all, struct caller *p)
{
	struct proc_path path = proc_path(p->tid, "ns");

	p->ns_fd = openat(all->root->proc, path.s, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->ns_fd >= 0 && proc_ns_at(p->ns_fd, "pid", &p->pid_ns) < 0)
		leave(p);
}

void callers_note(struct callers *all, pid_t tid, uint64_t pid_ns)
{
	struct caller *p = take(all, tid);

	if (!p)
		return;
	if (p->tid != tid) {
		leave(p);
		p->tid = tid;
	} else if (p->ns_fd < 0) {
		stay(all, p);
		if (p->pid_ns != pid_ns)
			leave(p);
	}
	give_back(p);
}

void callers_forget(struct callers *all, uint64_t pid_ns)
{
	for (unsigned i = 0; i < all->n; i++) {
		struct caller *p = take_place(&all->places[i]);

		/* Else the one who is there now finds another thread's, and will put its own. */
		if (!p)
			continue;
		if (p->ns_fd >= 0 && p->pid_ns == pid_ns)
			leave(p);
		give_back(p);
	}
}
