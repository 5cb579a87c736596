/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a container is told about CPUs (SPEC 4, 5, 14), and when it is shown the kernel's bytes
 * instead (SPEC 2.4, 3). The container's cpuset and quota are this test's own functions, so that
 * every case can be had without cgroups.
 */
#include <limits.h>
#include <stdatomic.h>

#include "clock.h"
#include "tree.h"
#include "unit.h"
#include "view.h"

static struct {
	int cpuset_error, quota_error;
	const char *cpuset;
	unsigned quota;
} fake;

int cgroup_cpuset(const struct cgroup_set *s, struct cpumask *ret)
{
	(void)s;
	if (fake.cpuset_error == 0)
		ck_assert_int_eq(cpumask_parse(slice_str(fake.cpuset), ret), 0);
	return fake.cpuset_error;
}

int cgroup_cpu_quota(const struct cgroup_set *s, unsigned *ret_cpus)
{
	(void)s;
	if (fake.quota_error == 0)
		*ret_cpus = fake.quota;
	return fake.quota_error;
}

/* One caller on one machine. */
struct caller {
	struct tree tree;
	struct host *host;
	struct cgroup_layout layout;
	struct subject subject;
	_Atomic uint64_t virtualised;
	struct view_args args;
};

static void caller_new(struct caller *c, const char *cpuset)
{
	memset(c, 0, sizeof(*c));
	memset(&fake, 0, sizeof(fake));
	fake.cpuset = cpuset;
	fake.quota = UINT_MAX;
	tree_new(&c->tree);
	ck_assert_int_eq(host_new(&c->tree.root, &c->host), 0);
	c->layout.available = CGROUP_BIT(CGROUP_CPUSET);
	c->subject.virtualised = &c->virtualised;
	c->args = (struct view_args){
		.host = c->host,
		.layout = &c->layout,
		.subject = &c->subject,
		.now_ns = NS_PER_S,
		.user_hz = 100,
	};
}

static void caller_free(struct caller *c)
{
	host_free(c->host);
	tree_free(&c->tree);
}

static void set_cpus(struct caller *c, const char *online, const char *possible)
{
	tree_write(&c->tree, "sys/devices/system/cpu/online", online);
	tree_write(&c->tree, "sys/devices/system/cpu/possible", possible);
	tree_write(&c->tree, "sys/devices/system/cpu/present", possible);
}

static void assert_says(const struct text *t, const char *expected, size_t n)
{
	if (t->len != n || memcmp(t->data, expected, n) != 0)
		ck_abort_msg(
			"expected:\n%.*s\nbut got:\n%.*s", (int)n, expected, (int)t->len, t->data);
}

static void assert_file(
	struct caller *c, int (*view)(const struct view_args *, struct text *), const char *says)
{
	autotext t = { 0 };

	ck_assert_int_eq(view(&c->args, &t), 0);
	assert_says(&t, says, strlen(says));
}

/* A captured cpuinfo, its CPUs as the kernel lists them, a cpuset, and the file made by hand. */
static const struct golden {
	const char *fixture, *online, *cpuset, *golden;
} goldens[] = {
	{ "x86_64", "0-1", "1", "x86_64-1" },
	{ "arm", "0-3", "1,3", "arm-1,3" },
	{ "arm-old", "0-3", "2", "arm-old-2" },
	{ "arm-up", "0", "0", "arm-up-0" },
	{ "arm64", "0-3", "0,2", "arm64-0,2" },
	{ "arm64-compat32", "0-3", "0,2", "arm64-compat32-0,2" },
	{ "s390x", "0-3", "1-3", "s390x-1-3" },
	{ "s390x", "0-3", "0", "s390x-0" },
	{ "ppc64le", "0-3,8-11", "2,8", "ppc64le-2,8" },
	{ "riscv64", "0-3", "3", "riscv64-3" },
	{ "loongarch64", "0-3", "1-2", "loongarch64-1-2" },
};

static void read_named(const char *directory, const char *name, struct text *t)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/cpuinfo/%s.txt", directory, name);
	fixture_read(path, t);
}

