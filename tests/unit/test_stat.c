/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/stat, /proc/uptime and /proc/loadavg as they are printed (SPEC 6, 7, 10). The container's
 * cgroup and the load sampler are this test's own functions; the kernel's files are those of
 * Linux 6.18 on two CPUs, and a shorter one.
 */
#include <limits.h>

#include "clock.h"
#include "load.h"
#include "tree.h"
#include "unit.h"
#include "view.h"

static struct {
	const char *cpuset;
	struct cgroup_cpu_usage usage;
	uint64_t tasks;
	int usage_error, tasks_error;
	unsigned quota;
	uint64_t cpu_usage[4], cpu_user[4], cpu_system[4];
} fake;

int cgroup_cpuset(const struct cgroup_set *s, struct cpumask *ret)
{
	(void)s;
	return cpumask_parse(slice_str(fake.cpuset), ret);
}

int cgroup_cpu_quota(const struct cgroup_set *s, unsigned *ret_cpus)
{
	(void)s;
	*ret_cpus = fake.quota;
	return 0;
}

int cgroup_cpu_usage(const struct cgroup_set *s, struct cgroup_cpu_usage *ret)
{
	(void)s;
	*ret = fake.usage;
	return fake.usage_error;
}

void cgroup_cpu_usage_free(struct cgroup_cpu_usage *u)
{
	*u = (struct cgroup_cpu_usage){ 0 };
}

int cgroup_tasks(const struct cgroup_set *s, uint64_t *ret)
{
	(void)s;
	*ret = fake.tasks;
	return fake.tasks_error;
}

static struct load_values load;
static int load_error;

int load_get(struct load *l, const struct subject *s, struct load_values *ret)
{
	(void)l;
	(void)s;
	*ret = load;
	return load_error;
}

/* Never looked into: load_get() is this test's own. */
#define SAMPLER ((struct load *)&load)

#define ACCOUNTS 4u
#define PAGES 64u

static uint8_t pages[PAGES][SLAB_PAGE];

static struct {
	struct tree tree;
	struct host *host;
	struct cgroup_layout layout;
	struct options options;
	struct subject subject;
	struct account_entry entries[ACCOUNTS];
	uint32_t links[PAGES];
	struct slab *slab;
	struct view_args args;
} c;

static const char kernels_stat[] = "cpu  1818 0 2004 301757 408 0 44 11 0 0\n"
				   "cpu0 656 0 811 151461 17 0 13 3 0 0\n"
				   "cpu1 1161 0 1193 150295 391 0 31 8 0 0\n"
				   "intr 140698 0 0 0 0 0 1 1 15 0 0 306 35\n"
				   "ctxt 297175\n"
				   "btime 1795315481\n"
				   "processes 7005\n"
				   "procs_running 3\n"
				   "procs_blocked 0\n"
				   "softirq 116870 0 18711 3 541 40224 0 3 33284 0 24104\n";

static void setup(void)
{
	memset(&c, 0, sizeof(c));
	memset(&fake, 0, sizeof(fake));
	memset(&load, 0, sizeof(load));
	load_error = 0;
	fake.cpuset = "0-1";
	fake.quota = UINT_MAX;
	fake.usage = (struct cgroup_cpu_usage){ .known = true,
		.n_cpus = 4,
		.cpu_usage = fake.cpu_usage,
		.cpu_user = fake.cpu_user,
		.cpu_system = fake.cpu_system };
	fake.tasks = 5;
	tree_new(&c.tree);
	tree_write(&c.tree, "proc/stat", kernels_stat);
	tree_write(&c.tree, "proc/uptime", "3600.07 7000.42\n");
	tree_write(&c.tree, "proc/loadavg", "3.03 3.00 2.97 6/130 16418\n");
	tree_write(&c.tree, "sys/devices/system/cpu/online", "0-1\n");
	tree_write(&c.tree, "sys/devices/system/cpu/possible", "0-3\n");
	tree_write(&c.tree, "sys/devices/system/cpu/present", "0-1\n");
	ck_assert_int_eq(host_new(&c.tree.root, &c.host), 0);
	ck_assert_int_eq(slab_new(pages, c.links, PAGES, &c.slab), 0);
	c.subject.start_ns = 3000 * NS_PER_S;
	c.subject.account = (struct account_key){ .cgroup_ino = 7, .init_pid = 1, .init_start = 9 };
	c.args = (struct view_args){ .options = &c.options,
		.host = c.host,
		.layout = &c.layout,
		.subject = &c.subject,
		.now_ns = 3000 * NS_PER_S,
		.user_hz = 100 };
	ck_assert_int_eq(account_store_new(c.entries, ACCOUNTS, c.slab, NULL, &c.args.accounts), 0);
}

