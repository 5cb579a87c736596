/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cgroup directories and their open files: who is whom after a removal, and no file closed while
 * it is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "../../src/cgroup/tree.h"
#include "cgroup_machine.h"
#include "cleanup.h"

/* --- directories and sets --------------------------------------------------------------------- */

START_TEST(root_and_paths_outside_the_namespace_are_no_cgroup)
{
	struct machine m = machine_open("v2-namespaced");
	static const char *const paths[] = { "/", "/..", "/../pod2/app", "/ct/../../x", "" };
	struct cgroup_set *s;
	uint64_t n;
	dev_t dev;
	ino_t ino;

	for (size_t i = 0; i < countof(paths); i++) {
		s = set_at(&m, paths[i]);
		ck_assert(cgroup_set_is_root(s));
		ck_assert_int_eq(cgroup_tasks(s, &n), -ENOENT);
		ck_assert_ptr_null(cgroup_set_path(s, 0));
		ck_assert(!cgroup_set_identity(s, &dev, &ino));
		cgroup_set_free(s);
	}
	machine_close(&m);
}
END_TEST

START_TEST(only_a_named_hierarchy_makes_no_container)
{
	struct machine m = machine_open("hybrid");
	struct cgroup_paths p = { 0 };
	struct cgroup_set *s;

	p.path[hierarchy_of(&m, "name=systemd")] = strdup("/ct/a");
	p.path[hierarchy_of(&m, "memory")] = strdup("/");
	ck_assert_int_eq(cgroup_set_new(m.tree, &p, &s), 0);
	ck_assert(cgroup_set_is_root(s));
	cgroup_set_free(s);
	p.path[hierarchy_of(&m, "")] = strdup("/ct/a");
	ck_assert_int_eq(cgroup_set_new(m.tree, &p, &s), 0);
	ck_assert(!cgroup_set_is_root(s));
	cgroup_set_free(s);
	cgroup_paths_free(&p);
	machine_close(&m);
}
END_TEST

START_TEST(sets_share_directories_and_tell_their_identity)
{
	struct machine m = machine_open("hybrid");
	struct cgroup_set *a = set_at(&m, "/ct/a"), *again = set_at(&m, "/ct/a");
	unsigned cpuacct = hierarchy_of(&m, "cpuacct");
	struct stat st;
	dev_t dev;
	ino_t ino;

	ck_assert_ptr_eq(a->in[cpuacct], again->in[cpuacct]);
	ck_assert_str_eq(cgroup_set_path(a, cpuacct), "/ct/a");
	ck_assert_int_eq(stat(TESTS_DIR "/fixtures/hybrid/sys/fs/cgroup/cpuacct/ct/a", &st), 0);
	ck_assert(cgroup_set_identity(a, &dev, &ino));
	ck_assert_uint_eq(ino, st.st_ino);
	ck_assert_uint_eq(dev, m.layout->hierarchy[cpuacct].dev);
	cgroup_set_free(again);
	cgroup_set_free(a);
	machine_close(&m);
}
END_TEST

START_TEST(a_directory_made_anew_at_the_same_path_is_another_cgroup)
{
	struct machine m;
	struct cgroup_set *old, *new;

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		     "46 27 0:35 / /sys/fs/cgroup rw - cgroup cgroup rw,pids\n");
	made_directory("sys/fs/cgroup/a");
	m = machine_open_at(made_path, 0);
	old = set_at(&m, "/a");
	ck_assert_int_eq(cgroup_verify(old->in[0]), 0);
	made_move("sys/fs/cgroup/a", "sys/fs/cgroup/removed");
	ck_assert_int_eq(cgroup_verify(old->in[0]), -ENODEV);
	made_directory("sys/fs/cgroup/a");
	new = set_at(&m, "/a");
	ck_assert_ptr_ne(new->in[0], old->in[0]);
	ck_assert_int_eq(cgroup_verify(new->in[0]), 0);
	ck_assert_int_eq(cgroup_verify(old->in[0]), -ENODEV);
	cgroup_set_free(old);
	cgroup_set_free(new);
	machine_close(&m);
	made_remove();
}
END_TEST

