/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is asking, with real namespaces and cgroups: what records are shared, what they say, when
 * they end and what they leave behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/container/private.h"
#include "account.h"
#include "box.h"
#include "cleanup.h"
#include "slab.h"
#include "unit.h"

#define PAGES 1024u

static struct root root;
static struct cgroup_layout *layout;
static struct cgroup_tree *tree;
static struct container_cache *cache;

/* The accounts' memory. */
static struct account_entry *entries;
static void *pages;
static uint32_t *links;
static struct slab *slab;
static struct account_store *accounts;

static struct container_config config_of(bool no_ioctl)
{
	return (struct container_config){ .root = &root,
		.tree = tree,
		.layout = layout,
		.accounts = accounts,
		.max_records = 300,
		.no_ioctl = no_ioctl };
}

static struct container_cache *new_cache(bool no_ioctl)
{
	const struct container_config config = config_of(no_ioctl);
	struct container_cache *c;

	ck_assert_int_eq(container_cache_new(&config, &c), 0);
	return c;
}

static void setup(void)
{
	ck_assert_int_eq(root_open("/", &root), 0);
	ck_assert_int_eq(cgroup_layout_new(&root, &layout), 0);
	ck_assert_int_eq(cgroup_tree_new(layout, 64, &tree), 0);
	entries = calloc(PAGES, sizeof(*entries));
	pages = calloc(PAGES, SLAB_PAGE);
	links = calloc(PAGES, sizeof(*links));
	ck_assert_int_eq(slab_new(pages, links, PAGES, &slab), 0);
	ck_assert_int_eq(account_store_new(entries, PAGES, slab, &accounts), 0);
	cache = new_cache(false);
}

static void teardown(void)
{
	container_cache_free(cache);
	account_store_free(accounts);
	slab_free(slab);
	free(links);
	free(pages);
	free(entries);
	cgroup_tree_free(tree);
	cgroup_layout_free(layout);
	root_close(&root);
}

static struct container *open_of(pid_t pid)
{
	struct container *r = NULL;

	ck_assert_int_eq(container_open(cache, pid, &r), 0);
	ck_assert_ptr_nonnull(r);
	return r;
}

/* The hierarchy boxes are made in. */
static unsigned box_hierarchy(void)
{
	int i = layout->serves[CGROUP_CPUACCT];

	return (unsigned)(i >= 0 ? i : layout->unified);
}

