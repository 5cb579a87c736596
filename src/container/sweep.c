/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which accounts belong to cgroups that are gone (SPEC 6). Accounts name a cgroup by its inode
 * alone, and a worker may not have seen every end, so all cgroups are walked through: rarely, and
 * never on a request.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

#include "account.h"

#define DIRS_MAX 1000000u

/* A cgroup that an account names. */
struct named {
	uint64_t dev, ino;
	bool seen; /* met on the walk */
};

struct names {
	const struct root *root;
	struct named *all;
	size_t n, capacity;
	bool failed;
	dev_t dev;     /* of the hierarchy that is being walked through */
	bool complete; /* the walk: what was not met is gone */
};

static int compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static struct named *find(struct names *names, uint64_t dev, uint64_t ino)
{
	const struct named key = { dev, ino, false };

	return names->n == 0 ? NULL : bsearch(&key, names->all, names->n, sizeof(key), compare);
}

/* Only accounts that were there before the walk are judged by it: the cgroup of a later one may
 * have been made behind the walker's back. */
static enum account_fate collect(const struct account_key *key, void *data)
{
	struct names *names = data;

	if (names->n == names->capacity) {
		size_t capacity = names->capacity ? names->capacity * 2 : 64;
		struct named *all = realloc(names->all, capacity * sizeof(*all));

		if (!all) {
			names->failed = true;
			return ACCOUNT_LIVES;
		}
		names->all = all;
		names->capacity = capacity;
	}
	names->all[names->n++] = (struct named){ key->cgroup_dev, key->cgroup_ino, false };
	return ACCOUNT_LIVES;
}

static enum account_fate decide(const struct account_key *key, void *data)
{
	struct names *names = data;
	const struct named *named = find(names, key->cgroup_dev, key->cgroup_ino);

	/* cgroup_ino 0: root in every hierarchy, so only its init tells its end. */
	if (names->complete && key->cgroup_ino != 0 && named && !named->seen)
		return ACCOUNT_CGROUP_GONE;
	if (key->init_pid <= 0 || !proc_has_ended(names->root, key->init_pid, key->init_start))
		return ACCOUNT_LIVES;
	return key->cgroup_ino == 0 ? ACCOUNT_CGROUP_GONE : ACCOUNT_INIT_DEAD;
}

static int meet(int dirfd, ino_t ino, void *data)
{
	struct names *names = data;
	struct named *named = find(names, names->dev, ino);

	(void)dirfd;
	if (named)
		named->seen = true;
	return 0;
}

/* False: incomplete, nothing may be concluded from it. */
static bool walk(const struct cgroup_hierarchy *h, struct names *names)
{
	static const struct cgroup_walk_limits limits = { DIRS_MAX, 0 };

	names->dev = h->dev;
	return cgroup_walk(h, h->mount_root, &limits, meet, names) == 0;
}

static bool walk_named(const struct cgroup_layout *layout, struct names *names)
{
	bool complete = true;

	for (size_t i = 0; i < layout->n && complete; i++)
		for (size_t k = 0; k < names->n; k++)
			if (names->all[k].dev == layout->hierarchy[i].dev) {
				complete = walk(&layout->hierarchy[i], names);
				break;
			}
	return complete;
}

/* Several accounts may name one cgroup, and the search finds any of them: one is kept. */
static void sort_and_unite(struct names *names)
{
	size_t kept = 0;

	if (names->n > 0)
		qsort(names->all, names->n, sizeof(*names->all), compare);
	for (size_t i = 0; i < names->n; i++)
		if (kept == 0 || compare(&names->all[kept - 1], &names->all[i]) != 0)
			names->all[kept++] = names->all[i];
	names->n = kept;
}

void sweep_accounts(struct container_cache *c)
{
	struct names names = { .root = c->config.root };

	if (!c->config.accounts)
		return;
	/* Whom a sweep leaves out for want of memory, the next one asks after. */
	account_sweep(c->config.accounts, collect, &names);
	sort_and_unite(&names);
	if (names.n > 0 && !names.failed) {
		names.complete = walk_named(c->config.layout, &names);
		account_sweep(c->config.accounts, decide, &names);
	}
	free(names.all);
}
