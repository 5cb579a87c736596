/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What runtimes are told on a machine that is out of memory: each call that can fail fails once,
 * and from it on for good. The answer is an error or what it is otherwise: a config.json with a
 * hook without a path would keep its container from starting.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "faults.h"
#include "runtime.h"
#include "unit.h"

static const char state[] = "{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"bundle\":\"/run/c\",\"root\":"
			    "\"/run/c/rootfs\",\"annotations\":{\"" OCI_VIEW
			    "\":\"quota\",\"" OCI_NESTED "\":\"yes\"}}";
static const char config[] = "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"}}";
static const char hooked[] = "{\"hooks\":{\"createContainer\":[{\"path\":\"/usr/bin/other\"}]}}";

static int tell_state(const struct root *root, struct text *ret)
{
	struct oci_state s;
	int r = oci_state_parse(slice_str(state), &s);

	(void)root;
	if (r < 0)
		return r;
	text_printf(ret, "%s %s %s %d %d", s.bundle, s.root, s.tree, s.nested, s.unknown);
	oci_state_free(&s);
	return 0;
}

static int tell_root(const struct root *root, struct text *ret)
{
	autofree char *path = NULL;
	int r = oci_config_root(slice_str(config), &path);

	(void)root;
	if (r == 0)
		text_puts(ret, path);
	return r;
}

static int add_hook(const struct root *root, struct text *ret)
{
	(void)root;
	return oci_config_add_hook(slice_str(config), "/usr/bin/lxcfs", "/var/lib/lxcfs", ret);
}

static int add_to_others(const struct root *root, struct text *ret)
{
	(void)root;
	return oci_config_add_hook(slice_str(hooked), "/usr/bin/lxcfs", "/var/lib/lxcfs", ret);
}

static int tell_devices(const struct root *root, struct text *ret)
{
	return runtime_cdi_spec(root, "/var/lib/lxcfs", ret);
}

static const struct question {
	int (*ask)(const struct root *root, struct text *ret);
	const char *says;
} questions[] = {
	{ tell_state, "/run/c /run/c/rootfs quota 1 0" },
	{ tell_root, "rootfs" },
	{ add_hook,
		"\"args\":[\"lxcfs\",\"--oci-hook\",\"/var/lib/lxcfs\"],\"path\":\"/usr/bin/"
		"lxcfs\"" },
	{ add_to_others, "\"path\":\"/usr/bin/other\"},{" },
	{ tell_devices, "\"containerPath\":\"/proc/meminfo\"" },
};

struct asked {
	const struct question *q;
	struct root root;
	struct text right;
};

static int ask(const struct asked *a, struct text *ret)
{
	const int r = a->q->ask(&a->root, ret);

	text_add(ret, "", 1);
	return r < 0 ? r : text_error(ret);
}

static bool attempt(const void *what, const struct fault *f, unsigned nth)
{
	const struct asked *a = what;
	autotext answer = { 0 };
	bool hit;
	int r;

	fault_arm(f, nth);
	r = ask(a, &answer);
	hit = fault_disarm();
	/* -EINVAL: the parser's */
	if (hit && (r == -f->error || (r == -EINVAL && a->q->ask != tell_devices)))
		return true;
	ck_assert_msg(r == 0 && slice_same(slice_of(&answer), slice_of(&a->right)),
		"call %u of kind %d failed with %s: %s, %.500s", nth, (int)f->call,
		strerror(f->error), strerror(-r), answer.data ? answer.data : "");
	return hit;
}

START_TEST(a_runtime_is_told_what_is_so_or_of_an_error_and_nothing_leaks)
{
	struct asked a = { .q = &questions[_i], .root = ROOT_NONE };

	root_open("/", &a.root);
	ck_assert_int_eq(ask(&a, &a.right), 0);
	ck_assert_ptr_nonnull(strstr(a.right.data, a.q->says));
	faults_exhaust(attempt, &a, 0, false);
	text_free(&a.right);
	root_close(&a.root);
}
END_TEST

/* Else the calls go past what fails them. */
START_TEST(memory_can_be_missing_everywhere)
{
	struct asked a = { .q = &questions[_i], .root = ROOT_NONE };

	root_open("/", &a.root);
	ck_assert_int_eq(ask(&a, &a.right), 0);
	ck_assert(attempt(&a, &faults[0], 1));
	text_free(&a.right);
	root_close(&a.root);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("runtime_faults");
	TCase *c = tcase_create("faults");

	tcase_add_loop_test(c, a_runtime_is_told_what_is_so_or_of_an_error_and_nothing_leaks, 0,
		(int)countof(questions));
	tcase_add_loop_test(c, memory_can_be_missing_everywhere, 0, (int)countof(questions));
	suite_add_tcase(s, c);
	return unit_run(s);
}
