/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is asking, with real namespaces and cgroups: who shares a record, and what it says.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "container_env.h"
#include "unit.h"

START_TEST(init_is_found_in_both_ways_and_is_the_same)
{
	struct container_cache *old = new_cache(true);
	struct container *a, *b;
	struct container_identity x, y;
	struct box box;

	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_FORK);
	a = open_of(box.child);
	ck_assert_int_eq(container_open(old, box.child, &b), 0);
	ck_assert_int_eq(a->init, box.pid);
	ck_assert_int_eq(b->init, box.pid);
	container_identity(a, &x);
	container_identity(b, &y);
	ck_assert_mem_eq(&x, &y, sizeof(x));
	ck_assert_uint_eq(a->subject.start_ns, b->subject.start_ns);
	ck_assert_uint_gt(a->subject.start_ns, 0);
	ck_assert_uint_le(a->subject.start_ns, clock_boottime_ns());
	ck_assert_int_eq(a->subject.account.init_pid, box.pid);
	container_unref(a);
	container_unref(b);
	container_cache_free(old);
	box_stop(&box);
}
END_TEST

START_TEST(init_is_found_by_the_scan_where_parents_do_not_lead_to_it)
{
	struct container_cache *old = new_cache(true);
	struct container *r;
	struct box box;
	pid_t entered;

	box_start(&box, layout, MODERN);
	entered = enter_pid_ns(&box);
	ck_assert_int_eq(container_open(old, entered, &r), 0);
	ck_assert_int_eq(r->init, box.pid);
	container_unref(r);
	container_cache_free(old);
	end(entered);
	box_stop(&box);
}
END_TEST

START_TEST(a_process_that_entered_from_outside_gets_its_own_answer_and_is_not_stored)
{
	struct container *r, *inside;
	struct box box;
	pid_t entered;
	unsigned h = box_hierarchy();

	box_start(&box, layout, PLAIN);
	entered = enter_pid_ns(&box);
	r = open_of(entered);
	ck_assert_int_eq(r->init, box.pid);
	ck_assert_int_eq(r->rule[h], CONTAINER_RULE_OWN);
	ck_assert(!is_stored(entered));
	/* Nor does it mix with what the container was shown. */
	inside = open_of(box.pid);
	ck_assert_ptr_ne(r->subject.virtualised, inside->subject.virtualised);
	container_unref(inside);
	end(entered); /* a pid namespace ends when its last process is reaped */
	box_kill(&box);
	BY_NOW(container_count(cache) == 1);
	container_unref(r);
	ck_assert_uint_eq(container_count(cache), 0);
	ck_assert_uint_eq(count_lives(cache), 1); /* the host's */
	box_stop(&box);
}
END_TEST

START_TEST(everybody_in_inits_cgroup_namespace_gets_inits_record)
{
	struct container *init, *child;
	struct box box;

	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_FORK);
	box_tell_child(&box, BOX_ENTER_LEAF);
	box_tell_child(&box, BOX_UNSHARE_MOUNTS);
	child = open_of(box.child);
	init = open_of(box.pid);
	ck_assert_ptr_eq(child, init);
	assert_cgroup(child, box.path, CONTAINER_RULE_MOUNT);
	container_unref(init);
	container_unref(child);
	box_stop(&box);
}
END_TEST

START_TEST(an_init_in_a_leaf_keeps_the_root_of_its_mount)
{
	struct container *r;
	struct box box;

	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_ENTER_LEAF);
	r = open_of(box.pid);
	assert_cgroup(r, box.path, CONTAINER_RULE_MOUNT);
	container_unref(r);
	box_stop(&box);
}
END_TEST

START_TEST(two_keys_lead_to_one_record)
{
	struct container *a, *b;
	struct box box;

	box_start(&box, layout, PLAIN);
	box_tell(&box, BOX_FORK);
	box_tell_child(&box, BOX_ENTER_LEAF);
	box_tell_child(&box, BOX_UNSHARE_MOUNTS);
	a = open_of(box.pid);
	b = open_of(box.child);
	ck_assert_ptr_eq(a, b);
	assert_cgroup(a, box.path, CONTAINER_RULE_INIT);
	ck_assert_uint_eq(container_count(cache), 1);
	ck_assert(is_stored(box.pid));
	ck_assert(is_stored(box.child));
	container_unref(a);
	container_unref(b);
	box_stop(&box);
}
END_TEST

