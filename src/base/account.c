/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of accounts. Entries lie in shared memory, everything that finds them is private and
 * made anew by each worker. An entry's `state` is written after its key and cleared before it, so a
 * kill at any instant leaves a whole entry or none.
 *
 * Accounts of one cgroup and kind are neighbours: they hash to one bucket, and each bucket belongs
 * to one lock, which is held from account_begin() to account_end(). So whoever looks for a
 * predecessor holds the only lock that is needed.
 */
#include "account.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"

#define LOCKS 64u
#define BUCKETS (LOCKS * UINT64_C(256))
#define NIL UINT32_MAX

/* The one account of a lock that is between begin and end; valid while the lock is held. */
struct account {
	struct account_store *store;
	pthread_mutex_t lock;
	struct account_key key;
	struct use *use; /* borrowed: what a new one is charged to */
	uint32_t entry;
	bool fresh; /* the entry is taken off the free ones and charged, and not published yet */
};

struct account_store {
	struct account_entry *entries;
	size_t n;
	struct slab *slab;
	struct account locks[LOCKS];
	uint32_t buckets[BUCKETS];
	struct uses *uses;
	struct use **owners;  /* of each entry, charged with it and its pages; NULL: nobody */
	uint32_t *next;       /* of each entry in its bucket */
	uint64_t *dead_since; /* order in which entries were found dead; 0: not */
	uint64_t deaths;      /* only the sweep counts */
	atomic_uint dead;     /* entries with dead_since */
	pthread_mutex_t sweep;
	pthread_mutex_t free_lock;
	uint32_t *free_entries; /* a stack */
	size_t n_free;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static uint32_t bucket_of(const struct account_key *k)
{
	return mix(mix(mix(0, k->cgroup_dev), k->cgroup_ino), k->kind) % BUCKETS;
}

static struct account *lock_of(struct account_store *s, uint32_t bucket)
{
	return &s->locks[bucket % LOCKS];
}

static bool key_equal(const struct account_key *a, const struct account_key *b)
{
	return a->cgroup_dev == b->cgroup_dev && a->cgroup_ino == b->cgroup_ino &&
		a->init_start == b->init_start && a->init_pid == b->init_pid && a->kind == b->kind;
}

static bool key_sibling(const struct account_key *a, const struct account_key *b)
{
	return a->cgroup_dev == b->cgroup_dev && a->cgroup_ino == b->cgroup_ino &&
		a->kind == b->kind;
}

static uint32_t entry_find(const struct account_store *s, const struct account_key *key)
{
	uint32_t e = s->buckets[bucket_of(key)];

	while (e != NIL && !key_equal(&s->entries[e].key, key))
		e = s->next[e];
	return e;
}

static void entry_link(struct account_store *s, uint32_t e)
{
	uint32_t *head = &s->buckets[bucket_of(&s->entries[e].key)];

	s->next[e] = *head;
	*head = e;
}

static void entry_unlink(struct account_store *s, uint32_t e)
{
	uint32_t *at = &s->buckets[bucket_of(&s->entries[e].key)];

	while (*at != e && *at != NIL)
		at = &s->next[*at];
	if (*at == e)
		*at = s->next[e];
}

static uint32_t free_pop(struct account_store *s)
{
	uint32_t e;

	pthread_mutex_lock(&s->free_lock);
	e = s->n_free ? s->free_entries[--s->n_free] : NIL;
	pthread_mutex_unlock(&s->free_lock);
	return e;
}

static void free_push(struct account_store *s, uint32_t e)
{
	pthread_mutex_lock(&s->free_lock);
	s->free_entries[s->n_free++] = e;
	pthread_mutex_unlock(&s->free_lock);
}

/* --- what an owner has ------------------------------------------------------------------- */

static uint32_t pages_of(uint64_t ref)
{
	return ref == SLAB_NONE ? 0 : slab_pages(slab_length(ref));
}

/* Charges an entry that is there, and its pages: no limit is asked. */
static void give_to(struct account_store *s, uint32_t e, struct use *use)
{
	s->owners[e] = use;
	if (!use)
		return;
	atomic_fetch_add(&use->accounts, 1);
	atomic_fetch_add(&use->account_pages, pages_of(s->entries[e].state));
}

static void own(struct account_store *s, uint32_t e, struct use *use)
{
	s->entries[e].owner = use->owner;
	give_to(s, e, use_ref(use));
	if (s->dead_since[e])
		atomic_fetch_add(&use->predecessors, 1);
}

/* `pages`: how many of them were charged. */
static void take_from(struct account_store *s, uint32_t e, uint32_t pages)
{
	struct use *use = s->owners[e];

	if (!use)
		return;
	s->owners[e] = NULL;
	atomic_fetch_sub(&use->accounts, 1);
	atomic_fetch_sub(&use->account_pages, pages);
	use_put(use);
}

static int charge_entry(struct account_store *s, uint32_t e, struct use *use)
{
	if (use && !use_charge(&use->accounts, 1, ACCOUNT_OF_OWNER))
		return -EDQUOT;
	s->owners[e] = use_ref(use);
	return 0;
}

static void entry_clear(struct account_store *s, uint32_t e)
{
	const uint64_t ref = atomic_exchange(&s->entries[e].state, SLAB_NONE);

	entry_unlink(s, e);
	if (s->dead_since[e]) {
		s->dead_since[e] = 0;
		atomic_fetch_sub(&s->dead, 1);
		if (s->owners[e])
			atomic_fetch_sub(&s->owners[e]->predecessors, 1);
	}
	take_from(s, e, pages_of(ref));
	slab_release(s->slab, ref);
	free_push(s, e);
}

/* Before anything is released: pages of handles may not have been adopted yet. */
static bool entry_adopt(struct account_store *s, uint32_t e)
{
	const struct account_key *key = &s->entries[e].key;

	return key->kind < ACCOUNT_KINDS && entry_find(s, key) == NIL &&
		slab_adopt(s->slab, s->entries[e].state) == 0;
}

/* Charged to nobody until it is used again it would not count against its owner. Counts in `*lost`
 * what cannot be right. 0 or -ENOMEM. */
static int entry_take_over(struct account_store *s, uint32_t e, unsigned *lost)
{
	struct use *use;
	int r;

	if (s->entries[e].state == SLAB_NONE) {
		free_push(s, e);
	} else if (entry_adopt(s, e)) {
		r = use_get(s->uses, s->entries[e].owner, &use);
		if (r < 0)
			return r;
		entry_link(s, e);
		give_to(s, e, use);
	} else {
		atomic_store(&s->entries[e].state, SLAB_NONE);
		free_push(s, e);
		++*lost;
	}
	return 0;
}

static int adopt_all(struct account_store *s)
{
	unsigned lost = 0;
	int r = 0;

	/* From the end, so that the lowest are on top of the free ones and the table stays dense.
	 */
	for (uint32_t e = (uint32_t)s->n; r == 0 && e-- > 0;)
		r = entry_take_over(s, e, &lost);
	if (lost)
		log_limited("accounts taken over",
			"%u accounts of containers could not be taken over: their counters in "
			"/proc/stat and /proc/diskstats start again; please report this",
			lost);
	return r;
}

int account_store_new(struct account_entry *entries, size_t n, struct slab *slab, struct uses *uses,
	struct account_store **ret)
{
	struct account_store *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (!s || n >= NIL) {
		free(s);
		return -ENOMEM;
	}
	s->entries = entries;
	s->n = n;
	s->slab = slab;
	s->uses = uses;
	s->owners = calloc(n + 1, sizeof(struct use *));
	s->next = calloc(n + 1, sizeof(*s->next));
	s->dead_since = calloc(n + 1, sizeof(*s->dead_since));
	s->free_entries = calloc(n + 1, sizeof(*s->free_entries));
	memset(s->buckets, 0xff, sizeof(s->buckets)); /* NIL */
	for (size_t i = 0; i < LOCKS; i++) {
		s->locks[i].store = s;
		pthread_mutex_init(&s->locks[i].lock, NULL);
	}
	pthread_mutex_init(&s->sweep, NULL);
	pthread_mutex_init(&s->free_lock, NULL);
	if (s->owners && s->next && s->dead_since && s->free_entries)
		r = adopt_all(s);
	if (r < 0) {
		account_store_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void account_store_free(struct account_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&s->locks[i].lock);
	pthread_mutex_destroy(&s->sweep);
	pthread_mutex_destroy(&s->free_lock);
	for (size_t e = 0; s->owners && e < s->n; e++)
		take_from(s, (uint32_t)e, pages_of(s->entries[e].state));
	free(s->owners);
	free(s->next);
	free(s->dead_since);
	free(s->free_entries);
	free(s);
}

/* Bytes whose pages turn out to be broken count as none: the account starts again. */
static int entry_load(const struct account_store *s, uint32_t e, struct text *t)
{
	const uint64_t ref = s->entries[e].state;
	const int r = slab_load(s->slab, ref, 0, slab_length(ref), t);

	if (r == -EBADMSG) {
		log_limited("account pages",
			"the pages of an account are broken: the counters of "
			"one container start again; please report this");
		return 0;
	}
	return r;
}

/* Whose account `key` continues: the latest started before it, or NIL. Without an init of its own
 * (init_start 0) any may be it: the bytes say when they were made. */
static uint32_t find_predecessor(
	const struct account_store *s, const struct account_key *key, unsigned *ret_siblings)
{
	uint32_t best = NIL;

	*ret_siblings = 0;
	for (uint32_t e = s->buckets[bucket_of(key)]; e != NIL; e = s->next[e]) {
		const struct account_key *k = &s->entries[e].key;

		if (!key_sibling(k, key))
			continue;
		++*ret_siblings;
		if (key->init_start && k->init_start > key->init_start)
			continue;
		if (best == NIL || k->init_start > s->entries[best].key.init_start)
			best = e;
	}
	return best;
}

/* A key that has no entry yet; its lock is held. */
static int begin_fresh(struct account *a, struct text *predecessor)
{
	unsigned siblings;
	const uint32_t before = find_predecessor(a->store, &a->key, &siblings);
	int r = before == NIL ? 0 : entry_load(a->store, before, predecessor);

	if (r < 0)
		return r;
	if (siblings >= ACCOUNT_SIBLINGS)
		return -EDQUOT;
	a->fresh = true;
	a->entry = free_pop(a->store);
	if (a->entry == NIL)
		return -ENOSPC;
	r = charge_entry(a->store, a->entry, a->use);
	if (r < 0)
		free_push(a->store, a->entry);
	return r;
}

int account_begin(struct account_store *s, const struct account_key *key, struct use *use,
	struct text *state, struct text *predecessor, struct account **ret)
{
	struct account *a = lock_of(s, bucket_of(key));
	int r;

