/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What others may call: from a thread, or from what a handle remembers, to a record. The warm way
 * is here; the slow one is container_resolve().
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "log.h"
#include "slow.h"

#define ATTEMPTS 3

struct container *container_host(struct container_cache *c)
{
	return container_ref(c->host);
}

unsigned container_count(const struct container_cache *c)
{
	unsigned n = atomic_load(&c->n_records);

	return n - 1; /* the host's is always there */
}

bool container_sees_everybody(const struct container_cache *c)
{
	return c->pid_ns == INITIAL_PID_NS;
}

/* --- the way from a thread ------------------------------------------------------------------ */

/* True when this caller, and no other, is to look at init now: the last look was `age_ns` ago. */
static bool claim_look(struct life *life, uint64_t now, uint64_t age_ns)
{
	uint64_t checked = atomic_load(&life->checked_ns);

	return life->pid && now > checked && now - checked >= age_ns &&
		atomic_compare_exchange_strong(&life->checked_ns, &checked, now);
}

static int look_again(struct container_cache *c, struct life *life, uint64_t now, uint64_t age_ns)
{
	int err;

	if (!claim_look(life, now, age_ns) || !life_try_pin(c, life))
		return 0;
	/* It takes less than to call another thread, unless cgroups are being made or removed: the
	 * kernel reads /proc/<pid>/cgroup under the lock of all hierarchies. */
	if (atomic_load(&c->look_ns) > SLOW_NS)
		slow_ahead();
	err = life_look(c, life);
	atomic_store(&c->look_ns, sat_sub(clock_monotonic_ns(), now));
	life_put(c, life);
	return err;
}

void container_look_early(struct container *r)
{
	struct life *life = r->own->life;
	const uint64_t checked = atomic_load(&life->checked_ns);
	uint64_t now = clock_monotonic_ns();

	/* One that failed, as for want of descriptors, is none: the next OPEN shall not rely on it.
	 */
	if (look_again(r->own->cache, life, now, CHECK_EARLY_NS) < 0)
		atomic_compare_exchange_strong(&life->checked_ns, &now, checked);
}

/* Looks at what may have changed since the key was stored. True: the record is still right. */
static bool still_right(
	struct container_cache *c, const struct caller_key *k, struct container *r, uint64_t now)
{
	return look_again(c, r->own->life, now, CHECK_NS) == 0 && !keys_claim(c, k, now);
}

/* True when the namespaces of a long key are those that it was stored for: somebody, mostly init,
 * has been in them since. Where it was somebody else a user may have arranged what they show, and
 * left their numbers to others. */
static bool are_the_same(struct container_cache *c, const struct caller_key *k,
	const struct container *r, const struct proc_id *holder)
{
	return k->mnt_ns == 0 || k->mnt_ns == atomic_load(&r->own->life->mnt_ns) ||
		caller_key_is_held(c->config.root, k, holder);
}

/* NULL: the rules have to be applied. */
static struct container *from_cache(
	struct container_cache *c, const struct caller_key *k, const struct question *q)
{
	uint64_t now = clock_monotonic_ns();
	struct key_state state;
	struct container *r;
	bool right;

	if (q->insist)
		return NULL;
	r = keys_find(c, k, now, &state);
	if (!r)
		return NULL;
	right = !state.due || still_right(c, k, r, now);
	/* After the look at init that is due, which may have left them. */
	if (!are_the_same(c, k, r, &state.holder)) {
		keys_drop(c, k); /* nor does it answer for want of a better one */
		right = false;
	}
	if (right)
		return r;
	container_unref(r);
	return NULL;
}

/* The same for a thread, which is known from then on if it is a container's. */
static struct container *from_cache_for(
	struct container_cache *c, pid_t tid, const struct caller_key *k, const struct question *q)
{
	struct container *r = from_cache(c, k, q);

	if (r && k->pid_ns != c->pid_ns)
		callers_note(c->callers, tid, k->pid_ns);
	return r;
}

