/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUs, busy time, tasks and I/O of captured cgroups, version by version.
 */
#include <errno.h>
#include <limits.h>

#include "cgroup_machine.h"
#include "cleanup.h"

/* --- cpu ---------------------------------------------------------------------------------------
 */

START_TEST(the_cpuset_is_the_effective_one_of_the_nearest_cgroup_that_has_any)
{
	static const struct {
		const char *machine, *path, *cpus;
	} cases[] = {
		{ "hybrid", "/ct/a", "1" }, { "hybrid", "/ct/b", "0-1" }, { "v2", "/ct/a", "1,3" },
		{ "v2", "/ct/parent/plain", "0-2" }, { "v1-comounted", "/ct/a", "2-3" },
		{ "v1-comounted", "/ct/parent/child", "0-2" }, /* its own list is empty */
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct machine m = machine_open(cases[i].machine);
		struct cgroup_set *s = set_at(&m, cases[i].path);
		struct cpumask expected, cpus;

		ck_assert_int_eq(cpumask_parse(slice_str(cases[i].cpus), &expected), 0);
		ck_assert_int_eq(cgroup_cpuset(s, &cpus), 0);
		ck_assert(cpumask_equal(&cpus, &expected));
		cgroup_set_free(s);
		machine_close(&m);
	}
}
END_TEST

START_TEST(without_a_cpuset_nothing_is_restricted)
{
	static const char *const cases[][2] = { { "v2-namespaced", "/ct/a" }, { "hybrid", "/" } };

	for (size_t i = 0; i < countof(cases); i++) {
		struct machine m = machine_open(cases[i][0]);
		struct cgroup_set *s = set_at(&m, cases[i][1]);
		struct cpumask cpus;

		ck_assert_int_eq(cgroup_cpuset(s, &cpus), -ENOENT);
		cgroup_set_free(s);
		machine_close(&m);
	}
}
END_TEST

START_TEST(the_quota_is_the_least_of_all_ancestors_in_whole_cpus)
{
	static const struct {
		const char *machine, *path;
		unsigned cpus;
	} cases[] = {
		{ "hybrid", "/ct/a", 2 },            /* 1.5 */
		{ "hybrid", "/ct/b", UINT_MAX },     /* -1 */
		{ "hybrid", "/ct/parent/child", 1 }, /* 0.5 of the parent */
		{ "hybrid", "/", UINT_MAX },
		{ "v1-comounted", "/ct/a", 1 },
		{ "v1-comounted", "/ct/parent/child", 3 }, /* 2.5 */
		{ "v2", "/ct/a", 2 },
		{ "v2", "/ct/b", UINT_MAX },
		{ "v2", "/ct/parent/child", 2 },
		{ "v2", "/ct/parent/plain", 2 },
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct machine m = machine_open(cases[i].machine);
		struct cgroup_set *s = set_at(&m, cases[i].path);
		unsigned cpus;

		ck_assert_int_eq(cgroup_cpu_quota(s, &cpus), 0);
		ck_assert_uint_eq(cpus, cases[i].cpus);
		cgroup_set_free(s);
		machine_close(&m);
	}
}
END_TEST

#define S UINT64_C(1000000000)

START_TEST(v1_busy_time_is_told_by_cpu)
{
	struct machine m = machine_open("hybrid");
	struct cgroup_set *s = set_at(&m, "/ct/b");
	struct cgroup_cpu_usage u;

	ck_assert_int_eq(cgroup_cpu_usage(s, &u), 0);
	ck_assert(u.known);
	ck_assert_uint_eq(u.usage, 3 * S);
	ck_assert_uint_eq(u.user, 26 * S / 10);
	ck_assert_uint_eq(u.system, 4 * S / 10);
	ck_assert_uint_eq(u.nice, 0);
	ck_assert_uint_eq(u.n_cpus, 2);
	ck_assert_uint_eq(u.cpu_usage[0], S);
	ck_assert_uint_eq(u.cpu_usage[1], 2 * S);
	ck_assert_uint_eq(u.cpu_user[0], 6 * S / 10);
	ck_assert_uint_eq(u.cpu_user[1], 2 * S);
	ck_assert_uint_eq(u.cpu_system[0], 4 * S / 10);
	ck_assert_uint_eq(u.cpu_system[1], 0);
	cgroup_cpu_usage_free(&u);
	cgroup_set_free(s);
	machine_close(&m);
}
END_TEST