static void teardown(void)
{
	account_store_free(c.args.accounts);
	slab_free(c.slab);
	host_free(c.host);
	tree_free(&c.tree);
}

static void assert_says(int (*view)(const struct view_args *, struct text *), const char *expected)
{
	autotext t = { 0 };

	ck_assert_int_eq(view(&c.args, &t), 0);
	text_add(&t, "", 1);
	ck_assert_int_eq(text_error(&t), 0);
	ck_assert_str_eq(t.data, expected);
}

START_TEST(stat_is_the_containers_in_the_kernels_form)
{
	fake.cpu_usage[0] = 3 * NS_PER_S;
	fake.cpu_user[0] = 2 * NS_PER_S;
	fake.cpu_system[0] = 1 * NS_PER_S;
	c.args.now_ns += 10 * NS_PER_S;
	assert_says(view_stat,
		"cpu  200 0 100 1700 0 0 0 0 0 0\n"
		"cpu0 200 0 100 700 0 0 0 0 0 0\n"
		"cpu1 0 0 0 1000 0 0 0 0 0 0\n"
		"intr 0\n"
		"ctxt 0\n"
		"btime 1795315481\n"
		"processes 5\n"
		"procs_running 1\n"
		"procs_blocked 0\n"
		"softirq 0 0 0 0 0 0 0 0 0 0 0\n");
}
END_TEST

START_TEST(stat_has_the_columns_and_lines_of_the_running_kernel)
{
	tree_write(&c.tree, "proc/stat",
		"cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\n"
		"intr 5\nctxt 9\nshiny 7 new\nbtime 100\nprocesses 9\nsoftirq 3 1 2\n");
	fake.cpuset = "0";
	c.args.now_ns += 1 * NS_PER_S;
	assert_says(view_stat,
		"cpu  0 0 0 100 0 0 0\ncpu0 0 0 0 100 0 0 0\n"
		"intr 0\nctxt 0\nshiny 7 new\nbtime 100\nprocesses 5\n"
		"softirq 0 0 0\n");
}
END_TEST

START_TEST(stat_keeps_the_kernels_ids_and_the_sum_of_cpus_that_left)
{
	autotext first = { 0 };

	ck_assert_int_eq(view_stat(&c.args, &first), 0);
	c.args.now_ns += 10 * NS_PER_S;
	text_reset(&first);
	ck_assert_int_eq(view_stat(&c.args, &first), 0);
	fake.cpuset = "1";
	c.args.now_ns += 10 * NS_PER_S;
	text_reset(&first);
	ck_assert_int_eq(view_stat(&c.args, &first), 0);
	ck_assert(slice_starts(slice_of(&first),
		"cpu  0 0 0 3000 0 0 0 0 0 0\ncpu1 0 0 0 2000 0 0 0 0 0 0\nintr 0\n"));
}
END_TEST

START_TEST(btime_is_that_of_the_containers_time_namespace)
{
	static const struct {
		int64_t offset;
		const char *says;
	} cases[] = { { 1000, "\nbtime 1795314481\n" }, { -1000, "\nbtime 1795316481\n" },
		{ 1795315482, "\nbtime 0\n" }, { INT64_MIN, "\nbtime 9223372038650091289\n" } };

	for (size_t i = 0; i < countof(cases); i++) {
		autotext t = { 0 };

		c.subject.boottime_offset_s = cases[i].offset;
		ck_assert_int_eq(view_stat(&c.args, &t), 0);
		text_add(&t, "", 1);
		ck_assert_ptr_nonnull(strstr(t.data, cases[i].says));
	}
}
END_TEST

START_TEST(uptime_is_the_age_and_the_idle_time_of_stat)
{
	fake.cpu_usage[1] = 2500 * NS_PER_MS;
	c.args.now_ns += 10 * NS_PER_S + 57 * NS_PER_MS;
	/* 2 x 10.05 s less 2.50 s */
	assert_says(view_uptime, "10.05 17.60\n");
	assert_says(view_uptime, "10.05 17.60\n");
	c.args.now_ns += 1 * NS_PER_S;
	fake.cpu_usage[0] += 1 * NS_PER_S;
	assert_says(view_uptime, "11.05 18.60\n");
	c.args.now_ns -= 5 * NS_PER_S; /* a reader that was overtaken */
	assert_says(view_uptime, "11.05 18.60\n");
}
END_TEST

START_TEST(stat_and_uptime_advance_the_same_counters)
{
	autotext t = { 0 };

	ck_assert_int_eq(view_stat(&c.args, &t), 0);
	c.args.now_ns += 1 * NS_PER_S;
	fake.cpu_usage[0] = 3600 * NS_PER_S; /* all but a second for each CPU is dropped once */
	assert_says(view_uptime, "1.00 1.00\n");
	c.args.now_ns += 2 * NS_PER_S;
	assert_says(view_uptime, "3.00 4.00\n");
	text_reset(&t);
	ck_assert_int_eq(view_stat(&c.args, &t), 0);
	ck_assert(slice_starts(slice_of(&t), "cpu  200 0 0 400 0 0 0 0 0 0\n"));
}
END_TEST