START_TEST(cpuinfo_keeps_the_records_of_visible_cpus_on_every_architecture)
{
	const struct golden *g = &goldens[_i];
	autotext host = { 0 }, expected = { 0 }, t = { 0 };
	struct caller c;

	caller_new(&c, g->cpuset);
	read_named("fixtures", g->fixture, &host);
	read_named("golden", g->golden, &expected);
	tree_write_bytes(&c.tree, "proc/cpuinfo", host.data, host.len);
	set_cpus(&c, g->online, g->online);
	ck_assert_int_eq(view_cpuinfo(&c.args, &t), 0);
	assert_says(&t, expected.data, expected.len);
	caller_free(&c);
}
END_TEST

START_TEST(cpuinfo_of_a_container_with_every_cpu_is_the_kernels)
{
	const struct golden *g = &goldens[_i];
	autotext host = { 0 }, t = { 0 };
	struct caller c;

	caller_new(&c, g->online);
	read_named("fixtures", g->fixture, &host);
	tree_write_bytes(&c.tree, "proc/cpuinfo", host.data, host.len);
	set_cpus(&c, g->online, g->online);
	ck_assert_int_eq(view_cpuinfo(&c.args, &t), 0);
	assert_says(&t, host.data, host.len);
	caller_free(&c);
}
END_TEST

/* A machine of two packages and two threads a core: threads n and n + cpus/2 are one core. */
static void print_x86(
	struct text *t, unsigned cpu, unsigned cpus, unsigned siblings, unsigned cores)
{
	unsigned core = cpu % (cpus / 2);

	text_printf(t,
		"processor\t: %u\nvendor_id\t: GenuineIntel\nphysical id\t: %u\nsiblings\t: %u\n"
		"core id\t\t: %u\ncpu cores\t: %u\nflags\t\t: fpu vme de pse\n"
		"power management:\n\n",
		cpu, core % 2, siblings, core / 2, cores);
}

static void check_big_machine(unsigned cpus)
{
	autotext host = { 0 }, expected = { 0 }, t = { 0 };
	char list[64], online[32];
	struct caller c;

	snprintf(online, sizeof(online), "0-%u\n", cpus - 1);
	/* Both threads of core 0 (package 0), of core 2 (package 0), one of core 3 (package 1). */
	snprintf(list, sizeof(list), "0,2-3,%u,%u", cpus / 2, cpus / 2 + 2);
	caller_new(&c, list);
	for (unsigned i = 0; i < cpus; i++)
		print_x86(&host, i, cpus, cpus / 2, cpus / 4);
	print_x86(&expected, 0, cpus, 4, 2);
	print_x86(&expected, 2, cpus, 4, 2);
	print_x86(&expected, 3, cpus, 1, 1);
	print_x86(&expected, cpus / 2, cpus, 4, 2);
	print_x86(&expected, cpus / 2 + 2, cpus, 4, 2);
	tree_write_bytes(&c.tree, "proc/cpuinfo", host.data, host.len);
	set_cpus(&c, online, online);
	ck_assert_int_eq(view_cpuinfo(&c.args, &t), 0);
	assert_says(&t, expected.data, expected.len);
	caller_free(&c);
}

START_TEST(siblings_and_cores_are_counted_among_what_is_shown)
{
	check_big_machine(64);
	check_big_machine(512);
}
END_TEST

START_TEST(cpuinfo_is_never_without_a_cpu)
{
	autotext t = { 0 };
	struct caller c;

	caller_new(&c, "1");
	tree_write(&c.tree, "proc/cpuinfo", "processor\t: 0\n\n");
	set_cpus(&c, "0-1\n", "0-1\n");
	ck_assert_int_eq(view_cpuinfo(&c.args, &t), -EIO);
	caller_free(&c);
}
END_TEST

START_TEST(the_lists_of_sysfs_agree_with_the_cpuset)
{
	struct caller c;

	caller_new(&c, "1,3,5"); /* 5 is offline */
	set_cpus(&c, "0-3\n", "0-7\n");
	assert_file(&c, view_cpu_online, "1,3\n");
	assert_file(&c, view_cpu_present, "1,3\n");
	assert_file(&c, view_cpu_offline, "0,2,4-7\n");
	caller_free(&c);
}
END_TEST

