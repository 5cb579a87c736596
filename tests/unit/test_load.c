/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load sampler (SPEC 10): what is counted, and who is sampled.
 */
#include <pthread.h>

#include "load_machine.h"
#include "slow.h"

START_TEST(tasks_in_state_r_or_d_count_at_any_depth)
{
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n11\n");
	made_directory(CGROUP "a/1");
	made_directory(CGROUP "a/.2");
	made_directory(CGROUP "a/1/2");
	made_directory(CGROUP "a/1/2/3");
	made_directory(CGROUP "a/1/2/3/4");
	made_directory(CGROUP "a/1/2/3/4/5");
	made_directory(CGROUP "a/1/2/3/4/5/6");
	made_file(CGROUP "a/.2/cgroup.procs", "12\n");
	made_file(CGROUP "a/1/2/3/4/5/6/cgroup.procs", "13\n");
	made_file(CGROUP "b/cgroup.procs", "14\n");
	task("10", 'S', 1, 100);
	task("11", 'R', 1, 101);
	task("12", 'D', 1, 103);
	task("13", 'R', 1, 102);
	task("14", 'R', 1, 200);
	v = values_of("/a");
	ck_assert_uint_eq(v.running, 2);
	ck_assert_uint_eq(v.blocked, 1);
	ck_assert_uint_eq(v.threads, 4);
	ck_assert_uint_eq(v.newest, 12);
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		ck_assert_uint_eq(v.averages[i], 3 * LOAD_ONE);
}
END_TEST

START_TEST(threads_count_one_by_one)
{
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'S', 4, 100);
	made_directory("proc/10/task");
	task("10/task/10", 'R', 4, 100); /* the first was looked at already */
	task("10/task/11", 'R', 4, 100);
	task("10/task/12", 'D', 4, 300);
	task("10/task/13", 'S', 4, 200);
	v = values_of("/a");
	ck_assert_uint_eq(v.running, 1);
	ck_assert_uint_eq(v.blocked, 1);
	ck_assert_uint_eq(v.threads, 4);
	ck_assert_uint_eq(v.newest, 12);
}
END_TEST

START_TEST(who_is_in_two_lists_counts_once_and_who_is_gone_not_at_all)
{
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "12\n10\n0\n10\n11\n99\n");
	made_directory(CGROUP "a/x");
	made_file(CGROUP "a/x/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	task("11", 'R', 1, 100);
	task("12", 'R', 1, 100);
	v = values_of("/a");
	ck_assert_uint_eq(v.running, 3);
	ck_assert_uint_eq(v.threads, 3);
	ck_assert_uint_eq(v.newest, 12); /* of one tick the highest */
}
END_TEST

START_TEST(a_long_list_is_read_to_its_end)
{
	char list[5 * 1000 + 1], *end = list;

	for (unsigned i = 1000; i < 2000; i++)
		end += sprintf(end, "%u\n", i);
	made_file(CGROUP "a/cgroup.procs", list);
	task("1000", 'R', 1, 1);
	task("1819", 'R', 1, 1); /* cut by the end of the first 4096 bytes */
	task("1999", 'R', 1, 1);
	ck_assert_uint_eq(values_of("/a").running, 3);
}
END_TEST

START_TEST(one_sample_serves_a_period_of_reads)
{
	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	ck_assert_uint_eq(values_of("/a").running, 1);
	made_file("proc/10/stat", "");
	ck_assert_uint_eq(values_of("/a").running, 1);
	ck_assert_uint_eq(load_sampled(c.load), 1);
}
END_TEST

START_TEST(later_samples_decay_and_idle_ones_look_at_no_task)
{
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	made_file(CGROUP "a/cpu.stat", "usage_usec 5\nuser_usec 3\n");
	task("10", 'R', 1, 100);
	ck_assert_uint_eq(values_of("/a").averages[LOAD_1], LOAD_ONE);
	made_file("proc/10/stat", "10 (a) S" NUMBERS "1 0 100 0\n");
	pass(1);
	v = values_of("/a");
	ck_assert_uint_eq(v.running, 0);
	ck_assert_uint_eq(v.averages[LOAD_1], 1884);
	/* Nobody has run since, so nobody can be running: this is not even read. */
	made_file("proc/10/stat", "10 (a) R" NUMBERS "1 0 100 0\n");
	pass(2);
	v = values_of("/a");
	ck_assert_uint_eq(v.running, 0);
	ck_assert_uint_eq(v.averages[LOAD_1], 1884 * 1884 / 2048);
	made_file(CGROUP "a/cpu.stat", "usage_usec 6\nuser_usec 3\n");
	pass(3);
	ck_assert_uint_eq(values_of("/a").running, 1);
}
END_TEST