static struct proc_id caller_of(const struct container *r)
{
	struct proc_id caller;

	pthread_mutex_lock(&r->own->life->lock);
	caller = r->own->caller;
	pthread_mutex_unlock(&r->own->life->lock);
	return caller;
}

/* Reads the start once for each caller, since one thread tends to ask often. */
static void note_caller(struct container *r, pid_t tid)
{
	struct container_cache *c = r->own->cache;
	struct proc_id caller = { .pid = tid };

	/* The host needs no proof. */
	if (r == c->host || caller_of(r).pid == tid ||
		proc_start(c->config.root, tid, &caller.start_ticks) < 0)
		return;
	pthread_mutex_lock(&r->own->life->lock);
	r->own->caller = caller;
	pthread_mutex_unlock(&r->own->life->lock);
}

static int ask_once(
	struct container_cache *c, pid_t tid, struct question *q, struct container **ret)
{
	autokey k = { 0 };
	int r = callers_find(c->callers, tid, &k) ? 0 : caller_key_short(c->config.root, tid, &k);

	if (r < 0)
		return r;
	if (k.pid_ns != c->pid_ns && (*ret = from_cache_for(c, tid, &k, q))) {
		sharer_note(c, tid, k.pid_ns, *ret);
		return 0;
	}
	r = caller_key_lengthen(c->config.root, tid, &k);
	if (r < 0)
		return r;
	if (k.pid_ns == c->pid_ns)
		r = caller_key_add_time(c->config.root, tid, &k);
	if (r < 0)
		return r;
	*ret = from_cache_for(c, tid, &k, q);
	if (!*ret) {
		slow_ahead();
		r = container_resolve(c, tid, &k, q, ret);
	}
	if (r == 0 && k.mnt_ns != 0)
		note_caller(*ret, tid);
	if (r == 0)
		sharer_note(c, tid, k.pid_ns, *ret);
	return r;
}

int container_ask(struct container_cache *c, pid_t tid, struct question *q, struct container **ret)
{
	struct container *found = NULL;
	int r = -EAGAIN;

	/* Again: a cgroup was renamed or removed between two looks. */
	for (int attempt = 0; attempt < ATTEMPTS && r == -EAGAIN; attempt++)
		r = ask_once(c, tid, q, &found);
	if (r == -EAGAIN)
		r = -ENODEV;
	if (r == 0)
		*ret = found;
	return r;
}

int container_open(struct container_cache *c, pid_t tid, struct container **ret)
{
	struct question q = { 0 };

	if (tid > 0)
		return container_ask(c, tid, &q, ret);
	if (c->pid_ns == INITIAL_PID_NS) {
		*ret = container_host(c);
		return 0;
	}
	log_limited("container-pid-0",
		"a process outside the daemon's pid namespace opened a file and cannot be told "
		"from others: run the daemon with the host's pid namespace");
	return -EIO;
}

/* --- records that proved wrong, or have to be found again ---------------------------------------
 */

/* Whoever the rules are to be applied to, to come to the same container. */
static struct proc_id who_leads_to(const struct container_cache *c, const struct container *r)
{
	const struct proc_id init = { r->init, r->own->life->start_ticks };

	return atomic_load(&r->own->by_init) && proc_check(c->config.root, &init) != -ESRCH
		? init
		: caller_of(r);
}

int container_again(struct container_cache *c, struct container *old, struct container **ret)
{
	struct question q = { .insist = true };
	struct container *found;
	struct proc_id who;
	int r;

	if (old == c->host)
		return -ENODEV;
	slow_ahead();
	who = who_leads_to(c, old);
	pthread_mutex_lock(&c->lock);
	container_unlink_locked(old);
	pthread_mutex_unlock(&c->lock);
	keys_drop_record(c, old);
	r = proc_check(c->config.root, &who);
	if (r == 0)
		r = container_ask(c, who.pid, &q, &found);
	if (r < 0)
		return r == -ESRCH ? -ENODEV : r;
	/* What was read of it is good only if it lived all the while. */
	r = proc_check(c->config.root, &who);
	if (r == 0)
		r = proc_is_exiting(c->config.root, who.pid);
	if (r != 0) {
		container_unref(found);
		return r == -ESRCH || r > 0 ? -ENODEV : r;
	}
	*ret = found;
	return 0;
}

