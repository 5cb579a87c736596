/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When a container without an init of its own started (SPEC 7): the oldest process in its cgroup at
 * first sight, kept with its accounts and never moved.
 */
#include "private.h"

#include <errno.h>
#include <string.h>

#include "account.h"

#define DIRS_MAX 4096u
/* On a CPU, for what is found is kept for good, on a busy machine, too. */
#define LOOK_NS (20 * NS_PER_MS)

/* The search for the oldest process. */
struct search {
	const struct root *root;
	uint64_t deadline_ns; /* of clock_thread_ns() */
	uint64_t oldest;      /* clock ticks; UINT64_MAX: none found */
	int error;            /* one could not be looked at; 0 */
};

static bool look_at_process(pid_t pid, void *data)
{
	struct search *s = data;
	uint64_t ticks;
	int r = proc_start(s->root, pid, &ticks);

	if (r == 0)
		s->oldest = min_u64(s->oldest, ticks);
	else if (!proc_is_none(r))
		s->error = r;
	return s->error == 0 && clock_thread_ns() < s->deadline_ns;
}

static int look_into(int dirfd, ino_t ino, void *data)
{
	const struct search *s = data;
	int r = dirfd < 0 ? 0 : cgroup_pids(dirfd, false, look_at_process, data);

	(void)ino;
	if (s->error)
		return s->error;
	/* A threaded cgroup does not tell its processes: its domain's does. */
	return is_shortage(r) ? r : 0;
}

static int find_start(struct container_cache *c, dev_t dev, const struct cgroup_paths *paths,
	pid_t fallback, uint64_t *ret)
{
	const struct cgroup_layout *layout = c->config.layout;
	const struct cgroup_hierarchy *h = cgroup_hierarchy_of_dev(layout, dev);
	struct search s = { .root = c->config.root,
		.deadline_ns = clock_thread_ns() + LOOK_NS,
		.oldest = UINT64_MAX };
	const struct cgroup_walk_limits limits = { DIRS_MAX, s.deadline_ns };
	int r = 0;

	if (h && paths->path[h - layout->hierarchy])
		r = cgroup_walk(h, paths->path[h - layout->hierarchy], &limits, look_into, &s);
	if (s.error == 0)
		look_at_process(fallback, &s);
	if (s.error || is_shortage(r))
		return s.error ? s.error : r;
	*ret = s.oldest == UINT64_MAX ? clock_boottime_ns() : proc_ticks_to_ns(s.oldest);
	return 0;
}

/* What the account remembers, else what `start` is, which it remembers from then on unless that
 * is 0. */
static int remember(struct account_store *accounts, const struct account_key *key, struct use *use,
	uint64_t *start)
{
	autotext state = { 0 };
	autotext predecessor = { 0 };
	struct account *account;
	bool known;
	int r = accounts ? account_begin(accounts, key, use, &state, &predecessor, &account)
			 : -ENOSPC;

	if (r < 0)
		return account_is_full(r) ? 0 : r;
	known = state.len == sizeof(*start);
	if (known)
		memcpy(start, state.data, sizeof(*start));
	account_end(account, start, known || !*start ? 0 : sizeof(*start));
	return 0;
}

int start_of_cgroup(struct container_cache *c, const struct cgroup_set *set,
	const struct cgroup_paths *paths, pid_t fallback, struct use *use, uint64_t *ret)
{
	struct account_key key = { .kind = ACCOUNT_START };
	uint64_t start = 0;
	dev_t dev;
	ino_t ino;
	int r;

	if (!cgroup_set_identity(set, &dev, &ino))
		return -ENODEV;
	key.cgroup_dev = dev;
	key.cgroup_ino = ino;
	/* An account is locked while it is open, so the search is not made with it. */
	r = remember(c->config.accounts, &key, use, &start);
	if (r == 0 && start == 0) {
		r = find_start(c, dev, paths, fallback, &start);
		if (r == 0)
			r = remember(c->config.accounts, &key, use, &start);
	}
	if (r == 0)
		*ret = start;
	return r;
}
