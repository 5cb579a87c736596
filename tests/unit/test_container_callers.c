/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that open again and again: the short cut to their namespaces, with real ones, leads where
 * the long way does, whatever becomes of the thread.
 */
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "container_env.h"
#include "unit.h"

/* The pid namespace of a process. */
static uint64_t pid_ns_of(pid_t pid)
{
	uint64_t ns;

	ck_assert_int_eq(proc_ns(&root, pid, "ns/pid", &ns), 0);
	return ns;
}

/* What OPEN does for a thread that a record is kept for, as often as it takes to know it. */
static void get_to_know(struct callers *all, pid_t tid)
{
	const uint64_t ns = pid_ns_of(tid);

	callers_note(all, tid, ns);
	callers_note(all, tid, ns);
}

static struct callers *new_callers(unsigned max)
{
	struct callers *all;

	ck_assert_int_eq(callers_new(&root, max, &all), 0);
	return all;
}

static bool is_known(struct callers *all, pid_t tid)
{
	struct caller_key k;

	return callers_find(all, tid, &k);
}

/* A process of our own namespaces that has this number. */
static pid_t start_as(pid_t number)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		for (;;)
			pause();
	ck_assert_int_eq(pid, number);
	return (pid_t)pid;
}

START_TEST(the_second_open_of_a_stored_record_makes_its_thread_known)
{
	unsigned before;
	struct box box;

	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_FORK);
	container_unref(open_of(box.child)); /* applies the rules, and stores what they say */
	container_unref(open_of(box.child));
	ck_assert(!is_known(cache->callers, box.child));
	before = count_fds();
	container_unref(open_of(box.child));
	ck_assert(is_known(cache->callers, box.child));
	ck_assert_uint_eq(count_fds(), before + 1);
	container_unref(open_of(box.child));
	ck_assert_uint_eq(count_fds(), before + 1);
	box_stop(&box);
}
END_TEST

START_TEST(a_known_thread_is_seen_to_change_its_cgroup_namespace)
{
	struct caller_key before, long_way, short_cut;
	struct callers *all = new_callers(4);
	struct box box;

	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_FORK);
	get_to_know(all, box.child);
	ck_assert(callers_find(all, box.child, &before));
	ck_assert_uint_eq(before.pid_ns, pid_ns_of(box.pid));
	box_tell_child(&box, BOX_UNSHARE_CGROUP);
	ck_assert_int_eq(caller_key_short(&root, box.child, &long_way), 0);
	ck_assert(callers_find(all, box.child, &short_cut));
	ck_assert(caller_key_equal(&short_cut, &long_way));
	ck_assert(!caller_key_equal(&short_cut, &before));
	callers_free(all);
	box_stop(&box);
}
END_TEST

START_TEST(whoever_gets_the_number_of_a_known_thread_is_not_taken_for_it)
{
	struct callers *all = new_callers(4);
	struct caller_key k;
	struct box box;
	pid_t number;

	box_start(&box, layout, MODERN);
	number = enter_pid_ns(&box);
	get_to_know(all, number);
	ck_assert(is_known(all, number));
	end(number);
	ck_assert(start_as(number) == number);
	ck_assert(!callers_find(all, number, &k));
	get_to_know(all, number);
	ck_assert(callers_find(all, number, &k));
	ck_assert_uint_eq(k.pid_ns, cache->pid_ns);
	end(number);
	callers_free(all);
	box_stop(&box);
}
END_TEST

/* The answer to the OPEN is from before, so what is noted may be about a thread that is gone. */
START_TEST(a_thread_that_is_another_one_by_now_is_not_noted_in_its_stead)
{
	struct callers *all = new_callers(4);
	unsigned before;
	struct box box;

	box_start(&box, layout, MODERN);
	before = count_fds();
	callers_note(all, box.pid, cache->pid_ns);
	callers_note(all, box.pid, cache->pid_ns);
	ck_assert(!is_known(all, box.pid));
	ck_assert_uint_eq(count_fds(), before);
	callers_free(all);
	box_stop(&box);
}
END_TEST

START_TEST(no_descriptor_outlives_the_container)
{
	unsigned before;
	struct box box;

	box_start(&box, layout, MODERN);
	box_stop(&box);
	before = count_fds();
	box_start(&box, layout, MODERN);
	box_tell(&box, BOX_FORK);
	for (int i = 0; i < 4; i++) {
		container_unref(open_of(box.pid));
		container_unref(open_of(box.child));
	}
	ck_assert(is_known(cache->callers, box.pid));
	ck_assert(is_known(cache->callers, box.child));
	box_kill(&box);
	box_remove(&box);
	BY_NOW(count_fds() == before);
}
END_TEST

