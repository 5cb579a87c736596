/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What --inspect answers: where a limit stands, which files are ours, and the sentences, from facts
 * made by hand. That the facts of a real container are gathered is for the mount tests.
 */
#include <limits.h>

#include "cgroup_machine.h"
#include "cleanup.h"
#include "../../src/inspect/private.h"

/* --- cgroup_levels() ---------------------------------------------------------------------------
 */

static void add_line(const struct cgroup_level *l, void *data)
{
	text_printf(data, "%s %s ", l->path, l->file);
	if (l->there)
		text_add(data, l->says.p, l->says.n);
	else
		text_puts(data, "-");
	text_puts(data, "\n");
}

START_TEST(every_level_is_told_upwards_with_its_file)
{
	static const struct {
		const char *machine, *path;
		enum cgroup_limit_kind kind;
		const char *lines;
	} cases[] = {
		{ "hybrid", "/ct/parent/child", CGROUP_LIMIT_QUOTA,
			"/ct/parent/child cpu.cfs_quota_us max\n"
			"/ct/parent cpu.cfs_quota_us 50000 100000\n"
			"/ct cpu.cfs_quota_us max\n" },
		{ "hybrid", "/ct/a", CGROUP_LIMIT_CPUSET,
			"/ct/a cpuset.effective_cpus 1\n/ct cpuset.effective_cpus 0-1\n" },
		/* an empty list is no list; and where a kernel has no effective one */
		{ "v1-comounted", "/ct/parent/child", CGROUP_LIMIT_CPUSET,
			"/ct/parent/child cpuset.effective_cpus -\n"
			"/ct/parent cpuset.cpus 0-2\n"
			"/ct cpuset.cpus 0-3\n" },
		{ "v2", "/ct/parent/plain", CGROUP_LIMIT_MEMORY,
			"/ct/parent/plain memory.max -\n/ct/parent memory.max 134217728\n"
			"/ct memory.max max\n" },
		{ "hybrid", "/", CGROUP_LIMIT_MEMORY, "" },
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct machine m = machine_open(cases[i].machine);
		struct cgroup_set *s = set_at(&m, cases[i].path);
		autotext t = { 0 };

		ck_assert_int_eq(cgroup_levels(s, cases[i].kind, add_line, &t), 0);
		text_add(&t, "", 1);
		ck_assert_str_eq(t.data, cases[i].lines);
		cgroup_set_free(s);
		machine_close(&m);
	}
}
END_TEST

/* --- binds -------------------------------------------------------------------------------------
 */

/* As a runtime leaves it, the last line being hidden under the one before. */
static const char mountinfo[] =
	"100 90 0:50 / / rw - overlay overlay rw\n"
	"101 100 0:51 / /proc rw - proc proc rw\n"
	"102 101 0:60 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"
	"103 101 0:60 /quota/proc/cpuinfo /proc/cpuinfo rw - fuse.lxcfs lxcfs rw\n"
	"104 101 0:61 /proc/stat /proc/stat rw - fuse.lxcfs lxcfs rw\n"
	"105 100 0:52 / /sys rw - sysfs sysfs rw\n"
	"106 105 0:60 /cpuset/sys/devices/system/cpu /sys/devices/system/cpu rw - fuse.lxcfs lxcfs "
	"rw\n"
	"107 101 0:60 /proc/uptime /proc/uptime rw - fuse.lxcfs lxcfs rw\n"
	"108 107 0:53 / /proc/uptime rw - tmpfs tmpfs rw\n";

static struct inspect_bind binds[64];

static const struct inspect_bind *bind_of(const char *path)
{
	for (size_t i = 0; i < view_count; i++)
		if (strcmp(view_registry[i].path, path) == 0)
			return &binds[i];
	ck_abort_msg("no %s", path);
}

START_TEST(a_processs_mounts_tell_which_files_are_ours_and_from_which_tree)
{
	const struct inspect_daemon daemon = { .pid = 1, .major = 0, .minor = 60 };

	ck_assert_int_eq(inspect_binds(slice_str(mountinfo), &daemon, binds), 0);
	ck_assert(bind_of("proc/meminfo")->bound && !bind_of("proc/meminfo")->stale);
	ck_assert_int_eq(bind_of("proc/meminfo")->tree, INSPECT_TREE_DEFAULT);
	ck_assert_int_eq(bind_of("proc/cpuinfo")->tree, INSPECT_TREE_QUOTA);
	ck_assert(bind_of("proc/stat")->bound && bind_of("proc/stat")->stale);
	ck_assert(bind_of("sys/devices/system/cpu/online")->bound);
	ck_assert_int_eq(bind_of("sys/devices/system/cpu/online")->tree, INSPECT_TREE_CPUSET);
	ck_assert(!bind_of("proc/uptime")->bound);
	ck_assert(!bind_of("proc/swaps")->bound);
}
END_TEST

/* --- sentences ---------------------------------------------------------------------------------
 */

static struct options options;
static struct inspect_level cpuset, quota, memory;
static struct inspection in;