	pthread_mutex_lock(&a->lock);
	a->key = *key;
	a->use = use;
	a->fresh = false;
	a->entry = entry_find(s, key);
	if (a->entry == NIL) {
		r = begin_fresh(a, predecessor);
	} else {
		/* An earlier version did not say whose it is. */
		if (!s->owners[a->entry] && use)
			own(s, a->entry, use);
		r = entry_load(s, a->entry, state);
	}
	if (r < 0)
		pthread_mutex_unlock(&a->lock);
	else
		*ret = a;
	return r;
}

struct use *account_use(const struct account *a)
{
	return a->store->owners[a->entry];
}

/* A successor's account has come into being: the dead of the same cgroup have done their duty. */
static void clear_dead_siblings(struct account_store *s, const struct account_key *key)
{
	uint32_t next;

	for (uint32_t e = s->buckets[bucket_of(key)]; e != NIL; e = next) {
		next = s->next[e];
		if (s->dead_since[e] && key_sibling(&s->entries[e].key, key))
			entry_clear(s, e);
	}
}

static void publish(struct account *a, uint64_t ref)
{
	struct account_store *s = a->store;
	struct account_entry *entry = &s->entries[a->entry];

	if (a->fresh) {
		entry->key = a->key;
		entry->owner = s->owners[a->entry] ? s->owners[a->entry]->owner : 0;
		memset(entry->reserved, 0, sizeof(entry->reserved));
		atomic_store(&entry->state, ref);
		entry_link(s, a->entry);
		clear_dead_siblings(s, &a->key);
	} else {
		slab_release(s->slab, atomic_exchange(&entry->state, ref));
	}
}

/* Charges the pages of the new bytes in place of the old ones'. */
static int store(const struct account *a, const void *state, size_t n, uint64_t *ret)
{
	struct account_store *s = a->store;
	struct use *use = s->owners[a->entry];
	const uint32_t had = pages_of(s->entries[a->entry].state), wants = slab_pages(n);
	const uint32_t most = wants > had ? wants : had;
	int r;

	if (use && most > had &&
		!use_charge(&use->account_pages, most - had, ACCOUNT_PAGES_OF_OWNER))
		return -EDQUOT;
	r = slab_store(s->slab, state, n, ret);
	if (use)
		atomic_fetch_sub(&use->account_pages, most - (r < 0 ? had : wants));
	return r;
}

int account_end(struct account *a, const void *state, size_t n)
{
	struct account_store *s = a->store;
	uint64_t ref = SLAB_NONE;
	const int r = n ? store(a, state, n, &ref) : 0;

	if (ref != SLAB_NONE) {
		publish(a, ref);
	} else if (a->fresh) {
		take_from(s, a->entry, 0);
		free_push(s, a->entry);
	}
	pthread_mutex_unlock(&a->lock);
	return r;
}

/* The keys of all entries behind one lock. */
static int collect_keys(struct account_store *s, uint32_t lock, struct text *keys)
{
	pthread_mutex_lock(&s->locks[lock].lock);
	for (uint32_t b = lock; b < BUCKETS; b += LOCKS)
		for (uint32_t e = s->buckets[b]; e != NIL; e = s->next[e])
			text_add(keys, &s->entries[e].key, sizeof(s->entries[e].key));
	pthread_mutex_unlock(&s->locks[lock].lock);
	return text_error(keys);
}

static void entry_died(struct account_store *s, uint32_t e)
{
	struct use *use = s->owners[e];

	if (use && !use_charge(&use->predecessors, 1, ACCOUNT_PREDECESSORS_OF_OWNER)) {
		entry_clear(s, e);
		return;
	}
	s->dead_since[e] = ++s->deaths;
	atomic_fetch_add(&s->dead, 1);
}

static void mark(struct account_store *s, const struct account_key *key, enum account_fate fate)
{
	struct account *a = lock_of(s, bucket_of(key));
	uint32_t e;

	pthread_mutex_lock(&a->lock);
	e = entry_find(s, key);
	if (e != NIL && fate == ACCOUNT_CGROUP_GONE)
		entry_clear(s, e);
	else if (e != NIL && fate == ACCOUNT_INIT_DEAD && !s->dead_since[e])
		entry_died(s, e);
	pthread_mutex_unlock(&a->lock);
}

/* Clears the entries that died before `until`. */
static void clear_dead_until(struct account_store *s, uint64_t until)
{
	for (uint32_t lock = 0; lock < LOCKS; lock++) {
		pthread_mutex_lock(&s->locks[lock].lock);
		for (uint32_t b = lock; b < BUCKETS; b += LOCKS)
			for (uint32_t next, e = s->buckets[b]; e != NIL; e = next) {
				next = s->next[e];
				if (s->dead_since[e] && s->dead_since[e] < until)
					entry_clear(s, e);
			}
		pthread_mutex_unlock(&s->locks[lock].lock);
	}
}

int account_sweep(struct account_store *s,
	enum account_fate (*fate)(const struct account_key *key, void *data), void *data)
{
	autotext keys = { 0 };
	int r, ret = 0;

	pthread_mutex_lock(&s->sweep);
	for (uint32_t lock = 0; lock < LOCKS; lock++) {
		text_reset(&keys);
		r = collect_keys(s, lock, &keys);
		if (r < 0) {
			ret = r;
			continue;
		}
		for (size_t at = 0; at < keys.len; at += sizeof(struct account_key)) {
			struct account_key key;

			memcpy(&key, keys.data + at, sizeof(key));
			mark(s, &key, fate(&key, data));
		}
	}
	if (atomic_load(&s->dead) > ACCOUNT_PREDECESSORS)
		clear_dead_until(s, s->deaths - ACCOUNT_PREDECESSORS + 1);
	pthread_mutex_unlock(&s->sweep);
	return ret;
}