START_TEST(a_sample_that_cannot_be_taken_is_made_up_for_by_the_next)
{
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	ck_assert_uint_eq(values_of("/a").averages[LOAD_1], LOAD_ONE);
	made_move("proc/10/stat", "proc/10/away");
	made_directory("proc/10/stat"); /* which nobody can read(2) */
	pass(1);
	pass(1);
	ck_assert_uint_eq(load_sampled(c.load), 1);
	ck_assert_uint_eq(values_of("/a").averages[LOAD_1], LOAD_ONE);
	made_move("proc/10/stat", "proc/10/not");
	made_file("proc/10/stat", "10 (a) S" NUMBERS "1 0 100 0\n");
	pass(2);
	v = values_of("/a");
	ck_assert_uint_eq(v.running, 0);
	ck_assert_uint_le(v.averages[LOAD_1], 1884 * 1884 / 2048 + 1);
}
END_TEST

START_TEST(idle_ones_are_looked_at_once_a_minute_whatever_their_cpu_time_says)
{
	made_file(CGROUP "a/cgroup.procs", "10\n");
	made_file(CGROUP "a/cpu.stat", "usage_usec 5\nuser_usec 3\n");
	task("10", 'S', 1, 100);
	ck_assert_uint_eq(values_of("/a").running, 0);
	/* One that had used its CPU time elsewhere was moved here. */
	made_file("proc/10/stat", "10 (a) D" NUMBERS "1 0 100 0\n");
	pass(11);
	ck_assert_uint_eq(values_of("/a").blocked, 0);
	pass(12);
	ck_assert_uint_eq(values_of("/a").blocked, 1);
}
END_TEST

START_TEST(averages_go_on_in_another_worker_without_a_read)
{
	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	ck_assert_uint_eq(values_of("/a").averages[LOAD_1], LOAD_ONE);
	end_worker();
	made_file(CGROUP "a/cgroup.procs", "");
	start_worker();
	ck_assert_uint_eq(load_sampled(c.load), 1);
	pass(1);
	ck_assert_uint_eq(values_of("/a").averages[LOAD_1], 1884);
	ck_assert_uint_eq(values_of("/a").running, 0);
}
END_TEST

START_TEST(a_cgroup_that_was_made_anew_is_another)
{
	struct cgroup_set *s = set_at(&c.machine, "/a");
	const struct subject old = subject_of(s);
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	ck_assert_int_eq(load_get(c.load, &old, &v), 0);
	made_move(CGROUP "a", CGROUP "c");
	made_directory(CGROUP "a");
	made_file(CGROUP "a/cgroup.procs", "");
	pass(1); /* finds it gone */
	ck_assert_uint_eq(values_of("/a").running, 0);
	pass(2); /* takes it off */
	ck_assert_uint_eq(load_sampled(c.load), 1);
	cgroup_set_free(s);
}
END_TEST

/* A sample is of those who read, who do not run then: nobody takes it ahead of a READ. */
START_TEST(a_first_sample_is_for_whoever_reads)
{
	struct load_values v;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	slow_refuse(true);
	ck_assert_int_eq(get("/a", &v), -EAGAIN);
	ck_assert_uint_eq(load_sampled(c.load), 0);
	slow_refuse(false);
	ck_assert_uint_eq(values_of("/a").running, 1);
	slow_refuse(true);
	ck_assert_int_eq(get("/a", &v), 0);
	slow_refuse(false);
}
END_TEST

START_TEST(a_cgroup_that_is_gone_is_told)
{
	struct cgroup_set *s = set_at(&c.machine, "/b");
	const struct subject subject = subject_of(s);
	struct load_values v;

	made_move(CGROUP "b", CGROUP "gone");
	ck_assert_int_eq(load_get(c.load, &subject, &v), -ENODEV);
	ck_assert_int_eq(load_get(c.load, &subject, &v), -ENODEV);
	cgroup_set_free(s);
}
END_TEST

