/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/meminfo from numbers and layouts that no captured machine has: counters at the end of
 * their range, columns that are too narrow, lines of no known form.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../src/host/formats.h"
#include "cleanup.h"
#include "meminfo.h"
#include "unit.h"

/* A host that prints these lines, and the largest container one can think of. The tests have it in
 * static memory, which the sanitizer takes for reachable. */
struct bench {
	struct host_meminfo host;
	struct meminfo_sources sources;
};

static void bench_print(struct bench *b, const char *host)
{
	free(b->host.lines);
	text_free(&b->host.text);
	b->host = (struct host_meminfo){ 0 };
	text_add(&b->host.text, host, strlen(host));
	ck_assert_int_ne(host_meminfo_parse(&b->host), -ENOMEM); /* most have no MemTotal */
	b->host.mem_total_kb = b->host.mem_available_kb = UINT64_MAX / 1024;
	b->host.overcommit_ratio = 50;
}

static void bench_init(struct bench *b, const char *host)
{
	*b = (struct bench){ 0 };
	bench_print(b, host);
	b->sources = (struct meminfo_sources){ .host = &b->host,
		.memory = { .known = true, .limit = CGROUP_NO_LIMIT },
		.huge = { CGROUP_NO_LIMIT, 0, CGROUP_NO_LIMIT } };
}

static void assert_prints(const struct bench *b, const char *expected)
{
	autotext t = { 0 };

	meminfo_print(&b->sources, &t);
	ck_assert_int_eq(text_error(&t), 0);
	text_add(&t, "", 1);
	ck_assert_str_eq(t.data, expected);
}

START_TEST(sums_of_huge_counters_saturate)
{
	static struct bench b;

	bench_init(&b,
		"Active:                1 kB\n"
		"Slab:                  1 kB\n"
		"CommitLimit:           1 kB\n"
		"Committed_AS:          1 kB\n"
		"VmallocTotal:   34359738367 kB\n");
	memset(&b.sources.memory.stat, 0xff, sizeof(b.sources.memory.stat));
	b.sources.swap = (struct cgroup_swap){ UINT64_MAX, UINT64_MAX, 0 };
	b.host.overcommit_ratio = UINT32_MAX;
	assert_prints(&b,
		"Active:         18014398509481983 kB\n"
		"Slab:           18014398509481983 kB\n"
		"CommitLimit:    18446744073709551615 kB\n"
		"Committed_AS:   18014398509481983 kB\n"
		"VmallocTotal:   34359738367 kB\n");
}
END_TEST

START_TEST(the_two_slabs_make_slab_however_they_are_rounded)
{
	static struct bench b;

	bench_init(&b,
		"Slab:                  1 kB\n"
		"SReclaimable:          1 kB\n"
		"SUnreclaim:            1 kB\n");
	b.sources.memory.stat.slab_reclaimable = 3 * 1024 + 700;
	b.sources.memory.stat.slab_unreclaimable = 5 * 1024 + 700;
	assert_prints(&b,
		"Slab:                  8 kB\n"
		"SReclaimable:          3 kB\n"
		"SUnreclaim:            5 kB\n");
}
END_TEST

START_TEST(no_counter_is_above_the_total_but_the_named_ones)
{
	static struct bench b;

	bench_init(&b,
		"MemTotal:       99999999 kB\n"
		"MemFree:               0 kB\n"
		"Cached:                0 kB\n"
		"SwapTotal:             0 kB\n"
		"Zswapped:              0 kB\n"
		"CommitLimit:           0 kB\n"
		"Committed_AS:          0 kB\n"
		"VmallocTotal:   34359738367 kB\n"
		"VmallocUsed:           0 kB\n"
		"Percpu:                0 kB\n");
	b.sources.memory.limit = 1 << 20;
	b.sources.memory.free = b.sources.memory.stat.file = b.sources.memory.stat.zswapped =
		b.sources.memory.stat.anon = b.sources.memory.stat.vmalloc =
			b.sources.memory.stat.percpu = 3 << 20;
	b.sources.swap.total = 4 << 20;
	assert_prints(&b,
		"MemTotal:           1024 kB\n"
		"MemFree:            1024 kB\n"
		"Cached:             1024 kB\n"
		"SwapTotal:          4096 kB\n"
		"Zswapped:           1024 kB\n"
		"CommitLimit:        4608 kB\n"
		"Committed_AS:       3072 kB\n"
		"VmallocTotal:   34359738367 kB\n"
		"VmallocUsed:        3072 kB\n"
		"Percpu:             1024 kB\n");
}
END_TEST

START_TEST(free_is_no_more_than_the_host_has_to_give)
{
	static struct bench b;

	bench_init(&b, "MemFree:               0 kB\nMemAvailable:          0 kB\n");
	b.host.mem_available_kb = 700;
	b.sources.memory.free = 1 << 20;
	b.sources.memory.available = 2 << 20;
	assert_prints(&b, "MemFree:             700 kB\nMemAvailable:        700 kB\n");
}
END_TEST

START_TEST(numbers_end_where_the_kernels_do_however_wide_the_hosts_are)
{
	static struct bench b;

	/* The host's first number is wider than the column that the second shows. */
	bench_init(&b, "MemTotal:       131897164 kB\nCached:                7 kB\n");
	b.sources.memory.limit = UINT64_C(262144) << 10;
	b.sources.memory.stat.file = UINT64_C(123456) << 10;
	assert_prints(&b, "MemTotal:         262144 kB\nCached:           123456 kB\n");
	b.sources.memory.limit = UINT64_C(9876543210) << 10;
	b.sources.memory.stat.file = UINT64_C(123456789) << 10;
	assert_prints(&b, "MemTotal:       9876543210 kB\nCached:         123456789 kB\n");
}
END_TEST