static void cpus(struct cpumask *m, const char *list)
{
	ck_assert_int_eq(cpumask_parse(slice_str(list), m), 0);
}

static void decides(enum cgroup_limit_kind kind, struct inspect_level *l, const char *file,
	const char *says, uint64_t limit)
{
	static char path[] = "/ct", files[CGROUP_LIMITS][64], texts[CGROUP_LIMITS][64];

	snprintf(files[kind], sizeof(files[kind]), "%s", file);
	snprintf(texts[kind], sizeof(texts[kind]), "%s", says);
	*l = (struct inspect_level){ path, files[kind], texts[kind], true, limit };
	in.limits[kind] = (struct inspect_limit){ l, 1, false, l };
}

/* A container with its files bound, four CPUs and no limit. */
static void setup(void)
{
	const struct inspect_daemon daemon = { .pid = 77, .major = 0, .minor = 60 };

	memset(&in, 0, sizeof(in));
	memset(&options, 0, sizeof(options));
	ck_assert_int_eq(inspect_binds(slice_str(mountinfo), &daemon, binds), 0);
	for (size_t i = 0; i < view_count; i++)
		binds[i] = (struct inspect_bind){ .bound = true };
	in.binds = binds;
	in.options = &options;
	in.available = CGROUP_BIT(CGROUP_CPUSET) | CGROUP_BIT(CGROUP_MEMORY);
	in.init = 4711;
	in.quota = UINT_MAX;
	in.has_memory = true;
	in.memory.known = true;
	in.memory.limit = CGROUP_NO_LIMIT;
	in.host_memory_kb = 1024 * 1024;
	cpus(&in.online, "0-3");
	in.by_cpuset = in.by_quota = in.online;
	decides(CGROUP_LIMIT_CPUSET, &cpuset, "cpuset.cpus.effective", "0-3", 0);
}

static void assert_why(void (*why)(const struct inspection *, struct text *), const char *phrase)
{
	autotext t = { 0 };

	why(&in, &t);
	text_add(&t, "", 1);
	ck_assert_msg(strstr(t.data, phrase), "no '%s' in:\n%s", phrase, t.data);
}

static void assert_why_not(
	void (*why)(const struct inspection *, struct text *), const char *phrase)
{
	autotext t = { 0 };

	why(&in, &t);
	text_add(&t, "", 1);
	ck_assert_msg(!strstr(t.data, phrase), "'%s' in:\n%s", phrase, t.data);
}

static void assert_visible(const char *list)
{
	struct cpumask expected;

	cpus(&expected, list);
	ck_assert(cpumask_equal(inspect_visible(&in), &expected));
}

START_TEST(why_the_hosts_cpus_are_seen)
{
	setup();
	assert_why(inspect_why_cpus,
		"No cpuset restricts it: cpuset.cpus.effective of /ct is 0-3, "
		"which is every CPU that is online.");
	assert_why(inspect_why_cpus, "No CPU quota limits it.");
	in.limits[CGROUP_LIMIT_CPUSET] = (struct inspect_limit){ 0 };
	assert_why(inspect_why_cpus, "in the root cgroup of the hierarchy that has the cpuset");
	in.available = 0;
	assert_why(inspect_why_cpus, "this machine has no cpuset controller");
	in.is_host = true;
	assert_why(inspect_why_cpus, "the root cgroup of every hierarchy");
	in.daemon = (struct inspect_daemon){ .pid = 77, .pass_through = true };
	assert_why(inspect_why_cpus, "kill -USR2 77");
}
END_TEST

START_TEST(a_quota_counts_where_somebody_said_so)
{
	setup();
	in.quota = 2;
	cpus(&in.by_quota, "0-1");
	decides(CGROUP_LIMIT_QUOTA, &quota, "cpu.max", "150000 100000", 2);
	assert_why(inspect_why_cpus,
		"cpu.max of /ct is worth 2 CPUs, rounded up (quota and period in us: 150000 "
		"100000).");
	assert_why(inspect_why_cpus,
		"quotas count only with --enable-cfs, or for files bound from "
		"DIR/quota.");
	assert_visible("0-3");
	options.enable_cfs = true;
	assert_why(inspect_why_cpus, "It counts, for the daemon was started with --enable-cfs.");
	assert_visible("0-1");
	for (size_t i = 0; i < view_count; i++)
		binds[i].tree = INSPECT_TREE_CPUSET;
	assert_why(inspect_why_cpus, "It does not count, for its files are bound from DIR/cpuset.");
	assert_visible("0-3");
	options.enable_cfs = false;
	for (size_t i = 0; i < view_count; i++)
		binds[i].tree = INSPECT_TREE_QUOTA;
	assert_why(inspect_why_cpus, "It counts, for its files are bound from DIR/quota.");
	assert_visible("0-1");
}
END_TEST

START_TEST(a_cpuset_that_restricts_is_named)
{
	setup();
	decides(CGROUP_LIMIT_CPUSET, &cpuset, "cpuset.cpus.effective", "1,3", 0);
	cpus(&in.by_cpuset, "1,3");
	in.by_quota = in.by_cpuset;
	assert_why(inspect_why_cpus,
		"The cpuset decides: cpuset.cpus.effective of /ct is 1,3. The "
		"machine has 0-3 online.");
	assert_visible("1,3");
}
END_TEST

