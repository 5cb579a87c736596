/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is asking, on a machine that is out of memory or descriptors or cannot be read: each call
 * that can fail fails once, and from it on for good. Whoever asks meanwhile is told an error or the
 * right container, never another one or the host, and the next one is told the right one.
 */
#include "../../src/container/load_private.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "container_env.h"
#include "faults.h"
#include "unit.h"

/* Who asks is init or, where it has forked, its younger child. The one that has entered its leaf is
 * below its cgroup, so that its mounts alone tell. */
static const struct kind {
	unsigned flags;
	enum box_command command; /* 0: none */
	bool no_ioctl;            /* as before Linux 6.11 */
} kinds[] = {
	{ PLAIN, 0, false },
	{ PLAIN, 0, true },
	{ MODERN, 0, false },
	{ BOX_OWN_CGROUP, BOX_FORK, false },
	{ MODERN, BOX_ENTER_LEAF, false },
	{ MODERN | BOX_TIME_NS, 0, false },
};

#define TICK_US 10000u

/* What a caller is to be told. */
struct right {
	struct box box;
	pid_t asks;
	bool no_ioctl;
	struct subject subject; /* with a set, and a reference on its use, of its own */
	struct load_values load;
};

static void right_start(struct right *right, unsigned flags, enum box_command command)
{
	struct container *r;

	box_start(&right->box, layout, flags);
	usleep(3 * TICK_US); /* so that a child's start is another */
	if (command)
		box_tell(&right->box, command);
	right->asks = command == BOX_FORK ? right->box.child : right->box.pid;
	r = open_of(right->asks);
	right->subject = r->subject;
	ck_assert_int_eq(cgroup_set_new(tree, &r->own->paths, &right->subject.cgroups), 0);
	right->subject.virtualised = NULL;
	use_ref(right->subject.use);
	container_unref(r);
	/* What its thread does meanwhile would be counted, too. */
	container_cache_free(cache);
	cache = NULL;
}

static void right_stop(struct right *right)
{
	cgroup_set_free(right->subject.cgroups);
	use_put(right->subject.use);
	box_stop(&right->box);
}

/* It is what is wrong, and no error that means something else. */
static void check_error(int r, const struct fault *f, unsigned nth)
{
	ck_assert_msg(is_shortage(r), "call %u of kind %d failed with %s: %s", nth, (int)f->call,
		strerror(f->error), strerror(-r));
}

static void check_identity(
	const struct container *r, const struct right *right, const struct fault *f, unsigned nth)
{
	const char *path = cgroup_set_path(r->subject.cgroups, box_hierarchy());

	ck_assert_msg(!r->subject.is_host && strcmp(path, right->box.path) == 0 &&
			r->subject.start_ns == right->subject.start_ns &&
			r->subject.boottime_offset_s == right->subject.boottime_offset_s,
		"call %u of kind %d failed with %s: taken for %s, started at %llu (%llu), %lld s "
		"ahead (%lld)",
		nth, f ? (int)f->call : -1, f ? strerror(f->error) : "nothing",
		r->subject.is_host ? "the host" : path, (unsigned long long)r->subject.start_ns,
		(unsigned long long)right->subject.start_ns,
		(long long)r->subject.boottime_offset_s,
		(long long)right->subject.boottime_offset_s);
	ck_assert_msg(r->subject.use && r->subject.use->owner == right->subject.use->owner,
		"call %u of kind %d failed with %s: charged to somebody else", nth,
		f ? (int)f->call : -1, f ? strerror(f->error) : "nothing");
}

static void check(
	struct container_cache *c, const struct right *right, const struct fault *f, unsigned nth)
{
	struct container *r = NULL;
	int err = container_open(c, right->asks, &r);

	fault_disarm();
	if (err < 0 && f) {
		check_error(err, f, nth);
		return;
	}
	ck_assert_msg(err == 0, "afterwards: %s", strerror(-err));
	check_identity(r, right, f, nth);
	container_unref(r);
}

static enum account_fate is_gone(const struct account_key *key, void *data)
{
	(void)key;
	(void)data;
	return ACCOUNT_CGROUP_GONE;
}

/* One that knows nobody, and has no accounts that do. */
static struct container_cache *fresh_cache(const struct right *right)
{
	account_sweep(accounts, is_gone, NULL);
	return new_cache(right->no_ioctl);
}

static bool attempt(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	struct container_cache *c = fresh_cache(right);
	bool hit;

	fault_arm(f, nth);
	check(c, right, f, nth);
	hit = fault_disarm();
	check(c, right, NULL, nth);
	container_cache_free(c);
	return hit;
}

