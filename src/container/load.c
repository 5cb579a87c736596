/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which containers are sampled, and the thread that does it. Only that thread takes entries off the
 * list, so it walks along it without the lock; readers put new ones in front. Nothing of the kernel
 * is read with the lock held.
 */
#include "load_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "cleanup.h"
#include "parse.h"
#include "slow.h"
#include "thread.h"

#define BUCKETS 1024u
/* Each costs at least one task, so a pass leaves room for as many new ones; of one outermost
 * container an eighth, for it may make as many cgroups as it likes. */
#define ENTRIES_MAX (2 * LOAD_TASKS_MAX)
#define ENTRIES_OF_OWNER (ENTRIES_MAX / 8)
#define UNREAD_NS (24 * 3600 * NS_PER_S)

/* A container that is sampled. */
struct entry {
	struct entry *next; /* the list */
	struct entry *in_bucket;
	struct load_place place; /* constant */
	/* The lock. */
	struct load_state state;
	bool ready; /* its first sample was taken; until then its maker's */
	bool gone;  /* not found any more; the thread will take it off */
	/* The thread. */
	uint64_t share; /* what it costs, with those of its owner that were read later */
};

struct load {
	struct load_config config;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;  /* the thread: there is something to sample, or to stop for */
	pthread_cond_t ready; /* readers: a first sample was taken, or failed */
	struct entry *first;
	struct entry *buckets[BUCKETS];
	size_t n;
	bool started, stop;
};

/* --- the table ------------------------------------------------------------------------------ */

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	load_place_clear(&e->place);
	free(e);
}

static struct entry **bucket_of(struct load *l, const struct account_key *key)
{
	uint64_t h = key->cgroup_dev;

	h = h * 31 + key->cgroup_ino;
	h = h * 31 + key->init_start;
	h = h * 31 + (uint64_t)key->init_pid;
	return &l->buckets[(h * UINT64_C(0x9e3779b97f4a7c15) >> 32) % BUCKETS];
}

static bool same_key(const struct account_key *a, const struct account_key *b)
{
	return a->cgroup_dev == b->cgroup_dev && a->cgroup_ino == b->cgroup_ino &&
		a->init_start == b->init_start && a->init_pid == b->init_pid;
}

static struct entry *find_locked(struct load *l, const struct account_key *key)
{
	struct entry *e = *bucket_of(l, key);

	while (e && (e->gone || !same_key(&e->place.key, key)))
		e = e->in_bucket;
	return e;
}

/* False: there is no room, and it stays its maker's. */
static bool insert_locked(struct load *l, struct entry *e)
{
	struct entry **bucket = bucket_of(l, &e->place.key);
	struct use *use = e->place.use;

	if (l->n >= ENTRIES_MAX || (use && !use_charge(&use->loads, 1, ENTRIES_OF_OWNER)))
		return false;
	e->in_bucket = *bucket;
	*bucket = e;
	e->next = l->first;
	l->first = e;
	if (l->n++ == 0)
		pthread_cond_signal(&l->wake);
	return true;
}

static void leave_bucket_locked(struct load *l, struct entry *e)
{
	struct entry **at = bucket_of(l, &e->place.key);

	while (*at != e)
		at = &(*at)->in_bucket;
	*at = e->in_bucket;
}

/* The one at that place in the list. */
static void remove_locked(struct load *l, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	leave_bucket_locked(l, e);
	l->n--;
	if (e->place.use)
		atomic_fetch_sub(&e->place.use->loads, 1);
	entry_free(e);
}

/* --- who leaves (the thread) ---------------------------------------------------------------- */

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* 0: those that are charged to nobody, together. */
static uint64_t owner_of(const struct entry *e)
{
	return e->place.use ? e->place.use->owner : 0;
}

/* Of each owner the latest read first. */
static int by_owner(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;
	const int r = compare(owner_of(*x), owner_of(*y));

	return r ? r : compare((*y)->state.read_ns, (*x)->state.read_ns);
}

/* Among equals the latest read. */
static int least_share_first(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;
	const int r = compare((*x)->share, (*y)->share);

	return r ? r : compare((*y)->state.read_ns, (*x)->state.read_ns);
}

