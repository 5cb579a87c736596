/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of keys: what a warm OPEN looks up, charged to owners, least recently used first out.
 * Knows nothing of rules or processes.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

static struct shard *shard_of(struct container_cache *c, uint64_t hash)
{
	return &c->shards[hash % SHARDS];
}

/* Where the entry is linked, or would be; the shard's lock held. */
static struct entry **find_link(struct shard *s, uint64_t hash, const struct caller_key *k)
{
	struct entry **link = &s->buckets[hash / SHARDS % BUCKETS];

	while (*link && ((*link)->hash != hash || !caller_key_equal(&(*link)->key, k)))
		link = &(*link)->next;
	return link;
}

/* The entry of a key, or NULL; `ret_locked` is to be unlocked either way. */
static struct entry *find_locked(
	struct container_cache *c, const struct caller_key *k, struct shard **ret_locked)
{
	uint64_t hash = caller_key_hash(k);

	*ret_locked = shard_of(c, hash);
	pthread_mutex_lock(&(*ret_locked)->lock);
	return *find_link(*ret_locked, hash, k);
}

static bool rules_due(const struct entry *e, uint64_t now)
{
	return now - e->evaluated_ns >= CHECK_NS && now > e->evaluated_ns &&
		(e->provisional || e->evaluated_ns - e->made_ns < SETTLE_NS);
}

static bool changed(const struct entry *e)
{
	return e->generation != atomic_load(&e->record->own->life->generation);
}

static bool look_due(const struct entry *e, uint64_t now)
{
	const struct life *life = e->record->own->life;
	uint64_t checked = atomic_load(&life->checked_ns);

	return life->pid && now > checked && now - checked >= CHECK_NS;
}

struct container *keys_find(
	struct container_cache *c, const struct caller_key *k, uint64_t now, struct key_state *ret)
{
	struct shard *s;
	struct entry *e = find_locked(c, k, &s);
	struct container *record = NULL;

	if (e) {
		atomic_store_explicit(&e->used_ns, now, memory_order_relaxed);
		ret->due = look_due(e, now) || rules_due(e, now) || changed(e);
		ret->holder = e->holder;
		record = container_ref(e->record);
	}
	pthread_mutex_unlock(&s->lock);
	return record;
}

bool keys_claim(struct container_cache *c, const struct caller_key *k, uint64_t now)
{
	struct shard *s;
	struct entry *e = find_locked(c, k, &s);
	bool due = true;

	if (e) {
		due = rules_due(e, now) || changed(e);
		if (due)
			e->evaluated_ns = now;
	}
	pthread_mutex_unlock(&s->lock);
	return due;
}

struct container *keys_keep(struct container_cache *c, const struct caller_key *k,
	uint64_t generation, bool provisional)
{
	struct shard *s;
	struct entry *e = find_locked(c, k, &s);
	struct container *record = NULL;

	if (e && (provisional || e->generation == generation)) {
		e->evaluated_ns = clock_monotonic_ns();
		e->generation = generation;
		e->provisional = provisional;
		record = container_ref(e->record);
	}
	pthread_mutex_unlock(&s->lock);
	return record;
}

/* --- removing ------------------------------------------------------------------------------- */

/* Takes the entry out of everything and puts it on `dead`. cache->lock held. */
static void take_out(struct container_cache *c, struct entry *e, struct entry **dead)
{
	struct shard *s = shard_of(c, e->hash);
	struct entry **link;

	pthread_mutex_lock(&s->lock);
	link = find_link(s, e->hash, &e->key);
	*link = e->next;
	pthread_mutex_unlock(&s->lock);
	*e->owner_link = e->owner_next;
	if (e->owner_next)
		e->owner_next->owner_link = e->owner_link;
	e->owner->n_entries--;
	life_unpin_locked(c, e->record->own->life);
	e->next = *dead;
	*dead = e;
}

/* Without a lock: the last reference on a record takes cache->lock itself. */
static void bury(struct container_cache *c, struct entry *dead)
{
	while (dead) {
		struct entry *next = dead->next;

		container_unref(dead->record);
		owner_put(c, dead->owner);
		caller_key_free(&dead->key);
		free(dead);
		dead = next;
	}
}

/* Removes every entry that `fits`; owners hold all entries there are. */
static void drop_where(struct container_cache *c,
	bool (*fits)(const struct entry *e, const void *data), const void *data)
{
	struct entry *dead = NULL, *next;

	pthread_mutex_lock(&c->lock);
	for (struct owner *o = c->owners; o; o = o->next)
		for (struct entry *e = o->entries; e; e = next) {
			next = e->owner_next;
			if (fits(e, data))
				take_out(c, e, &dead);
		}
	pthread_mutex_unlock(&c->lock);
	bury(c, dead);
}

void keys_drop(struct container_cache *c, const struct caller_key *k)
{
	struct shard *s;
	struct entry *e, *dead = NULL;

	pthread_mutex_lock(&c->lock);
	e = find_locked(c, k, &s);
	pthread_mutex_unlock(&s->lock);
	if (e)
		take_out(c, e, &dead);
	pthread_mutex_unlock(&c->lock);
	bury(c, dead);
}

