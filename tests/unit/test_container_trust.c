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

/* --- whom a caller in the daemon's pid namespace is charged to ------------------------------- */

/* Whose a process at this path of every hierarchy is; to be put. */
static struct owner *owner_at(const char *path)
{
	autotext text = { 0 };
	struct owner *o;

	for (size_t i = 0; i < layout->n; i++)
		text_printf(&text, "%zu:%s:%s\n", i, layout->hierarchy[i].name, path);
	ck_assert_int_eq(owner_of_cgroups(cache, slice_of(&text), &o), 0);
	return o;
}

static bool is_one(const char *a, const char *b)
{
	struct owner *of_a = owner_at(a), *of_b = owner_at(b);
	const bool one = of_a == of_b;

	owner_put(cache, of_a);
	owner_put(cache, of_b);
	return one;
}

/* Below a box's cgroup, in the hierarchy that boxes are told apart by. */
static void make_directory(const struct box *box, const char *name, uid_t uid)
{
	const struct cgroup_hierarchy *h = &layout->hierarchy[box_hierarchy()];
	autotext path = { 0 };

	text_printf(&path, "%s/%s", cgroup_path_below(h, box->path), name);
	ck_assert_int_eq(mkdirat(h->dirfd, path.data, 0755), 0);
	ck_assert_int_eq(fchownat(h->dirfd, path.data, uid, uid, 0), 0);
}

static void remove_directory(const struct box *box, const char *name)
{
	const struct cgroup_hierarchy *h = &layout->hierarchy[box_hierarchy()];
	autotext path = { 0 };

	text_printf(&path, "%s/%s", cgroup_path_below(h, box->path), name);
	unlinkat(h->dirfd, path.data, AT_REMOVEDIR);
}

static const char *at(const struct box *box, const char *name, char *ret)
{
	snprintf(ret, 256, "%s/%s", box->path, name);
	return ret;
}

START_TEST(pods_that_share_two_names_are_charged_apart_and_a_users_cgroups_together)
{
	static const struct {
		const char *name;
		uid_t uid;
	} directories[] = { { "pods", 0 }, { "pods/a", 0 }, { "pods/a/1", 0 }, { "pods/b", 0 },
		{ "users", 0 }, { "users/a", 1000 }, { "users/b", 1000 }, { "users/b/root", 0 } };
	char a[256], b[256];
	struct box box;

	box_start(&box, layout, BOX_OWN_CGROUP);
	for (size_t i = 0; i < countof(directories); i++)
		make_directory(&box, directories[i].name, directories[i].uid);
	ck_assert(!is_one(at(&box, "pods/a", a), at(&box, "pods/b", b)));
	ck_assert(!is_one(at(&box, "pods/a/1", a), at(&box, "pods/b", b)));
	ck_assert(is_one(at(&box, "pods/a/1", a), at(&box, "pods/a/1", b)));
	ck_assert(is_one(at(&box, "users/a", a), at(&box, "users/b", b)));
	ck_assert(is_one(at(&box, "users/a", a), at(&box, "users/b/root", b)));
	ck_assert(is_one(at(&box, "gone/a", a), at(&box, "gone/b", b)));
	for (size_t i = countof(directories); i > 0; i--)
		remove_directory(&box, directories[i - 1].name);
	box_stop(&box);
}
END_TEST

START_TEST(a_user_is_charged_for_all_sessions)
{
	ck_assert(is_one("/user.slice/user-1000.slice/session-1.scope",
		"/user.slice/user-1000.slice/session-2.scope"));
	ck_assert(is_one("/user.slice/user-1000.slice/session-1.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/x"));
	ck_assert(!is_one("/user.slice/user-1000.slice/session-1.scope",
		"/user.slice/user-1001.slice/session-2.scope"));
	ck_assert(!is_one("/system.slice/a.scope", "/system.slice/b.scope"));
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

START_TEST(whoever_is_outside_the_daemons_cgroup_namespace_gets_an_error)
{
	autotext log = { 0 };
	autoclose int fd = catch_log();
	struct box daemon, outside, service;
	struct container *r;

	box_start(&daemon, layout, BOX_OWN_CGROUP);
	box_move(&daemon, getpid());
	ck_assert_int_eq(unshare(CLONE_NEWCGROUP), 0);
	box_start(&outside, layout, PLAIN);
	ck_assert_int_eq(container_open(cache, outside.pid, &r), -EIO);
	box_tell(
		&outside, BOX_LEAVE); /* "/..", of a container: around the namespace, but unknown */
	ck_assert_int_eq(container_open(cache, outside.pid, &r), -EIO);
	ck_assert_int_eq(read_fd(fd, &log), 0);
	ck_assert_ptr_nonnull(memmem(log.data, log.len, "outside the daemon's cgroup", 27));
	box_start(&service, layout, BOX_OWN_CGROUP);
	ck_assert_int_eq(container_open(cache, service.pid, &r), -EIO);
	box_tell(&service, BOX_LEAVE);
	r = open_of(service.pid);
	ck_assert(r->subject.is_host);
	container_unref(r);
	box_stop(&service);
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
	tcase_add_test(c, pods_that_share_two_names_are_charged_apart_and_a_users_cgroups_together);
	tcase_add_test(c, a_user_is_charged_for_all_sessions);
	tcase_add_test(c, a_caller_from_elsewhere_is_not_led_to_init_when_its_cgroup_goes);
	tcase_add_test(c, a_callers_number_that_another_process_got_leads_nowhere);
	tcase_add_test(c, who_changed_its_root_does_not_answer_for_others);
	tcase_add_test(c, whoever_is_outside_the_daemons_cgroup_namespace_gets_an_error);
	suite_add_tcase(s, c);
	return unit_run(s);
}
