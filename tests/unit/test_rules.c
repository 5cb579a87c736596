/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which cgroup is the container's (section 2.3), on what kernels say in each of the setups that
 * people run. Texts as in /proc/<pid>/cgroup and /proc/<pid>/mountinfo, read from the host.
 */
#include <string.h>

#include "../../src/container/private.h"
#include "cleanup.h"
#include "unit.h"

#define V2(path) "0::" path "\n"
#define MOUNT2(root) "42 31 0:27 " root " /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n"
#define ROOTFS                                                                                     \
	"30 1 0:50 / / rw,relatime - overlay overlay rw\n31 30 0:51 / /sys ro - sysfs sysfs ro\n"

static struct cgroup_layout v2 = {
	.n = 1,
	.hierarchy = { { .unified = true, .name = (char *)"", .mount_root = (char *)"/" } },
	.unified = 0,
};

static struct cgroup_layout v1 = {
	.n = 3,
	.hierarchy = { { .name = (char *)"cpu,cpuacct", .mount_root = (char *)"/" },
		{ .name = (char *)"memory", .mount_root = (char *)"/" },
		{ .name = (char *)"name=systemd", .mount_root = (char *)"/" } },
	.unified = -1,
};

/* One process of one container on a pure v2 host. */
struct scene {
	const char *cgroup, *mountinfo, *init_cgroup, *base; /* NULL as in struct rules_input */
	const char *path;
	enum container_rule rule;
	bool confirmed;
};

static void assert_scene(const struct scene *s)
{
	struct slice mounts, init;
	struct cgroup_paths base = { { (char *)s->base } };
	struct rules_input in = { .layout = &v2, .cgroup = slice_str(s->cgroup) };
	struct rules_result result;

	if (s->mountinfo) {
		mounts = slice_str(s->mountinfo);
		in.mountinfo = &mounts;
	}
	if (s->init_cgroup) {
		init = slice_str(s->init_cgroup);
		in.init_cgroup = &init;
	}
	if (s->base)
		in.base = &base;
	ck_assert_int_eq(rules_apply(&in, &result), 0);
	ck_assert_str_eq(result.paths.path[0], s->path);
	ck_assert_int_eq(result.rule[0], s->rule);
	ck_assert_int_eq(result.confirmed, s->confirmed);
	rules_result_free(&result);
}

START_TEST(a_containers_own_cgroup_mount_tells_its_cgroup)
{
	const struct scene docker = { V2("/system.slice/docker-abc.scope"),
		ROOTFS MOUNT2("/system.slice/docker-abc.scope"),
		V2("/system.slice/docker-abc.scope"), NULL, "/system.slice/docker-abc.scope",
		CONTAINER_RULE_MOUNT, true };

	assert_scene(&docker);
}
END_TEST

START_TEST(an_init_that_moved_to_a_leaf_keeps_the_whole_container)
{
	/* docker:dind moves its processes to /init, podman puts them into /container. */
	const struct scene dind = { V2("/docker/abc/init"), ROOTFS MOUNT2("/docker/abc"),
		V2("/docker/abc/init"), NULL, "/docker/abc", CONTAINER_RULE_MOUNT, true };
	const struct scene podman = { V2("/machine.slice/libpod-abc.scope/container"),
		ROOTFS MOUNT2("/machine.slice/libpod-abc.scope"),
		V2("/machine.slice/libpod-abc.scope/container"), NULL,
		"/machine.slice/libpod-abc.scope", CONTAINER_RULE_MOUNT, true };

	assert_scene(&dind);
	assert_scene(&podman);
}
END_TEST

START_TEST(a_service_in_a_systemd_container_sees_the_whole_container)
{
	const struct scene shared_mount = { V2("/lxc/c1/system.slice/nginx.service"),
		ROOTFS MOUNT2("/"), V2("/lxc/c1/init.scope"), NULL, "/lxc/c1", CONTAINER_RULE_INIT,
		true };
	const struct scene itself = { V2("/lxc/c1/init.scope"), ROOTFS, V2("/lxc/c1/init.scope"),
		NULL, "/lxc/c1", CONTAINER_RULE_INIT, true };

	assert_scene(&shared_mount);
	assert_scene(&itself);
}
END_TEST

START_TEST(a_container_in_the_hosts_pid_namespace_is_told_by_mount_or_own_cgroup)
{
	const struct scene mounted = { V2("/docker/abc/worker"), ROOTFS MOUNT2("/docker/abc"), NULL,
		NULL, "/docker/abc", CONTAINER_RULE_MOUNT, true };
	const struct scene bare = { V2("/docker/abc"), ROOTFS, NULL, NULL, "/docker/abc",
		CONTAINER_RULE_OWN, true };
	const struct scene service = { V2("/system.slice/a.service"), ROOTFS MOUNT2("/"), NULL,
		NULL, "/system.slice/a.service", CONTAINER_RULE_OWN, true };
	const struct scene hosts_init = { V2("/init.scope"), ROOTFS MOUNT2("/"), NULL, NULL, "/",
		CONTAINER_RULE_OWN, true };

	assert_scene(&mounted);
	assert_scene(&bare);
	assert_scene(&service);
	assert_scene(&hosts_init);
}
END_TEST