START_TEST(nothing_offline_is_an_empty_line_as_the_kernels)
{
	struct caller c;

	caller_new(&c, "0-1");
	set_cpus(&c, "0-1\n", "0-1\n");
	assert_file(&c, view_cpu_offline, "\n");
	caller_free(&c);
}
END_TEST

START_TEST(the_quota_counts_only_when_asked_for)
{
	struct caller c;

	caller_new(&c, "2-3,6");
	set_cpus(&c, "0-7\n", "0-7\n");
	fake.quota = 2;
	assert_file(&c, view_cpu_online, "2-3,6\n");
	c.args.quota = true;
	assert_file(&c, view_cpu_online, "2-3\n");
	fake.quota = 5;
	assert_file(&c, view_cpu_online, "2-3,6\n");
	fake.quota = 0;
	assert_file(&c, view_cpu_online, "2\n");
	caller_free(&c);
}
END_TEST

START_TEST(without_a_cpuset_every_online_cpu_is_visible)
{
	struct caller c;

	caller_new(&c, "");
	set_cpus(&c, "0-2\n", "0-7\n");
	assert_file(&c, view_cpu_online, "0-2\n"); /* an empty one, which no task can be in */
	fake.cpuset_error = -ENOENT;
	assert_file(&c, view_cpu_online, "0-2\n");
	fake.cpuset = "1";
	fake.cpuset_error = 0;
	c.subject.is_host = true;
	assert_file(&c, view_cpu_online, "0-2\n");
	caller_free(&c);
}
END_TEST

START_TEST(a_cgroup_that_cannot_be_read_is_an_error_not_the_host)
{
	struct cpumask m;
	struct caller c;

	caller_new(&c, "0");
	set_cpus(&c, "0-2\n", "0-7\n");
	fake.cpuset_error = -ENODEV;
	ck_assert_int_eq(view_visible_cpus(&c.args, &m), -ENODEV);
	fake.cpuset_error = -EACCES;
	ck_assert_int_eq(view_visible_cpus(&c.args, &m), -EACCES);
	fake.cpuset_error = 0;
	fake.quota_error = -ENODEV;
	c.args.quota = true;
	ck_assert_int_eq(view_visible_cpus(&c.args, &m), -ENODEV);
	caller_free(&c);
}
END_TEST

/* A view that says what the test wants. */
static int answer;

static int render_answer(const struct view_args *a, struct text *t)
{
	(void)a;
	text_puts(t, "rendered");
	return answer;
}

static struct view fake_view = {
	.node = 63,
	.path = "proc/swaps",
	.kind = VIEW_FILE,
	.needs = CGROUP_BIT(CGROUP_MEMORY),
	.render = render_answer,
};

static void caller_of_fake(struct caller *c)
{
	caller_new(c, "0");
	tree_write(&c->tree, "proc/swaps", "kernel's");
	c->layout.available = CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_PIDS);
	fake_view.follows_init = false;
	answer = 0;
}

static void assert_rendered(struct caller *c, const char *says)
{
	autotext t = { 0 };

	ck_assert_int_eq(view_render(&fake_view, &c->args, &t), 0);
	assert_says(&t, says, strlen(says));
}

START_TEST(a_container_gets_the_rendered_file)
{
	struct caller c;

	caller_of_fake(&c);
	assert_rendered(&c, "rendered");
	caller_free(&c);
}
END_TEST

START_TEST(the_host_and_a_machine_without_the_controller_get_the_kernels)
{
	struct caller c;

	caller_of_fake(&c);
	c.subject.is_host = true;
	assert_rendered(&c, "kernel's");
	fake_view.follows_init = true;
	assert_rendered(&c, "rendered");
	caller_free(&c);

	caller_of_fake(&c);
	c.layout.available = CGROUP_BIT(CGROUP_PIDS);
	assert_rendered(&c, "kernel's");
	ck_assert_uint_eq(c.virtualised, 0);
	caller_free(&c);
}
END_TEST

