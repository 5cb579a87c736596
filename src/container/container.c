/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records, and the slow way from a caller to one: find its life, apply the rules, look the cgroups
 * up. What is remembered under which key, and for how long, is the business of others.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"

/* --- records ------------------------------------------------------------------------------- */

struct container *container_ref(struct container *r)
{
	atomic_fetch_add(&r->own->refs, 1);
	return r;
}

const char *container_path(const struct container *r, unsigned hierarchy)
{
	const struct container_cache *c = r->own->cache;

	/* The host's record stands for every process that is at the root of all. */
	if (r == c->host)
		return hierarchy < c->config.layout->n ? "/" : NULL;
	return r->own->paths.path[hierarchy];
}

/* A record in the table may be about to be freed by its last holder. */
static bool ref_unless_dying(struct container *r)
{
	unsigned refs = atomic_load(&r->own->refs);

	while (refs > 0)
		if (atomic_compare_exchange_weak(&r->own->refs, &refs, refs + 1))
			return true;
	return false;
}

static struct container **record_bucket(struct container_cache *c, uint64_t hash)
{
	return &c->records[hash % RECORDS];
}

void container_unlink_locked(struct container *r)
{
	struct container **link = record_bucket(r->own->cache, r->own->hash);

	if (!r->own->linked)
		return;
	while (*link != r)
		link = &(*link)->own->next;
	*link = r->own->next;
	r->own->linked = false;
}

/* Frees what `r` owns except its life. */
static void free_record(struct container *r)
{
	cgroup_set_free(r->subject.cgroups);
	if (r->own)
		cgroup_paths_free(&r->own->paths);
	free(r->own);
	free(r);
}

void container_unref(struct container *r)
{
	struct container_cache *c;
	struct life *life;

	if (!r || atomic_fetch_sub(&r->own->refs, 1) > 1)
		return;
	c = r->own->cache;
	life = r->own->life;
	pthread_mutex_lock(&c->lock);
	container_unlink_locked(r);
	pthread_mutex_unlock(&c->lock);
	free_record(r);
	atomic_fetch_sub(&c->n_records, 1);
	pthread_mutex_lock(&c->lock);
	life_unref_locked(c, life);
	pthread_mutex_unlock(&c->lock);
}

static struct container *alloc_record(struct container_cache *c, struct life *life)
{
	struct container *r = calloc(1, sizeof(*r));

	if (r)
		r->own = calloc(1, sizeof(*r->own));
	if (!r || !r->own) {
		free(r);
		return NULL;
	}
	r->own->cache = c;
	r->own->life = life;
	r->own->number = atomic_fetch_add(&c->records_made, 1) + 1;
	atomic_init(&r->own->refs, 1);
	r->init = life->pid;
	r->subject.start_ns = life->start_ns;
	r->subject.virtualised = &life->virtualised;
	r->subject.account.init_start = life->start_ticks;
	r->subject.account.init_pid = life->pid;
	atomic_fetch_add(&c->n_records, 1);
	pthread_mutex_lock(&c->lock);
	life->refs++;
	pthread_mutex_unlock(&c->lock);
	return r;
}

uint64_t container_number(const struct container *c)
{
	return c->own->number;
}

int container_new_host(struct container_cache *c, struct container **ret)
{
	struct life *life;
	struct container *r;
	int err = life_of_host(c, &life);

	if (err < 0)
		return err;
	/* The life's own reference and pin are never given back: the host does not end. */
	r = alloc_record(c, life);
	if (!r) {
		life_put(c, life);
		return -ENOMEM;
	}
	r->subject.is_host = true;
	r->own->hash = HASH_START;
	*ret = r;
	return 0;
}

/* The same whatever order the hierarchies are mounted in. */
static uint64_t hash_paths(const struct cgroup_layout *layout, const struct cgroup_paths *paths)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < layout->n; i++) {
		const char *name = layout->hierarchy[i].name;
		const char *path = paths->path[i];

		if (path)
			sum += hash_bytes(
				hash_bytes(HASH_START, name, strlen(name) + 1), path, strlen(path));
	}
	return sum;
}

/* Records of a life without an init may differ in the offset alone. */
static uint64_t hash_record(const struct cgroup_layout *layout, const struct cgroup_paths *paths,
	const struct life *life, int64_t offset_s)
{
	const uint64_t hash = hash_paths(layout, paths);

	return life->pid ? hash : hash + (uint64_t)offset_s * HASH_START;
}

static bool same_paths(const struct cgroup_paths *a, const struct cgroup_paths *b)
{
	for (size_t i = 0; i < CGROUP_HIERARCHIES; i++) {
		if (!a->path[i] != !b->path[i])
			return false;
		if (a->path[i] && strcmp(a->path[i], b->path[i]) != 0)
			return false;
	}
	return true;
}

