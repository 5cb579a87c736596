/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When a container without an init of its own started (SPEC 7): the oldest process in its cgroup at
 * first sight, kept with its accounts and never moved.
 */
#include "private.h"

#include <string.h>

#include "account.h"

#define DIRS_MAX 4096u
#define LOOK_NS (20 * NS_PER_MS)

/* The search for the oldest process. */
struct search {
	const struct root *root;
	uint64_t deadline_ns;
	uint64_t oldest; /* clock ticks; UINT64_MAX: none found */
};

static bool look_at_process(pid_t pid, void *data)
{
	struct search *s = data;
	uint64_t ticks;

	if (proc_start(s->root, pid, &ticks) == 0)
		s->oldest = min_u64(s->oldest, ticks);
	return clock_monotonic_ns() < s->deadline_ns;
}

static int look_into(int dirfd, ino_t ino, void *data)
{
	(void)ino;
	if (dirfd < 0)
		return 0;
	/* A threaded cgroup does not tell its processes: its domain's does. */
	cgroup_pids(dirfd, false, look_at_process, data);
	return 0;
}

static uint64_t find_start(
	struct container_cache *c, dev_t dev, const struct cgroup_paths *paths, pid_t fallback)
{
	const struct cgroup_layout *layout = c->config.layout;
	const struct cgroup_hierarchy *h = cgroup_hierarchy_of_dev(layout, dev);
	struct search s = { .root = c->config.root,
		.deadline_ns = clock_monotonic_ns() + LOOK_NS,
		.oldest = UINT64_MAX };
	const struct cgroup_walk_limits limits = { DIRS_MAX, s.deadline_ns };
	uint64_t own;

	if (h && paths->path[h - layout->hierarchy])
		cgroup_walk(h, paths->path[h - layout->hierarchy], &limits, look_into, &s);
	if (proc_start(s.root, fallback, &own) == 0)
		s.oldest = min_u64(s.oldest, own);
	return s.oldest == UINT64_MAX ? clock_boottime_ns() : proc_ticks_to_ns(s.oldest);
}

/* What the account remembers, else `found`, which it remembers from then on; 0 without either. */
static uint64_t remember(
	struct account_store *accounts, const struct account_key *key, uint64_t found)
{
	autotext state = { 0 };
	autotext predecessor = { 0 };
	struct account *account;
	bool known;

	if (!accounts || account_begin(accounts, key, &state, &predecessor, &account) < 0)
		return found;
	known = state.len == sizeof(found);
	if (known)
		memcpy(&found, state.data, sizeof(found));
	account_end(account, &found, known || !found ? 0 : sizeof(found));
	return found;
}

uint64_t start_of_cgroup(struct container_cache *c, const struct cgroup_set *set,
	const struct cgroup_paths *paths, pid_t fallback)
{
	struct account_key key = { .kind = ACCOUNT_START };
	uint64_t start;
	dev_t dev;
	ino_t ino;

	if (!cgroup_set_identity(set, &dev, &ino))
		return 0;
	key.cgroup_dev = dev;
	key.cgroup_ino = ino;
	/* An account is locked while it is open, so the search is not made with it. */
	start = remember(c->config.accounts, &key, 0);
	if (start == 0)
		start = remember(c->config.accounts, &key, find_start(c, dev, paths, fallback));
	return start;
}