static bool has_record(const struct entry *e, const void *data)
{
	return e->record == data;
}

void keys_drop_record(struct container_cache *c, const struct container *r)
{
	drop_where(c, has_record, r);
}

static bool has_life(const struct entry *e, const void *data)
{
	return e->record->own->life == data;
}

void keys_drop_life(struct container_cache *c, const struct life *l)
{
	drop_where(c, has_life, l);
}

static bool any(const struct entry *e, const void *data)
{
	return e && !data;
}

void keys_drop_all(struct container_cache *c)
{
	drop_where(c, any, NULL);
}

struct expiry {
	uint64_t before_ns;
	struct keys_expired *result;
};

static bool has_expired(const struct entry *e, const void *data)
{
	const struct expiry *expiry = data;
	const struct life *life = e->record->own->life;

	if (life->pid && !life->unwatched)
		return false;
	if (atomic_load(&e->used_ns) < expiry->before_ns &&
		(life->watch_fd < 0 || watch_ended(life))) {
		expiry->result->dropped++;
		return true;
	}
	expiry->result->remain++;
	return false;
}

struct keys_expired keys_expire(struct container_cache *c, uint64_t before_ns)
{
	struct keys_expired result = { 0 };
	const struct expiry expiry = { before_ns, &result };

	drop_where(c, has_expired, &expiry);
	return result;
}

/* --- adding --------------------------------------------------------------------------------- */

static struct entry *least_recently_used(const struct owner *o)
{
	struct entry *oldest = o->entries;

	for (struct entry *e = o->entries; e; e = e->owner_next)
		if (atomic_load(&e->used_ns) < atomic_load(&oldest->used_ns))
			oldest = e;
	return oldest;
}

bool keys_evict_one(struct container_cache *c)
{
	struct owner *most = NULL;
	struct entry *dead = NULL;

	pthread_mutex_lock(&c->lock);
	for (struct owner *o = c->owners; o; o = o->next) {
		if (o->n_entries == 0)
			continue;
		/* Among equals the one that has been idle longest. */
		if (!most || o->n_entries > most->n_entries ||
			(o->n_entries == most->n_entries &&
				atomic_load(&least_recently_used(o)->used_ns) <
					atomic_load(&least_recently_used(most)->used_ns)))
			most = o;
	}
	if (most)
		take_out(c, least_recently_used(most), &dead);
	pthread_mutex_unlock(&c->lock);
	bury(c, dead);
	return dead != NULL;
}

static struct entry *new_entry(const struct caller_key *k, uint64_t hash)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (e && caller_key_copy(k, &e->key) < 0) {
		free(e);
		return NULL;
	}
	if (e)
		e->hash = hash;
	return e;
}

/* Both locks held. */
static void put_in(struct owner *o, struct entry **bucket, struct entry *e)
{
	e->next = *bucket;
	*bucket = e;
	e->owner = owner_ref(o);
	e->owner_next = o->entries;
	e->owner_link = &o->entries;
	if (o->entries)
		o->entries->owner_link = &e->owner_next;
	o->entries = e;
	o->n_entries++;
}

/* Makes `e` say what was found; both locks held. The record it had is returned. */
static struct container *fill(
	struct container_cache *c, struct entry *e, const struct key_answer *a, uint64_t now)
{
	struct container *old = e->record;

	if (old != a->record) {
		life_pin_locked(a->record->own->life);
		e->record = container_ref(a->record);
		e->made_ns = now;
	}
	e->evaluated_ns = now;
	e->generation = a->generation;
	e->provisional = a->provisional;
	e->holder = a->holder;
	atomic_store(&e->used_ns, now);
	if (!old || old == a->record)
		return NULL;
	life_unpin_locked(c, old->own->life);
	return old;
}

int keys_store(struct container_cache *c, const struct caller_key *k, const struct key_answer *a)
{
	uint64_t hash = caller_key_hash(k), now = clock_monotonic_ns();
	const struct life *life = a->record->own->life;
	struct entry *fresh = new_entry(k, hash), *dead = NULL, **link;
	struct shard *s = shard_of(c, hash);
	struct container *old = NULL;
	bool timed;

	if (!fresh)
		return -ENOMEM;
	pthread_mutex_lock(&c->lock);
	if (life->dead || !life->live) {
		pthread_mutex_unlock(&c->lock);
		caller_key_free(&fresh->key);
		free(fresh);
		return -ESRCH;
	}
	pthread_mutex_lock(&s->lock);
	link = find_link(s, hash, k);
	if (*link) {
		old = fill(c, *link, a, now);
	} else {
		fill(c, fresh, a, now);
		put_in(a->owner, link, fresh);
		fresh = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	while (a->owner->n_entries > KEYS_PER_OWNER)
		take_out(c, least_recently_used(a->owner), &dead);
	timed = !life->pid || life->unwatched;
	pthread_mutex_unlock(&c->lock);
	if (timed)
		watch_time(c->watch);
	if (fresh)
		caller_key_free(&fresh->key);
	free(fresh);
	container_unref(old);
	bury(c, dead);
	return 0;
}