START_TEST(containers_that_share_a_pid_namespace_are_told_apart_by_their_mounts)
{
	const struct scene app = { V2("/kubepods/pod1/app"), ROOTFS MOUNT2("/kubepods/pod1/app"),
		V2("/kubepods/pod1/pause"), NULL, "/kubepods/pod1/app", CONTAINER_RULE_MOUNT,
		true };
	const struct scene without_mount = { V2("/kubepods/pod1/app"), ROOTFS,
		V2("/kubepods/pod1/pause"), NULL, "/kubepods/pod1/app", CONTAINER_RULE_OWN, false };

	assert_scene(&app);
	assert_scene(&without_mount);
}
END_TEST

START_TEST(a_nested_container_is_strictly_below_the_outer_one)
{
	/* The inner one inherits the outer's mount where it has no cgroup namespace of its own. */
	const struct scene shares = { V2("/docker/abc/inner/leaf"), ROOTFS MOUNT2("/docker/abc"),
		V2("/docker/abc/inner"), "/docker/abc", "/docker/abc/inner", CONTAINER_RULE_INIT,
		true };
	const struct scene own = { V2("/docker/abc/docker/n/init"),
		ROOTFS MOUNT2("/docker/abc/docker/n"), V2("/docker/abc/docker/n/init"),
		"/docker/abc", "/docker/abc/docker/n", CONTAINER_RULE_MOUNT, true };
	const struct scene below_host = { V2("/a"), ROOTFS MOUNT2("/"), V2("/a"), NULL, "/a",
		CONTAINER_RULE_INIT, true };

	assert_scene(&shares);
	assert_scene(&own);
	assert_scene(&below_host);
}
END_TEST

START_TEST(a_crafted_mount_table_gains_nothing)
{
	static const char *const tables[] = {
		ROOTFS MOUNT2("/"),              /* the host's root */
		ROOTFS MOUNT2("/docker/other"),  /* another container's */
		ROOTFS MOUNT2("/docker/abc/x"),  /* one the process is not in */
		ROOTFS MOUNT2("/docker/ab"),     /* no path component */
		ROOTFS MOUNT2("/../docker/abc"), /* outside */
		ROOTFS "42 31 0:27 /docker /mnt rw - cgroup2 cgroup rw\n",
		ROOTFS "42 31 0:27 /docker /sys/fs/cgroup rw - fuse.cgroup2 cgroup rw\n",
		ROOTFS "42 31 0:27 /docker /sys/fs/cgroup rw - tmpfs cgroup2 rw\n",
		ROOTFS "42 31 0:27 /docker /sys/fs/cgroups rw - cgroup2 cgroup rw\n",
		"",
		"garbage\n\n- - -\n42 31",
	};

	for (size_t i = 0; i < countof(tables); i++) {
		const struct scene s = { V2("/docker/abc"), tables[i], V2("/docker/abc"), NULL,
			"/docker/abc", CONTAINER_RULE_INIT, true };

		assert_scene(&s);
	}
}
END_TEST

START_TEST(the_topmost_mount_counts_and_escapes_are_undone)
{
	const struct scene stacked = { V2("/a/b/c"),
		ROOTFS MOUNT2("/a") "43 42 0:27 /a/b /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
		V2("/a/b/c"), NULL, "/a/b", CONTAINER_RULE_MOUNT, true };
	const struct scene escaped = { V2("/my box/leaf"), ROOTFS MOUNT2("/my\\040box"),
		V2("/my box/leaf"), NULL, "/my box", CONTAINER_RULE_MOUNT, true };

	assert_scene(&stacked);
	assert_scene(&escaped);
}
END_TEST

START_TEST(a_caller_from_elsewhere_is_confirmed_by_nobody)
{
	const struct scene nsenter = { V2("/user.slice/user-0.slice"), ROOTFS MOUNT2("/"),
		V2("/docker/abc"), NULL, "/user.slice/user-0.slice", CONTAINER_RULE_OWN, false };
	const struct scene alike = { V2("/lxc/c10"), ROOTFS, V2("/lxc/c1"), NULL, "/lxc/c10",
		CONTAINER_RULE_OWN, false };

	assert_scene(&nsenter);
	assert_scene(&alike);
}
END_TEST

START_TEST(paths_outside_the_daemons_cgroup_namespace_contain_nothing_inside)
{
	const struct scene sibling = { V2("/../other"), ROOTFS MOUNT2("/../other"), V2("/../other"),
		NULL, "/../other", CONTAINER_RULE_INIT, true };
	const struct scene above = { V2("/../other"), ROOTFS, V2("/"), NULL, "/../other",
		CONTAINER_RULE_OWN, false };
	const struct scene further = { V2("/../../x"), ROOTFS, V2("/.."), NULL, "/../../x",
		CONTAINER_RULE_OWN, false };
	const struct scene dots_in_a_name = { V2("/..a/b"), ROOTFS MOUNT2("/..a"), V2("/..a/b"),
		NULL, "/..a", CONTAINER_RULE_MOUNT, true };

	assert_scene(&sibling);
	assert_scene(&above);
	assert_scene(&further);
	assert_scene(&dots_in_a_name);
}
END_TEST