START_TEST(a_renderer_may_decline_but_not_once_it_has_answered)
{
	autotext t = { 0 };
	struct caller c;

	caller_of_fake(&c);
	answer = VIEW_KERNELS_OWN;
	assert_rendered(&c, "kernel's");
	answer = 0;
	assert_rendered(&c, "rendered");
	answer = VIEW_KERNELS_OWN;
	ck_assert_int_eq(view_render(&fake_view, &c.args, &t), -EIO);
	c.subject.virtualised = NULL;
	assert_rendered(&c, "kernel's");
	caller_free(&c);
}
END_TEST

START_TEST(what_is_made_of_the_hosts_values_is_refused_to_who_had_its_own)
{
	autotext t = { 0 };
	struct caller c;

	caller_of_fake(&c);
	answer = VIEW_OF_HOST;
	assert_rendered(&c, "rendered");
	ck_assert_uint_eq(c.virtualised, 0);
	answer = 0;
	assert_rendered(&c, "rendered");
	answer = VIEW_OF_HOST;
	ck_assert_int_eq(view_render(&fake_view, &c.args, &t), -EIO);
	caller_free(&c);
}
END_TEST

START_TEST(the_kernels_file_that_the_admin_asked_for_is_no_loss_of_the_containers)
{
	struct caller c;

	caller_of_fake(&c);
	fake_view.follows_init = true;
	assert_rendered(&c, "rendered");
	c.args.pass_through = true;
	assert_rendered(&c, "kernel's");
	c.args.pass_through = false;
	assert_rendered(&c, "rendered");
	caller_free(&c);
}
END_TEST

START_TEST(errors_are_errors_and_never_a_short_file)
{
	autotext t = { 0 };
	struct caller c;

	caller_of_fake(&c);
	answer = -ENODEV;
	ck_assert_int_eq(view_render(&fake_view, &c.args, &t), -ENODEV);
	answer = -EACCES;
	ck_assert_int_eq(view_render(&fake_view, &c.args, &t), -EACCES);
	ck_assert_uint_eq(c.virtualised, 0);
	answer = 0;
	text_reset(&t);
	t.failed = true; /* as after an allocation that failed */
	ck_assert_int_eq(view_render(&fake_view, &c.args, &t), -ENOMEM);
	caller_free(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("view_cpu");
	TCase *cpus = tcase_create("cpus"), *render = tcase_create("render");

	tcase_add_loop_test(cpus, cpuinfo_keeps_the_records_of_visible_cpus_on_every_architecture,
		0, countof(goldens));
	tcase_add_loop_test(
		cpus, cpuinfo_of_a_container_with_every_cpu_is_the_kernels, 0, countof(goldens));
	tcase_add_test(cpus, siblings_and_cores_are_counted_among_what_is_shown);
	tcase_add_test(cpus, cpuinfo_is_never_without_a_cpu);
	tcase_add_test(cpus, the_lists_of_sysfs_agree_with_the_cpuset);
	tcase_add_test(cpus, nothing_offline_is_an_empty_line_as_the_kernels);
	tcase_add_test(cpus, the_quota_counts_only_when_asked_for);
	tcase_add_test(cpus, without_a_cpuset_every_online_cpu_is_visible);
	tcase_add_test(cpus, a_cgroup_that_cannot_be_read_is_an_error_not_the_host);
	suite_add_tcase(s, cpus);
	tcase_add_test(render, a_container_gets_the_rendered_file);
	tcase_add_test(render, the_host_and_a_machine_without_the_controller_get_the_kernels);
	tcase_add_test(render, a_renderer_may_decline_but_not_once_it_has_answered);
	tcase_add_test(render, what_is_made_of_the_hosts_values_is_refused_to_who_had_its_own);
	tcase_add_test(
		render, the_kernels_file_that_the_admin_asked_for_is_no_loss_of_the_containers);
	tcase_add_test(render, errors_are_errors_and_never_a_short_file);
	suite_add_tcase(s, render);
	return unit_run(s);
}
