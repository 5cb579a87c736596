/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long records of containers live, with real namespaces and cgroups: what ends them, what they
 * leave behind, what pushes them out, and how another worker finds them again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../../src/cgroup/tree.h"
#include "cleanup.h"
#include "container_env.h"
#include "unit.h"

START_TEST(the_end_of_init_leaves_no_record_and_no_descriptor)
{
	unsigned before = count_fds();
	struct box box;

	box_start(&box, layout, MODERN);
	container_unref(open_of(box.pid));
	ck_assert_uint_eq(container_count(cache), 1);
	ck_assert(is_stored(box.pid));
	box_kill(&box);
	BY_NOW(container_count(cache) == 0);
	ck_assert_uint_eq(count_lives(cache), 1);
	box_remove(&box);
	BY_NOW(count_fds() == before);
}
END_TEST

START_TEST(a_handle_keeps_a_record_but_no_descriptor_after_the_end_of_init)
{
	unsigned before;
	struct container *r;
	struct box box;

	box_start(&box, layout, MODERN);
	before = count_fds();
	r = open_of(box.pid);
	ck_assert_uint_eq(count_fds(), before + 2);
	box_kill(&box);
	BY_NOW(count_fds() == before - 2); /* the two sockets of the box */
	ck_assert_uint_eq(container_count(cache), 1);
	atomic_fetch_or(r->subject.virtualised, 1);
	container_unref(r);
	ck_assert_uint_eq(container_count(cache), 0);
	box_remove(&box);
}
END_TEST

START_TEST(the_start_of_a_container_without_init_never_moves)
{
	struct container *r;
	struct box box;
	uint64_t start;

	box_start(&box, layout, BOX_OWN_CGROUP);
	usleep(50000);
	box_tell(&box, BOX_FORK);
	r = open_of(box.child);
	start = r->subject.start_ns;
	container_unref(r);
	/* Another worker, and the oldest process is elsewhere by now. */
	container_cache_free(cache);
	box_tell(&box, BOX_LEAVE);
	cache = new_cache(false);
	r = open_of(box.child);
	assert_cgroup(r, box.path, CONTAINER_RULE_OWN);
	ck_assert_uint_eq(r->subject.start_ns, start);
	container_unref(r);
	box_stop(&box);
}
END_TEST