static void assert_cgroup(const struct container *r, const char *path, enum container_rule rule)
{
	unsigned h = box_hierarchy();

	ck_assert_str_eq(cgroup_set_path(r->subject.cgroups, h), path);
	ck_assert_int_eq(r->rule[h], rule);
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static unsigned count_lives(void)
{
	unsigned n;

	pthread_mutex_lock(&cache->lock);
	n = cache->n_live;
	pthread_mutex_unlock(&cache->lock);
	return n;
}

#define BY_NOW(condition)                                                                          \
	do {                                                                                       \
		for (int _i = 0; _i < 500 && !(condition); _i++)                                   \
			usleep(10000);                                                             \
		ck_assert(condition);                                                              \
	} while (0)

/* Whether the key of `pid` leads somewhere without applying any rule. */
static bool is_stored(pid_t pid)
{
	autokey k = { 0 };
	struct container *r;
	bool due;

	ck_assert_int_eq(caller_key_short(&root, pid, &k), 0);
	r = keys_find(cache, &k, clock_monotonic_ns(), &due);
	if (!r) {
		ck_assert_int_eq(caller_key_lengthen(&root, pid, &k), 0);
		r = keys_find(cache, &k, clock_monotonic_ns(), &due);
	}
	container_unref(r);
	return r != NULL;
}

#define PLAIN (BOX_PID_NS | BOX_OWN_CGROUP)
#define MODERN (PLAIN | BOX_CGROUP_NS | BOX_CGROUP_MOUNT)

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

/* A process of the box's pid namespace whose parents are all outside. */
static pid_t enter_pid_ns(const struct box *box)
{
	struct proc_path path = proc_path(box->pid, "ns/pid");
	autoclose int fd = openat(root.proc, path.s, O_RDONLY | O_CLOEXEC);
	autoclose int own = openat(root.proc, "self/ns/pid", O_RDONLY | O_CLOEXEC);
	pid_t pid;

	ck_assert_int_eq(setns(fd, CLONE_NEWPID), 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(setns(own, CLONE_NEWPID), 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

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
	struct container *r;
	struct box box;
	pid_t entered;
	unsigned h = box_hierarchy();

	box_start(&box, layout, PLAIN);
	entered = enter_pid_ns(&box);
	r = open_of(entered);
	ck_assert_int_eq(r->init, box.pid);
	ck_assert_int_eq(r->rule[h], CONTAINER_RULE_OWN);
	ck_assert(!is_stored(entered));
	container_unref(r);
	ck_assert_uint_eq(container_count(cache), 0);
	ck_assert_uint_eq(count_lives(), 1); /* the host's */
	end(entered);
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
	ck_assert_ptr_eq(nested->use, outer->use);
	container_unref(outer);
	container_unref(nested);
	box_stop(&box);
}
END_TEST

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
	ck_assert_uint_eq(count_lives(), 1);
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
	struct box quiet, noisy;

	box_start(&quiet, layout, MODERN);
	box_start(&noisy, layout, MODERN);
	container_unref(open_of(quiet.pid));
	box_tell(&noisy, BOX_FORK);
	for (int i = 0; i < 100; i++) {
		box_tell_child(&noisy, BOX_UNSHARE_CGROUP);
		container_unref(open_of(noisy.child));
	}
	ck_assert(is_stored(quiet.pid));
	ck_assert(is_stored(noisy.child));
	pthread_mutex_lock(&cache->lock);
	for (struct owner *o = cache->owners; o; o = o->next)
		ck_assert_uint_le(o->n_entries, KEYS_PER_OWNER);
	pthread_mutex_unlock(&cache->lock);
	box_stop(&noisy);
	box_stop(&quiet);
}
END_TEST

START_TEST(descriptors_are_bounded_by_evicting_whoever_has_most)
{
	struct container_config config = config_of(false);
	struct container_cache *small;
	struct container *r;
	struct box box[4];

	config.max_records = 3; /* the host's is one */
	ck_assert_int_eq(container_cache_new(&config, &small), 0);
	for (size_t i = 0; i < countof(box); i++) {
		box_start(&box[i], layout, PLAIN);
		ck_assert_int_eq(container_open(small, box[i].pid, &r), 0);
		container_unref(r);
		ck_assert_uint_le(small->n_live, 3);
	}
	for (size_t i = 0; i < countof(box); i++)
		box_stop(&box[i]);
	container_cache_free(small);
}
END_TEST

START_TEST(two_hundred_containers_leave_nothing)
{
	unsigned before;
	struct box box;

	box_start(&box, layout, MODERN);
	container_unref(open_of(box.pid));
	box_stop(&box);
	BY_NOW(count_lives() == 1);
	before = count_fds();
	for (int i = 0; i < 200; i++) {
		box_start(&box, layout, MODERN);
		container_unref(open_of(box.pid));
		box_kill(&box);
		box_remove(&box);
	}
	BY_NOW(container_count(cache) == 0);
	ck_assert_uint_eq(count_lives(), 1);
	ck_assert_uint_eq(count_fds(), before);
	for (size_t i = 0; i < LIVES; i++)
		for (struct life *l = cache->lives[i]; l; l = l->next)
			ck_assert_ptr_eq(l, cache->host->own->life);
	for (size_t i = 0; i < RECORDS; i++)
		ck_assert_ptr_null(cache->records[i]);
}
END_TEST

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
	usleep(1100000);
	r = open_of(box.child);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	assert_cgroup(r, leaf, CONTAINER_RULE_INIT);
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
	usleep(1100000);
	r = open_of(box.child);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	assert_cgroup(r, leaf, CONTAINER_RULE_INIT);
	container_unref(r);
	box_stop(&box);
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
	BY_NOW(count_lives() == 1);
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
	ck_assert(!cgroup_set_alive(old->subject.cgroups));
	ck_assert_int_eq(container_again(cache, old, &again), 0);
	ck_assert_ptr_ne(again, old);
	ck_assert(cgroup_set_alive(again->subject.cgroups));
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

START_TEST(the_host_is_always_the_same_record)
{
	struct container_identity identity;
	struct container *host = container_host(cache), *r;

	ck_assert(host->subject.is_host);
	ck_assert_ptr_null(host->use);
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

START_TEST(no_mount_table_is_read_twice_a_second_for_one_container)
{
	char leaf[128];
	struct box box;
	struct container *r;

	/* A caller outside init's cgroup namespace, so that its own mounts are looked at. */
	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_ENTER_LEAF);
	box_tell(&box, BOX_FORK);
	box_tell_child(&box, BOX_UNSHARE_CGROUP);
	r = open_of(box.pid);
	assert_cgroup(r, box.path, CONTAINER_RULE_MOUNT);
	container_unref(r);
	r = open_of(box.child);
	snprintf(leaf, sizeof(leaf), "%s/leaf", box.path);
	assert_cgroup(r, leaf, CONTAINER_RULE_INIT);
	container_unref(r);
	usleep(1100000);
	r = open_of(box.child);
	assert_cgroup(r, box.path, CONTAINER_RULE_MOUNT);
	container_unref(r);
	box_stop(&box);
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
		account_begin(accounts, &r->subject.account, &state, &predecessor, &account), 0);
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

START_TEST(an_unwatched_record_expires_unused)
{
	struct box box;

	box_start(&box, layout, BOX_OWN_CGROUP);
	container_unref(open_of(box.pid));
	ck_assert(is_stored(box.pid));
	ck_assert(keys_expire(cache, 0) || layout->unified >= 0);
	if (layout->unified < 0) {
		ck_assert(!keys_expire(cache, UINT64_MAX));
		ck_assert(!is_stored(box.pid));
	}
	box_kill(&box);
	if (layout->unified >= 0)
		BY_NOW(container_count(cache) == 0);
	box_remove(&box);
}
END_TEST

static TCase *make_case(const char *name)
{
	TCase *c = tcase_create(name);

	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, box_setup, box_teardown);
	tcase_add_checked_fixture(c, setup, teardown);
	return c;
}

static bool can_run(void)
{
	struct root r;
	struct cgroup_layout *l;
	bool possible;

	if (root_open("/", &r) < 0)
		return false;
	if (cgroup_layout_new(&r, &l) < 0) {
		root_close(&r);
		return false;
	}
	possible = box_possible(l);
	cgroup_layout_free(l);
	root_close(&r);
	return possible;
}

int main(void)
{
	Suite *s = suite_create("container");
	TCase *c = make_case("container");

	if (!can_run()) {
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
	tcase_add_test(c, the_end_of_init_leaves_no_record_and_no_descriptor);
	tcase_add_test(c, a_handle_keeps_a_record_but_no_descriptor_after_the_end_of_init);
	tcase_add_test(c, a_caller_in_the_daemons_pid_namespace_is_its_own_cgroup);
	tcase_add_test(c, the_start_of_a_container_without_init_never_moves);
	tcase_add_test(c, one_containers_keys_do_not_push_out_anothers);
	tcase_add_test(c, descriptors_are_bounded_by_evicting_whoever_has_most);
	tcase_add_test(c, two_hundred_containers_leave_nothing);
	tcase_add_test(c, a_cgroup_that_init_moved_to_is_seen_a_second_later);
	tcase_add_test(c, a_short_key_follows_init_to_another_cgroup);
	tcase_add_test(c, a_removed_cgroup_leads_to_the_new_one);
	tcase_add_test(c, a_cgroup_made_again_at_the_same_path_is_another);
	tcase_add_test(c, another_worker_finds_a_handles_container_again);
	tcase_add_test(c, the_host_is_always_the_same_record);
	tcase_add_test(c, a_thread_that_is_gone_is_nobody);
	tcase_add_test(c, no_mount_table_is_read_twice_a_second_for_one_container);
	tcase_add_test(c, threads_that_ask_at_once_get_one_record);
	tcase_add_test(c, accounts_stay_with_the_cgroup_and_go_with_it);
	tcase_add_test(c, an_unwatched_record_expires_unused);
	suite_add_tcase(s, c);
	return unit_run(s);
}
