/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listings, look-ups and attributes on a machine that is out of memory or descriptors or cannot be
 * read: each call that can fail fails once, and from it on for good. The answer is an error or what
 * it is otherwise, never a part of it, and nothing leaks.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "faults.h"
#include "fs_worker.h"
#include "internal.h"
#include "unit.h"

#define CPU_DIR 6u /* in the registry of fs_worker.c */

static struct fs fs;

/* What is asked while calls fail: 0 and the answer's bytes, or -errno. */
typedef int (*question_fn)(struct text *answer);

static void add_attr(struct text *answer, const struct stat *attr)
{
	const uint64_t numbers[] = { attr->st_ino, attr->st_mode, attr->st_nlink };

	text_add(answer, numbers, sizeof(numbers));
}

static int list(struct text *answer)
{
	struct cpumask show = { 0 };
	struct node cpu;
	int e = tree_node(tree, CPU_DIR, &cpu);

	cpumask_set(&show, 1);
	return e < 0 ? e : sysdir_list(tree, &host_root, &cpu, &show, answer);
}

static int look_up(struct text *answer)
{
	struct fuse_entry_param entry;
	int e = attr_lookup(&fs, CPU_DIR, slice_str("cpu1"), &entry);

	if (e == 0)
		add_attr(answer, &entry.attr);
	return e;
}

static int get_attributes(struct text *answer)
{
	struct node cpu, possible;
	struct stat attr;
	double timeout;
	uint64_t number;
	int e = tree_node(tree, CPU_DIR, &cpu);

	if (e == 0)
		e = tree_number(tree, &cpu, slice_str("possible"), DT_REG, &number);
	if (e == 0)
		e = tree_node(tree, number, &possible);
	if (e == 0)
		e = attr_node(&fs, &possible, &attr, &timeout);
	if (e == 0)
		add_attr(answer, &attr);
	return e;
}

static int read_link(struct text *answer)
{
	struct node node = { .type = DT_LNK, .path = "sys/cpu/cpu1/subsystem" };
	char target[64];
	int e = sysdir_readlink(&host_root, &node, target, sizeof(target));

	if (e == 0)
		text_add(answer, target, strlen(target));
	return e;
}

/* A worker that starts keeps the modes of the host's files for its life, and so does the kernel. */
static int start(struct text *answer)
{
	int e = attr_init(&fs);

	for (size_t i = 0; e == 0 && i < TREE_POLICIES * view_count; i++)
		add_attr(answer, &fs.registered[i]);
	free(fs.registered);
	fs.registered = NULL;
	return e;
}

static const struct question {
	const char *name;
	question_fn ask;
} questions[] = {
	{ "a listing", list },
	{ "a look-up", look_up },
	{ "attributes", get_attributes },
	{ "a link", read_link },
	{ "a start", start },
};

static int ask(const struct question *q, struct text *ret)
{
	int e = q->ask(ret);

	return e < 0 ? e : text_error(ret);
}

struct asked {
	const struct question *q;
	struct text right;
};

static bool attempt(const void *what, const struct fault *f, unsigned nth)
{
	const struct asked *a = what;
	autotext answer = { 0 };
	bool hit;
	int e;

	fault_arm(f, nth);
	e = ask(a->q, &answer);
	hit = fault_disarm();
	if (e < 0 && hit && e == -f->error)
		return true;
	ck_assert_msg(e == 0 && slice_same(slice_of(&answer), slice_of(&a->right)),
		"%s, call %u of kind %d failed with %s: %d, %zu bytes of %zu", a->q->name, nth,
		(int)f->call, strerror(f->error), e, answer.len, a->right.len);
	return hit;
}

static void setup(void)
{
	fs_machine_setup();
	fs = (struct fs){ .config = { .root = &host_root }, .tree = tree };
}

static void ask_rightly(const struct question *q, struct asked *ret)
{
	*ret = (struct asked){ .q = q };
	ck_assert_int_eq(ask(q, &ret->right), 0);
	ck_assert_uint_gt(ret->right.len, 0);
}

/* ENODEV: what files of removed cgroups say, and none is read. */
START_TEST(an_answer_about_a_directory_is_whole_or_an_error_and_leaks_nothing)
{
	struct asked a;

	ask_rightly(&questions[_i], &a);
	faults_exhaust(attempt, &a, ENODEV, false);
	text_free(&a.right);
}
END_TEST

START_TEST(each_kind_of_call_can_be_failed)
{
	struct asked all[countof(questions)];

	for (size_t i = 0; i < countof(all); i++)
		ask_rightly(&questions[i], &all[i]);
	faults_reach(attempt, all, countof(all), sizeof(all[0]), ENODEV);
	for (size_t i = 0; i < countof(all); i++)
		text_free(&all[i].right);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fs_faults");
	TCase *c = tcase_create("faults");

	tcase_add_checked_fixture(c, setup, fs_machine_teardown);
	tcase_add_loop_test(c, an_answer_about_a_directory_is_whole_or_an_error_and_leaks_nothing,
		0, (int)countof(questions));
	tcase_add_test(c, each_kind_of_call_can_be_failed);
	suite_add_tcase(s, c);
	return unit_run(s);
}
