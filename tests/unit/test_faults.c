/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine that is out of memory or descriptors, or whose files cannot be read: every call that
 * can fail fails once for every served file of the captured machines (golden.h), and from it on for
 * good. Whoever reads meanwhile gets the golden text or an error, the next one the golden text.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "faults.h"
#include "golden.h"
#include "unit.h"

struct answer {
	const struct golden *golden;
	struct golden_case of;
	const struct view *view;
	struct text expected;
	bool is_error;
};

static void answer_read(const struct golden *g, struct answer *ret)
{
	struct slice file = slice_str(g->file);
	autofree char *path = NULL;

	*ret = (struct answer){ .golden = g, .is_error = slice_ends(file, ".error") };
	if (ret->is_error)
		file.n -= strlen(".error");
	ret->view = view_by_file(file);
	ck_assert_ptr_nonnull(ret->view);
	ck_assert_int_ge(asprintf(&path, GOLDEN "/%s/%s", g->name, g->file), 0);
	ck_assert_int_eq(read_file_at(AT_FDCWD, path, &ret->expected), 0);
	case_read(g, &ret->of);
}

static void answer_free(struct answer *a)
{
	text_free(&a->expected);
	text_free(&a->of.cgroup);
}

/* Fails unless it is the golden text or, where one may be, the error that there was. */
static void check_answer(const struct answer *a, int r, const struct text *got,
	const struct fault *f, unsigned nth, const char *when)
{
	const char *kind[] = { "memory", "open", "read" };

	if (r < 0 && a->is_error)
		return;
	if (r < 0 && f && r == -f->error)
		return;
	ck_assert_msg(r == 0 && !a->is_error && slice_same(slice_of(got), slice_of(&a->expected)),
		"%s/%s, %s, %s %s %u (%s): %d, \"%.*s\"", a->golden->name, a->golden->file, when,
		f && f->lasting ? "from" : "at", f ? kind[f->call] : "none", nth,
		strerror(f ? f->error : 0), r, (int)got->len, got->data);
}

static void render(const struct answer *a, struct machine *m, const struct fault *f, unsigned nth,
	const char *when)
{
	autotext got = { 0 };
	int r = machine_render(m, &a->of, a->view, &got);

	fault_disarm();
	check_answer(a, r, &got, f, nth, when);
}

/* One attempt, and whether it met a failure. */
struct reading {
	const struct answer *a;
	const struct fault *f;
	unsigned nth;
	bool hit;
};

static void *read_twice(void *data)
{
	struct reading *r = data;
	struct machine *m = machine_new(&r->a->of);

	fault_arm(r->f, r->nth);
	render(r->a, m, r->f, r->nth, "while it fails");
	r->hit = fault_disarm();
	render(r->a, m, NULL, r->nth, "afterwards");
	machine_free(m);
	return NULL;
}

/* In a thread that has read nothing before. False: so many calls are not made at all. */
static bool try_reading(const void *what, const struct fault *f, unsigned nth)
{
	const struct answer *a = what;
	struct reading r = { a, f, nth, false };
	pthread_t thread;
	/* Check allocates, too, and may not while the thread's calls fail. */
	const int made = pthread_create(&thread, NULL, read_twice, &r);
	const int joined = made == 0 ? pthread_join(thread, NULL) : 0;

	ck_assert_int_eq(made, 0);
	ck_assert_int_eq(joined, 0);
	return r.hit;
}

/* The same when everything was open and allocated before. */
static bool try_warm(const void *what, const struct fault *f, unsigned nth)
{
	const struct answer *a = what;
	struct machine *m = machine_new(&a->of);
	bool hit;

	render(a, m, NULL, nth, "before");
	fault_arm(f, nth);
	render(a, m, f, nth, "while it fails, again");
	hit = fault_disarm();
	render(a, m, NULL, nth, "afterwards");
	machine_free(m);
	return hit;
}

/* A daemon that starts on such a machine. */
static bool try_making(const void *what, const struct fault *f, unsigned nth)
{
	const struct answer *a = what;
	struct machine *m = NULL;
	bool hit;
	int r;

	if (f->call == FAULT_OPEN && f->error == ENODEV)
		return false; /* what files of cgroups say, none of which is opened here */
	fault_arm(f, nth);
	r = machine_try(&a->of, &m);
	hit = fault_disarm();
	ck_assert_msg(r == 0 || (hit && r == -f->error), "%s: %s", a->golden->name, strerror(-r));
	if (r == 0) {
		render(a, m, f, nth, "made while it failed");
		machine_free(m);
	}
	return hit;
}

/* ENODEV: a cgroup below says by it that nobody is in it any more. */
static void exhaust(const struct golden *g, fault_attempt *attempt)
{
	struct answer a;

	answer_read(g, &a);
	faults_exhaust(attempt, &a, a.of.is_nested ? ENODEV : 0, false);
	answer_free(&a);
}

START_TEST(a_read_meets_any_failure_with_its_text_or_an_error_and_leaks_nothing)
{
	exhaust(&goldens[_i], try_reading);
	exhaust(&goldens[_i], try_warm);
}
END_TEST

START_TEST(a_machine_that_fails_while_it_is_looked_at_leaks_nothing)
{
	exhaust(&goldens[_i], try_making);
}
END_TEST

/* Else the calls go past what fails them, and everything above is right. */
START_TEST(each_kind_of_call_can_be_failed)
{
	struct answer a;

	answer_read(&goldens[_i], &a);
	for (unsigned i = 0; i < n_faults; i++)
		if (faults[i].error != ENODEV)
			ck_assert_msg(try_reading(&a, &faults[i], 1), "none of kind %d",
				(int)faults[i].call);
	answer_free(&a);
}
END_TEST

static bool has_golden(const struct view *v)
{
	for (size_t i = 0; i < n_goldens; i++)
		if (view_by_file(slice_str(goldens[i].file)) == v)
			return true;
	return false;
}

START_TEST(every_served_file_is_among_those_that_meet_failures)
{
	for (size_t i = 0; i < view_count; i++)
		ck_assert_msg(view_registry[i].kind != VIEW_FILE || has_golden(&view_registry[i]),
			"%s has no golden file", view_registry[i].path);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("faults");
	TCase *c = tcase_create("faults");
	int r;

	goldens_list();
	tcase_add_loop_test(c, a_read_meets_any_failure_with_its_text_or_an_error_and_leaks_nothing,
		0, (int)n_goldens);
	tcase_add_loop_test(
		c, a_machine_that_fails_while_it_is_looked_at_leaks_nothing, 0, (int)n_goldens);
	tcase_add_loop_test(c, each_kind_of_call_can_be_failed, 0, (int)n_goldens);
	tcase_add_test(c, every_served_file_is_among_those_that_meet_failures);
	suite_add_tcase(s, c);
	r = unit_run(s);
	goldens_free();
	return r;
}