/* With cache->lock held. */
static struct container *find_record(struct container_cache *c, const struct life *life,
	uint64_t hash, const struct cgroup_paths *paths)
{
	for (struct container *r = *record_bucket(c, hash); r; r = r->own->next)
		if (r->own->life == life && r->own->hash == hash &&
			same_paths(&r->own->paths, paths) && ref_unless_dying(r))
			return r;
	return NULL;
}

/* The record of a life with these cgroups, if there is one whose directories were not removed and
 * made again meanwhile: cgroup/ has each directory once, so pointers tell. */
static struct container *known_record(struct container_cache *c, const struct life *life,
	uint64_t hash, const struct cgroup_paths *paths, const struct cgroup_set *set)
{
	struct container *r;
	bool same;

	pthread_mutex_lock(&c->lock);
	r = find_record(c, life, hash, paths);
	same = !r || memcmp(r->subject.cgroups->in, set->in, sizeof(set->in)) == 0;
	if (!same)
		container_unlink_locked(r);
	pthread_mutex_unlock(&c->lock);
	if (same)
		return r;
	container_unref(r);
	return NULL;
}

/* --- answering a question -------------------------------------------------------------------- */

struct asking {
	struct container_cache *c;
	pid_t tid;
	struct caller_key *key;
	struct question *q;
	struct life *life;     /* NULL in the daemon's own pid namespace */
	struct life_seen seen; /* of its init */
	struct life *cgroup;   /* there: the life of what it turned out to be */
	struct owner *owner;
	struct container *parent; /* the container around; NULL: the host */
	bool is_short;            /* the rules are evaluated on init */
	struct text mountinfo;
	bool has_mountinfo; /* else rule a does not apply */
	bool provisional;   /* for now */
};

static void asking_end(struct asking *a)
{
	life_seen_free(&a->seen);
	text_free(&a->mountinfo);
	container_unref(a->parent);
	owner_put(a->c, a->owner);
	life_put(a->c, a->life);
	life_put(a->c, a->cgroup);
}

static int ask_life(struct asking *a)
{
	int r = caller_told(a->tid, life_of_pid_ns(a->c, a->tid, a->key->pid_ns, &a->life));

	if (r == 0)
		r = life_look(a->c, a->life);
	if (r == 0)
		r = life_seen_copy(a->life, &a->seen);
	a->is_short = r == 0 && a->seen.short_keys && a->seen.cgroup_ns == a->key->cgroup_ns;
	return r;
}

/* Makes the key what the sort of caller needs. */
static int ask_key(struct asking *a)
{
	const struct caller_key shorter = { .pid_ns = a->key->pid_ns,
		.cgroup_ns = a->key->cgroup_ns };

	if (a->is_short) {
		caller_key_shorten(a->key);
		return 0;
	}
	/* It may have been init's own namespace until now, and would be looked up first. */
	keys_drop(a->c, &shorter);
	return a->key->mnt_ns ? 0 : caller_key_lengthen(a->c->config.root, a->tid, a->key);
}

static int ask_owner(struct asking *a)
{
	if (!a->life)
		return owner_of_cgroups(a->c, slice_of(&a->key->cgroup), &a->owner);
	pthread_mutex_lock(&a->c->lock);
	a->owner = owner_ref(a->life->owner);
	pthread_mutex_unlock(&a->c->lock);
	return 0;
}

static int ask_parent(struct asking *a)
{
	struct question outer = { a->q->depth + 1, a->q->insist };

	if (!a->life || !a->life->parent)
		return 0;
	if (outer.depth > DEPTH_MAX)
		return -ELOOP;
	return container_ask(a->c, a->life->parent->pid, &outer, &a->parent);
}

static int prepare(struct asking *a)
{
	int r = a->key->pid_ns == a->c->pid_ns ? 0 : ask_life(a);

	if (r == 0)
		r = ask_key(a);
	if (r == 0)
		r = ask_owner(a);
	return r == 0 ? ask_parent(a) : r;
}

/* Within the owner's budget, of which half is kept for inits: anybody inside may have long tables
 * in namespaces of their own. -EBUSY beyond it. */
static int read_mountinfo(struct asking *a, pid_t pid)
{
	struct container_cache *c = a->c;
	struct proc_path path = proc_path(pid, "mountinfo");
	uint64_t now, start, left;
	int r = -EBUSY;

	pthread_mutex_lock(&c->mountinfo_lock);
	now = clock_monotonic_ns();
	left = sat_sub(owner_mountinfo_left(c, a->owner, now), a->is_short ? 0 : MOUNTINFO_NS / 2);
	if (left > 0) {
		start = clock_thread_ns();
		r = read_file_bounded(
			c->config.root->proc, path.s, MOUNTINFO_MAX, left, &a->mountinfo);
		owner_mountinfo_charge(c, a->owner, now, clock_thread_ns() - start);
	}
	pthread_mutex_unlock(&c->mountinfo_lock);
	return r;
}

