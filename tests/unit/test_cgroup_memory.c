/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory, swap and huge pages of captured cgroups, version by version. The machines' hosts count as
 * having 1 GiB of memory and 512 MiB of swap here.
 */
#include <errno.h>

#include "cgroup_machine.h"
#include "cleanup.h"

#define CAP (1024 * MiB)
#define HOST_SWAP (512 * MiB)

struct expected_memory {
	const char *machine, *path;
	uint64_t limit, usage, free, available, file, anon;
};

static struct cgroup_memory memory_of(const struct machine *m, const char *path)
{
	struct cgroup_set *s = set_at(m, path);
	struct cgroup_memory memory;

	ck_assert_int_eq(cgroup_memory(s, CAP, &memory), 0);
	cgroup_set_free(s);
	return memory;
}

/* In MiB. Available adds the file LRUs (a: 36 + 20, b: 12 + 8, child: 6 + 4, parent: 18 + 12) and
 * on v2 reclaimable slab (a: 3, parent: 2). */
static const struct expected_memory expected_memory[] = {
	{ "hybrid", "/ct/a", 256, 106, 150, 206, 60, 40 },
	{ "v2", "/ct/a", 256, 106, 150, 209, 60, 40 },
	{ "hybrid", "/ct/b", 0, 32, 992, 1012, 20, 10 },
	{ "v2", "/ct/b", 0, 32, 992, 1012, 20, 10 },
	/* 128 − 104 of the parent is less than 128 − 32 of its own; 24 + 30 too */
	{ "hybrid", "/ct/parent/child", 128, 32, 24, 54, 10, 20 },
	{ "v2", "/ct/parent/child", 128, 32, 24, 56, 10, 20 },
	/* not enabled down to it: the parent's */
	{ "v2", "/ct/parent/plain", 128, 104, 24, 56, 30, 70 },
	{ "v1-comounted", "/ct/a", 256, 106, 150, 206, 60, 40 },
	{ "v2-namespaced", "/ct/a", 256, 106, 150, 206, 60, 40 },
};

START_TEST(memory_is_the_least_that_the_cgroup_and_its_ancestors_leave)
{
	const struct expected_memory *e = &expected_memory[_i];
	struct machine m = machine_open(e->machine);
	struct cgroup_memory memory = memory_of(&m, e->path);

	ck_assert(memory.known);
	ck_assert_uint_eq(memory.limit, e->limit ? e->limit * MiB : CGROUP_NO_LIMIT);
	ck_assert_uint_eq(memory.usage, e->usage * MiB);
	ck_assert_uint_eq(memory.free, e->free * MiB);
	ck_assert_uint_eq(memory.available, e->available * MiB);
	ck_assert_uint_eq(memory.stat.file, e->file * MiB);
	ck_assert_uint_eq(memory.stat.anon, e->anon * MiB);
	machine_close(&m);
}
END_TEST

START_TEST(a_limit_above_the_hosts_memory_is_none)
{
	struct machine m = machine_open("v2");
	struct cgroup_set *s = set_at(&m, "/ct/a");
	struct cgroup_memory memory;

	ck_assert_int_eq(cgroup_memory(s, 256 * MiB, &memory), 0);
	ck_assert_uint_eq(memory.limit, CGROUP_NO_LIMIT);
	ck_assert_uint_eq(memory.free, 150 * MiB);
	ck_assert_int_eq(cgroup_memory(s, 100 * MiB, &memory), 0);
	ck_assert_uint_eq(memory.free, 0);
	ck_assert_uint_eq(memory.available, 53 * MiB); /* 100 + 59 − 106 */
	cgroup_set_free(s);
	machine_close(&m);
}
END_TEST

START_TEST(v1_lines_are_the_total_ones_and_kernel_memory_is_a_file)
{
	struct machine m = machine_open("hybrid");
	struct cgroup_memory a = memory_of(&m, "/ct/a"), parent = memory_of(&m, "/ct/parent");

	ck_assert_uint_eq(a.stat.file_mapped, 8 * MiB);
	ck_assert_uint_eq(a.stat.file_dirty, MiB);
	ck_assert_uint_eq(a.stat.file_writeback, 4096);
	ck_assert_uint_eq(a.stat.shmem, 4 * MiB);
	ck_assert_uint_eq(a.stat.anon_thp, 2 * MiB);
	ck_assert_uint_eq(a.stat.inactive_anon, 30 * MiB);
	ck_assert_uint_eq(a.stat.active_anon, 14 * MiB);
	ck_assert_uint_eq(a.stat.slab_unreclaimable, 6 * MiB);
	ck_assert_uint_eq(a.stat.slab_reclaimable, 0);
	/* it has no pages of its own, all are its child's */
	ck_assert_uint_eq(parent.stat.anon, 70 * MiB);
	machine_close(&m);
}
END_TEST