void container_identity(const struct container *r, struct container_identity *ret)
{
	const struct proc_id caller = caller_of(r);

	*ret = (struct container_identity){
		.init_start = r->own->life->start_ticks,
		.caller_start = caller.start_ticks,
		.cgroups = r->own->hash,
		.init = r->init,
		.caller = caller.pid,
	};
}

/* The record that `who` leads to, if it is the one that is looked for. -ESTALE; -errno where that
 * cannot be told. */
static int find_identical(struct container_cache *c, const struct container_identity *identity,
	struct proc_id who, struct container **ret)
{
	struct question q = { 0 };
	struct container *r;
	int e;

	/* The first time from what is known, the second time from the kernel. */
	for (int attempt = 0; attempt < 2; attempt++) {
		q.insist = attempt > 0;
		e = proc_check(c->config.root, &who);
		if (e == 0)
			e = container_ask(c, who.pid, &q, &r);
		if (e < 0)
			return is_shortage(e) ? e : -ESTALE;
		if (r->own->hash == identity->cgroups && r->init == identity->init &&
			r->own->life->start_ticks == identity->init_start) {
			*ret = r;
			return 0;
		}
		container_unref(r);
	}
	return -ESTALE;
}

int container_by_identity(struct container_cache *c, const struct container_identity *identity,
	struct container **ret)
{
	const struct proc_id init = { identity->init, identity->init_start };
	const struct proc_id caller = { identity->caller, identity->caller_start };
	int r = -ESTALE, by_caller;

	if (identity->init == 0 && identity->caller == 0 &&
		identity->cgroups == c->host->own->hash) {
		*ret = container_host(c);
		return 0;
	}
	slow_ahead();
	if (identity->init > 0)
		r = find_identical(c, identity, init, ret);
	if (r == 0 || identity->caller <= 0)
		return r;
	by_caller = find_identical(c, identity, caller, ret);
	return by_caller == -ESTALE ? r : by_caller;
}

/* --- life of the cache ------------------------------------------------------------------------ */

static int find_own_namespaces(struct container_cache *c)
{
	struct stat pid_ns, cgroup_ns;

	if (fstatat(c->config.root->proc, "self/ns/pid", &pid_ns, 0) < 0 ||
		fstatat(c->config.root->proc, "self/ns/cgroup", &cgroup_ns, 0) < 0)
		return -errno;
	c->pid_ns = pid_ns.st_ino;
	c->cgroup_ns = cgroup_ns.st_ino;
	return 0;
}

int container_cache_new(const struct container_config *config, struct container_cache **ret)
{
	struct container_cache *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->config = *config;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->mountinfo_lock, NULL);
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&c->shards[i].lock, NULL);
	r = find_own_namespaces(c);
	if (r == 0)
		r = callers_new(c->config.root, config->max_callers, &c->callers);
	if (r == 0)
		r = container_new_host(c, &c->host);
	if (r == 0)
		r = watch_new(c, &c->watch);
	if (r < 0)
		container_cache_free(c);
	else
		*ret = c;
	return r;
}

/* The host's life holds itself. */
static void free_host(struct container_cache *c)
{
	struct life *life = c->host ? c->host->own->life : NULL;

	container_unref(c->host);
	life_put(c, life);
}

void container_cache_free(struct container_cache *c)
{
	if (!c)
		return;
	if (c->watch)
		watch_stop(c->watch);
	keys_drop_all(c);
	free_host(c);
	if (c->watch)
		watch_free(c->watch);
	owners_free(c);
	callers_free(c->callers);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->mountinfo_lock);
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_destroy(&c->shards[i].lock);
	free(c);
}