START_TEST(a_nested_container_has_a_record_of_its_own_and_is_charged_to_the_outer)
{
	struct container *outer, *nested;
	struct box box;

	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_NEST);
	box_tell_child(&box, BOX_ENTER_LEAF);
	nested = open_of(box.child);
	outer = open_of(box.pid);
	ck_assert_int_eq(nested->init, box.child);
	ck_assert_int_eq(outer->init, box.pid);
	assert_cgroup(outer, box.path, CONTAINER_RULE_MOUNT);
	/* The mount it inherits is the outer's: not strictly below that. */
	ck_assert_int_eq(nested->rule[box_hierarchy()], CONTAINER_RULE_INIT);
	ck_assert_ptr_ne(nested->subject.cgroups, outer->subject.cgroups);
	ck_assert_ptr_nonnull(outer->subject.use);
	ck_assert_ptr_eq(nested->subject.use, outer->subject.use);
	container_unref(outer);
	container_unref(nested);
	box_stop(&box);
}
END_TEST

START_TEST(whoever_is_in_an_outermost_container_takes_its_turn)
{
	struct container *a, *b;
	struct box one, other;

	box_start(&one, layout, MODERN);
	box_start(&other, layout, MODERN);
	/* not known yet: by their namespaces */
	ck_assert_uint_ne(
		container_sharer_of(cache, one.pid), container_sharer_of(cache, other.pid));
	a = open_of(one.pid);
	b = open_of(other.pid);
	ck_assert_uint_ne(container_sharer(a), container_sharer(b));
	ck_assert_uint_eq(container_sharer_of(cache, one.pid), container_sharer(a));
	ck_assert_uint_eq(container_sharer_of(cache, other.pid), container_sharer(b));
	/* a process that has opened nothing */
	box_tell(&one, BOX_FORK);
	ck_assert_uint_eq(container_sharer_of(cache, one.child), container_sharer(a));
	ck_assert_uint_eq(container_sharer_of(cache, 0), 0);
	container_unref(a);
	container_unref(b);
	box_stop(&other);
	box_stop(&one);
}
END_TEST

START_TEST(a_caller_in_the_daemons_pid_namespace_is_its_own_cgroup)
{
	struct container *first, *second;
	struct box box;
	uint64_t start;

	box_start(&box, layout, BOX_OWN_CGROUP);
	ck_assert_int_eq(proc_start(&root, box.pid, &start), 0);
	usleep(50000);
	box_tell(&box, BOX_FORK);
	first = open_of(box.child);
	ck_assert_int_eq(first->init, 0);
	assert_cgroup(first, box.path, CONTAINER_RULE_OWN);
	ck_assert_uint_eq(first->subject.start_ns, proc_ticks_to_ns(start));
	second = open_of(box.pid);
	ck_assert_ptr_eq(first, second);
	container_unref(first);
	container_unref(second);
	box_stop(&box);
}
END_TEST

/* As if all keys were older than the time in which mounts are looked at again and again. */
static void settle(void)
{
	pthread_mutex_lock(&cache->lock);
	for (struct owner *o = cache->owners; o; o = o->next)
		for (struct entry *e = o->entries; e; e = e->owner_next) {
			e->made_ns -= 2 * SETTLE_NS;
			e->provisional = false;
		}
	pthread_mutex_unlock(&cache->lock);
}

START_TEST(a_cgroup_that_init_moved_to_is_seen_a_second_later)
{
	char leaf[128];
	struct container *r;
	struct box box;

	box_start(&box, layout, PLAIN);
	r = open_of(box.pid);
	assert_cgroup(r, box.path, CONTAINER_RULE_INIT);
	container_unref(r);
	box_tell(&box, BOX_FORK);
	r = open_of(box.child);
	container_unref(r);
	box_tell(&box, BOX_ENTER_LEAF);
	box_tell_child(&box, BOX_ENTER_LEAF);
	settle();
	usleep(1100000);
	r = open_of(box.child);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	assert_cgroup(r, leaf, CONTAINER_RULE_INIT);
	container_unref(r);
	box_stop(&box);
}
END_TEST

START_TEST(a_cgroup_that_init_moved_to_is_seen_early_where_nobody_waits)
{
	char leaf[128];
	struct container *r, *moved;
	struct rlimit files;
	struct life *life;
	struct box box;
	uint64_t now;

	box_start(&box, layout, PLAIN);
	r = open_of(box.pid);
	life = r->own->life;
	box_tell(&box, BOX_ENTER_LEAF);
	settle();
	now = clock_monotonic_ns();
	atomic_store(&life->checked_ns, now);
	container_look_early(r); /* too early */
	ck_assert_uint_eq(atomic_load(&life->checked_ns), now);
	atomic_store(&life->checked_ns, now - CHECK_EARLY_NS);
	getrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, files.rlim_max });
	container_look_early(r); /* fails: an OPEN has to look as soon as before */
	setrlimit(RLIMIT_NOFILE, &files);
	ck_assert_uint_eq(atomic_load(&life->checked_ns), now - CHECK_EARLY_NS);
	container_look_early(r);
	ck_assert_uint_ge(atomic_load(&life->checked_ns), now);
	moved = open_of(box.pid);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	assert_cgroup(moved, leaf, CONTAINER_RULE_INIT);
	container_unref(moved);
	container_unref(r);
	box_stop(&box);
}
END_TEST

