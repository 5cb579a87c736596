/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cgroup hierarchies and the paths of processes in them, on captured machines.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cgroup_machine.h"
#include "cleanup.h"

/* --- hierarchies --------------------------------------------------------------------------- */

START_TEST(hybrid_has_v1_controllers_and_a_unified_hierarchy)
{
	struct machine m = machine_open("hybrid");
	const struct cgroup_layout *l = m.layout;

	ck_assert_uint_eq(l->n, 10);
	ck_assert_int_eq(l->unified, (int)hierarchy_of(&m, ""));
	ck_assert_int_eq(l->serves[CGROUP_MEMORY], (int)hierarchy_of(&m, "memory"));
	ck_assert_int_eq(l->serves[CGROUP_IO], (int)hierarchy_of(&m, "blkio"));
	ck_assert_int_eq(l->serves[CGROUP_CPUACCT], (int)hierarchy_of(&m, "cpuacct"));
	ck_assert_int_eq(l->serves[CGROUP_HUGETLB], l->unified);
	ck_assert_uint_eq(l->available, CGROUP_BIT(CGROUP_CONTROLLERS) - 1);
	ck_assert_uint_eq(l->hierarchy[hierarchy_of(&m, "name=systemd")].controllers, 0);
	machine_close(&m);
}
END_TEST

START_TEST(comounted_controllers_share_a_hierarchy)
{
	struct machine m = machine_open("v1-comounted");
	const struct cgroup_layout *l = m.layout;

	ck_assert_int_eq(l->serves[CGROUP_CPU], (int)hierarchy_of(&m, "cpu,cpuacct"));
	ck_assert_int_eq(l->serves[CGROUP_CPUACCT], l->serves[CGROUP_CPU]);
	ck_assert_int_eq(l->unified, -1);
	hierarchy_of(&m, "net_cls,net_prio");
	hierarchy_of(&m, "name=systemd");
	machine_close(&m);
}
END_TEST

START_TEST(unified_serves_everything_on_v2)
{
	struct machine m = machine_open("v2");

	ck_assert_uint_eq(m.layout->n, 1);
	for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
		ck_assert_int_eq(m.layout->serves[c], 0);
	machine_close(&m);
}
END_TEST

START_TEST(the_mount_of_the_daemons_own_namespace_is_taken)
{
	struct machine m = machine_open("v2-namespaced");

	ck_assert_uint_eq(m.layout->n, 1);
	ck_assert_str_eq(m.layout->hierarchy[0].mount_root, "/");
	ck_assert_int_eq(m.layout->serves[CGROUP_IO], -1);
	ck_assert_int_eq(m.layout->serves[CGROUP_CPUACCT], 0);
	ck_assert(!(m.layout->available & CGROUP_BIT(CGROUP_CPUSET)));
	machine_close(&m);
}
END_TEST

START_TEST(of_several_mounts_the_widest_that_can_be_reached_is_taken)
{
	struct machine m;

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		     /* a part of it, at an unusual place with a blank in its name */
		     "40 27 0:35 /docker/a /mnt/a\\040part rw - cgroup memory rw,memory\n"
		     /* all of it, but a tmpfs lies on top */
		     "41 27 0:35 / /hidden rw - cgroup memory rw,memory\n"
		     "42 41 0:50 / /hidden rw - tmpfs tmpfs rw\n"
		     /* all of it, below a directory that was mounted over; the order of lines tells
			nothing */
		     "44 27 0:51 / /above rw - tmpfs tmpfs rw\n"
		     "43 27 0:35 / /above/memory rw - cgroup memory rw,memory\n"
		     /* wider, but not there any more */
		     "45 27 0:35 / /gone rw - cgroup memory rw,memory\n"
		     "46 27 0:35 /docker /opt/cg rw shared:3 master:1 - cgroup  rw,memory\n"
		     /* from outside the daemon's cgroup namespace */
		     "47 27 0:35 /.. /outside rw - cgroup memory rw,memory\n");
	made_directory("mnt/a part");
	made_directory("hidden");
	made_directory("outside");
	made_directory("above/memory");
	made_directory("opt/cg/a");
	m = machine_open_at(made_path, 16);
	ck_assert_uint_eq(m.layout->n, 1);
	ck_assert_str_eq(m.layout->hierarchy[0].mount_root, "/docker");
	ck_assert_int_eq(faccessat(m.layout->hierarchy[0].dirfd, "a", F_OK, 0), 0);
	machine_close(&m);
	made_remove();
}
END_TEST

