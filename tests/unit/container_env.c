/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Set up before each test and taken down after it.
 */
#include "container_env.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "slab.h"

#define PAGES 1024u

struct root root;
struct cgroup_layout *layout;
struct cgroup_tree *tree;
struct container_cache *cache;
struct account_store *accounts;

/* The accounts' memory. */
static struct account_entry *entries;
static void *pages;
static uint32_t *links;
static struct slab *slab;
static struct uses *uses;

struct container_config config_of(bool no_ioctl)
{
	return (struct container_config){ .root = &root,
		.tree = tree,
		.layout = layout,
		.accounts = accounts,
		.uses = uses,
		.max_records = 300,
		.max_callers = 16,
		.no_ioctl = no_ioctl };
}

struct container_cache *new_cache(bool no_ioctl)
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
	ck_assert_int_eq(uses_new(&uses), 0);
	ck_assert_int_eq(account_store_new(entries, PAGES, slab, uses, &accounts), 0);
	cache = new_cache(false);
}

static void teardown(void)
{
	container_cache_free(cache);
	account_store_free(accounts);
	ck_assert_uint_eq(uses_count(uses), 0); /* no reference was lost */
	uses_free(uses);
	slab_free(slab);
	free(links);
	free(pages);
	free(entries);
	cgroup_tree_free(tree);
	cgroup_layout_free(layout);
	root_close(&root);
}

struct container *open_of(pid_t pid)
{
	struct container *r = NULL;

	ck_assert_int_eq(container_open(cache, pid, &r), 0);
	ck_assert_ptr_nonnull(r);
	return r;
}

unsigned box_hierarchy(void)
{
	int i = layout->serves[CGROUP_CPUACCT];

	return (unsigned)(i >= 0 ? i : layout->unified);
}

void assert_cgroup(const struct container *r, const char *path, enum container_rule rule)
{
	unsigned h = box_hierarchy();

	ck_assert_str_eq(cgroup_set_path(r->subject.cgroups, h), path);
	ck_assert_int_eq(r->rule[h], rule);
}

unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

unsigned count_lives(const struct container_cache *c)
{
	unsigned n;

	pthread_mutex_lock((pthread_mutex_t *)&c->lock);
	n = c->n_live;
	pthread_mutex_unlock((pthread_mutex_t *)&c->lock);
	return n;
}

static bool finds(const struct caller_key *k)
{
	struct key_state state;
	struct container *r = keys_find(cache, k, clock_monotonic_ns(), &state);

	container_unref(r);
	return r != NULL;
}

bool is_stored_short(pid_t pid)
{
	struct caller_key k;

	ck_assert_int_eq(caller_key_short(&root, pid, &k), 0);
	return finds(&k);
}

bool is_stored(pid_t pid)
{
	autokey k = { 0 };

	if (is_stored_short(pid))
		return true;
	ck_assert_int_eq(caller_key_short(&root, pid, &k), 0);
	ck_assert_int_eq(caller_key_lengthen(&root, pid, &k), 0);
	if (k.pid_ns == cache->pid_ns)
		caller_key_add_time(&root, pid, &k);
	return finds(&k);
}

pid_t enter_pid_ns(const struct box *box)
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

void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
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

TCase *make_case(const char *name)
{
	TCase *c;

	if (!can_run())
		return NULL;
	c = tcase_create(name);
	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, box_setup, box_teardown);
	tcase_add_checked_fixture(c, setup, teardown);
	return c;
}