START_TEST(a_short_key_follows_init_to_another_cgroup)
{
	char leaf[128];
	struct container *r;
	struct box box;

	box_start(&box, layout, PLAIN | BOX_CGROUP_NS);
	box_tell(&box, BOX_FORK);
	r = open_of(box.child);
	assert_cgroup(r, box.path, CONTAINER_RULE_INIT);
	container_unref(r);
	box_tell(&box, BOX_ENTER_LEAF);
	settle();
	usleep(1100000);
	r = open_of(box.child);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	assert_cgroup(r, leaf, CONTAINER_RULE_INIT);
	container_unref(r);
	box_stop(&box);
}
END_TEST

START_TEST(a_cgroup_namespace_that_init_left_is_not_its_own_any_more)
{
	char leaf[128];
	struct container *r;
	struct box box;

	box_start(&box, layout, PLAIN | BOX_CGROUP_NS);
	box_tell(&box, BOX_FORK);
	box_tell_child(&box, BOX_ENTER_LEAF);
	r = open_of(box.child);
	assert_cgroup(r, box.path, CONTAINER_RULE_INIT);
	container_unref(r);
	ck_assert(is_stored_short(box.child));
	box_tell(&box, BOX_UNSHARE_CGROUP);
	box_tell(&box, BOX_ENTER_LEAF);
	usleep(1100000);
	for (int i = 0; i < 2; i++) {
		r = open_of(box.child);
		snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
		assert_cgroup(r, leaf, CONTAINER_RULE_INIT);
		container_unref(r);
		ck_assert(!is_stored_short(box.child));
		ck_assert(is_stored(box.child));
	}
	box_stop(&box);
}
END_TEST

START_TEST(the_host_is_always_the_same_record)
{
	struct container_identity identity;
	struct container *host = container_host(cache), *r;

	ck_assert(host->subject.is_host);
	ck_assert_ptr_null(host->subject.use);
	container_identity(host, &identity);
	ck_assert_int_eq(container_by_identity(cache, &identity, &r), 0);
	ck_assert_ptr_eq(r, host);
	container_unref(r);
	if (cache->pid_ns == INITIAL_PID_NS) {
		ck_assert_int_eq(container_open(cache, 0, &r), 0);
		ck_assert_ptr_eq(r, host);
		container_unref(r);
	}
	cache->pid_ns = 1; /* as in a daemon inside a container */
	ck_assert_int_eq(container_open(cache, 0, &r), -EIO);
	container_unref(host);
}
END_TEST

START_TEST(a_thread_that_is_gone_is_nobody)
{
	struct container *r;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(container_open(cache, pid, &r), -ESRCH);
}
END_TEST

/* A caller of the box outside init's cgroup namespace, so that its own mounts are looked at: they
 * show more than the leaf its init is in. */
static void start_with_outsider(struct box *box)
{
	box_start(box, layout, MODERN);
	box_tell(box, BOX_ENTER_LEAF);
	box_tell(box, BOX_FORK);
	box_tell_child(box, BOX_UNSHARE_CGROUP);
}

static void assert_seen(pid_t pid, const char *path, enum container_rule rule)
{
	struct container *r = open_of(pid);

	assert_cgroup(r, path, rule);
	container_unref(r);
}

/* As if mount tables had been read for that long until now, for everybody. */
static void owe(uint64_t ns)
{
	pthread_mutex_lock(&cache->lock);
	for (struct owner *o = cache->owners; o; o = o->next) {
		o->owed_ns = ns;
		o->owed_at_ns = clock_monotonic_ns();
	}
	pthread_mutex_unlock(&cache->lock);
}

START_TEST(mounts_are_looked_at_for_each_of_several_that_ask_within_a_second)
{
	struct box box;

	start_with_outsider(&box);
	assert_seen(box.pid, box.path, CONTAINER_RULE_MOUNT);
	for (int i = 0; i < 5; i++) {
		box_tell_child(&box, BOX_UNSHARE_MOUNTS); /* another key */
		assert_seen(box.child, box.path, CONTAINER_RULE_MOUNT);
	}
	box_stop(&box);
}
END_TEST