START_TEST(the_least_recently_read_leave_above_ten_thousand_tasks)
{
	char list[8 * 6000 + 1], *end = list, name[16];

	task("1", 'S', 1, 1);
	for (unsigned i = 1; i <= 5100; i++) {
		end += sprintf(end, "%u\n", i);
		snprintf(name, sizeof(name), "%u", i);
		ck_assert(i == 1 || symlinkat("1", c.machine.root.proc, name) == 0);
	}
	made_file(CGROUP "a/cgroup.procs", list);
	made_file(CGROUP "b/cgroup.procs", list);
	ck_assert_uint_eq(values_of("/a").threads, 5100);
	ck_assert_uint_eq(values_of("/b").threads, 5100);
	values_of("/a");
	ck_assert_uint_eq(load_sampled(c.load), 2);
	pass(0);
	ck_assert_uint_eq(load_sampled(c.load), 1);
	/* It was /b, which goes on where it was when it comes back. */
	made_move(CGROUP "b/cgroup.procs", CGROUP "b/away");
	ck_assert_uint_eq(values_of("/b").threads, 5100);
	ck_assert_uint_eq(load_sampled(c.load), 2);
}
END_TEST

/* `n` processes in a cgroup, all of them the task directory of the first. */
START_TEST(a_container_of_very_many_tasks_takes_no_other_ones_samples)
{
	task("1", 'S', 1, 1);
	sleepers("a", LOAD_TASKS_MAX);
	sleepers("b", 20);
	ck_assert_uint_eq(values_of("/b").running, 0);
	for (unsigned i = 1; i <= 2; i++) {
		/* It reads on and on, and is told what is right, sampled or not. */
		ck_assert_uint_eq(values_of("/a").threads, LOAD_TASKS_MAX);
		ck_assert_uint_eq(load_sampled(c.load), 2);
		made_file("proc/1/stat", "1 (a) R" NUMBERS "1 0 1 0\n");
		pass(i);
		ck_assert_uint_eq(load_sampled(c.load), 1);
	}
	/* Whoever was not sampled would have its first look's still. */
	ck_assert_uint_eq(values_of("/b").running, 20);
}
END_TEST

START_TEST(a_container_that_has_others_in_it_is_above_ten_thousand_with_all_of_them)
{
	made_directory(CGROUP "a/1");
	made_directory(CGROUP "a/2");
	task("1", 'S', 1, 1);
	sleepers("a/1", 5000);
	sleepers("a/2", 4900);
	sleepers("b", 150);
	values_of("/b");
	values_of("/a/1");
	values_of("/a/2");
	/* Whose each is, another worker knows too. */
	end_worker();
	start_worker();
	ck_assert_uint_eq(load_sampled(c.load), 3);
	pass(0);
	ck_assert_uint_eq(load_sampled(c.load), 2);
	/* It was /a/1, read before /a/2. */
	made_file("proc/1/stat", "1 (a) R" NUMBERS "1 0 1 0\n");
	pass(1);
	ck_assert_uint_eq(values_of("/a/2").running, 4900);
	ck_assert_uint_eq(values_of("/b").running, 150);
}
END_TEST

#define OF_ONE 2500u /* entries */

START_TEST(a_container_of_very_many_cgroups_leaves_room_for_others)
{
	struct use *use; /* as records have it */
	char path[32];

	ck_assert_int_eq(use_get(c.uses, 'a', &use), 0);
	for (unsigned i = 0; i < OF_ONE + 10; i++) {
		snprintf(path, sizeof(path), CGROUP "a/%u", i);
		made_directory(path);
		values_of(path + strlen(CGROUP) - 1);
	}
	ck_assert_uint_eq(load_sampled(c.load), OF_ONE);
	values_of("/b");
	ck_assert_uint_eq(load_sampled(c.load), OF_ONE + 1);
	/* What has left makes room. */
	pass(17281);
	ck_assert_uint_eq(load_sampled(c.load), 0);
	values_of("/a");
	ck_assert_uint_eq(load_sampled(c.load), 1);
	use_put(use);
}
END_TEST

#define CONTAINERS 500u
#define TASKS 20u

/* A container's processes, and one that reads (the last); all of them one task directory. */
static void put_tasks(unsigned container)
{
	char path[64], name[16], list[8 * (TASKS + 1) + 1], *end = list;

	for (unsigned i = 0; i <= TASKS; i++) {
		end += sprintf(end, "%u\n", 2 + container * (TASKS + 1) + i);
		snprintf(name, sizeof(name), "%u", 2 + container * (TASKS + 1) + i);
		ck_assert_int_eq(symlinkat("1", c.machine.root.proc, name), 0);
	}
	snprintf(path, sizeof(path), CGROUP "%u", container);
	made_directory(path);
	snprintf(path, sizeof(path), CGROUP "%u/cgroup.procs", container);
	made_file(path, list);
}