START_TEST(below_a_narrow_mount_paths_lead_to_the_right_directories)
{
	struct machine m;
	struct cgroup_set *s;
	uint64_t n;

	made_machine("1 1 0:2 / / rw - rootfs rootfs rw\n"
		     "46 1 0:35 /ct /pids rw - cgroup cgroup rw,pids\n");
	made_directory("pids/a");
	made_file("pids/pids.current", "7\n");
	made_file("pids/a/pids.current", "3\n");
	m = machine_open_at(made_path, 16);
	s = set_at(&m, "/ct/a");
	ck_assert_int_eq(cgroup_tasks(s, &n), 0);
	ck_assert_uint_eq(n, 3);
	cgroup_set_free(s);
	s = set_at(&m, "/ct");
	ck_assert_int_eq(cgroup_tasks(s, &n), 0);
	ck_assert_uint_eq(n, 7);
	cgroup_set_free(s);
	s = set_at(&m, "/other/a");
	ck_assert_int_eq(cgroup_tasks(s, &n), -ENOENT);
	cgroup_set_free(s);
	ck_assert_int_eq(set_new(&m, "/ct/b", &s), -ENOENT);
	machine_close(&m);
	made_remove();
}
END_TEST

static int count_directory(int dirfd, ino_t ino, void *data)
{
	(void)dirfd;
	(void)ino;
	++*(unsigned *)data;
	return 0;
}

/* Made by hand, and the mount's own name counts: "/ct" is one, "a" the second. */
START_TEST(a_walk_goes_as_deep_as_containers_may_be)
{
	static const struct cgroup_walk_limits limits = { 1000, 0 };
	char path[8 + 2 * (CGROUP_DEPTH_MAX + 4)] = "pids";
	unsigned from_top = 0, from_a = 0;
	struct machine m;

	made_machine("1 1 0:2 / / rw - rootfs rootfs rw\n"
		     "46 1 0:35 /ct /pids rw - cgroup cgroup rw,pids\n");
	for (unsigned depth = 1; depth < CGROUP_DEPTH_MAX + 4; depth++)
		strcat(path, "/a");
	made_directory(path);
	m = machine_open_at(made_path, 16);
	ck_assert_int_eq(
		cgroup_walk(&m.layout->hierarchy[0], "/ct", &limits, count_directory, &from_top),
		0);
	ck_assert_uint_eq(from_top, CGROUP_DEPTH_MAX);
	ck_assert_int_eq(
		cgroup_walk(&m.layout->hierarchy[0], "/ct/a", &limits, count_directory, &from_a),
		0);
	ck_assert_uint_eq(from_a, CGROUP_DEPTH_MAX - 1);
	machine_close(&m);
	made_remove();
}
END_TEST

START_TEST(the_depth_of_a_path_is_how_many_names_it_has)
{
	ck_assert_uint_eq(cgroup_path_depth("/"), 0);
	ck_assert_uint_eq(cgroup_path_depth("/a"), 1);
	ck_assert_uint_eq(cgroup_path_depth("/a/b.c/.."), 3);
}
END_TEST

START_TEST(a_machine_without_cgroups_has_an_empty_layout)
{
	struct machine m;
	struct cgroup_set *s;
	struct cpumask cpus;

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n");
	m = machine_open_at(made_path, 16);
	ck_assert_uint_eq(m.layout->n, 0);
	ck_assert_int_eq(m.layout->unified, -1);
	s = set_at(&m, "/a");
	ck_assert(cgroup_set_is_root(s));
	ck_assert_int_eq(cgroup_cpuset(s, &cpus), -ENOENT);
	cgroup_set_free(s);
	machine_close(&m);
	made_remove();
}
END_TEST

/* --- paths ----------------------------------------------------------------------------------- */

START_TEST(paths_are_compared_by_whole_names)
{
	ck_assert(cgroup_path_within("/a/b", "/a"));
	ck_assert(cgroup_path_within("/a", "/a"));
	ck_assert(cgroup_path_within("/a", "/"));
	ck_assert(cgroup_path_within("/", "/"));
	ck_assert(!cgroup_path_within("/a/bc", "/a/b"));
	ck_assert(!cgroup_path_within("/a", "/a/b"));
}
END_TEST

START_TEST(one_trailing_init_scope_is_removed)
{
	static const char *const pairs[][2] = {
		{ "/init.scope", "/" },
		{ "/ct/a/init.scope", "/ct/a" },
		{ "/ct/init.scope/init.scope", "/ct/init.scope" },
		{ "/ct/myinit.scope", "/ct/myinit.scope" },
		{ "/init.scope/a", "/init.scope/a" },
		{ "/", "/" },
	};

	for (size_t i = 0; i < countof(pairs); i++) {
		char path[64];

		strcpy(path, pairs[i][0]);
		cgroup_path_strip_init_scope(path);
		ck_assert_str_eq(path, pairs[i][1]);
	}
}
END_TEST

START_TEST(proc_cgroup_is_read_by_sets_of_controllers)
{
	struct machine m = machine_open("v1-comounted");
	struct cgroup_paths p;

	ck_assert_int_eq(cgroup_paths_parse(m.layout,
				 slice_str("9:name=systemd:/ct/a\n8:cpuacct,cpu:/ct/a:b\n"
					   "4:memory:/\n3:cpu:/wrong\n2:rdma:/not mounted\n"
					   "junk\n1:cpuset:relative\n0::/unified\n"),
				 &p),
		0);
	ck_assert_str_eq(p.path[hierarchy_of(&m, "name=systemd")], "/ct/a");
	ck_assert_str_eq(p.path[hierarchy_of(&m, "cpu,cpuacct")], "/ct/a:b");
	ck_assert_str_eq(p.path[hierarchy_of(&m, "memory")], "/");
	ck_assert_ptr_null(p.path[hierarchy_of(&m, "cpuset")]);
	cgroup_paths_free(&p);
	machine_close(&m);
}
END_TEST

