/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What readers of a load average may look at themselves (SPEC 10): for how long, and what follows
 * from a look that was cut off.
 */
#include "load_machine.h"

/* Of what is in /a, as far as its readers are concerned, for hours. */
static struct use *spent(void)
{
	struct use *use;

	ck_assert_int_eq(use_get(c.uses, 'a', &use), 0);
	load_budget_charge(use, clock_monotonic_ns(), 1000 * NS_PER_S);
	return use;
}

/* Nobody can read(2) it. */
static void unreadable_task(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/%s/stat", name);
	made_directory(path);
}

START_TEST(a_reader_whose_owner_has_spent_its_time_looks_at_no_task)
{
	struct use *use = spent();
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	made_directory(CGROUP "a/1");
	made_file(CGROUP "a/1/cgroup.procs", "10\n");
	unreadable_task("10");
	v = values_of("/a");
	ck_assert_uint_eq(v.running + v.threads + v.averages[LOAD_1], 0);
	v = values_of("/a/1");
	ck_assert_uint_eq(v.threads, 0);
	ck_assert_uint_eq(load_sampled(c.load), 2);
	/* Another's may. */
	made_file(CGROUP "b/cgroup.procs", "11\n");
	task("11", 'R', 1, 100);
	ck_assert_uint_eq(values_of("/b").running, 1);
	use_put(use);
}
END_TEST

START_TEST(the_sample_after_a_look_that_was_cut_off_is_the_first)
{
	struct use *use = spent();
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n11\n");
	made_file(CGROUP "a/cpu.stat", "usage_usec 5\nuser_usec 3\n");
	task("10", 'D', 1, 100);
	task("11", 'D', 1, 101);
	ck_assert_uint_eq(values_of("/a").blocked, 0);
	pass(1); /* whatever its readers have spent, and though none has run since */
	v = values_of("/a");
	ck_assert_uint_eq(v.blocked, 2);
	ck_assert_uint_eq(v.threads, 2);
	ck_assert_uint_eq(v.newest, 11);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		ck_assert_uint_eq(v.averages[i], 2 * LOAD_ONE);
	use_put(use);
}
END_TEST

START_TEST(what_was_counted_before_a_look_was_cut_off_counts)
{
	struct use *use; /* as records have it */
	struct load_values v;

	ck_assert_int_eq(use_get(c.uses, 'a', &use), 0);
	task("1", 'R', 1, 1);
	made_directory(CGROUP "a/2");
	sleepers("a/2", 70);
	made_directory(CGROUP "a/1");
	sleepers("a/1", 70);
	/* 70 are found, and 100 ms do not do for a look at each, nor what is left then for 70
	 * others. */
	question_ns = NS_PER_MS;
	v = values_of("/a/2");
	ck_assert_uint_ge(v.running, 1);
	ck_assert_uint_le(v.running, 30);
	ck_assert_uint_eq(v.averages[LOAD_15], v.running * LOAD_ONE);
	/* Which its owner has paid for. */
	ck_assert_uint_le(load_budget_left(use, clock_monotonic_ns()), 100 * NS_PER_MS);
	ck_assert_uint_ge(load_budget_left(use, clock_monotonic_ns()), 90 * NS_PER_MS);
	ck_assert_uint_eq(values_of("/a/1").running, 0);
	pass(1);
	v = values_of("/a/2");
	ck_assert_uint_eq(v.running, 70);
	ck_assert_uint_eq(v.averages[LOAD_15], 70 * LOAD_ONE);
	ck_assert_uint_eq(values_of("/a/1").running, 70);
	use_put(use);
}
END_TEST

START_TEST(whose_cgroups_there_is_no_time_to_walk_is_not_gone)
{
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	question_ns = 150 * NS_PER_MS; /* there is until the walk begins */
	ck_assert_int_eq(get("/a", &v), 0);
	ck_assert_uint_eq(v.running, 0);
	ck_assert_uint_eq(load_sampled(c.load), 1);
	pass(1);
	ck_assert_uint_eq(values_of("/a").running, 1);
}
END_TEST

START_TEST(cgroups_without_a_task_take_time_too)
{
	struct cgroup_set *s = set_at(&c.machine, "/a");
	const struct subject subject = subject_of(s);
	struct load_count count = { 0 };
	struct load_place place;
	char path[32];

	for (unsigned i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), CGROUP "a/%u", i);
		made_directory(path);
	}
	ck_assert_int_eq(load_place_init(&c.config, &subject.account, "/a", &place), 0);
	question_ns = NS_PER_MS;
	ck_assert_int_eq(
		load_count_tasks(&c.config, &place, clock_thread_ns() + LOAD_BURST_NS, &count), 0);
	ck_assert(count.cut_off);
	ck_assert_uint_ge(count.cost, 190);
	ck_assert_uint_le(count.cost, 200);
	ck_assert_int_eq(load_count_tasks(&c.config, &place, 0, &count), 0);
	ck_assert(!count.cut_off);
	ck_assert_uint_eq(count.cost, 301);
	load_place_clear(&place);
	cgroup_set_free(s);
}
END_TEST