static uint64_t cost_of(const struct entry *e)
{
	return max_u64(e->state.cost, 1);
}

static bool is_over_quota_locked(const struct load *l)
{
	uint64_t sum = 0;

	for (const struct entry *e = l->first; e; e = e->next)
		sum = sat_add(sum, cost_of(e));
	return sum > LOAD_TASKS_MAX;
}

/* Down to what may be sampled, always the owner whose entries cost the most together loses the one
 * that was read least recently: nobody's flood takes what others are sampled for. A share is what
 * the owner has when that entry's turn comes, so they go by it. A first one always stays, and who
 * was never sampled, for the look of whoever read it was cut off: this pass finds out what it
 * costs. */
static void shrink_locked(struct load *l)
{
	struct entry **all = calloc(l->n, sizeof(struct entry *));
	size_t n = 0;
	uint64_t sum = 0;

	if (!all)
		return;
	for (struct entry *e = l->first; e; e = e->next)
		if (e->ready && !e->gone && e->state.sampled != 0)
			all[n++] = e;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	qsort(all, n, sizeof(*all), by_owner);
	for (size_t i = 0; i < n; i++)
		all[i]->share = sat_add(cost_of(all[i]),
			i > 0 && owner_of(all[i - 1]) == owner_of(all[i]) ? all[i - 1]->share : 0);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	qsort(all, n, sizeof(*all), least_share_first);
	for (size_t i = 0; i < n; i++) {
		sum = sat_add(sum, cost_of(all[i]));
		if (i > 0 && sum > LOAD_TASKS_MAX)
			all[i]->gone = true;
	}
	free(all);
}

static void take_off_locked(struct load *l)
{
	struct entry **at = &l->first;

	while (*at) {
		if ((*at)->ready && (*at)->gone)
			remove_locked(l, at);
		else
			at = &(*at)->next;
	}
}

static void prune(struct load *l, uint64_t now)
{
	pthread_mutex_lock(&l->lock);
	for (struct entry *e = l->first; e; e = e->next)
		if (e->ready && sat_sub(now, e->state.read_ns) > UNREAD_NS)
			e->gone = true;
	if (is_over_quota_locked(l))
		shrink_locked(l);
	take_off_locked(l);
	pthread_mutex_unlock(&l->lock);
}

/* --- sampling (the thread) ------------------------------------------------------------------ */

static bool copy_due(struct load *l, const struct entry *e, uint64_t period, struct load_state *ret)
{
	bool due;

	pthread_mutex_lock(&l->lock);
	due = e->ready && !e->gone && e->state.sampled < period;
	*ret = e->state;
	pthread_mutex_unlock(&l->lock);
	return due;
}

/* Readers may have been there meanwhile. */
static void publish_locked(struct entry *e, const struct load_state *state)
{
	const uint64_t read_ns = max_u64(e->state.read_ns, state->read_ns);

	e->state = *state;
	e->state.read_ns = read_ns;
}

/* prune() goes by what was known before the pass. Containers may have grown since, or their first
 * look was cut off: once that makes LOAD_TASKS_MAX tasks in those of one owner, its others wait for
 * the next pass. */
static bool has_grown(const struct use *use, uint64_t period)
{
	return use && use->loads_period == period && use->loads_found >= LOAD_TASKS_MAX;
}

static void note_growth(struct use *use, uint64_t period, uint64_t tasks)
{
	if (!use)
		return;
	if (use->loads_period != period)
		use->loads_found = 0;
	use->loads_period = period;
	use->loads_found += tasks;
}

static void sample(struct load *l, struct entry *e, uint64_t period)
{
	struct load_state state;
	uint64_t known;
	int r;

	if (has_grown(e->place.use, period) || !copy_due(l, e, period, &state))
		return;
	known = state.cost;
	r = load_sample(&l->config, &e->place, period, 0, &state);
	note_growth(e->place.use, period, sat_sub(state.cost, known));
	if (r == 0)
		load_keep(l->config.accounts, &e->place, &state);
	pthread_mutex_lock(&l->lock);
	if (r == 0)
		publish_locked(e, &state);
	else if (r == -ENODEV || r == -ESRCH)
		e->gone = true;
	pthread_mutex_unlock(&l->lock);
}