START_TEST(one_containers_keys_do_not_push_out_anothers)
{
	struct proc_path link;
	int held[100]; /* else their numbers are used again at once */
	struct box quiet, noisy;

	box_start(&quiet, layout, MODERN);
	box_start(&noisy, layout, MODERN);
	container_unref(open_of(quiet.pid));
	box_tell(&noisy, BOX_FORK);
	link = proc_path(noisy.child, "ns/cgroup");
	for (size_t i = 0; i < countof(held); i++) {
		box_tell_child(&noisy, BOX_UNSHARE_CGROUP);
		held[i] = openat(root.proc, link.s, O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(held[i], 0);
		container_unref(open_of(noisy.child));
	}
	ck_assert(is_stored(quiet.pid));
	ck_assert(is_stored(noisy.child));
	pthread_mutex_lock(&cache->lock);
	for (struct owner *o = cache->owners; o; o = o->next)
		ck_assert_uint_le(o->n_entries, KEYS_PER_OWNER);
	pthread_mutex_unlock(&cache->lock);
	for (size_t i = 0; i < countof(held); i++)
		close(held[i]);
	box_stop(&noisy);
	box_stop(&quiet);
}
END_TEST

START_TEST(descriptors_are_bounded_by_evicting_whoever_has_most)
{
	struct container_config config = config_of(false);
	struct box quiet, noisy, more[3];

	config.max_records = 4; /* the host's is one */
	container_cache_free(cache);
	ck_assert_int_eq(container_cache_new(&config, &cache), 0);
	box_start(&quiet, layout, PLAIN);
	box_start(&noisy, layout, PLAIN);
	box_tell(&noisy, BOX_NEST);
	container_unref(open_of(quiet.pid));
	container_unref(open_of(noisy.child));
	container_unref(open_of(noisy.pid)); /* later than its child, which is to go */
	ck_assert_uint_eq(count_lives(cache), 4);
	for (size_t i = 0; i < countof(more); i++) {
		box_start(&more[i], layout, PLAIN);
		container_unref(open_of(more[i].pid));
		ck_assert_uint_le(count_lives(cache), 4);
		if (i > 0)
			continue;
		ck_assert(!is_stored(noisy.child));
		ck_assert(is_stored(noisy.pid));
		ck_assert(is_stored(quiet.pid));
		ck_assert(is_stored(more[0].pid));
	}
	for (size_t i = 0; i < countof(more); i++)
		box_stop(&more[i]);
	box_stop(&noisy);
	box_stop(&quiet);
}
END_TEST

START_TEST(two_hundred_containers_leave_nothing)
{
	unsigned before;
	struct box box;

	box_start(&box, layout, MODERN);
	container_unref(open_of(box.pid));
	box_stop(&box);
	BY_NOW(count_lives(cache) == 1);
	before = count_fds();
	for (int i = 0; i < 200; i++) {
		box_start(&box, layout, MODERN);
		container_unref(open_of(box.pid));
		box_kill(&box);
		box_remove(&box);
	}
	BY_NOW(container_count(cache) == 0);
	ck_assert_uint_eq(count_lives(cache), 1);
	ck_assert_uint_eq(count_fds(), before);
	for (size_t i = 0; i < LIVES; i++)
		for (struct life *l = cache->lives[i]; l; l = l->next)
			ck_assert_ptr_eq(l, cache->host->own->life);
	for (size_t i = 0; i < RECORDS; i++)
		ck_assert_ptr_null(cache->records[i]);
}
END_TEST

START_TEST(a_removed_cgroup_leads_to_the_new_one)
{
	char leaf[128];
	struct container *old, *again;
	struct box box;

	box_start(&box, layout, PLAIN | BOX_CGROUP_NS);
	box_tell(&box, BOX_ENTER_LEAF);
	old = open_of(box.pid);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	assert_cgroup(old, leaf, CONTAINER_RULE_INIT);
	box_tell(&box, BOX_ENTER_BOX);
	ck_assert_int_eq(container_again(cache, old, &again), 0);
	ck_assert_ptr_ne(again, old);
	assert_cgroup(again, box.path, CONTAINER_RULE_INIT);
	ck_assert_ptr_eq(again->subject.virtualised, old->subject.virtualised);
	container_unref(old);
	old = open_of(box.pid);
	ck_assert_ptr_eq(old, again);
	container_unref(old);
	box_kill(&box);
	BY_NOW(count_lives(cache) == 1);
	ck_assert_int_eq(container_again(cache, again, &old), -ENODEV);
	container_unref(again);
	box_remove(&box);
}
END_TEST

START_TEST(a_cgroup_made_again_at_the_same_path_is_another)
{
	struct container *old, *again;
	struct box box;

	box_start(&box, layout, PLAIN | BOX_CGROUP_NS);
	box_tell(&box, BOX_ENTER_LEAF);
	old = open_of(box.pid);
	box_tell(&box, BOX_ENTER_BOX);
	for (size_t i = 0; i < layout->n; i++) {
		char leaf[128];

		snprintf(leaf, sizeof(leaf), "%s/leaf", box.path + 1);
		unlinkat(layout->hierarchy[i].dirfd, leaf, AT_REMOVEDIR);
	}
	box_tell(&box, BOX_ENTER_LEAF);
	ck_assert_int_eq(cgroup_verify(old->subject.cgroups->in[box_hierarchy()]), -ENODEV);
	ck_assert_int_eq(container_again(cache, old, &again), 0);
	ck_assert_ptr_ne(again, old);
	ck_assert_int_eq(cgroup_verify(again->subject.cgroups->in[box_hierarchy()]), 0);
	ck_assert_uint_ne(again->subject.account.cgroup_ino, old->subject.account.cgroup_ino);
	container_unref(old);
	container_unref(again);
	box_stop(&box);
}
END_TEST

START_TEST(another_worker_finds_a_handles_container_again)
{
	struct container_identity short_key, long_key, entered_key, wrong;
	struct container *r;
	struct box box;
	pid_t entered;

	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_FORK);
	container_identity(r = open_of(box.child), &short_key);
	container_unref(r);
	box_tell_child(&box, BOX_UNSHARE_CGROUP);
	container_identity(r = open_of(box.child), &long_key);
	container_unref(r);
	entered = enter_pid_ns(&box);
	container_identity(r = open_of(entered), &entered_key);
	container_unref(r);

	container_cache_free(cache);
	cache = new_cache(false);
	ck_assert_int_eq(container_by_identity(cache, &short_key, &r), 0);
	ck_assert_int_eq(r->init, box.pid);
	assert_cgroup(r, box.path, CONTAINER_RULE_MOUNT);
	container_unref(r);
	ck_assert_int_eq(container_by_identity(cache, &long_key, &r), 0);
	container_unref(r);
	ck_assert_int_eq(container_by_identity(cache, &entered_key, &r), 0);
	ck_assert_int_eq(r->rule[box_hierarchy()], CONTAINER_RULE_OWN);
	container_unref(r);
	wrong = short_key;
	wrong.init_start++;
	ck_assert_int_eq(container_by_identity(cache, &wrong, &r), -ESTALE);
	wrong = entered_key;
	wrong.caller_start++;
	ck_assert_int_eq(container_by_identity(cache, &wrong, &r), -ESTALE);
	wrong = (struct container_identity){ 0 };
	ck_assert_int_eq(container_by_identity(cache, &wrong, &r), -ESTALE);
	end(entered);
	box_stop(&box);
	ck_assert_int_eq(container_by_identity(cache, &short_key, &r), -ESTALE);
}
END_TEST