START_TEST(why_the_hosts_memory_is_seen)
{
	setup();
	assert_why(inspect_why_memory, "Nothing limits its memory");
	ck_assert_uint_eq(inspect_memory_kb(&in), 1024 * 1024);
	decides(CGROUP_LIMIT_MEMORY, &memory, "memory.max", "2147483648", 2048 * MiB);
	assert_why(inspect_why_memory, "is 2147483648, which is not below the machine's memory");
	in.memory.limit = 512 * MiB;
	assert_why(inspect_why_memory, "The limit decides: memory.max of /ct is");
	ck_assert_uint_eq(inspect_memory_kb(&in), 512 * 1024);
	in.has_memory = false;
	assert_why(inspect_why_memory, "in the root cgroup of the hierarchy that has the memory");
	ck_assert_uint_eq(inspect_memory_kb(&in), 1024 * 1024);
	in.available = 0;
	assert_why(inspect_why_memory, "This machine has no memory controller");
}
END_TEST

START_TEST(files_that_are_not_bound_come_first)
{
	autotext t = { 0 };

	setup();
	memset(binds, 0, sizeof(binds));
	inspect_why_memory(&in, &t);
	ck_assert(slice_starts(slice_of(&t), "No file of lxcfs lies over its /proc/meminfo"));
	for (size_t i = 0; i < view_count; i++)
		binds[i] = (struct inspect_bind){ .bound = true, .stale = true };
	assert_why(inspect_why_cpus, "is not the running daemon's");
}
END_TEST

START_TEST(a_cgroup_that_cannot_be_seen_from_here_is_told)
{
	static char hierarchy[] = "memory", path[8] = "/..";

	setup();
	in.cgroups[0] = (struct inspect_cgroup){ hierarchy, path, CONTAINER_RULE_OWN };
	in.n_cgroups = 1;
	assert_why(inspect_why_memory, "/.. is outside the cgroup namespace");
	assert_why(inspect_why_cpus, "/.. is outside the cgroup namespace");
	strcpy(path, "/..x"); /* a name may begin so */
	assert_why_not(inspect_why_memory, "outside the cgroup namespace");
}
END_TEST

START_TEST(json_is_whole_and_says_null_for_what_is_unlimited)
{
	autotext t = { 0 };

	setup();
	ck_assert_int_eq(inspect_json(&in, &t), 0);
	ck_assert_int_eq(text_error(&t), 0);
	ck_assert(slice_starts(slice_of(&t), "{") && slice_ends(slice_of(&t), "}\n"));
	ck_assert_ptr_nonnull(memmem(t.data, t.len, "\"value\":null", 12));
	ck_assert_ptr_nonnull(memmem(t.data, t.len, "\"visible\":\"0-3\"", 15));
}
END_TEST

START_TEST(json_is_utf8_whatever_a_cgroup_is_called)
{
	static const struct {
		const char *name, *told;
	} names[] = {
		{ "/caf\xc3\xa9", "caf\xc3\xa9" },
		{ "/\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7" },
		{ "/a\xff!", "a\xef\xbf\xbd!" },
		{ "/a\xc3", "a\xef\xbf\xbd\"" },             /* cut short */
		{ "/\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" }, /* too long for what it says */
		{ "/\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* half a pair */
		{ "/\x1b[2J", "\\u001b[2J" },
	};
	static char hierarchy[] = "memory";

	for (size_t i = 0; i < countof(names); i++) {
		autotext t = { 0 };
		char path[32];

		snprintf(path, sizeof(path), "%s", names[i].name);
		setup();
		in.cgroups[0] = (struct inspect_cgroup){ hierarchy, path, CONTAINER_RULE_OWN };
		in.n_cgroups = 1;
		ck_assert_int_eq(inspect_json(&in, &t), 0);
		ck_assert_msg(memmem(t.data, t.len, names[i].told, strlen(names[i].told)),
			"%zu: %.*s", i, (int)t.len, t.data);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("inspect");
	TCase *c = tcase_create("inspect");

	tcase_add_test(c, every_level_is_told_upwards_with_its_file);
	tcase_add_test(c, a_processs_mounts_tell_which_files_are_ours_and_from_which_tree);
	tcase_add_test(c, why_the_hosts_cpus_are_seen);
	tcase_add_test(c, a_quota_counts_where_somebody_said_so);
	tcase_add_test(c, a_cpuset_that_restricts_is_named);
	tcase_add_test(c, why_the_hosts_memory_is_seen);
	tcase_add_test(c, files_that_are_not_bound_come_first);
	tcase_add_test(c, a_cgroup_that_cannot_be_seen_from_here_is_told);
	tcase_add_test(c, json_is_whole_and_says_null_for_what_is_unlimited);
	tcase_add_test(c, json_is_utf8_whatever_a_cgroup_is_called);
	suite_add_tcase(s, c);
	return unit_run(s);
}