START_TEST(without_a_mount_table_init_decides)
{
	const struct scene s = { V2("/docker/abc/init"), NULL, V2("/docker/abc/init"), NULL,
		"/docker/abc/init", CONTAINER_RULE_INIT, true };

	assert_scene(&s);
}
END_TEST

START_TEST(each_v1_hierarchy_is_decided_by_itself)
{
	static const char cgroup[] = "11:memory:/docker/abc/sub\n"
				     "5:cpuacct,cpu:/other\n"
				     "3:pids:/docker/abc\n"
				     "1:name=systemd:/docker/abc/init.scope\n"
				     "0::/ignored\n";
	struct slice init = slice_str("11:memory:/docker/abc\n5:cpuacct,cpu:/docker/abc\n"
				      "1:name=systemd:/docker/abc/init.scope\n");
	struct slice mounts = slice_str(
		ROOTFS "40 31 0:60 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n"
		       "41 40 0:33 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
		       "42 40 0:34 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup "
		       "rw,cpu,cpuacct\n");
	const struct rules_input in = { .layout = &v1,
		.cgroup = slice_str(cgroup),
		.mountinfo = &mounts,
		.init_cgroup = &init };
	struct rules_result r;

	ck_assert_int_eq(rules_apply(&in, &r), 0);
	ck_assert_str_eq(r.paths.path[0], "/other");
	ck_assert_int_eq(r.rule[0], CONTAINER_RULE_OWN);
	ck_assert_str_eq(r.paths.path[1], "/docker/abc");
	ck_assert_int_eq(r.rule[1], CONTAINER_RULE_MOUNT);
	ck_assert_str_eq(r.paths.path[2], "/docker/abc");
	ck_assert_int_eq(r.rule[2], CONTAINER_RULE_INIT);
	ck_assert(!r.confirmed);
	ck_assert(!r.by_init);
	rules_result_free(&r);
}
END_TEST

START_TEST(a_hierarchy_without_the_process_has_no_rule)
{
	struct slice init = slice_str("11:memory:/a\n");
	const struct rules_input in = {
		.layout = &v1, .cgroup = slice_str("11:memory:/a\n"), .init_cgroup = &init
	};
	struct rules_result r;

	ck_assert_int_eq(rules_apply(&in, &r), 0);
	ck_assert_ptr_null(r.paths.path[0]);
	ck_assert_int_eq(r.rule[0], CONTAINER_RULE_NONE);
	ck_assert_str_eq(r.paths.path[1], "/a");
	ck_assert(r.confirmed);
	ck_assert(r.by_init);
	rules_result_free(&r);
}
END_TEST

START_TEST(boottime_offsets_are_read_with_their_sign)
{
	ck_assert_int_eq(proc_parse_boottime_offset(slice_str("monotonic           0         0\n"
							      "boottime      -86400 500000000\n")),
		-86400);
	ck_assert_int_eq(proc_parse_boottime_offset(slice_str("monotonic 5 0\nboottime 7 0\n")), 7);
	ck_assert_int_eq(proc_parse_boottime_offset(slice_str("")), 0);
	ck_assert_int_eq(proc_parse_boottime_offset(slice_str("boottime x 0\n")), 0);
}
END_TEST

START_TEST(paths_below_proc_are_spelled_without_stdio)
{
	ck_assert_str_eq(proc_path(1, "ns/pid").s, "1/ns/pid");
	ck_assert_str_eq(proc_path(INT32_MAX, "mountinfo").s, "2147483647/mountinfo");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules");
	TCase *c = tcase_create("rules");

	tcase_add_test(c, a_containers_own_cgroup_mount_tells_its_cgroup);
	tcase_add_test(c, an_init_that_moved_to_a_leaf_keeps_the_whole_container);
	tcase_add_test(c, a_service_in_a_systemd_container_sees_the_whole_container);
	tcase_add_test(c, a_container_in_the_hosts_pid_namespace_is_told_by_mount_or_own_cgroup);
	tcase_add_test(c, containers_that_share_a_pid_namespace_are_told_apart_by_their_mounts);
	tcase_add_test(c, a_nested_container_is_strictly_below_the_outer_one);
	tcase_add_test(c, a_crafted_mount_table_gains_nothing);
	tcase_add_test(c, the_topmost_mount_counts_and_escapes_are_undone);
	tcase_add_test(c, a_caller_from_elsewhere_is_confirmed_by_nobody);
	tcase_add_test(c, paths_outside_the_daemons_cgroup_namespace_contain_nothing_inside);
	tcase_add_test(c, without_a_mount_table_init_decides);
	tcase_add_test(c, each_v1_hierarchy_is_decided_by_itself);
	tcase_add_test(c, a_hierarchy_without_the_process_has_no_rule);
	tcase_add_test(c, boottime_offsets_are_read_with_their_sign);
	tcase_add_test(c, paths_below_proc_are_spelled_without_stdio);
	suite_add_tcase(s, c);
	return unit_run(s);
}