/* A daemon that starts meanwhile. */
static bool attempt_start(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	const struct container_config config = config_of(false);
	struct container_cache *c;
	bool hit;
	int r;

	fault_arm(f, nth);
	r = container_cache_new(&config, &c);
	hit = fault_disarm();
	ck_assert(hit || r == 0);
	if (r == 0) {
		check(c, right, NULL, nth);
		container_cache_free(c);
	}
	return hit;
}

/* --- records that are looked for again ------------------------------------------------------- */

typedef int (*search_fn)(struct container_cache *c, void *what, struct container **ret);

static int search_again(struct container_cache *c, void *what, struct container **ret)
{
	return container_again(c, what, ret);
}

static int search_identity(struct container_cache *c, void *what, struct container **ret)
{
	return container_by_identity(c, what, ret);
}

/* With the failure, then without. */
static bool search(struct container_cache *c, search_fn how, void *what, const struct right *right,
	const struct fault *f, unsigned nth)
{
	struct container *r = NULL;
	bool hit;
	int err;

	fault_arm(f, nth);
	err = how(c, what, &r);
	hit = fault_disarm();
	if (err < 0) {
		check_error(err, f, nth);
		ck_assert_int_eq(how(c, what, &r), 0);
	}
	check_identity(r, right, f, nth);
	container_unref(r);
	return hit;
}

static bool attempt_again(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	struct container_cache *c = fresh_cache(right);
	struct container *old;
	bool hit;

	ck_assert_int_eq(container_open(c, right->asks, &old), 0);
	hit = search(c, search_again, old, right, f, nth);
	container_unref(old);
	container_cache_free(c);
	return hit;
}

static bool attempt_identity(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	struct container_cache *c = fresh_cache(right);
	struct container_identity identity;
	struct container *old;
	bool hit;

	ck_assert_int_eq(container_open(c, right->asks, &old), 0);
	container_identity(old, &identity);
	container_unref(old);
	container_cache_free(c);
	c = fresh_cache(right);
	hit = search(c, search_identity, &identity, right, f, nth);
	container_cache_free(c);
	return hit;
}

/* What is news of an init makes all records of its container be looked for again. */
static bool attempt_look(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	struct container_cache *c = fresh_cache(right);
	struct container *r;
	struct life *life;
	uint64_t before;
	bool hit;
	int err;

	ck_assert_int_eq(container_open(c, right->asks, &r), 0);
	life = r->own->life;
	before = atomic_load(&life->generation);
	fault_arm(f, nth);
	err = life_look(c, life);
	hit = fault_disarm();
	if (err < 0)
		check_error(err, f, nth);
	ck_assert_int_eq(life_look(c, life), 0);
	ck_assert_msg(atomic_load(&life->generation) == before,
		"call %u of kind %d failed with %s: news of an init that had none", nth,
		(int)f->call, strerror(f->error));
	container_unref(r);
	container_cache_free(c);
	return hit;
}

/* --- who is told from whom, and who is charged ----------------------------------------------- */

/* One beside whoever asks, in all of its namespaces but the time, and in its cgroup. */
static struct box ahead_of_time;

/* Both ask while the same fails; neither is taken for the other. Twice, for the cache's thread may
 * make one of the calls in between. */
static bool attempt_beside(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	struct container_cache *c = fresh_cache(right);
	struct container *other = NULL;
	bool hit;

	fault_arm(f, nth);
	container_open(c, ahead_of_time.pid, &other);
	hit = fault_disarm();
	container_unref(other);
	for (int i = 0; i < 2; i++) {
		fault_arm(f, nth);
		check(c, right, f, nth);
		fault_disarm();
	}
	check(c, right, NULL, nth);
	container_cache_free(c);
	return hit;
}

/* A path whose third name root has made, which makes it one of the owner's: a pod, say. The kernel
 * shows none with a dot, but that spares a directory to be removed. */
static void pod_of(const struct box *box, struct text *ret)
{
	for (size_t i = 0; i < layout->n; i++)
		text_printf(ret, "%zu:%s:%s/./leaf\n", i, layout->hierarchy[i].name, box->path);
}

static bool attempt_owner(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	struct container_cache *c = fresh_cache(right);
	struct owner *owner, *then = NULL;
	autotext pod = { 0 };
	bool hit;
	int r;

	pod_of(&right->box, &pod);
	ck_assert_int_eq(owner_of_cgroups(c, slice_of(&pod), &owner), 0);
	fault_arm(f, nth);
	r = owner_of_cgroups(c, slice_of(&pod), &then);
	hit = fault_disarm();
	if (r < 0)
		check_error(r, f, nth);
	else
		ck_assert_msg(then == owner,
			"call %u of kind %d failed with %s: another is charged", nth, (int)f->call,
			strerror(f->error));
	owner_put(c, then);
	owner_put(c, owner);
	container_cache_free(c);
	return hit;
}

/* --- loads ----------------------------------------------------------------------------------- */