START_TEST(threads_push_each_other_out_of_a_place_and_are_still_told_apart)
{
	struct callers *all = new_callers(1);
	struct caller_key k;
	struct box a, b;
	unsigned before;

	box_start(&a, layout, MODERN);
	box_start(&b, layout, MODERN);
	before = count_fds();
	for (int i = 0; i < 3; i++) {
		get_to_know(all, a.pid);
		ck_assert(callers_find(all, a.pid, &k));
		ck_assert_uint_eq(k.pid_ns, pid_ns_of(a.pid));
		ck_assert(!callers_find(all, b.pid, &k));
		get_to_know(all, b.pid);
		ck_assert(callers_find(all, b.pid, &k));
		ck_assert_uint_eq(k.pid_ns, pid_ns_of(b.pid));
		ck_assert_uint_eq(count_fds(), before + 1);
	}
	callers_free(all);
	ck_assert_uint_eq(count_fds(), before);
	box_stop(&b);
	box_stop(&a);
}
END_TEST

/* What several threads of ours do at once. */
struct asking {
	struct callers *all;
	pid_t tids[2];
	uint64_t namespaces[2];
	_Atomic unsigned found, wrong;
};

#define QUESTIONS 2000u

static void *ask_in_turns(void *data)
{
	struct asking *a = data;
	struct caller_key k;

	for (unsigned i = 0; i < QUESTIONS; i++) {
		const unsigned who = i / 8 % 2; /* at times it is the same one for long enough */

		if (!callers_find(a->all, a->tids[who], &k)) {
			callers_note(a->all, a->tids[who], a->namespaces[who]);
			continue;
		}
		atomic_fetch_add(&a->found, 1);
		if (k.pid_ns != a->namespaces[who])
			atomic_fetch_add(&a->wrong, 1);
	}
	return NULL;
}

START_TEST(several_that_ask_at_once_are_told_of_whom_they_ask)
{
	struct asking asking = { .all = new_callers(1) };
	pthread_t threads[4];
	struct box a, b;
	unsigned before;

	box_start(&a, layout, MODERN);
	box_start(&b, layout, MODERN);
	asking.tids[0] = a.pid;
	asking.tids[1] = b.pid;
	asking.namespaces[0] = pid_ns_of(a.pid);
	asking.namespaces[1] = pid_ns_of(b.pid);
	before = count_fds();
	for (size_t i = 0; i < countof(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_in_turns, &asking), 0);
	for (unsigned i = 0; i < QUESTIONS; i++)
		callers_forget(asking.all, asking.namespaces[i % 2]);
	for (size_t i = 0; i < countof(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(asking.wrong, 0);
	ck_assert_uint_gt(asking.found, 0);
	callers_free(asking.all);
	ck_assert_uint_eq(count_fds(), before);
	box_stop(&b);
	box_stop(&a);
}
END_TEST

START_TEST(without_descriptors_the_long_way_is_taken)
{
	struct container *r, *again;
	struct rlimit files;
	struct box box;

	box_start(&box, layout, MODERN);
	r = open_of(box.pid);
	getrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, files.rlim_max });
	for (int i = 0; i < 3; i++) {
		again = open_of(box.pid);
		ck_assert_ptr_eq(again, r);
		container_unref(again);
	}
	setrlimit(RLIMIT_NOFILE, &files);
	ck_assert(!is_known(cache->callers, box.pid));
	container_unref(open_of(box.pid));
	container_unref(open_of(box.pid));
	ck_assert(is_known(cache->callers, box.pid));
	container_unref(r);
	box_stop(&box);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("container_callers");
	TCase *c = make_case("callers");

	if (!c) {
		puts("1..0 # SKIP needs root and a cgroup hierarchy to make cgroups in");
		return 0;
	}
	tcase_add_test(c, the_second_open_of_a_stored_record_makes_its_thread_known);
	tcase_add_test(c, a_known_thread_is_seen_to_change_its_cgroup_namespace);
	tcase_add_test(c, whoever_gets_the_number_of_a_known_thread_is_not_taken_for_it);
	tcase_add_test(c, a_thread_that_is_another_one_by_now_is_not_noted_in_its_stead);
	tcase_add_test(c, no_descriptor_outlives_the_container);
	tcase_add_test(c, threads_push_each_other_out_of_a_place_and_are_still_told_apart);
	tcase_add_test(c, several_that_ask_at_once_are_told_of_whom_they_ask);
	tcase_add_test(c, without_descriptors_the_long_way_is_taken);
	suite_add_tcase(s, c);
	return unit_run(s);
}