START_TEST(lines_that_are_not_known_pass_in_their_own_form)
{
	static const char same[] = "Strange: 5 kB\n"
				   "A line without a number\n"
				   "\n"
				   "Count:\t18446744073709551615\n"
				   "Temperature:     -5 C\n"
				   "NewSize:             512 kB and more\n"
				   "Hex: 0xff kB\n"
				   ":\n";
	static struct bench b;

	bench_init(&b, same);
	b.sources.memory.limit = 1 << 20;
	assert_prints(&b, same);
	/* Nor do they move the known ones. */
	bench_print(&b, "Strange: 5 kB\nCached:               77 kB\n");
	assert_prints(&b, "Strange: 5 kB\nCached:                0 kB\n");
	/* But for a size that the container cannot have. */
	b.sources.memory.limit = 256 << 10;
	bench_print(&b, "NewSize:             512 kB and more\n");
	assert_prints(&b, "NewSize:             256 kB and more\n");
}
END_TEST

START_TEST(a_known_line_in_a_new_place_or_form_has_the_containers_number)
{
	static struct bench b;

	bench_init(&b,
		"Shmem: 77777 kB\n"
		"Cached:\t77777 kB\n"
		"AnonPages:77777 kB\n"
		"MemTotal: 77777 kB\n");
	b.sources.memory.limit = 64 << 20;
	b.sources.memory.stat.shmem = 1 << 10;
	b.sources.memory.stat.file = 2 << 10;
	b.sources.memory.stat.anon = 3 << 10;
	assert_prints(&b,
		"Shmem:     1 kB\n"
		"Cached:     2 kB\n"
		"AnonPages:    3 kB\n"
		"MemTotal: 65536 kB\n");
}
END_TEST

#define HUGE_HOST                                                                                  \
	"HugePages_Total:      10\nHugePages_Free:        8\nHugePages_Rsvd:        5\n"           \
	"HugePages_Surp:        4\nHugepagesize:       2048 kB\nHugetlb:         1069056 kB\n"

START_TEST(huge_pages_are_those_the_cgroup_can_have)
{
	static struct bench b;

	/* 10 pages of 2 MiB, and one of 1 GiB. Nothing limits them: the pools as they are. */
	bench_init(&b, HUGE_HOST);
	assert_prints(&b, HUGE_HOST);
	/* 6 are allowed, 2 used. Of 8 free ones others reserved 5, so only 3 of the 4 are to be
	 * had; 6 is all that the pool holds without its surplus. */
	b.sources.huge = (struct meminfo_huge){ 6 * 2048 << 10, 2 * 2048 << 10, 1 << 20 };
	assert_prints(&b,
		"HugePages_Total:       6\nHugePages_Free:        4\nHugePages_Rsvd:        1\n"
		"HugePages_Surp:        0\nHugepagesize:       2048 kB\n"
		"Hugetlb:           13312 kB\n");
	/* More in use than is allowed. */
	b.sources.huge = (struct meminfo_huge){ 2048 << 10, UINT64_MAX, 0 };
	assert_prints(&b,
		"HugePages_Total:       1\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
		"HugePages_Surp:        0\nHugepagesize:       2048 kB\n"
		"Hugetlb:            2048 kB\n");
}
END_TEST

/* Lines that fs/proc/meminfo.c may print and that say what they say to everybody, since no cgroup
 * counts such a thing. A new kernel's new line is to be put here or into the table, by somebody
 * who has thought about it. */
static const char *const passing[] = {
	"HighTotal", "HighFree", "LowTotal", "LowFree", /* 32 bits: zones of the machine */
	"MmapCopy",                                     /* no MMU */
	"Quicklists",                                   /* before Linux 5.2 */
	"ShadowCallStack",                              /* arm64 */
	"EarlyMemtestBad",                              /* memtest= */
	"GPUActive", "GPUReclaim",                      /* Linux 6.19 */
};

START_TEST(every_line_of_the_running_kernel_was_thought_about)
{
	autohost const struct host_meminfo *m = NULL;
	struct root root;
	struct host *host;

	ck_assert_int_eq(root_open("/", &root), 0);
	ck_assert_int_eq(host_new(&root, &host), 0);
	ck_assert_int_eq(host_meminfo(host, 1, &m), 0);
	ck_assert_uint_gt(m->n_lines, 20);
	for (size_t i = 0; i < m->n_lines; i++) {
		const struct slice name = m->lines[i].name;
		bool passes = false;

		for (size_t j = 0; j < countof(passing); j++)
			passes = passes || slice_equal(name, passing[j]);
		ck_assert_msg(meminfo_knows(name) != passes,
			"%.*s is %s: see SPEC 8 and the list above", (int)name.n, name.p,
			passes ? "in the table and in the list" : "new");
	}
	host_free(host);
	root_close(&root);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("meminfo");
	TCase *c = tcase_create("meminfo"), *audit = tcase_create("audit");

	tcase_add_test(c, sums_of_huge_counters_saturate);
	tcase_add_test(c, the_two_slabs_make_slab_however_they_are_rounded);
	tcase_add_test(c, no_counter_is_above_the_total_but_the_named_ones);
	tcase_add_test(c, free_is_no_more_than_the_host_has_to_give);
	tcase_add_test(c, numbers_end_where_the_kernels_do_however_wide_the_hosts_are);
	tcase_add_test(c, lines_that_are_not_known_pass_in_their_own_form);
	tcase_add_test(c, a_known_line_in_a_new_place_or_form_has_the_containers_number);
	tcase_add_test(c, huge_pages_are_those_the_cgroup_can_have);
	suite_add_tcase(s, c);
	tcase_add_test(audit, every_line_of_the_running_kernel_was_thought_about);
	suite_add_tcase(s, audit);
	return unit_run(s);
}