static void check_load(
	struct load *l, const struct right *right, const struct fault *f, unsigned nth)
{
	struct load_values v;
	int r;

	/* Or so many first looks are more than one container may have. */
	atomic_store(&right->subject.use->loads_paid_ns, 0);
	r = load_get(l, &right->subject, &v);
	fault_disarm();
	if (r < 0 && f) {
		check_error(r, f, nth);
		return;
	}
	ck_assert_msg(r == 0, "the load afterwards: %s", strerror(-r));
	ck_assert_msg(v.threads == right->load.threads && v.newest == right->load.newest,
		"call %u of kind %d failed with %s: %llu threads, the newest %llu", nth,
		f ? (int)f->call : -1, f ? strerror(f->error) : "nothing",
		(unsigned long long)v.threads, (unsigned long long)v.newest);
}

static bool attempt_load(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	const struct load_config config = { &root, layout, NULL };
	struct load *l;
	bool hit;

	ck_assert_int_eq(load_new(&config, &l), 0);
	fault_arm(f, nth);
	check_load(l, right, f, nth);
	hit = fault_disarm();
	check_load(l, right, NULL, nth);
	load_free(l);
	return hit;
}

#define KEPT (100 * LOAD_ONE)

/* Nobody else's load is kept, and this one's with nobody having sampled it since. */
static void keep_load(const struct right *right)
{
	const uint64_t now = clock_monotonic_ns();
	const struct load_state state = { .sampled = load_period(now),
		.read_ns = now,
		.usage = UINT64_MAX,
		.values.averages = { KEPT, KEPT, KEPT } };
	struct load_place kept = { .key = right->subject.account,
		.cgroup = (char *)cgroup_set_path(right->subject.cgroups, box_hierarchy()),
		.use = right->subject.use };

	kept.key.kind = ACCOUNT_LOAD;
	account_sweep(accounts, is_gone, NULL);
	load_keep(accounts, &kept, &state);
}

/* A period that has begun meanwhile takes a 180th of it. */
static void check_kept(const struct load_values *v, const struct fault *f, unsigned nth)
{
	ck_assert_msg(v->averages[LOAD_15] > KEPT / 2,
		"call %u of kind %d failed with %s: the load begins anew", nth, (int)f->call,
		strerror(f->error));
}

/* One that comes back, having been away from the sampler, has what was kept of it. */
static bool attempt_kept_load(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	const struct load_config config = { &root, layout, accounts };
	struct load_values v;
	struct load *l;
	bool hit;
	int r;

	account_sweep(accounts, is_gone, NULL);
	ck_assert_int_eq(load_new(&config, &l), 0);
	keep_load(right);
	fault_arm(f, nth);
	r = load_get(l, &right->subject, &v);
	hit = fault_disarm();
	if (r < 0) {
		check_error(r, f, nth);
		ck_assert_int_eq(load_get(l, &right->subject, &v), 0);
	}
	check_kept(&v, f, nth);
	load_free(l);
	return hit;
}

/* A worker that starts meanwhile samples whom the last one did, or does not start. */
static bool attempt_resumed_load(const void *what, const struct fault *f, unsigned nth)
{
	const struct right *right = what;
	const struct load_config config = { &root, layout, accounts };
	struct load_values v;
	struct load *l;
	bool hit;
	int r;

	keep_load(right);
	fault_arm(f, nth);
	r = load_new(&config, &l);
	hit = fault_disarm();
	if (r < 0) {
		check_error(r, f, nth);
		ck_assert_int_eq(load_new(&config, &l), 0);
	}
	ck_assert_msg(load_sampled(l) == 1, "call %u of kind %d failed with %s: it is forgotten",
		nth, (int)f->call, strerror(f->error));
	ck_assert_int_eq(load_get(l, &right->subject, &v), 0);
	check_kept(&v, f, nth);
	load_free(l);
	return hit;
}

/* ENODEV: what files of removed cgroups say, and none is. */
static void exhaust(const struct right *right, fault_attempt *how)
{
	faults_exhaust(how, right, ENODEV, false);
}

/* The same with one that nothing else is told of. */
static void exhaust_of(unsigned flags, enum box_command command, fault_attempt *how)
{
	struct right right = { 0 };

	right_start(&right, flags, command);
	exhaust(&right, how);
	right_stop(&right);
}

START_TEST(whoever_asks_meets_any_failure_with_the_right_container_or_an_error)
{
	struct right right = { .no_ioctl = kinds[_i].no_ioctl };

	right_start(&right, kinds[_i].flags, kinds[_i].command);
	exhaust(&right, attempt);
	right_stop(&right);
}
END_TEST

START_TEST(a_cache_that_cannot_be_made_leaks_nothing)
{
	exhaust_of(PLAIN, 0, attempt_start);
}
END_TEST

