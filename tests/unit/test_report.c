/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the log says at the start, on captured machines.
 */
#include "cgroup_machine.h"
#include "cleanup.h"
#include "../../src/daemon/report.h"

static void assert_lines(const struct root *root, const struct cgroup_layout *l,
	bool sees_everybody, const char *expected)
{
	autotext t = { 0 };

	report_lines(root, l, sees_everybody, &t);
	ck_assert_int_eq(text_error(&t), 0);
	text_add(&t, "", 1);
	ck_assert_str_eq(t.data, expected);
}

START_TEST(the_layout_and_what_it_lacks_are_one_line)
{
	static const struct {
		const char *machine, *line;
	} cases[] = {
		{ "hybrid",
			"serving from cgroup v1 (cpu, cpuacct, cpuset, memory, io, pids), v2 "
			"(hugetlb)\n" },
		{ "v1-old",
			"serving from cgroup v1 (cpu, cpuacct, memory, io, hugetlb); missing: "
			"cpuset, pids\n" },
		{ "v2",
			"serving from cgroup v2 (cpu, cpuacct, cpuset, memory, io, hugetlb, "
			"pids)\n" },
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct machine m = machine_open(cases[i].machine);

		assert_lines(&m.root, m.layout, true, cases[i].line);
		machine_close(&m);
	}
}
END_TEST

START_TEST(a_machine_without_cgroups_is_told)
{
	struct machine m = machine_open("v2");
	const struct cgroup_layout none = { .n = 0, .unified = -1 };

	assert_lines(&m.root, &none, true, "serving from no cgroup hierarchy at all\n");
	machine_close(&m);
}
END_TEST

START_TEST(a_pid_namespace_of_its_own_is_told_with_its_mending)
{
	struct machine m = machine_open("v2");
	autotext t = { 0 };

	report_lines(&m.root, m.layout, false, &t);
	text_add(&t, "", 1);
	ck_assert_ptr_nonnull(strstr(t.data, "run the daemon with the host's pid namespace"));
	machine_close(&m);
}
END_TEST

START_TEST(request_timeouts_of_fuse_are_told_unless_zero)
{
	static const struct {
		const char *of_default, *of_max;
		bool default_told, max_told;
	} cases[] = {
		{ "0\n", "0\n", false, false },
		{ "0\n", "60\n", false, true },
		{ "60\n", "0\n", true, false },
		{ "60\n", "60\n", true, true },
		{ "nonsense\n", "nonsense\n", false, false },
	};

	for (size_t i = 0; i < countof(cases); i++) {
		const struct cgroup_layout none = { .n = 0, .unified = -1 };
		struct root root;
		autotext t = { 0 };

		made_machine("");
		made_directory("proc/sys/fs/fuse");
		made_file("proc/sys/fs/fuse/default_request_timeout", cases[i].of_default);
		made_file("proc/sys/fs/fuse/max_request_timeout", cases[i].of_max);
		ck_assert_int_eq(root_open(made_path, &root), 0);
		report_lines(&root, &none, true, &t);
		text_add(&t, "", 1);
		ck_assert_int_eq(strstr(t.data, "fs.fuse.default_request_timeout is 60") != NULL,
			cases[i].default_told);
		ck_assert_int_eq(strstr(t.data, "fs.fuse.max_request_timeout is 60") != NULL,
			cases[i].max_told);
		root_close(&root);
		made_remove();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("report");
	TCase *c = tcase_create("report");

	tcase_add_test(c, the_layout_and_what_it_lacks_are_one_line);
	tcase_add_test(c, a_machine_without_cgroups_is_told);
	tcase_add_test(c, a_pid_namespace_of_its_own_is_told_with_its_mending);
	tcase_add_test(c, request_timeouts_of_fuse_are_told_unless_zero);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