#define THREADS 8

static void *open_in_thread(void *data)
{
	struct box *box = data;
	struct container *r = NULL;

	return container_open(cache, box->pid, &r) == 0 ? r : NULL;
}

START_TEST(threads_that_ask_at_once_get_one_record)
{
	for (int round = 0; round < 20; round++) {
		pthread_t threads[THREADS];
		struct container *r[THREADS];
		struct box box;

		box_start(&box, layout, MODERN);
		for (size_t i = 0; i < THREADS; i++)
			ck_assert_int_eq(
				pthread_create(&threads[i], NULL, open_in_thread, &box), 0);
		for (size_t i = 0; i < THREADS; i++)
			pthread_join(threads[i], (void **)&r[i]);
		ck_assert_ptr_nonnull(r[0]);
		for (size_t i = 0; i < THREADS; i++) {
			ck_assert_ptr_eq(r[i], r[0]);
			container_unref(r[i]);
		}
		ck_assert_uint_eq(container_count(cache), 1);
		box_stop(&box);
		BY_NOW(container_count(cache) == 0);
	}
}
END_TEST

static enum account_fate count(const struct account_key *key, void *data)
{
	if (key->kind == ACCOUNT_CPU)
		++*(unsigned *)data;
	return ACCOUNT_LIVES;
}

static unsigned count_accounts(void)
{
	unsigned n = 0;

	account_sweep(accounts, count, &n);
	return n;
}

START_TEST(accounts_stay_with_the_cgroup_and_go_with_it)
{
	autotext state = { 0 }, predecessor = { 0 };
	struct account *account;
	struct container *r;
	struct box box;

	box_start(&box, layout, MODERN);
	r = open_of(box.pid);
	ck_assert_int_eq(
		account_begin(accounts, &r->subject.account, NULL, &state, &predecessor, &account),
		0);
	ck_assert_int_eq(account_end(account, "x", 1), 0);
	container_unref(r);
	sweep_accounts(cache);
	ck_assert_uint_eq(count_accounts(), 1);
	box_kill(&box);
	BY_NOW(container_count(cache) == 0);
	sweep_accounts(cache);
	ck_assert_uint_eq(count_accounts(), 1);
	box_remove(&box);
	/* By the watching thread itself. */
	BY_NOW(count_accounts() == 0);
}
END_TEST

/* As the worker, who is root without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(a_cgroup_that_its_owner_closed_does_not_keep_others_accounts)
{
	autotext state = { 0 }, predecessor = { 0 };
	struct account *account;
	struct container *r;
	struct box box, closed;
	int mount = layout->hierarchy[box_hierarchy()].dirfd;

	box_start(&closed, layout, MODERN);
	ck_assert_int_eq(fchmodat(mount, closed.path + 1, 0, 0), 0);
	box_start(&box, layout, MODERN);
	r = open_of(box.pid);
	ck_assert_int_eq(
		account_begin(accounts, &r->subject.account, NULL, &state, &predecessor, &account),
		0);
	ck_assert_int_eq(account_end(account, "x", 1), 0);
	container_unref(r);
	box_stop(&box);
	drop_capabilities();
	sweep_accounts(cache); /* before the watching thread does, which may do all */
	ck_assert_uint_eq(count_accounts(), 0);
	box_stop(&closed);
}
END_TEST

#define VISIT_NS (30 * NS_PER_MS)