/* 0 where an answer can be had without as well. */
static int look_at_mounts(struct asking *a)
{
	pid_t pid = a->is_short ? a->life->pid : a->tid;
	int r = read_mountinfo(a, pid);

	a->has_mountinfo = r == 0;
	/* Whatever else it is may be over soon, and is no ground for an answer that lasts. */
	a->provisional = r < 0 && r != -EFBIG;
	if (r == -EFBIG)
		log_limited("container-mountinfo-big",
			"the mount table of process %d is too long to be looked through, so the "
			"root of its cgroup mount does not count; let it have fewer mounts",
			(int)pid);
	else if (r == -EBUSY || r == -ETIME)
		log_limited("container-mountinfo-slow",
			"looking through mount tables, process %d's being the last, takes one "
			"outermost container more than %u ms a second, so the roots of its cgroup "
			"mounts do not count until later; let it have fewer mounts",
			(int)pid, (unsigned)(MOUNTINFO_NS / NS_PER_MS));
	else if (r < 0)
		log_debug("mountinfo of process %d: %s", (int)pid, strerror(-r));
	return is_shortage(r) ? r : 0;
}

static int apply_rules(struct asking *a, struct rules_result *ret)
{
	struct slice init = slice_of(&a->seen.cgroup), mounts = slice_of(&a->mountinfo);
	struct rules_input in = {
		.layout = a->c->config.layout,
		.cgroup = slice_of(a->is_short ? &a->seen.cgroup : &a->key->cgroup),
		.mountinfo = a->has_mountinfo ? &mounts : NULL,
		.init_cgroup = a->life ? &init : NULL,
		.base = a->parent ? &a->parent->own->paths : NULL,
	};

	return rules_apply(&in, ret);
}

/* Init's. Where there is none a container's processes may have one each, and whoever asks first
 * must not decide for all. */
static int boottime_offset(const struct asking *a, const struct life *life, int64_t *ret)
{
	if (!life->pid)
		return proc_boottime_offset(a->c->config.root, a->tid, ret);
	*ret = life->boottime_offset_s;
	return 0;
}

/* Takes what it keeps out of `rules` and `set`. */
static struct container *make_record(struct asking *a, struct life *life,
	struct rules_result *rules, struct cgroup_set **set, uint64_t hash, int64_t offset_s)
{
	struct container *r = alloc_record(a->c, life);
	dev_t dev;
	ino_t ino;

	if (!r)
		return NULL;
	r->subject.boottime_offset_s = offset_s;
	r->subject.cgroups = steal_ptr(set);
	r->subject.is_host = cgroup_set_is_root(r->subject.cgroups);
	if (cgroup_set_identity(r->subject.cgroups, &dev, &ino)) {
		r->subject.account.cgroup_dev = dev;
		r->subject.account.cgroup_ino = ino;
	}
	r->subject.use = life->owner->use;
	memcpy(r->rule, rules->rule, sizeof(r->rule));
	r->own->paths = rules->paths;
	rules->paths = (struct cgroup_paths){ 0 };
	r->own->hash = hash;
	return r;
}

/* Two threads may have made the same: one wins, and both get that one. Owns `r`. */
static struct container *link_record(struct container *r)
{
	struct container_cache *c = r->own->cache;
	struct container **bucket = record_bucket(c, r->own->hash);
	struct container *winner;

	pthread_mutex_lock(&c->lock);
	winner = find_record(c, r->own->life, r->own->hash, &r->own->paths);
	if (!winner) {
		r->own->next = *bucket;
		r->own->linked = true;
		*bucket = r;
	}
	pthread_mutex_unlock(&c->lock);
	if (!winner)
		return r;
	container_unref(r);
	return winner;
}

static int record_of_life(struct asking *a, struct life *life, struct rules_result *rules,
	struct cgroup_set **set, struct container **ret)
{
	bool by_init = rules->by_init || a->is_short || a->tid == life->pid;
	struct container *r;
	int64_t offset_s;
	uint64_t hash;
	int err = boottime_offset(a, life, &offset_s);

	if (err < 0)
		return err;
	hash = hash_record(a->c->config.layout, &rules->paths, life, offset_s);
	r = known_record(a->c, life, hash, &rules->paths, *set);
	if (!r) {
		r = make_record(a, life, rules, set, hash, offset_s);
		if (!r)
			return -ENOMEM;
		if (rules->confirmed)
			r = link_record(r);
		else /* what init's container was shown is nothing to one from elsewhere */
			r->subject.virtualised = &r->own->virtualised;
	}
	if (by_init)
		atomic_store(&r->own->by_init, true);
	*ret = r;
	return 0;
}

