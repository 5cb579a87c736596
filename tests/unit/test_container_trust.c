/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What those inside a container may try, with real namespaces and cgroups: nobody is shown the
 * host's or another container's numbers, and nobody decides what others are shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "container_env.h"
#include "unit.h"

static bool has_no_namespaces(pid_t pid)
{
	uint64_t ns;

	return proc_ns(&root, pid, "ns/cgroup", &ns) == -ESRCH;
}

static void assert_seen(pid_t pid, const char *path, enum container_rule rule)
{
	struct container *r = open_of(pid);

	assert_cgroup(r, path, rule);
	container_unref(r);
}

START_TEST(an_init_whose_first_thread_ended_is_not_taken_for_the_host)
{
	struct box box;

	box_start(&box, layout, PLAIN);
	assert_seen(box.pid, box.path, CONTAINER_RULE_INIT);
	box_tell(&box, BOX_END_THREAD);
	BY_NOW(has_no_namespaces(box.pid)); /* v1 then says "/" of its cgroups */
	box.child = enter_pid_ns(&box);
	box_move(&box, box.child);
	usleep(1100000);
	assert_seen(box.child, box.path, CONTAINER_RULE_INIT);
	end(box.child);
	box.child = 0;
	box_stop(&box);
}
END_TEST

/* Only hierarchies in which init's cgroups hold the caller's are init's to decide. */
START_TEST(a_caller_from_elsewhere_is_not_led_to_init_when_its_cgroup_goes)
{
	struct container *r, *again;
	struct box box;

	box_start(&box, layout, PLAIN);
	box_tell(&box, BOX_FORK);
	box_tell_child(&box, BOX_LEAVE);
	r = open_of(box.child);
	ck_assert_int_eq(r->rule[box_hierarchy()], CONTAINER_RULE_OWN);
	ck_assert_int_eq(container_again(cache, r, &again), 0);
	ck_assert_int_eq(again->rule[box_hierarchy()], CONTAINER_RULE_OWN);
	container_unref(r);
	container_unref(again);
	box_stop(&box);
}
END_TEST

START_TEST(a_callers_number_that_another_process_got_leads_nowhere)
{
	struct container *r, *again;
	struct box box;

	box_start(&box, layout, BOX_OWN_CGROUP);
	r = open_of(box.pid);
	r->own->caller.start_ticks--; /* as if it had ended, and its number were used again */
	ck_assert_int_eq(container_again(cache, r, &again), -ENODEV);
	container_unref(r);
	box_stop(&box);
}
END_TEST

/* Anybody may chroot(2) in a user namespace of their own and keep all the others, and a process is
 * told only of mounts below its root. */
START_TEST(who_changed_its_root_does_not_answer_for_others)
{
	struct box box;

	/* As with --pid=host: each caller by its own cgroup and mounts. */
	box_start(&box, layout, BOX_OWN_CGROUP | BOX_CGROUP_NS | BOX_CGROUP_MOUNT);
	box_tell(&box, BOX_FORK);
	box_tell(&box, BOX_ENTER_LEAF);
	box_tell_child(&box, BOX_ENTER_LEAF);
	box_tell_child(&box, BOX_CHROOT);
	container_unref(open_of(box.child));
	assert_seen(box.pid, box.path, CONTAINER_RULE_MOUNT);
	ck_assert(is_stored(box.pid));
	box_stop(&box);
}
END_TEST

/* The standard error of what follows, to be read back. */
static int catch_log(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	return fd;
}

START_TEST(a_cgroup_outside_the_daemons_namespace_is_told_of)
{
	autotext log = { 0 };
	autoclose int fd = catch_log();
	struct box daemon, outside;

	box_start(&daemon, layout, BOX_OWN_CGROUP);
	box_move(&daemon, getpid());
	ck_assert_int_eq(unshare(CLONE_NEWCGROUP), 0);
	box_start(&outside, layout, PLAIN);
	container_unref(open_of(outside.pid));
	ck_assert_int_eq(read_fd(fd, &log), 0);
	ck_assert_ptr_nonnull(memmem(log.data, log.len, "outside the daemon's cgroup", 27));
	box_stop(&outside);
	box_kill(&daemon); /* its cgroups go when this process has left them */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("container_trust");
	TCase *c = make_case("container_trust");

	if (!c) {
		puts("1..0 # SKIP needs root and a cgroup hierarchy to make cgroups in");
		return 0;
	}
	tcase_add_test(c, an_init_whose_first_thread_ended_is_not_taken_for_the_host);
	tcase_add_test(c, a_caller_from_elsewhere_is_not_led_to_init_when_its_cgroup_goes);
	tcase_add_test(c, a_callers_number_that_another_process_got_leads_nowhere);
	tcase_add_test(c, who_changed_its_root_does_not_answer_for_others);
	tcase_add_test(c, a_cgroup_outside_the_daemons_namespace_is_told_of);
	suite_add_tcase(s, c);
	return unit_run(s);
}