START_TEST(v2_lines_are_found)
{
	struct machine m = machine_open("v2");
	struct cgroup_memory_stat a = memory_of(&m, "/ct/a").stat;

	ck_assert_uint_eq(a.zswap, MiB);
	ck_assert_uint_eq(a.zswapped, 3 * MiB);
	ck_assert_uint_eq(a.swapcached, 128 * 1024);
	ck_assert_uint_eq(a.slab_reclaimable, 3 * MiB);
	ck_assert_uint_eq(a.slab_unreclaimable, 2 * MiB);
	ck_assert_uint_eq(a.kernel_stack, 256 * 1024);
	ck_assert_uint_eq(a.pagetables, 512 * 1024);
	ck_assert_uint_eq(a.percpu, 64 * 1024);
	ck_assert_uint_eq(a.vmalloc, 32 * 1024);
	ck_assert_uint_eq(a.unevictable, 0);
	machine_close(&m);
}
END_TEST

START_TEST(at_the_root_memory_is_not_known)
{
	struct machine m = machine_open("hybrid");

	ck_assert(!memory_of(&m, "/").known);
	machine_close(&m);
}
END_TEST

/* --- swap --------------------------------------------------------------------------------------
 */

static struct cgroup_swap swap_of(
	const struct machine *m, const char *path, uint64_t host_total, uint64_t host_free)
{
	struct cgroup_set *s = set_at(m, path);
	struct cgroup_memory memory;
	struct cgroup_swap swap;

	ck_assert_int_eq(cgroup_memory(s, CAP, &memory), 0);
	ck_assert_int_eq(cgroup_swap(s, &memory, host_total, host_free, &swap), 0);
	cgroup_set_free(s);
	return swap;
}

static void assert_swap(struct cgroup_swap swap, uint64_t total, uint64_t used, uint64_t free)
{
	ck_assert_uint_eq(swap.total, total * MiB);
	ck_assert_uint_eq(swap.used, used * MiB);
	ck_assert_uint_eq(swap.free, free * MiB);
}

START_TEST(v2_swap_is_the_least_over_ancestors_and_the_host)
{
	struct machine m = machine_open("v2");

	assert_swap(swap_of(&m, "/ct/a", HOST_SWAP, HOST_SWAP), 128, 16, 112);
	assert_swap(swap_of(&m, "/ct/a", HOST_SWAP, 20 * MiB), 128, 16, 20);
	assert_swap(swap_of(&m, "/ct/a", 64 * MiB, 64 * MiB), 64, 16, 48);
	assert_swap(swap_of(&m, "/ct/b", HOST_SWAP, HOST_SWAP), 512, 0, 512);
	/* 64 − 8 of the parent is less than 64 − 2 */
	assert_swap(swap_of(&m, "/ct/parent/child", HOST_SWAP, HOST_SWAP), 64, 2, 56);
	assert_swap(swap_of(&m, "/ct/parent/plain", HOST_SWAP, HOST_SWAP), 64, 8, 56);
	assert_swap(swap_of(&m, "/ct/a", 0, 0), 0, 0, 0);
	assert_swap(swap_of(&m, "/", HOST_SWAP, HOST_SWAP), 0, 0, 0);
	machine_close(&m);
}
END_TEST

START_TEST(v1_swap_may_take_all_that_memory_and_swap_may)
{
	struct machine m = machine_open("hybrid");

	/* min(384, 512); 122 − 106 used; min(384 − 16, 384 − 122) free */
	assert_swap(swap_of(&m, "/ct/a", HOST_SWAP, HOST_SWAP), 384, 16, 262);
	assert_swap(swap_of(&m, "/ct/a", 100 * MiB, 100 * MiB), 100, 16, 84);
	/* others have used the host's */
	assert_swap(swap_of(&m, "/ct/a", HOST_SWAP, 20 * MiB), 384, 16, 20);
	assert_swap(swap_of(&m, "/ct/b", HOST_SWAP, 20 * MiB), 512, 0, 20);
	assert_swap(swap_of(&m, "/ct/b", HOST_SWAP, HOST_SWAP), 512, 0, 512);
	/* the parent has used 104 of 192, which leaves less than 192 − 32 */
	assert_swap(swap_of(&m, "/ct/parent/child", HOST_SWAP, HOST_SWAP), 192, 0, 88);
	assert_swap(swap_of(&m, "/ct/a", 0, 0), 0, 0, 0);
	machine_close(&m);
}
END_TEST

START_TEST(without_swap_accounting_there_is_no_swap)
{
	struct machine m = machine_open("v1-comounted");

	assert_swap(swap_of(&m, "/ct/a", HOST_SWAP, HOST_SWAP), 0, 0, 0);
	machine_close(&m);
}
END_TEST

/* A v1 memory cgroup with a parent, made up. */
static struct machine swap_machine(const char *swappiness, const char *memsw, const char *hierarchy)
{
	char stat[256];