static void free_set(struct cgroup_set **set)
{
	cgroup_set_free(*set);
}

/* Where a path is, seen from the cgroups that the daemon has: those of its namespace, and of these
 * what is mounted. */
static enum rules_place place_of(const struct cgroup_hierarchy *h, const char *path)
{
	const enum rules_place place = rules_place_of(path);

	if (place != RULES_INSIDE || path[1] == '\0' || cgroup_path_below(h, path))
		return place;
	return cgroup_path_within(h->mount_root, path) ? RULES_AROUND : RULES_BESIDE;
}

/* Nothing is known of limits outside the daemon's cgroups, and none is no answer. What is around
 * them is the root to whoever shares the daemon's pid namespace. */
static int check_inside(const struct asking *a, const struct cgroup_paths *paths)
{
	const enum rules_place most = a->life ? RULES_INSIDE : RULES_AROUND;
	const struct cgroup_layout *l = a->c->config.layout;

	for (size_t i = 0; i < l->n; i++) {
		if (!paths->path[i] || !cgroup_serves(l, i) ||
			place_of(&l->hierarchy[i], paths->path[i]) <= most)
			continue;
		log_limited("container-outside",
			"the cgroup of process %d is outside the daemon's cgroup namespace, or of "
			"what of %s is mounted there, so its limits cannot be told and it gets "
			"errors: run lxcfs in the host's cgroup namespace and with the host's "
			"/sys/fs/cgroup (docker: --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup)",
			(int)a->tid, l->hierarchy[i].unified ? "cgroup2" : l->hierarchy[i].name);
		return -EIO;
	}
	return 0;
}

/* What a look at so deep a cgroup costs would be others' time. */
static int check_depth(const struct asking *a, const struct cgroup_paths *paths)
{
	for (size_t i = 0; i < CGROUP_HIERARCHIES; i++) {
		if (!paths->path[i] || cgroup_path_depth(paths->path[i]) <= CGROUP_DEPTH_MAX)
			continue;
		log_limited("container-deep",
			"the cgroup of process %d is more than %u levels deep, and it gets errors: "
			"move its container up",
			(int)a->tid, CGROUP_DEPTH_MAX);
		return -EIO;
	}
	return 0;
}

static int record_of(struct asking *a, struct rules_result *rules, struct container **ret)
{
	__attribute__((cleanup(free_set))) struct cgroup_set *set = NULL;
	int r = check_inside(a, &rules->paths);

	if (r == 0)
		r = check_depth(a, &rules->paths);
	if (r == 0)
		r = cgroup_set_new(a->c->config.tree, &rules->paths, &set);
	if (r != 0)
		return r == -ENOENT ? -EAGAIN : r;
	if (a->life)
		return record_of_life(a, a->life, rules, &set, ret);
	if (cgroup_set_is_root(set)) {
		*ret = container_host(a->c);
		return 0;
	}
	r = life_of_cgroup(a->c, set, &rules->paths, a->tid, a->owner, &a->cgroup);
	return r == 0 ? record_of_life(a, a->cgroup, rules, &set, ret) : r;
}

static bool needs_holder(const struct asking *a)
{
	return !a->is_short && !(a->life && a->key->mnt_ns == atomic_load(&a->life->mnt_ns));
}

static int answer(struct asking *a, struct container **ret)
{
	struct rules_result rules = { 0 };
	struct key_answer found = {
		.owner = a->owner, .generation = a->seen.generation, .provisional = a->provisional
	};
	int r = apply_rules(a, &rules);

	if (r < 0)
		return r;
	r = record_of(a, &rules, &found.record);
	if (r == 0 && rules.confirmed) {
		if (needs_holder(a))
			caller_key_holder(a->c->config.root, a->tid, a->key, &found.holder);
		r = keys_store(a->c, a->key, &found);
	}
	if (r == 0)
		*ret = found.record;
	else
		container_unref(found.record);
	rules_result_free(&rules);
	return r;
}

int container_resolve(struct container_cache *c, pid_t tid, struct caller_key *k,
	struct question *q, struct container **ret)
{
	__attribute__((
		cleanup(asking_end))) struct asking a = { .c = c, .tid = tid, .key = k, .q = q };
	int r = prepare(&a);

	if (r < 0)
		return r;
	r = look_at_mounts(&a);
	/* An answer from before is better than one without a look at the mounts: another cgroup's
	 * counters would be others. */
	if (!a.has_mountinfo && (*ret = keys_keep(c, a.key, a.seen.generation, a.provisional)))
		return 0;
	return r == 0 ? answer(&a, ret) : r;
}
