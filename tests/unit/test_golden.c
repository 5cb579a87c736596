/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every byte that the containers of golden.h are to see. Nothing here knows a served file by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "golden.h"
#include "unit.h"

static int errno_by_name(struct slice name)
{
	static const struct {
		const char *name;
		int number;
	} names[] = { { "EACCES", EACCES }, { "EBADMSG", EBADMSG }, { "EIO", EIO },
		{ "ENODEV", ENODEV }, { "ENOENT", ENOENT }, { "EPERM", EPERM } };

	for (size_t i = 0; i < countof(names); i++)
		if (slice_equal(name, names[i].name))
			return names[i].number;
	return 0;
}

static void diff_line(struct text *diff, char mark, bool there, struct slice line)
{
	if (!there)
		return;
	text_add(diff, &mark, 1);
	text_add(diff, line.p, line.n);
	text_puts(diff, "\n");
}

/* The lines that differ, both texts being walked in step; `diff` stays empty for equal texts. */
static void compare(struct slice expected, struct slice got, struct text *diff)
{
	const bool same = slice_same(expected, got);
	struct slice want, have;

	while (!same && (expected.n > 0 || got.n > 0)) {
		const bool wanted = slice_line(&expected, &want);
		const bool had = slice_line(&got, &have);

		if (wanted && had && slice_same(want, have))
			continue;
		diff_line(diff, '-', wanted, want);
		diff_line(diff, '+', had, have);
	}
	if (!same && diff->len == 0)
		text_puts(diff, "(only the newline at the end)\n");
}

static void check_error(const struct golden *g, struct slice expected, int r)
{
	struct slice name = { 0 };

	ck_assert_msg(slice_line(&expected, &name) && errno_by_name(name) != 0,
		"%s/%s: what errno is \"%.*s\"?", g->name, g->file, (int)name.n, name.p);
	ck_assert_msg(r == -errno_by_name(name), "%s/%s: expected %.*s, got %s", g->name, g->file,
		(int)name.n, name.p, r < 0 ? strerror(-r) : "an answer");
}

static void check_text(const struct golden *g, struct slice expected, int r, const struct text *got)
{
	autotext diff = { 0 };

	ck_assert_msg(r == 0, "%s/%s: %s", g->name, g->file, strerror(-r));
	compare(expected, slice_of(got), &diff);
	ck_assert_msg(diff.len == 0, "%s/%s:\n%.*s", g->name, g->file, (int)diff.len, diff.data);
}

START_TEST(a_file_says_what_its_golden_file_does)
{
	const struct golden *g = &goldens[_i];
	struct slice file = slice_str(g->file);
	const bool is_error = slice_ends(file, ".error");
	const struct view *v;
	struct golden_case c;
	autofree char *path = NULL;
	autotext expected = { 0 };
	autotext got = { 0 };
	struct machine *m;
	int r;

	if (is_error)
		file.n -= strlen(".error");
	v = view_by_file(file);
	ck_assert_msg(v != NULL, "%s/%s: the registry has no such file", g->name, g->file);
	ck_assert_int_ge(asprintf(&path, GOLDEN "/%s/%s", g->name, g->file), 0);
	ck_assert_int_eq(read_file_at(AT_FDCWD, path, &expected), 0);
	case_read(g, &c);
	m = machine_new(&c);
	r = machine_render(m, &c, v, &got);
	if (is_error)
		check_error(g, slice_of(&expected), r);
	else
		check_text(g, slice_of(&expected), r, &got);
	machine_free(m);
	text_free(&c.cgroup);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("golden");
	TCase *c = tcase_create("golden");
	int r;

	goldens_list();
	tcase_add_loop_test(c, a_file_says_what_its_golden_file_does, 0, (int)n_goldens);
	suite_add_tcase(s, c);
	r = unit_run(s);
	if (n_goldens == 0)
		r = 1;
	goldens_free();
	return r;
}