struct visits {
	bool work; /* else others do, meanwhile */
	unsigned n;
};

static int visit_for_long(int dirfd, ino_t ino, void *data)
{
	const uint64_t end = clock_thread_ns() + VISIT_NS;
	struct visits *v = data;

	(void)dirfd;
	(void)ino;
	v->n++;
	if (!v->work)
		usleep(VISIT_NS / NS_PER_US);
	while (v->work && clock_thread_ns() < end)
		continue;
	return 0;
}

/* A start that was looked for is kept for good, so what is seen must not depend on others. */
START_TEST(a_walk_is_ended_by_its_own_work_and_not_by_that_of_others)
{
	const struct cgroup_hierarchy *h = &layout->hierarchy[box_hierarchy()];
	struct cgroup_walk_limits limits = { 16, 0 };
	struct visits others = { .work = false }, own = { .work = true };
	struct box box;

	box_start(&box, layout, BOX_OWN_CGROUP);
	box_tell(&box, BOX_ENTER_LEAF);
	limits.deadline_ns = clock_thread_ns() + VISIT_NS / 2;
	ck_assert_int_eq(cgroup_walk(h, box.path, &limits, visit_for_long, &others), 0);
	ck_assert_uint_eq(others.n, 2);
	ck_assert_int_eq(cgroup_walk(h, box.path, &limits, visit_for_long, &own), -ETIME);
	ck_assert_uint_eq(own.n, 1);
	box_stop(&box);
}
END_TEST

START_TEST(a_record_without_init_expires_unused)
{
	const bool watched = layout->unified >= 0;
	struct box box;

	box_start(&box, layout, BOX_OWN_CGROUP);
	container_unref(open_of(box.pid));
	ck_assert(is_stored(box.pid));
	ck_assert_uint_eq(keys_expire(cache, 0).remain, 1);
	ck_assert(is_stored(box.pid));
	/* One whose cgroup is watched and has processes stays. */
	ck_assert_uint_eq(keys_expire(cache, UINT64_MAX).remain, watched);
	ck_assert_int_eq(is_stored(box.pid), watched);
	box_kill(&box);
	BY_NOW(container_count(cache) == 0);
	box_remove(&box);
}
END_TEST

START_TEST(a_cgroup_whose_end_nobody_told_expires_as_well)
{
	struct container *r;
	struct box box;

	box_start(&box, layout, BOX_OWN_CGROUP);
	r = open_of(box.pid);
	usleep(300000); /* to be watched is an event by itself: not behind the end */
	watch_remove(cache->watch, r->own->life);
	container_unref(r);
	box_stop(&box);
	usleep(100000);
	ck_assert_uint_eq(count_lives(cache), 2);
	ck_assert_uint_eq(keys_expire(cache, UINT64_MAX).dropped, 1);
	ck_assert_uint_eq(count_lives(cache), 1);
	ck_assert_uint_eq(container_count(cache), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("container_life");
	TCase *c = make_case("container_life");

	if (!c) {
		puts("1..0 # SKIP needs root and a cgroup hierarchy to make cgroups in");
		return 0;
	}
	tcase_add_test(c, the_end_of_init_leaves_no_record_and_no_descriptor);
	tcase_add_test(c, a_handle_keeps_a_record_but_no_descriptor_after_the_end_of_init);
	tcase_add_test(c, the_start_of_a_container_without_init_never_moves);
	tcase_add_test(c, one_containers_keys_do_not_push_out_anothers);
	tcase_add_test(c, descriptors_are_bounded_by_evicting_whoever_has_most);
	tcase_add_test(c, two_hundred_containers_leave_nothing);
	tcase_add_test(c, a_removed_cgroup_leads_to_the_new_one);
	tcase_add_test(c, a_cgroup_made_again_at_the_same_path_is_another);
	tcase_add_test(c, another_worker_finds_a_handles_container_again);
	tcase_add_test(c, threads_that_ask_at_once_get_one_record);
	tcase_add_test(c, accounts_stay_with_the_cgroup_and_go_with_it);
	tcase_add_test(c, a_cgroup_that_its_owner_closed_does_not_keep_others_accounts);
	tcase_add_test(c, a_walk_is_ended_by_its_own_work_and_not_by_that_of_others);
	tcase_add_test(c, a_record_without_init_expires_unused);
	tcase_add_test(c, a_cgroup_whose_end_nobody_told_expires_as_well);
	suite_add_tcase(s, c);
	return unit_run(s);
}