START_TEST(reading_a_removed_cgroup_is_enodev_and_never_its_successors_number)
{
	struct machine m;
	struct cgroup_set *old, *new;
	uint64_t n;

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		     "46 27 0:35 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
	made_file("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
	made_directory("sys/fs/cgroup/a");
	made_file("sys/fs/cgroup/a/pids.current", "4\n");
	m = machine_open_at(made_path, 0);
	old = set_at(&m, "/a");
	ck_assert_int_eq(cgroup_tasks(old, &n), 0);
	ck_assert_uint_eq(n, 4);
	made_move("sys/fs/cgroup/a", "sys/fs/cgroup/removed");
	ck_assert_int_eq(cgroup_tasks(old, &n), -ENODEV);
	made_directory("sys/fs/cgroup/a");
	ck_assert_int_eq(cgroup_tasks(old, &n), -ENODEV);
	made_file("sys/fs/cgroup/a/pids.current", "5\n");
	ck_assert_int_eq(cgroup_tasks(old, &n), -ENODEV);
	ck_assert_uint_eq(n, 4);
	new = set_at(&m, "/a");
	ck_assert_int_eq(cgroup_tasks(new, &n), 0);
	ck_assert_uint_eq(n, 5);
	cgroup_set_free(old);
	cgroup_set_free(new);
	machine_close(&m);
	made_remove();
}
END_TEST

START_TEST(a_file_that_appears_later_is_seen)
{
	struct machine m;
	struct cgroup_set *s;
	uint64_t n;

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		     "46 27 0:35 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
	made_file("sys/fs/cgroup/cgroup.controllers", "pids\n");
	made_directory("sys/fs/cgroup/a");
	m = machine_open_at(made_path, 16);
	s = set_at(&m, "/a");
	ck_assert_int_eq(cgroup_tasks(s, &n), -ENOENT);
	made_file("sys/fs/cgroup/a/pids.current", "5\n");
	ck_assert_int_eq(cgroup_tasks(s, &n), 0);
	ck_assert_uint_eq(n, 5);
	cgroup_set_free(s);
	machine_close(&m);
	made_remove();
}
END_TEST

/* --- open files ------------------------------------------------------------------------------- */

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Cgroups of the captured v2 machine, and the tasks in each. */
static const char *const nested[] = { "/ct/a", "/ct/b", "/ct/parent", "/ct/parent/child" };
static const uint64_t nested_tasks[] = { 3, 2, 4, 1 };

/* Whether the file at the end of some path is open. */
static bool is_open(const char *end)
{
	char link[32], path[4096];

	for (int fd = 0; fd < 256; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, path, sizeof(path) - 1);
		if (n > 0 && slice_ends((struct slice){ path, (size_t)n }, end))
			return true;
	}
	return false;
}

START_TEST(no_more_files_stay_open_than_allowed)
{
	struct machine m;
	unsigned before;
	uint64_t n;

	m = machine_open_at(TESTS_DIR "/fixtures/v2", 2);
	before = open_descriptors();
	for (unsigned round = 0; round < 3; round++) {
		struct cgroup_set *s[countof(nested)];

		for (size_t i = 0; i < countof(nested); i++) {
			s[i] = set_at(&m, nested[i]);
			for (unsigned again = 0; again < 2; again++) {
				ck_assert_int_eq(cgroup_tasks(s[i], &n), 0);
				ck_assert_uint_eq(n, nested_tasks[i]);
			}
		}
		ck_assert(is_open("/ct/parent/child/pids.current"));
		ck_assert(!is_open("/ct/a/pids.current"));
		ck_assert_uint_eq(open_descriptors(), before + 2);
		for (size_t i = 0; i < countof(nested); i++)
			cgroup_set_free(s[i]);
		ck_assert_uint_eq(open_descriptors(), before);
	}
	machine_close(&m);
}
END_TEST

START_TEST(a_file_that_is_read_again_stays_open_longer)
{
	/* Opening the fourth takes the first and asks of the others whether they are still used. */
	static const char *const read[] = { "/ct/a", "/ct/b", "/ct/parent", "/ct/parent/child",
		"/ct/b", "/ct" };
	struct machine m = machine_open_at(TESTS_DIR "/fixtures/v2", 3);
	struct cgroup_set *s[countof(read)];
	uint64_t n;

	for (size_t i = 0; i < countof(read); i++) {
		s[i] = set_at(&m, read[i]);
		ck_assert_int_eq(cgroup_tasks(s[i], &n), 0);
	}
	ck_assert(is_open("/ct/b/pids.current"));
	ck_assert(!is_open("/ct/a/pids.current"));
	ck_assert(!is_open("/ct/parent/pids.current"));
	for (size_t i = 0; i < countof(read); i++)
		cgroup_set_free(s[i]);
	machine_close(&m);
}
END_TEST

struct hammer {
	struct cgroup_set *set;
	uint64_t expected;
	unsigned wrong;
};

static void *hammer_run(void *data)
{
	struct hammer *h = data;

	for (unsigned i = 0; i < 5000; i++) {
		uint64_t n = 0;

		if (cgroup_tasks(h->set, &n) < 0 || n != h->expected)
			h->wrong++;
	}
	return NULL;
}

START_TEST(threads_never_read_a_file_that_was_closed_or_reopened_under_them)
{
	struct machine m = machine_open_at(TESTS_DIR "/fixtures/v2", 1);
	struct hammer h[countof(nested)];
	pthread_t threads[countof(nested)];

	for (size_t i = 0; i < countof(nested); i++) {
		h[i] = (struct hammer){ set_at(&m, nested[i]), nested_tasks[i], 0 };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer_run, &h[i]), 0);
	}
	for (size_t i = 0; i < countof(nested); i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(h[i].wrong, 0);
		cgroup_set_free(h[i].set);
	}
	machine_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup_tree");
	TCase *c = tcase_create("cgroup_tree");

	tcase_add_test(c, root_and_paths_outside_the_namespace_are_no_cgroup);
	tcase_add_test(c, only_a_named_hierarchy_makes_no_container);
	tcase_add_test(c, sets_share_directories_and_tell_their_identity);
	tcase_add_test(c, a_directory_made_anew_at_the_same_path_is_another_cgroup);
	tcase_add_test(c, reading_a_removed_cgroup_is_enodev_and_never_its_successors_number);
	tcase_add_test(c, a_file_that_appears_later_is_seen);
	tcase_add_test(c, no_more_files_stay_open_than_allowed);
	tcase_add_test(c, a_file_that_is_read_again_stays_open_longer);
	tcase_add_test(c, threads_never_read_a_file_that_was_closed_or_reopened_under_them);
	suite_add_tcase(s, c);
	return unit_run(s);
}