void load_pass(struct load *l, uint64_t now)
{
	struct entry *e;

	prune(l, now);
	pthread_mutex_lock(&l->lock);
	e = l->first;
	pthread_mutex_unlock(&l->lock);
	for (; e; e = e->next)
		sample(l, e, load_period(now));
}

/* Until the next period begins, which is at the same moment for all containers. */
static void wait_locked(struct load *l)
{
	const uint64_t due = load_period(clock_monotonic_ns()) * LOAD_PERIOD_NS;
	const struct timespec at = { (time_t)(due / NS_PER_S), (long)(due % NS_PER_S) };

	while (!l->stop && clock_monotonic_ns() < due)
		pthread_cond_timedwait(&l->wake, &l->lock, &at);
}

static void *run(void *data)
{
	struct load *l = data;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		if (!l->first) {
			pthread_cond_wait(&l->wake, &l->lock);
			continue;
		}
		wait_locked(l);
		pthread_mutex_unlock(&l->lock);
		load_pass(l, clock_monotonic_ns());
		pthread_mutex_lock(&l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

size_t load_sampled(struct load *l)
{
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = l->n;
	pthread_mutex_unlock(&l->lock);
	return n;
}

/* --- reading -------------------------------------------------------------------------------- */

/* The cgroup path that belongs to the subject's key; NULL. */
static const char *path_of(const struct load *l, const struct subject *s)
{
	const struct cgroup_layout *layout = l->config.layout;
	const struct cgroup_hierarchy *h = cgroup_hierarchy_of_dev(layout, s->account.cgroup_dev);

	if (!h || !s->cgroups)
		return NULL;
	return cgroup_set_path(s->cgroups, (unsigned)(h - layout->hierarchy));
}

static int entry_new(const struct load *l, const struct account_key *key, const char *cgroup,
	struct use *use, struct entry **ret)
{
	struct entry *e = calloc(1, sizeof(*e));
	int r = e ? load_place_init(&l->config, key, cgroup, &e->place) : -ENOMEM;

	if (r < 0) {
		free(e);
		return r;
	}
	e->place.use = use_ref(use);
	*ret = e;
	return 0;
}

static int sample_within_budget(const struct load *l, const struct load_place *place, uint64_t now,
	struct load_state *state)
{
	const uint64_t begun = clock_thread_ns();
	const uint64_t wanted = mul_div(state->cost, LOAD_BURST_NS, LOAD_TASKS_MAX);
	const uint64_t taken = load_budget_take(place->use, now, wanted);
	int r = load_sample(&l->config, place, load_period(now), begun + taken, state);

	load_budget_settle(place->use, now, taken, clock_thread_ns() - begun);
	return r;
}

/* Its state is in the accounts if it was sampled before: then it is sampled at most once a period,
 * however often it leaves and comes back. */
static int first_sample(
	const struct load *l, const struct entry *e, uint64_t now, struct load_state *ret)
{
	const uint64_t period = load_period(now);
	struct load_state state = { 0 };
	int r = load_restore(l->config.accounts, &e->place.key, &state, NULL, NULL);

	if (r == -ENOMEM)
		return r;
	r = 0;
	state.read_ns = now;
	if (state.sampled < period) {
		r = sample_within_budget(l, &e->place, now, &state);
		/* Whoever reads is one of those it found, and does not stay. */
		if (r == 0 && state.looked == period && state.cost > 1)
			state.cost--;
		if (r == 0 && state.sampled == period)
			load_keep(l->config.accounts, &e->place, &state);
	}
	*ret = state;
	return r;
}

/* What is known, after the first sample of another reader if that is on its way. */
static bool find_or_insert(struct load *l, struct entry *fresh, bool *ret_inserted, uint64_t now,
	struct load_values *ret)
{
	struct entry *e;
	bool found;

	pthread_mutex_lock(&l->lock);
	while ((e = find_locked(l, &fresh->place.key)) && !e->ready)
		pthread_cond_wait(&l->ready, &l->lock);
	found = e != NULL;
	if (found) {
		e->state.read_ns = max_u64(e->state.read_ns, now);
		*ret = e->state.values;
	}
	*ret_inserted = !found && insert_locked(l, fresh);
	pthread_mutex_unlock(&l->lock);
	return found;
}

/* The thread may free `e` from here on. */
static void make_ready(struct load *l, struct entry *e, const struct load_state *state, bool gone)
{
	pthread_mutex_lock(&l->lock);
	e->state = *state;
	e->ready = true;
	e->gone = gone;
	pthread_cond_broadcast(&l->ready);
	pthread_mutex_unlock(&l->lock);
}

static int enter(struct load *l, const struct subject *s, uint64_t now, struct load_values *ret)
{
	struct load_state state = { 0 };
	struct entry *e;
	bool inserted = false;
	int r = entry_new(l, &s->account, path_of(l, s), s->use, &e);

	if (r < 0)
		return r;
	if (find_or_insert(l, e, &inserted, now, ret)) {
		entry_free(e);
		return 0;
	}
	r = first_sample(l, e, now, &state);
	/* Init has ended, but not whoever reads: the last sample is the last. */
	if (r == 0 || r == -ESRCH)
		*ret = state.values;
	if (inserted)
		make_ready(l, e, &state, r < 0);
	else
		entry_free(e);
	return r == -ESRCH ? 0 : r;
}

static bool find_ready(
	struct load *l, const struct account_key *key, uint64_t now, struct load_values *ret)
{
	struct entry *e;

	pthread_mutex_lock(&l->lock);
	e = find_locked(l, key);
	if (e && e->ready) {
		e->state.read_ns = max_u64(e->state.read_ns, now);
		*ret = e->state.values;
	} else {
		e = NULL;
	}
	pthread_mutex_unlock(&l->lock);
	return e != NULL;
}

int load_get(struct load *l, const struct subject *s, struct load_values *ret)
{
	const uint64_t now = clock_monotonic_ns();
	int r;

	if (find_ready(l, &s->account, now, ret))
		return 0;
	r = slow_ahead();
	return r < 0 ? r : enter(l, s, now, ret);
}

/* --- life of the sampler -------------------------------------------------------------------- */

struct resumption {
	struct load *l;
	int error; /* a shortage; 0 */
};

static int resume_one(struct load *l, const struct account_key *key)
{
	autofree char *cgroup = NULL;
	struct use *use = NULL;
	struct load_state state;
	struct entry *e = NULL;
	int r = load_restore(l->config.accounts, key, &state, &cgroup, &use);

	if (r == 0 && sat_sub(clock_monotonic_ns(), state.read_ns) <= UNREAD_NS)
		r = entry_new(l, key, cgroup, use, &e);
	use_put(use);
	if (!e)
		return r;
	e->state = state;
	e->ready = true;
	if (!insert_locked(l, e))
		entry_free(e);
	return 0;
}

static enum account_fate resume(const struct account_key *key, void *data)
{
	struct resumption *all = data;
	int r = key->kind == ACCOUNT_LOAD && all->error == 0 ? resume_one(all->l, key) : 0;

	if (is_shortage(r))
		all->error = r;
	return ACCOUNT_LIVES;
}

/* Goes on with what an earlier worker sampled: with all of it, for whoever is forgotten here is not
 * sampled until somebody reads. */
static int resume_all(struct load *l)
{
	struct resumption all = { .l = l };
	int r = account_sweep(l->config.accounts, resume, &all);

	return all.error ? all.error : r;
}

static void setup(struct load *l)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->wake, &monotonic);
	pthread_cond_init(&l->ready, NULL);
	pthread_condattr_destroy(&monotonic);
}

static void destroy(struct load *l)
{
	while (l->first)
		remove_locked(l, &l->first);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	pthread_cond_destroy(&l->ready);
	free(l);
}

int load_new(const struct load_config *config, struct load **ret)
{
	struct load *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->config = *config;
	setup(l);
	r = l->config.accounts ? resume_all(l) : 0;
	if (r < 0)
		destroy(l);
	else
		*ret = l;
	return r;
}

int load_start(struct load *l)
{
	int r = thread_start(&l->thread, "lxcfs-load", run, l);

	l->started = r == 0;
	return r;
}

void load_free(struct load *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	if (l->started)
		pthread_join(l->thread, NULL);
	destroy(l);
}