START_TEST(uptime_without_a_source_is_still_the_age)
{
	fake.usage = (struct cgroup_cpu_usage){ 0 };
	c.args.now_ns += 90 * NS_PER_S;
	assert_says(view_uptime, "90.00 180.00\n");
}
END_TEST

START_TEST(the_quota_view_has_counters_of_its_own)
{
	fake.quota = 1;
	c.args.now_ns += 10 * NS_PER_S;
	assert_says(view_uptime, "10.00 20.00\n");
	c.args.quota = true;
	assert_says(view_uptime, "10.00 10.00\n");
	c.args.quota = false;
	assert_says(view_uptime, "10.00 20.00\n");
}
END_TEST

START_TEST(uptime_of_the_host_view_follows_init)
{
	c.subject.is_host = true;
	/* Idle for 7000.42 s in all, but not in the 600 s of this init's life. */
	c.args.now_ns = 3600 * NS_PER_S + 70 * NS_PER_MS;
	assert_says(view_uptime, "600.07 1200.14\n");
	c.subject.start_ns = 0;
	assert_says(view_uptime, "3600.07 7000.42\n");
	c.subject.start_ns = c.args.now_ns + 1;
	assert_says(view_uptime, "0.00 0.00\n");
	tree_write(&c.tree, "proc/uptime", "nonsense\n");
	{
		autotext t = { 0 };

		ck_assert_int_lt(view_uptime(&c.args, &t), 0);
	}
}
END_TEST

START_TEST(disable_uptime_leaves_it_to_the_kernel)
{
	autotext t = { 0 };

	c.options.disable_uptime = true;
	ck_assert_int_eq(view_uptime(&c.args, &t), VIEW_KERNELS_OWN);
	ck_assert_uint_eq(t.len, 0);
}
END_TEST

START_TEST(without_a_place_for_accounts_every_read_is_the_first)
{
	account_store_free(c.args.accounts);
	c.args.accounts = NULL;
	fake.cpu_usage[0] = 4 * NS_PER_S;
	c.args.now_ns += 10 * NS_PER_S;
	assert_says(view_uptime, "10.00 16.00\n");
	assert_says(view_uptime, "10.00 16.00\n");
}
END_TEST

START_TEST(with_a_full_table_newcomers_are_computed_without_memory)
{
	for (uint64_t i = 0; i < ACCOUNTS; i++) {
		c.subject.account.cgroup_ino = 100 + i;
		assert_says(view_uptime, "0.00 0.00\n");
	}
	c.subject.account.cgroup_ino = 1;
	fake.cpu_usage[0] = 4 * NS_PER_S;
	c.args.now_ns += 10 * NS_PER_S;
	assert_says(view_uptime, "10.00 16.00\n");
	assert_says(view_uptime, "10.00 16.00\n");
}
END_TEST

START_TEST(with_full_pages_the_old_counters_stay)
{
	uint64_t all;

	assert_says(view_uptime, "0.00 0.00\n");
	c.args.now_ns += 1 * NS_PER_S;
	fake.cpu_usage[0] = 3600 * NS_PER_S; /* of which all but a second is dropped */
	assert_says(view_uptime, "1.00 1.00\n");
	while (slab_store(c.slab, kernels_stat, 1, &all) == 0)
		;
	c.args.now_ns += 2 * NS_PER_S;
	/* Who had lost them would show the CPU busy for all three seconds. */
	assert_says(view_uptime, "3.00 4.00\n");
	assert_says(view_uptime, "3.00 4.00\n");
}
END_TEST

START_TEST(failures_of_the_sources_are_told)
{
	autotext t = { 0 };

	fake.usage_error = -ENODEV;
	ck_assert_int_eq(view_stat(&c.args, &t), -ENODEV);
	ck_assert_int_eq(view_uptime(&c.args, &t), -ENODEV);
	fake.usage_error = 0;
	fake.tasks_error = -ENODEV;
	ck_assert_int_eq(view_stat(&c.args, &t), -ENODEV);
	ck_assert_int_eq(view_uptime(&c.args, &t), 0); /* nobody is counted for it */
	fake.tasks_error = -ENOENT;                    /* no pids controller */
	ck_assert_int_eq(view_stat(&c.args, &t), 0);
}
END_TEST

/* The last lines but one of /proc/stat. */
static void assert_procs(const char *expected)
{
	autotext t = { 0 };

	ck_assert_int_eq(view_stat(&c.args, &t), 0);
	text_add(&t, "", 1);
	ck_assert_ptr_nonnull(strstr(t.data, expected));
}