START_TEST(v1_kernels_without_usage_all_tell_the_split_in_ticks)
{
	struct machine m = machine_open("v1-comounted");
	struct cgroup_set *s = set_at(&m, "/ct/a");
	struct cgroup_cpu_usage u;

	ck_assert_int_eq(cgroup_cpu_usage(s, &u), 0);
	ck_assert_uint_eq(u.usage, 3 * S);
	ck_assert_uint_eq(u.user, 225 * S / 100); /* 225 ticks */
	ck_assert_uint_eq(u.system, 75 * S / 100);
	ck_assert_uint_eq(u.n_cpus, 4);
	ck_assert_uint_eq(u.cpu_usage[1], S);
	ck_assert_uint_eq(u.cpu_user[1], 0);
	cgroup_cpu_usage_free(&u);
	cgroup_set_free(s);
	machine_close(&m);
}
END_TEST

START_TEST(percpu_numbers_belong_to_the_ids_that_usage_all_names)
{
	struct machine m;
	struct cgroup_set *s;
	struct cgroup_cpu_usage u;

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		     "46 27 0:35 / /sys/fs/cgroup rw - cgroup cgroup rw,cpuacct\n");
	made_directory("sys/fs/cgroup/a");
	made_file("sys/fs/cgroup/a/cpuacct.usage_all", "cpu user system\n0 1 0\n2 5 6\n");
	made_file("sys/fs/cgroup/a/cpuacct.usage_percpu", "1 11 \n");
	m = machine_open_at(made_path, 16);
	s = set_at(&m, "/a");
	ck_assert_int_eq(cgroup_cpu_usage(s, &u), 0);
	ck_assert_uint_eq(u.n_cpus, 3);
	ck_assert_uint_eq(u.cpu_usage[1], 0);
	ck_assert_uint_eq(u.cpu_usage[2], 11);
	ck_assert_uint_eq(u.cpu_system[2], 6);
	cgroup_cpu_usage_free(&u);
	cgroup_set_free(s);
	machine_close(&m);
	made_remove();
}
END_TEST

START_TEST(v2_busy_time_needs_no_controller)
{
	struct machine m = machine_open("v2");
	struct cgroup_set *a = set_at(&m, "/ct/a"), *plain = set_at(&m, "/ct/parent/plain");
	struct cgroup_cpu_usage u;

	ck_assert_int_eq(cgroup_cpu_usage(a, &u), 0);
	ck_assert(u.known);
	ck_assert_uint_eq(u.usage, 10 * S);
	ck_assert_uint_eq(u.user, 8 * S);
	ck_assert_uint_eq(u.system, 2 * S);
	ck_assert_uint_eq(u.nice, S);
	ck_assert_uint_eq(u.n_cpus, 0);
	ck_assert_int_eq(cgroup_cpu_usage(plain, &u), 0);
	ck_assert_uint_eq(u.usage, 15 * S / 10);
	cgroup_set_free(a);
	cgroup_set_free(plain);
	machine_close(&m);
}
END_TEST

START_TEST(at_cpuaccts_root_the_unified_hierarchy_tells_busy_time)
{
	struct machine m = machine_open("hybrid");
	struct cgroup_paths p = { 0 };
	struct cgroup_set *s;
	struct cgroup_cpu_usage u;

	p.path[hierarchy_of(&m, "cpuacct")] = strdup("/");
	p.path[hierarchy_of(&m, "")] = strdup("/ct/a");
	ck_assert_int_eq(cgroup_set_new(m.tree, &p, &s), 0);
	ck_assert_int_eq(cgroup_cpu_usage(s, &u), 0);
	ck_assert(u.known);
	ck_assert_uint_eq(u.usage, 7 * S);
	cgroup_set_free(s);
	cgroup_paths_free(&p);
	s = set_at(&m, "/");
	ck_assert_int_eq(cgroup_cpu_usage(s, &u), 0);
	ck_assert(!u.known);
	cgroup_set_free(s);
	machine_close(&m);
}
END_TEST