START_TEST(beyond_their_budget_mounts_do_not_count_until_later)
{
	char leaf[128];
	struct box box;

	start_with_outsider(&box);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	assert_seen(box.pid, box.path, CONTAINER_RULE_MOUNT);
	owe(10 * MOUNTINFO_NS);
	assert_seen(box.child, leaf, CONTAINER_RULE_INIT);
	owe(0);
	assert_seen(box.child, leaf, CONTAINER_RULE_INIT); /* for a second */
	usleep(1100000);
	assert_seen(box.child, box.path, CONTAINER_RULE_MOUNT);
	box_stop(&box);
}
END_TEST

START_TEST(an_answer_from_before_outlasts_the_budget)
{
	struct box box;

	start_with_outsider(&box);
	assert_seen(box.pid, box.path, CONTAINER_RULE_MOUNT);
	assert_seen(box.child, box.path, CONTAINER_RULE_MOUNT);
	usleep(1100000);
	owe(100 * MOUNTINFO_NS);
	assert_seen(box.pid, box.path, CONTAINER_RULE_MOUNT);
	assert_seen(box.child, box.path, CONTAINER_RULE_MOUNT);
	box_stop(&box);
}
END_TEST

START_TEST(callers_tables_leave_inits_table_its_half_of_the_budget)
{
	char leaf[128];
	struct container *held;
	struct box box;

	start_with_outsider(&box);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	held = open_of(box.pid); /* makes the owner */
	keys_drop_all(cache);
	owe(MOUNTINFO_NS / 4 * 3); /* a second pays all of it back */
	assert_seen(box.child, leaf, CONTAINER_RULE_INIT);
	assert_seen(box.pid, box.path, CONTAINER_RULE_MOUNT);
	container_unref(held);
	box_stop(&box);
}
END_TEST

START_TEST(reading_mounts_is_paid_back_over_time)
{
	const uint64_t now = 1000 * NS_PER_S;
	struct owner o = { 0 };

	ck_assert_uint_eq(owner_mountinfo_left(cache, &o, now), MOUNTINFO_NS);
	owner_mountinfo_charge(cache, &o, now, MOUNTINFO_NS / 4);
	ck_assert_uint_eq(owner_mountinfo_left(cache, &o, now), MOUNTINFO_NS / 4 * 3);
	owner_mountinfo_charge(cache, &o, now, MOUNTINFO_NS);
	ck_assert_uint_eq(owner_mountinfo_left(cache, &o, now), 0);
	ck_assert_uint_eq(owner_mountinfo_left(cache, &o, now + NS_PER_S), MOUNTINFO_NS / 4 * 3);
	ck_assert_uint_eq(owner_mountinfo_left(cache, &o, now + 2 * NS_PER_S), MOUNTINFO_NS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("container");
	TCase *c = make_case("container");

	if (!c) {
		puts("1..0 # SKIP needs root and a cgroup hierarchy to make cgroups in");
		return 0;
	}
	tcase_add_test(c, init_is_found_in_both_ways_and_is_the_same);
	tcase_add_test(c, init_is_found_by_the_scan_where_parents_do_not_lead_to_it);
	tcase_add_test(
		c, a_process_that_entered_from_outside_gets_its_own_answer_and_is_not_stored);
	tcase_add_test(c, everybody_in_inits_cgroup_namespace_gets_inits_record);
	tcase_add_test(c, an_init_in_a_leaf_keeps_the_root_of_its_mount);
	tcase_add_test(c, two_keys_lead_to_one_record);
	tcase_add_test(c, a_nested_container_has_a_record_of_its_own_and_is_charged_to_the_outer);
	tcase_add_test(c, whoever_is_in_an_outermost_container_takes_its_turn);
	tcase_add_test(c, a_caller_in_the_daemons_pid_namespace_is_its_own_cgroup);
	tcase_add_test(c, a_cgroup_that_init_moved_to_is_seen_a_second_later);
	tcase_add_test(c, a_cgroup_that_init_moved_to_is_seen_early_where_nobody_waits);
	tcase_add_test(c, a_short_key_follows_init_to_another_cgroup);
	tcase_add_test(c, a_cgroup_namespace_that_init_left_is_not_its_own_any_more);
	tcase_add_test(c, the_host_is_always_the_same_record);
	tcase_add_test(c, a_thread_that_is_gone_is_nobody);
	tcase_add_test(c, mounts_are_looked_at_for_each_of_several_that_ask_within_a_second);
	tcase_add_test(c, beyond_their_budget_mounts_do_not_count_until_later);
	tcase_add_test(c, an_answer_from_before_outlasts_the_budget);
	tcase_add_test(c, callers_tables_leave_inits_table_its_half_of_the_budget);
	tcase_add_test(c, reading_mounts_is_paid_back_over_time);
	suite_add_tcase(s, c);
	return unit_run(s);
}