	made_machine("27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		     "46 27 0:35 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n");
	made_directory("sys/fs/cgroup/p/a");
	snprintf(stat, sizeof(stat),
		"cache 0\nhierarchical_memory_limit 104857600\nhierarchical_memsw_limit %s\n",
		memsw);
	made_file("sys/fs/cgroup/p/a/memory.stat", stat);
	made_file("sys/fs/cgroup/p/a/memory.usage_in_bytes", "52428800\n");
	made_file("sys/fs/cgroup/p/a/memory.memsw.usage_in_bytes", "62914560\n");
	made_file("sys/fs/cgroup/p/a/memory.swappiness", swappiness);
	made_file("sys/fs/cgroup/p/memory.use_hierarchy", hierarchy);
	made_file("sys/fs/cgroup/p/memory.stat", "cache 0\n");
	made_file("sys/fs/cgroup/p/memory.limit_in_bytes", "67108864\n");
	made_file("sys/fs/cgroup/p/memory.usage_in_bytes", "66060288\n");
	made_file("sys/fs/cgroup/p/memory.memsw.limit_in_bytes", "83886080\n");
	made_file("sys/fs/cgroup/p/memory.memsw.usage_in_bytes", "81788928\n");
	return machine_open_at(made_path, 16);
}

START_TEST(v1_swap_that_cannot_grow_is_what_is_used)
{
	static const char *const cases[][2] = { { "0\n", "209715200" }, { "60\n", "104857600" } };
	struct machine m = swap_machine(cases[_i][0], cases[_i][1], "0\n");

	assert_swap(swap_of(&m, "/p/a", HOST_SWAP, HOST_SWAP), 10, 10, 0);
	machine_close(&m);
	made_remove();
}
END_TEST

START_TEST(v1_ancestors_count_only_with_use_hierarchy)
{
	struct machine m = swap_machine("60\n", "209715200", "0\n");

	ck_assert_uint_eq(memory_of(&m, "/p/a").free, 50 * MiB);
	assert_swap(swap_of(&m, "/p/a", HOST_SWAP, HOST_SWAP), 200, 10, 140);
	machine_close(&m);
	made_remove();
	m = swap_machine("60\n", "209715200", "1\n");
	ck_assert_uint_eq(memory_of(&m, "/p/a").free, MiB);
	assert_swap(swap_of(&m, "/p/a", HOST_SWAP, HOST_SWAP), 200, 10, 2);
	machine_close(&m);
	made_remove();
}
END_TEST

/* Views ask for every size that any kernel may have. */
static void ask_for_other_sizes(const struct cgroup_set *s)
{
	static const char *const sizes[] = { "64KB", "1MB", "16MB", "32MB", "512MB", "1GB", "" };
	uint64_t limit, usage;

	for (size_t i = 0; i < countof(sizes); i++)
		ck_assert_int_eq(cgroup_hugetlb(s, sizes[i], &limit, &usage), -ENOENT);
}

START_TEST(huge_pages_are_limited_by_ancestors)
{
	static const struct {
		const char *machine, *path;
		uint64_t limit, usage; /* MiB; 0: no limit */
	} cases[] = {
		{ "v2", "/ct/a", 64, 6 },
		{ "v2", "/ct/b", 0, 0 },
		{ "v2", "/ct/parent/child", 32, 0 },
		{ "v2", "/ct/parent/plain", 32, 4 },
		{ "v1-comounted", "/ct/a", 64, 6 },
		{ "v1-comounted", "/ct/b", 0, 0 },
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct machine m = machine_open(cases[i].machine);
		struct cgroup_set *s = set_at(&m, cases[i].path);
		uint64_t limit, usage;

		ask_for_other_sizes(s);
		ck_assert_int_eq(cgroup_hugetlb(s, "2MB", &limit, &usage), 0);
		ck_assert_uint_eq(limit, cases[i].limit ? cases[i].limit * MiB : CGROUP_NO_LIMIT);
		ck_assert_uint_eq(usage, cases[i].usage * MiB);
		cgroup_set_free(s);
		machine_close(&m);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup_memory");
	TCase *c = tcase_create("cgroup_memory");

	tcase_add_loop_test(c, memory_is_the_least_that_the_cgroup_and_its_ancestors_leave, 0,
		countof(expected_memory));
	tcase_add_test(c, a_limit_above_the_hosts_memory_is_none);
	tcase_add_test(c, v1_lines_are_the_total_ones_and_kernel_memory_is_a_file);
	tcase_add_test(c, v2_lines_are_found);
	tcase_add_test(c, at_the_root_memory_is_not_known);
	tcase_add_test(c, v2_swap_is_the_least_over_ancestors_and_the_host);
	tcase_add_test(c, v1_swap_may_take_all_that_memory_and_swap_may);
	tcase_add_test(c, without_swap_accounting_there_is_no_swap);
	tcase_add_loop_test(c, v1_swap_that_cannot_grow_is_what_is_used, 0, 2);
	tcase_add_test(c, v1_ancestors_count_only_with_use_hierarchy);
	tcase_add_test(c, huge_pages_are_limited_by_ancestors);
	suite_add_tcase(s, c);
	return unit_run(s);
}