START_TEST(five_hundred_containers_of_twenty_tasks_are_sampled_together)
{
	char path[16];

	task("1", 'S', 1, 1);
	for (unsigned i = 0; i < CONTAINERS; i++) {
		put_tasks(i);
		snprintf(path, sizeof(path), "/%u", i);
		ck_assert_uint_eq(values_of(path).threads, TASKS + 1);
	}
	/* Nobody leaves, and the next sample shows what has changed in the one that was read first.
	 */
	made_file("proc/1/stat", "1 (a) R" NUMBERS "1 0 1 0\n");
	pass(1);
	ck_assert_uint_eq(load_sampled(c.load), CONTAINERS);
	ck_assert_uint_eq(values_of("/0").running, TASKS + 1);
}
END_TEST

START_TEST(of_a_container_without_end_the_first_ten_thousand_are_counted)
{
	static char list[6 * 10200 + 1];
	char *end = list, name[16];

	task("10000", 'R', 1, 1);
	for (unsigned i = 10000; i < 20200; i++) {
		end += sprintf(end, "%u\n", i);
		snprintf(name, sizeof(name), "%u", i);
		ck_assert(i == 10000 || symlinkat("10000", c.machine.root.proc, name) == 0);
	}
	made_file(CGROUP "a/cgroup.procs", list);
	ck_assert_uint_eq(values_of("/a").running, 10000);
}
END_TEST

#define READERS 4
#define READS 300

/* NULL when all reads went well. */
static void *read_often(void *data)
{
	const struct subject *subjects = data;
	struct load_values v;

	for (unsigned i = 0; i < READS; i++) {
		if (load_get(c.load, &subjects[i % 2], &v) < 0 || v.threads != 1)
			return data;
	}
	return NULL;
}

START_TEST(readers_and_passes_do_not_get_in_each_others_way)
{
	struct cgroup_set *sets[] = { set_at(&c.machine, "/a"), set_at(&c.machine, "/b") };
	struct subject subjects[] = { subject_of(sets[0]), subject_of(sets[1]) };
	pthread_t readers[READERS];
	void *wrong;

	made_file(CGROUP "a/cgroup.procs", "10\n");
	made_file(CGROUP "b/cgroup.procs", "10\n");
	task("10", 'R', 1, 100);
	for (unsigned i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&readers[i], NULL, read_often, subjects), 0);
	/* Every now and then a day goes by, and all have to come back. */
	for (unsigned i = 1; i < 100; i++)
		pass(i % 10 ? i : 18000);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(readers[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
	cgroup_set_free(sets[0]);
	cgroup_set_free(sets[1]);
}
END_TEST

START_TEST(who_is_not_read_for_a_day_leaves)
{
	values_of("/a");
	pass(17279); /* 24 h less 5 s */
	ck_assert_uint_eq(load_sampled(c.load), 1);
	pass(17281);
	ck_assert_uint_eq(load_sampled(c.load), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("load");
	TCase *t = tcase_create("sampler");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, tasks_in_state_r_or_d_count_at_any_depth);
	tcase_add_test(t, threads_count_one_by_one);
	tcase_add_test(t, who_is_in_two_lists_counts_once_and_who_is_gone_not_at_all);
	tcase_add_test(t, a_long_list_is_read_to_its_end);
	tcase_add_test(t, one_sample_serves_a_period_of_reads);
	tcase_add_test(t, later_samples_decay_and_idle_ones_look_at_no_task);
	tcase_add_test(t, a_sample_that_cannot_be_taken_is_made_up_for_by_the_next);
	tcase_add_test(t, idle_ones_are_looked_at_once_a_minute_whatever_their_cpu_time_says);
	tcase_add_test(t, averages_go_on_in_another_worker_without_a_read);
	tcase_add_test(t, a_cgroup_that_was_made_anew_is_another);
	tcase_add_test(t, a_cgroup_that_is_gone_is_told);
	tcase_add_test(t, a_first_sample_is_for_whoever_reads);
	tcase_add_test(t, the_least_recently_read_leave_above_ten_thousand_tasks);
	tcase_add_test(t, a_container_of_very_many_tasks_takes_no_other_ones_samples);
	tcase_add_test(t, a_container_that_has_others_in_it_is_above_ten_thousand_with_all_of_them);
	tcase_add_test(t, a_container_of_very_many_cgroups_leaves_room_for_others);
	tcase_add_test(t, five_hundred_containers_of_twenty_tasks_are_sampled_together);
	tcase_add_test(t, of_a_container_without_end_the_first_ten_thousand_are_counted);
	tcase_add_test(t, readers_and_passes_do_not_get_in_each_others_way);
	tcase_add_test(t, who_is_not_read_for_a_day_leaves);
	suite_add_tcase(s, t);
	return unit_run(s);
}