START_TEST(a_load_meets_any_failure_with_all_threads_or_an_error)
{
	struct right right = { .load = { .threads = 2, .newest = 2 } };

	right_start(&right, MODERN, BOX_NEST); /* the newest is the init of a pid namespace below */
	exhaust(&right, attempt_load);
	right_stop(&right);
}
END_TEST

START_TEST(a_container_that_is_looked_for_again_is_found_or_there_is_an_error)
{
	struct right right = { .no_ioctl = kinds[_i].no_ioctl };

	right_start(&right, kinds[_i].flags, kinds[_i].command);
	exhaust(&right, attempt_again);
	exhaust(&right, attempt_identity);
	right_stop(&right);
}
END_TEST

START_TEST(two_times_in_one_container_are_never_mixed_up)
{
	struct right right = { 0 };

	right_start(&right, BOX_OWN_CGROUP, 0);
	box_start(&ahead_of_time, layout, BOX_OWN_CGROUP | BOX_TIME_NS);
	box_move(&right.box, ahead_of_time.pid);
	exhaust(&right, attempt_beside);
	box_stop(&ahead_of_time);
	right_stop(&right);
}
END_TEST

START_TEST(who_is_charged_is_told_rightly_or_not)
{
	exhaust_of(BOX_OWN_CGROUP, BOX_ENTER_LEAF, attempt_owner);
}
END_TEST

START_TEST(an_init_that_cannot_be_looked_at_has_no_news)
{
	exhaust_of(MODERN, 0, attempt_look);
}
END_TEST

START_TEST(a_load_that_was_kept_is_never_begun_anew)
{
	exhaust_of(MODERN, 0, attempt_kept_load);
}
END_TEST

START_TEST(a_worker_that_starts_forgets_nobody_who_was_sampled)
{
	exhaust_of(MODERN, 0, attempt_resumed_load);
}
END_TEST

START_TEST(a_load_in_the_root_cgroup_does_as_well)
{
	struct right right = { .load = { .threads = 2, .newest = 2 } };

	right_start(&right, PLAIN, BOX_FORK);
	right.subject.is_host = true;
	right.subject.account.cgroup_dev = right.subject.account.cgroup_ino = 0;
	exhaust(&right, attempt_load);
	right_stop(&right);
}
END_TEST

START_TEST(each_kind_of_call_can_be_failed)
{
	struct right right = { 0 };

	right_start(&right, MODERN, 0);
	faults_reach(attempt, &right, 1, sizeof(right), ENODEV);
	right_stop(&right);
}
END_TEST

/* False: so many calls are not made at all. */
static bool end_after(const struct fault *f, unsigned nth)
{
	struct container_cache *c = new_cache(false);
	const unsigned lives = count_lives(c);
	struct container *r = NULL;
	struct box box;
	bool hit;

	box_start(&box, layout, PLAIN);
	fault_arm(f, nth);
	container_open(c, box.pid, &r);
	hit = fault_disarm();
	container_unref(r);
	box_kill(&box);
	/* After 60 s, where nobody tells. */
	BY_NOW((keys_expire(c, UINT64_MAX), count_lives(c)) == lives);
	box_remove(&box);
	container_cache_free(c);
	return hit;
}

START_TEST(no_failure_keeps_a_record_whose_init_has_ended)
{
	const struct fault memory = { FAULT_MEMORY, ENOSPC, false };

	for (unsigned nth = 1; end_after(&memory, nth);)
		ck_assert_uint_lt(++nth, FAILURES_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("container_faults");
	TCase *c = make_case("faults");

	tcase_add_loop_test(c, whoever_asks_meets_any_failure_with_the_right_container_or_an_error,
		0, (int)countof(kinds));
	tcase_add_loop_test(c, a_container_that_is_looked_for_again_is_found_or_there_is_an_error,
		0, (int)countof(kinds));
	tcase_add_test(c, two_times_in_one_container_are_never_mixed_up);
	tcase_add_test(c, who_is_charged_is_told_rightly_or_not);
	tcase_add_test(c, an_init_that_cannot_be_looked_at_has_no_news);
	tcase_add_test(c, a_load_that_was_kept_is_never_begun_anew);
	tcase_add_test(c, a_worker_that_starts_forgets_nobody_who_was_sampled);
	tcase_add_test(c, a_cache_that_cannot_be_made_leaks_nothing);
	tcase_add_test(c, a_load_meets_any_failure_with_all_threads_or_an_error);
	tcase_add_test(c, a_load_in_the_root_cgroup_does_as_well);
	tcase_add_test(c, each_kind_of_call_can_be_failed);
	tcase_add_test(c, no_failure_keeps_a_record_whose_init_has_ended);
	suite_add_tcase(s, c);
	return unit_run(s);
}
