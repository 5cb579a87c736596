/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is asking, on a machine that is out of memory or descriptors or cannot be read: each call
 * that can fail fails once, and from it on for good. Whoever asks meanwhile is told an error or the
 * right container, never another one or the host, and the next one is told the right one.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "container_env.h"
#include "faults.h"
#include "unit.h"

#define FAILURES_MAX 5000u

/* The last one's init is below its cgroup, so that its mounts alone tell. */
static const struct {
	unsigned flags;
	bool leaf;
} kinds[] = { { PLAIN, false }, { MODERN, false }, { BOX_OWN_CGROUP, false }, { MODERN, true } };

static void check(
	struct container_cache *c, const struct box *box, const struct fault *f, unsigned nth)
{
	struct container *r = NULL;
	int err = container_open(c, box->pid, &r);
	const unsigned h = box_hierarchy();

	fault_disarm();
	if (err < 0 && f)
		return;
	ck_assert_msg(err == 0, "afterwards: %s", strerror(-err));
	ck_assert_msg(!r->subject.is_host &&
			strcmp(cgroup_set_path(r->subject.cgroups, h), box->path) == 0,
		"call %u of kind %d failed with %s: taken for %s", nth, f ? (int)f->call : -1,
		f ? strerror(f->error) : "nothing",
		r->subject.is_host ? "the host" : cgroup_set_path(r->subject.cgroups, h));
	container_unref(r);
}

static bool attempt(const struct box *box, const struct fault *f, unsigned nth)
{
	struct container_cache *c = new_cache(false);
	bool hit;

	fault_arm(f, nth);
	check(c, box, f, nth);
	hit = fault_disarm();
	check(c, box, NULL, nth);
	container_cache_free(c);
	return hit;
}

/* A daemon that starts meanwhile. */
static bool attempt_start(const struct box *box, const struct fault *f, unsigned nth)
{
	const struct container_config config = config_of(false);
	struct container_cache *c;
	bool hit;
	int r;

	fault_arm(f, nth);
	r = container_cache_new(&config, &c);
	hit = fault_disarm();
	ck_assert(hit || r == 0);
	if (r == 0) {
		check(c, box, NULL, nth);
		container_cache_free(c);
	}
	return hit;
}

static void exhaust(const struct box *box,
	bool (*how)(const struct box *box, const struct fault *f, unsigned nth))
{
	long blocks;
	unsigned descriptors;

	how(box, &faults[0], FAILURES_MAX);
	blocks = fault_blocks();
	descriptors = fault_descriptors();
	for (unsigned i = 0; i < n_faults; i++) {
		unsigned nth = 1;

		if (faults[i].error == ENODEV)
			continue; /* what files of cgroups say, which nobody reads here */
		while (how(box, &faults[i], nth))
			ck_assert_uint_lt(++nth, FAILURES_MAX);
	}
	ck_assert_int_eq(fault_blocks(), blocks);
	ck_assert_uint_eq(fault_descriptors(), descriptors);
}

START_TEST(whoever_asks_meets_any_failure_with_the_right_container_or_an_error)
{
	struct box box;

	box_start(&box, layout, kinds[_i].flags);
	if (kinds[_i].leaf)
		box_tell(&box, BOX_ENTER_LEAF);
	exhaust(&box, attempt);
	box_stop(&box);
}
END_TEST

START_TEST(a_cache_that_cannot_be_made_leaks_nothing)
{
	struct box box;

	box_start(&box, layout, PLAIN);
	exhaust(&box, attempt_start);
	box_stop(&box);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("container_faults");
	TCase *c = make_case("faults");

	tcase_add_loop_test(c, whoever_asks_meets_any_failure_with_the_right_container_or_an_error,
		0, (int)countof(kinds));
	tcase_add_test(c, a_cache_that_cannot_be_made_leaks_nothing);
	suite_add_tcase(s, c);
	return unit_run(s);
}