START_TEST(tasks_are_the_cgroups_own_or_unknown)
{
	struct machine m = machine_open("v2");
	struct cgroup_set *a = set_at(&m, "/ct/a"), *plain = set_at(&m, "/ct/parent/plain");
	uint64_t n;

	ck_assert_int_eq(cgroup_tasks(a, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(cgroup_tasks(plain, &n), -ENOENT);
	cgroup_set_free(a);
	cgroup_set_free(plain);
	machine_close(&m);
}
END_TEST

/* --- io ----------------------------------------------------------------------------------------
 */

static const struct {
	const char *machine, *path;
	size_t n;
	struct cgroup_io_device device;
} expected_io[] = {
	{ "v2", "/ct/a", 1, { 8, 0, 1638400, 409600, 4096, 100, 50, 1 } },
	{ "v2", "/ct/b", 1, { 259, 0, 4096, 0, 0, 1, 0, 0 } }, /* with io.cost's keys */
	{ "v2", "/ct/parent/plain", 0, { 0 } },                /* not its parent's */
	{ "v2-namespaced", "/ct/a", 0, { 0 } },
	{ "hybrid", "/ct/a", 1, { 254, 0, 1638400, 409600, 0, 100, 50, 0 } }, /* throttle's */
	{ "hybrid", "/ct/b", 1, { 254, 0, 28672, 0, 0, 7, 0, 0 } },           /* bfq's */
	{ "hybrid", "/ct/parent", 0, { 0 } },
	{ "v1-comounted", "/ct/a", 1, { 8, 0, 49152, 16384, 0, 12, 4, 0 } }, /* CFQ's */
};

START_TEST(io_is_the_cgroups_own_by_device)
{
	struct machine m = machine_open(expected_io[_i].machine);
	struct cgroup_set *s = set_at(&m, expected_io[_i].path);
	struct cgroup_io io;

	ck_assert_int_eq(cgroup_io(s, &io), 0);
	ck_assert_uint_eq(io.n, expected_io[_i].n);
	if (io.n)
		ck_assert_mem_eq(io.devices, &expected_io[_i].device, sizeof(*io.devices));
	cgroup_io_free(&io);
	cgroup_set_free(s);
	machine_close(&m);
}
END_TEST

START_TEST(odd_lines_of_io_stat_do_no_harm)
{
	struct machine m;
	struct cgroup_set *s;
	struct cgroup_io io;

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		     "46 27 0:35 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
	made_file("sys/fs/cgroup/cgroup.controllers", "io\n");
	made_directory("sys/fs/cgroup/a");
	made_file("sys/fs/cgroup/a/io.stat",
		"7:1 7:0 8:16 rbytes=512 rios=1\n"
		"8:0 rbytes=0 wbytes=0 rios=0 wios=0 dbytes=0 dios=0\n"
		"(unknown) rbytes=5\n\n259:3 wios=x wbytes=99999999999999999999 new=1\n"
		"8:32 rios=4");
	m = machine_open_at(made_path, 16);
	s = set_at(&m, "/a");
	ck_assert_int_eq(cgroup_io(s, &io), 0);
	ck_assert_uint_eq(io.n, 3);
	ck_assert_uint_eq(io.devices[0].minor, 16);
	ck_assert_uint_eq(io.devices[0].read_bytes, 512);
	ck_assert_uint_eq(io.devices[1].major, 259);
	ck_assert_uint_eq(io.devices[1].write_bytes, UINT64_MAX);
	ck_assert_uint_eq(io.devices[1].writes, 0);
	ck_assert_uint_eq(io.devices[2].reads, 4);
	cgroup_io_free(&io);
	cgroup_set_free(s);
	machine_close(&m);
	made_remove();
}
END_TEST

START_TEST(text_that_is_no_number_is_an_error_and_not_zero)
{
	struct machine m;
	struct cgroup_set *s;
	struct cgroup_memory memory;
	struct cpumask cpus;
	unsigned quota;

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		     "46 27 0:35 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
	made_file("sys/fs/cgroup/cgroup.controllers", "cpu cpuset memory\n");
	made_directory("sys/fs/cgroup/a");
	made_file("sys/fs/cgroup/a/memory.current", "\n");
	made_file("sys/fs/cgroup/a/cpuset.cpus.effective", "0-x\n");
	made_file("sys/fs/cgroup/a/cpu.max", "many 100000\n");
	m = machine_open_at(made_path, 16);
	s = set_at(&m, "/a");
	ck_assert_int_eq(cgroup_memory(s, 1024 * MiB, &memory), -EBADMSG);
	ck_assert_int_eq(cgroup_cpuset(s, &cpus), -EBADMSG);
	ck_assert_int_eq(cgroup_cpu_quota(s, &quota), -EBADMSG);
	cgroup_set_free(s);
	machine_close(&m);
	made_remove();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup_usage");
	TCase *c = tcase_create("cgroup_usage");

	tcase_add_test(c, the_cpuset_is_the_effective_one_of_the_nearest_cgroup_that_has_any);
	tcase_add_test(c, without_a_cpuset_nothing_is_restricted);
	tcase_add_test(c, the_quota_is_the_least_of_all_ancestors_in_whole_cpus);
	tcase_add_test(c, v1_busy_time_is_told_by_cpu);
	tcase_add_test(c, v1_kernels_without_usage_all_tell_the_split_in_ticks);
	tcase_add_test(c, percpu_numbers_belong_to_the_ids_that_usage_all_names);
	tcase_add_test(c, v2_busy_time_needs_no_controller);
	tcase_add_test(c, at_cpuaccts_root_the_unified_hierarchy_tells_busy_time);
	tcase_add_test(c, tasks_are_the_cgroups_own_or_unknown);
	tcase_add_loop_test(c, io_is_the_cgroups_own_by_device, 0, countof(expected_io));
	tcase_add_test(c, odd_lines_of_io_stat_do_no_harm);
	tcase_add_test(c, text_that_is_no_number_is_an_error_and_not_zero);
	suite_add_tcase(s, c);
	return unit_run(s);
}