START_TEST(procs_running_and_blocked_are_the_samplers)
{
	load = (struct load_values){ .running = 3, .blocked = 2, .threads = 9 };
	assert_procs("\nprocs_running 1\nprocs_blocked 0\n"); /* there is none */
	c.args.load = SAMPLER;
	assert_procs("\nprocs_running 3\nprocs_blocked 2\n");
	load.running = 0; /* but whoever reads does */
	assert_procs("\nprocs_running 1\nprocs_blocked 2\n");
}
END_TEST

START_TEST(loadavg_is_the_samplers_in_the_kernels_form)
{
	c.args.load = SAMPLER;
	/* 0.63, 0.18 and 0.06: what one task makes of an idle machine in a minute. */
	load = (struct load_values){
		.averages = { 1299, 378, 132 }, .running = 1, .threads = 12, .newest = 345
	};
	assert_says(view_loadavg, "0.63 0.18 0.06 1/12 345\n");
	/* 0.995 is shown as 1.00, for the kernel adds half of a hundredth. */
	load.averages[LOAD_1] = 2038;
	load.averages[LOAD_5] = 2037;
	load.averages[LOAD_15] = 12345 * LOAD_ONE;
	assert_says(view_loadavg, "1.00 0.99 12345.00 1/12 345\n");
}
END_TEST

START_TEST(loadavg_counts_at_least_its_reader)
{
	c.args.load = SAMPLER;
	assert_says(view_loadavg, "0.00 0.00 0.00 1/1 1\n");
}
END_TEST

START_TEST(loadavg_of_the_host_view_is_the_kernels_with_a_pid_that_follows_init)
{
	autotext t = { 0 };

	c.args.load = SAMPLER;
	c.subject.is_host = true;
	load = (struct load_values){ .averages = { 1, 2, 3 }, .threads = 4, .newest = 77 };
	assert_says(view_loadavg, "3.03 3.00 2.97 6/130 77\n");
	c.subject.account.init_pid = 0; /* the daemon's own pid namespace */
	ck_assert_int_eq(view_loadavg(&c.args, &t), VIEW_KERNELS_OWN);
}
END_TEST

START_TEST(disable_loadavg_leaves_it_to_the_kernel)
{
	autotext t = { 0 };

	ck_assert_int_eq(view_loadavg(&c.args, &t), VIEW_KERNELS_OWN);
	c.args.load = SAMPLER;
	c.options.disable_loadavg = true;
	ck_assert_int_eq(view_loadavg(&c.args, &t), VIEW_KERNELS_OWN);
	ck_assert_uint_eq(t.len, 0);
}
END_TEST

START_TEST(failures_of_the_sampler_are_told)
{
	autotext t = { 0 };

	c.args.load = SAMPLER;
	load_error = -ENODEV;
	ck_assert_int_eq(view_loadavg(&c.args, &t), -ENODEV);
	ck_assert_int_eq(view_stat(&c.args, &t), -ENODEV);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stat");
	TCase *t = tcase_create("stat");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, stat_is_the_containers_in_the_kernels_form);
	tcase_add_test(t, stat_has_the_columns_and_lines_of_the_running_kernel);
	tcase_add_test(t, stat_keeps_the_kernels_ids_and_the_sum_of_cpus_that_left);
	tcase_add_test(t, btime_is_that_of_the_containers_time_namespace);
	tcase_add_test(t, uptime_is_the_age_and_the_idle_time_of_stat);
	tcase_add_test(t, stat_and_uptime_advance_the_same_counters);
	tcase_add_test(t, uptime_without_a_source_is_still_the_age);
	tcase_add_test(t, the_quota_view_has_counters_of_its_own);
	tcase_add_test(t, uptime_of_the_host_view_follows_init);
	tcase_add_test(t, disable_uptime_leaves_it_to_the_kernel);
	tcase_add_test(t, without_a_place_for_accounts_every_read_is_the_first);
	tcase_add_test(t, with_a_full_table_newcomers_are_computed_without_memory);
	tcase_add_test(t, with_full_pages_the_old_counters_stay);
	tcase_add_test(t, failures_of_the_sources_are_told);
	tcase_add_test(t, procs_running_and_blocked_are_the_samplers);
	tcase_add_test(t, loadavg_is_the_samplers_in_the_kernels_form);
	tcase_add_test(t, loadavg_counts_at_least_its_reader);
	tcase_add_test(t, loadavg_of_the_host_view_is_the_kernels_with_a_pid_that_follows_init);
	tcase_add_test(t, disable_loadavg_leaves_it_to_the_kernel);
	tcase_add_test(t, failures_of_the_sampler_are_told);
	suite_add_tcase(s, t);
	return unit_run(s);
}