START_TEST(the_threads_of_one_process_take_no_longer_than_their_owner_has)
{
	struct load_values v;
	char name[32];

	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'R', 300, 1);
	made_directory("proc/10/task");
	for (unsigned i = 11; i < 310; i++) {
		snprintf(name, sizeof(name), "10/task/%u", i);
		ck_assert_int_eq(symlinkat("..", c.machine.root.proc, name), 0);
	}
	question_ns = NS_PER_MS;
	v = values_of("/a");
	ck_assert_uint_ge(v.running, 90);
	ck_assert_uint_le(v.running, 100);
	ck_assert_uint_eq(v.threads, 300);
	pass(1);
	ck_assert_uint_eq(values_of("/a").running, 300);
}
END_TEST

START_TEST(one_that_was_sampled_before_keeps_its_sample_until_the_next)
{
	struct load_values v;
	struct use *use;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	ck_assert_uint_eq(values_of("/a").running, 1);
	pass(17281);
	ck_assert_uint_eq(load_sampled(c.load), 0);
	later_ns += 17281 * LOAD_PERIOD_NS;
	use = spent();
	made_move("proc/10/stat", "proc/10/away");
	unreadable_task("10");
	v = values_of("/a");
	ck_assert_uint_eq(v.running, 1);
	ck_assert_uint_eq(v.threads, 1);
	ck_assert_uint_eq(v.averages[LOAD_1], LOAD_ONE);
	made_move("proc/10/stat", "proc/10/not");
	made_file("proc/10/stat", "10 (a) S" NUMBERS "1 0 100 0\n");
	pass(1);
	v = values_of("/a");
	ck_assert_uint_eq(v.running, 0);
	ck_assert_uint_eq(v.averages[LOAD_15], 0); /* a day later */
	use_put(use);
}
END_TEST

START_TEST(a_look_that_is_known_to_take_too_long_is_not_begun)
{
	struct use *use; /* as records have it */

	ck_assert_int_eq(use_get(c.uses, 'a', &use), 0);
	task("1", 'S', 1, 1);
	sleepers("a", 1001); /* of which one reads: 20 ms */
	ck_assert_uint_eq(values_of("/a").threads, 1001);
	pass(17281);
	later_ns += 17281 * LOAD_PERIOD_NS;
	load_budget_charge(use, clock_monotonic_ns(), 181 * NS_PER_MS);
	made_file("proc/1/stat", "1 (a) R" NUMBERS "1 0 1 0\n");
	ck_assert_uint_eq(values_of("/a").running, 0);
	use_put(use);
}
END_TEST

START_TEST(of_an_owner_whose_tasks_were_not_known_no_pass_looks_at_more_than_ten_thousand)
{
	struct use *use = spent();

	task("1", 'S', 1, 1);
	made_directory(CGROUP "a/1");
	made_directory(CGROUP "a/2");
	sleepers("a/1", LOAD_TASKS_MAX);
	sleepers("a/2", LOAD_TASKS_MAX);
	sleepers("b", 20);
	load_budget_charge(use, clock_monotonic_ns(), 1000 * NS_PER_S);
	values_of("/b");
	values_of("/a/1");
	values_of("/a/2");
	made_file("proc/1/stat", "1 (a) R" NUMBERS "1 0 1 0\n");
	pass(1);
	ck_assert_uint_eq(values_of("/a/1").running + values_of("/a/2").running, LOAD_TASKS_MAX);
	ck_assert_uint_eq(values_of("/b").running, 20);
	use_put(use);
}
END_TEST

/* Else it would never be told whole: each of its looks is cut off, and it is the one that leaves.
 */
START_TEST(one_whose_look_was_cut_off_is_sampled_before_it_leaves)
{
	struct use *use; /* as records have it */

	ck_assert_int_eq(use_get(c.uses, 'a', &use), 0);
	task("1", 'S', 1, 1);
	sleepers("a", 6000);
	sleepers("b", 5500);
	question_ns = 8475; /* 100 ms do for 5,500 to be found and looked at, and not for 6,000 */
	ck_assert_uint_eq(values_of("/b").threads, 5500);
	ck_assert_uint_lt(values_of("/a").threads, 6000);
	later_ns += LOAD_PERIOD_NS;
	pass(0);
	ck_assert_uint_eq(load_sampled(c.load), 2);
	ck_assert_uint_eq(values_of("/a").threads, 6000);
	later_ns += LOAD_PERIOD_NS;
	pass(0);
	ck_assert_uint_eq(load_sampled(c.load), 1);
	ck_assert_uint_eq(values_of("/a").threads, 6000);
	use_put(use);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("load_readers");
	TCase *t = tcase_create("readers");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_reader_whose_owner_has_spent_its_time_looks_at_no_task);
	tcase_add_test(t, the_sample_after_a_look_that_was_cut_off_is_the_first);
	tcase_add_test(t, what_was_counted_before_a_look_was_cut_off_counts);
	tcase_add_test(t, whose_cgroups_there_is_no_time_to_walk_is_not_gone);
	tcase_add_test(t, cgroups_without_a_task_take_time_too);
	tcase_add_test(t, the_threads_of_one_process_take_no_longer_than_their_owner_has);
	tcase_add_test(t, one_that_was_sampled_before_keeps_its_sample_until_the_next);
	tcase_add_test(t, a_look_that_is_known_to_take_too_long_is_not_begun);
	tcase_add_test(t, one_whose_look_was_cut_off_is_sampled_before_it_leaves);
	tcase_add_test(
		t, of_an_owner_whose_tasks_were_not_known_no_pass_looks_at_more_than_ten_thousand);
	suite_add_tcase(s, t);
	return unit_run(s);
}