START_TEST(a_cgroup_may_be_called_deleted)
{
	struct machine m = machine_open("v2");
	struct cgroup_paths p;

	ck_assert_int_eq(cgroup_paths_parse(m.layout, slice_str("0::/ct/a (deleted)\n"), &p), 0);
	ck_assert_str_eq(p.path[0], "/ct/a (deleted)");
	cgroup_paths_free(&p);
	machine_close(&m);
}
END_TEST

START_TEST(a_containers_mount_roots_are_its_cgroups)
{
	struct machine m = machine_open("hybrid");
	struct cgroup_paths p;

	ck_assert_int_eq(cgroup_mount_roots_parse(m.layout,
				 slice_str("100 99 8:1 / / rw - ext4 /dev/sda rw\n"
					   "101 100 0:22 / /sys ro - sysfs sysfs ro\n"
					   "102 101 0:90 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
					   "103 102 0:32 /docker/a\\040b /sys/fs/cgroup/memory ro "
					   "- cgroup cgroup rw,memory\n"
					   "104 103 0:32 /docker/c /sys/fs/cgroup/memory ro - "
					   "cgroup cgroup rw,memory\n"
					   "105 102 0:38 /docker/c /sys/fs/cgroup/unified ro - "
					   "cgroup2 cgroup rw\n"
					   "106 102 0:36 /docker/c /sys/fs/cgroup/pids ro - cgroup "
					   "cgroup rw,pids\n"
					   "107 106 0:36 /docker/c/d /sys/fs/cgroup/pids/d ro - "
					   "cgroup cgroup rw,pids\n"
					   "108 100 0:29 /docker/c /cpu ro - cgroup cgroup rw,cpu\n"
					   "109 102 0:91 /docker/c /sys/fs/cgroup/cpuset ro - "
					   "cgroupfs x rw,cpuset\n"),
				 &p),
		0);
	ck_assert_str_eq(p.path[hierarchy_of(&m, "memory")], "/docker/c");
	ck_assert_str_eq(p.path[hierarchy_of(&m, "")], "/docker/c");
	ck_assert_str_eq(p.path[hierarchy_of(&m, "pids")], "/docker/c");
	ck_assert_ptr_null(p.path[hierarchy_of(&m, "cpu")]);
	ck_assert_ptr_null(p.path[hierarchy_of(&m, "cpuset")]);
	cgroup_paths_free(&p);
	machine_close(&m);
}
END_TEST

START_TEST(mounts_hidden_below_a_new_sys_fs_cgroup_do_not_count)
{
	struct machine m = machine_open("v2");
	struct cgroup_paths p;

	ck_assert_int_eq(cgroup_mount_roots_parse(m.layout,
				 slice_str("105 101 0:28 / /sys/fs/cgroup rw - cgroup2 c rw\n"
					   "101 100 0:22 / /sys ro - sysfs sysfs ro\n"
					   "104 105 0:28 /ct/a /sys/fs/cgroup rw - cgroup2 c rw\n"
					   "106 105 0:28 /x /sys/fs/cgroup/x rw - cgroup2 c rw\n"
					   "100 1 8:1 / / rw - ext4 /dev/sda rw\n"),
				 &p),
		0);
	ck_assert_str_eq(p.path[0], "/ct/a");
	cgroup_paths_free(&p);
	machine_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup");
	TCase *c = tcase_create("cgroup");

	tcase_add_test(c, hybrid_has_v1_controllers_and_a_unified_hierarchy);
	tcase_add_test(c, comounted_controllers_share_a_hierarchy);
	tcase_add_test(c, unified_serves_everything_on_v2);
	tcase_add_test(c, the_mount_of_the_daemons_own_namespace_is_taken);
	tcase_add_test(c, of_several_mounts_the_widest_that_can_be_reached_is_taken);
	tcase_add_test(c, below_a_narrow_mount_paths_lead_to_the_right_directories);
	tcase_add_test(c, a_walk_goes_as_deep_as_containers_may_be);
	tcase_add_test(c, the_depth_of_a_path_is_how_many_names_it_has);
	tcase_add_test(c, a_machine_without_cgroups_has_an_empty_layout);
	tcase_add_test(c, paths_are_compared_by_whole_names);
	tcase_add_test(c, one_trailing_init_scope_is_removed);
	tcase_add_test(c, proc_cgroup_is_read_by_sets_of_controllers);
	tcase_add_test(c, a_cgroup_may_be_called_deleted);
	tcase_add_test(c, a_containers_mount_roots_are_its_cgroups);
	tcase_add_test(c, mounts_hidden_below_a_new_sys_fs_cgroup_do_not_count);
	suite_add_tcase(s, c);
	return unit_run(s);
}
