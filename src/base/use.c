/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of owners. The last reference is given back under the lock, which whoever looks for an
 * owner holds: so none is found that is about to be freed.
 */
#include "use.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 1024u

struct uses {
	pthread_mutex_t lock;
	struct use *buckets[BUCKETS];
	unsigned n;
};

static struct use **bucket_of(struct uses *all, uint64_t owner)
{
	return &all->buckets[(owner * UINT64_C(0x9e3779b97f4a7c15) >> 32) % BUCKETS];
}

int uses_new(struct uses **ret)
{
	struct uses *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	pthread_mutex_init(&all->lock, NULL);
	*ret = all;
	return 0;
}

void uses_free(struct uses *all)
{
	if (!all)
		return;
	pthread_mutex_destroy(&all->lock);
	free(all);
}

static struct use *add_locked(struct uses *all, uint64_t owner)
{
	struct use **bucket = bucket_of(all, owner);
	struct use *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->owner = owner;
	u->all = all;
	u->next = *bucket;
	*bucket = u;
	all->n++;
	return u;
}

int use_get(struct uses *all, uint64_t owner, struct use **ret)
{
	struct use *u;

	*ret = NULL;
	if (!all || owner == 0)
		return 0;
	pthread_mutex_lock(&all->lock);
	u = *bucket_of(all, owner);
	while (u && u->owner != owner)
		u = u->next;
	if (!u)
		u = add_locked(all, owner);
	*ret = use_ref(u);
	pthread_mutex_unlock(&all->lock);
	return u ? 0 : -ENOMEM;
}

struct use *use_ref(struct use *u)
{
	if (u)
		atomic_fetch_add(&u->refs, 1);
	return u;
}

static void remove_locked(struct use *u)
{
	struct use **at = bucket_of(u->all, u->owner);

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	u->all->n--;
}

/* True when another reference is left, so that the lock is not needed. */
static bool put_one_of_many(struct use *u)
{
	uint32_t refs = atomic_load(&u->refs);

	while (refs > 1)
		if (atomic_compare_exchange_weak(&u->refs, &refs, refs - 1))
			return true;
	return false;
}

void use_put(struct use *u)
{
	struct uses *all;
	bool last;

	if (!u || put_one_of_many(u))
		return;
	all = u->all;
	pthread_mutex_lock(&all->lock);
	last = atomic_fetch_sub(&u->refs, 1) == 1;
	if (last)
		remove_locked(u);
	pthread_mutex_unlock(&all->lock);
	if (last)
		free(u);
}

unsigned uses_count(struct uses *all)
{
	unsigned n;

	pthread_mutex_lock(&all->lock);
	n = all->n;
	pthread_mutex_unlock(&all->lock);
	return n;
}
