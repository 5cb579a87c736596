/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of served files. Its numbers are a promise to running containers, whose binds outlive
 * the binary that made them. Renderers are empty here: the list alone is tested.
 */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "unit.h"
#include "view.h"

#define STUB_DIR(node, path, kind, says)
#define STUB_FILE(node, path, mode, needs, follows_init, render, says)                             \
	int render(const struct view_args *a, struct text *t)                                      \
	{                                                                                          \
		(void)a;                                                                           \
		(void)t;                                                                           \
		return 0;                                                                          \
	}
VIEW_REGISTRY(STUB_DIR, STUB_FILE)

/* Lines are only ever added here; a number stays with its path for good. */
static const struct pin {
	uint64_t node;
	const char *path;
	bool reserved; /* need not be served yet */
} pins[] = {
	{ 1, "", false },
	{ 2, "proc", false },
	{ 3, "sys", false },
	{ 4, "sys/devices", false },
	{ 5, "sys/devices/system", false },
	{ 6, "sys/devices/system/cpu", false },
	{ 7, "proc/pressure", false },
	{ 16, "proc/cpuinfo", false },
	{ 17, "proc/meminfo", false },
	{ 18, "proc/stat", false },
	{ 19, "proc/uptime", false },
	{ 20, "proc/swaps", false },
	{ 21, "proc/diskstats", false },
	{ 22, "proc/loadavg", false },
	{ 23, "proc/slabinfo", false },
	{ 24, "proc/pressure/cpu", false },
	{ 25, "proc/pressure/memory", false },
	{ 26, "proc/pressure/io", false },
	{ 27, "proc/pressure/irq", false },
	{ 32, "sys/devices/system/cpu/online", false },
	{ 33, "sys/devices/system/cpu/offline", false },
	{ 34, "sys/devices/system/cpu/present", false },
};

START_TEST(numbers_and_paths_are_pinned)
{
	size_t served = 0;

	for (size_t i = 0; i < countof(pins); i++) {
		const struct view *v = view_by_node(pins[i].node);

		ck_assert_msg(v || pins[i].reserved, "/%s has gone", pins[i].path);
		ck_assert_ptr_eq(v, view_by_path(pins[i].path));
		if (v)
			ck_assert_str_eq(v->path, pins[i].path);
		served += v != NULL;
	}
	ck_assert_msg(served == view_count, "pin the new entry's number in this test");
}
END_TEST

START_TEST(no_number_and_no_path_is_used_twice)
{
	for (size_t i = 0; i < view_count; i++) {
		ck_assert_ptr_eq(view_by_node(view_registry[i].node), &view_registry[i]);
		ck_assert_ptr_eq(view_by_path(view_registry[i].path), &view_registry[i]);
	}
	ck_assert_ptr_null(view_by_node(0));
	ck_assert_ptr_null(view_by_path("proc/"));
	ck_assert_ptr_null(view_by_path("/proc"));
}
END_TEST

START_TEST(every_file_has_what_a_file_needs)
{
	for (size_t i = 0; i < view_count; i++) {
		const struct view *v = &view_registry[i];

		ck_assert_ptr_nonnull(v->says);
		/* Above it stands how CPUs are counted (fs/tree.c). */
		ck_assert_uint_lt(v->node, VIEW_NODES);
		if (v->kind != VIEW_FILE) {
			ck_assert_ptr_null(v->render);
			ck_assert_uint_eq(v->mode, 0555);
			continue;
		}
		ck_assert_ptr_nonnull(v->render);
		ck_assert_uint_ne(v->mode, 0);
		/* A file that follows init is right without any cgroup; others need one. */
		ck_assert(v->follows_init || v->needs != 0);
		/* Its bit in a subject's `virtualised` is its own. */
		ck_assert_uint_lt(v->node, 64);
	}
}
END_TEST

START_TEST(every_entry_lies_in_a_directory_of_the_list)
{
	char parent[128];

	for (size_t i = 0; i < view_count; i++) {
		const struct view *v = &view_registry[i], *dir;
		const char *slash = strrchr(v->path, '/');

		snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - v->path) : 0,
			v->path);
		dir = view_by_path(parent);
		ck_assert_ptr_nonnull(dir);
		ck_assert_int_ne(dir->kind, VIEW_FILE);
	}
	ck_assert_uint_eq(view_by_path("")->node, 1); /* FUSE_ROOT_ID */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("registry");
	TCase *c = tcase_create("registry");

	tcase_add_test(c, numbers_and_paths_are_pinned);
	tcase_add_test(c, no_number_and_no_path_is_used_twice);
	tcase_add_test(c, every_file_has_what_a_file_needs);
	tcase_add_test(c, every_entry_lies_in_a_directory_of_the_list);
	suite_add_tcase(s, c);
	return unit_run(s);
}
