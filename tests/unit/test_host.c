/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's files: that they are parsed completely whatever their size, and that bytes which are
 * no such file do no harm.
 */
#include "../../src/host/formats.h"
#include "../../src/host/snapshot.h"
#include "clock.h"
#include "tree.h"
#include "unit.h"

#define S NS_PER_S
#define MS NS_PER_MS

/* A text whose end is the end of its memory: a read beyond it is found by ASan. */
static struct text exact(const void *bytes, size_t n)
{
	struct text t = { .data = malloc(n ? n : 1), .len = n, .capacity = n };

	ck_assert_ptr_nonnull(t.data);
	if (n)
		memcpy(t.data, bytes, n);
	return t;
}

static const char *const cpuinfo_fixtures[] = { "x86_64", "arm", "arm-old", "arm-up", "arm64",
	"arm64-compat32", "s390x", "ppc64le", "riscv64", "loongarch64" };

static void read_cpuinfo(const char *name, struct text *t)
{
	char path[64];

	snprintf(path, sizeof(path), "fixtures/cpuinfo/%s.txt", name);
	fixture_read(path, t);
}

static void cpuinfo_release(struct host_cpuinfo *c)
{
	text_free(&c->text);
	free(c->parts);
}

static void assert_gapless(const struct host_cpuinfo *c)
{
	const char *at = c->text.data;

	for (size_t i = 0; i < c->n_parts; i++) {
		ck_assert_ptr_eq(c->parts[i].text.p, at);
		at += c->parts[i].text.n;
	}
	ck_assert_ptr_eq(at, c->text.data + c->text.len);
}

START_TEST(the_parts_of_cpuinfo_put_together_are_the_file)
{
	for (size_t i = 0; i < countof(cpuinfo_fixtures); i++) {
		struct host_cpuinfo c = { 0 };

		read_cpuinfo(cpuinfo_fixtures[i], &c.text);
		ck_assert_int_eq(host_cpuinfo_parse(&c), 0);
		assert_gapless(&c);
		cpuinfo_release(&c);
	}
}
END_TEST

START_TEST(cpuinfo_gives_each_record_its_cpu_and_package)
{
	struct host_cpuinfo c = { 0 };

	read_cpuinfo("s390x", &c.text);
	ck_assert_int_eq(host_cpuinfo_parse(&c), 0);
	ck_assert_uint_eq(c.n_parts, 1 + 4 + 4); /* head, rows, records */
	ck_assert_int_eq(c.parts[0].cpu, -1);
	ck_assert(slice_equal(c.parts[0].count[HOST_CPUINFO_PROCESSORS], "4"));
	ck_assert_int_eq(c.parts[2].cpu, 1);
	ck_assert_int_eq(c.parts[2].package, -1);
	ck_assert_int_eq(c.parts[7].cpu, 2);
	ck_assert_int_eq(c.parts[7].core, 1);
	/* Both books have a physical id 0. */
	ck_assert_int_ne(c.parts[7].package, c.parts[6].package);
	ck_assert_int_eq(c.parts[7].package, c.parts[8].package);
	ck_assert(slice_starts(c.parts[7].text, "\ncpu number      : 2\n"));
	cpuinfo_release(&c);
}
END_TEST

START_TEST(a_line_behind_a_row_of_the_head_belongs_to_no_cpu)
{
	static const char text[] = "processor 0: version = FF\nnew line of Linux 9: x\n"
				   "\ncpu number      : 0\nversion : FF\n";
	struct host_cpuinfo c = { .text = exact(text, sizeof(text) - 1) };

	ck_assert_int_eq(host_cpuinfo_parse(&c), 0);
	ck_assert_uint_eq(c.n_parts, 3);
	ck_assert_int_eq(c.parts[1].cpu, -1);
	ck_assert(slice_equal(c.parts[1].text, "new line of Linux 9: x\n"));
	cpuinfo_release(&c);
}
END_TEST

static void print_big_stat(struct text *t, unsigned cpus, unsigned interrupts)
{
	text_puts(t, "cpu  1 2 3 4 5 6 7 8 9 10\n");
	for (unsigned i = 0; i < cpus; i++)
		text_printf(t, "cpu%u %u 0 3 4 5 6 7 8 9 10\n", i, i + 1000000);
	text_puts(t, "intr 123456789");
	for (unsigned i = 0; i < interrupts; i++)
		text_printf(t, " %u", i * 997);
	text_puts(t,
		"\nctxt 42\nbtime 1700000000\nprocesses 7\nprocs_running 1\n"
		"procs_blocked 0\nsoftirq 10 1 1 1 1 1 1 1 1 1 1\n");
}

START_TEST(stat_of_512_cpus_and_10000_interrupts_is_read_completely)
{
	const struct host_stat *s = NULL;
	autotext t = { 0 };
	struct host *h;
	struct tree tree;

	tree_new(&tree);
	print_big_stat(&t, 512, 10000);
	tree_write_bytes(&tree, "proc/stat", t.data, t.len);
	ck_assert_int_eq(host_new(&tree.root, &h), 0);
	ck_assert_int_eq(host_stat(h, S, &s), 0);
	ck_assert_uint_eq(s->n_cpus, 512);
	ck_assert_uint_eq(s->cpus[511].cpu, 511);
	ck_assert_uint_eq(s->cpus[511].ticks[0], 1000511);
	ck_assert_uint_eq(s->cpus[511].ticks[9], 10);
	ck_assert_uint_eq(s->columns, 10);
	ck_assert_uint_eq(s->btime, 1700000000);
	ck_assert(slice_starts(s->rest, "intr 123456789 0 997 "));
	ck_assert(slice_ends(s->rest, "softirq 10 1 1 1 1 1 1 1 1 1 1\n"));
	host_put(s);
	host_free(h);
	tree_free(&tree);
}
END_TEST

START_TEST(stat_of_an_old_kernel_has_its_missing_columns_zero)
{
	static const char text[] = "cpu  5 5 5 5 5 5 5\ncpu0 1 2 3 4 5 6 7\ncpu3 7 6 5 4 3 2 1\n"
				   "intr 0\nbtime 5\n";
	struct host_stat s = { .text = exact(text, sizeof(text) - 1) };

	ck_assert_int_eq(host_stat_parse(&s), 0);
	ck_assert_uint_eq(s.n_cpus, 2);
	ck_assert_uint_eq(s.columns, 7);
	ck_assert_uint_eq(s.cpus[1].cpu, 3);
	ck_assert_uint_eq(s.cpus[1].ticks[6], 1);
	ck_assert_uint_eq(s.cpus[1].ticks[7], 0);
	ck_assert(slice_equal(s.rest, "intr 0\nbtime 5\n"));
	text_free(&s.text);
	free(s.cpus);
}
END_TEST

static const char meminfo[] = "MemTotal:       24684084 kB\n"
			      "MemFree:        24505004 kB\n"
			      "MemAvailable:   24422360 kB\n"
			      "Active(anon):       1560 kB\n"
			      "SwapTotal:          1024 kB\n"
			      "SwapFree:           1000 kB\n"
			      "HugePages_Total:       3\n"
			      "NewInLinux9:          77 kB\n"
			      "VmallocTotal:   34359738367 kB\n";

START_TEST(meminfo_keeps_every_line_and_knows_units)
{
	struct host_meminfo m = { .text = exact(meminfo, sizeof(meminfo) - 1) };

	ck_assert_int_eq(host_meminfo_parse(&m), 0);
	ck_assert_uint_eq(m.n_lines, 9);
	ck_assert(slice_equal(m.lines[3].name, "Active(anon)"));
	ck_assert(slice_equal(m.lines[3].line, "Active(anon):       1560 kB"));
	ck_assert_uint_eq(m.lines[3].value, 1560);
	ck_assert(m.lines[3].has_unit);
	ck_assert(slice_equal(m.lines[6].name, "HugePages_Total"));
	ck_assert(!m.lines[6].has_unit);
	ck_assert_uint_eq(m.lines[8].value, 34359738367);
	ck_assert_uint_eq(m.mem_total_kb, 24684084);
	ck_assert_uint_eq(m.mem_available_kb, 24422360);
	ck_assert_uint_eq(m.swap_total_kb, 1024);
	ck_assert_uint_eq(m.swap_free_kb, 1000);
	text_free(&m.text);
	free(m.lines);
}
END_TEST

START_TEST(the_overcommit_ratio_comes_with_meminfo)
{
	const struct host_meminfo *m = NULL;
	struct host *h;
	struct tree tree;

	tree_new(&tree);
	tree_write(&tree, "proc/meminfo", meminfo);
	ck_assert_int_eq(host_new(&tree.root, &h), 0);
	ck_assert_int_eq(host_meminfo(h, S, &m), 0);
	ck_assert_uint_eq(m->overcommit_ratio, 50);
	host_put(m);
	tree_write(&tree, "proc/sys/vm/overcommit_ratio", "80\n");
	ck_assert_int_eq(host_meminfo(h, 2 * S, &m), 0);
	ck_assert_uint_eq(m->overcommit_ratio, 80);
	host_put(m);
	host_free(h);
	tree_free(&tree);
}
END_TEST

START_TEST(diskstats_have_as_many_columns_as_the_kernel_prints)
{
	static const char text[] = "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n"
				   " 259       1 nvme0n1p1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n"
				   "what is this\n"
				   " 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n";
	struct host_diskstats d = { .text = exact(text, sizeof(text) - 1) };

	ck_assert_int_eq(host_diskstats_parse(&d), 0);
	ck_assert_uint_eq(d.n_disks, 3);
	ck_assert_uint_eq(d.disks[0].columns, 11);
	ck_assert_uint_eq(d.disks[1].columns, 15);
	ck_assert_uint_eq(d.disks[2].columns, 17);
	ck_assert(slice_equal(d.disks[1].head, " 259       1 nvme0n1p1"));
	ck_assert_uint_eq(d.disks[1].major, 259);
	ck_assert_uint_eq(d.disks[1].minor, 1);
	ck_assert_uint_eq(d.disks[2].values[16], 17);
	ck_assert_uint_eq(d.disks[0].values[11], 0);
	text_free(&d.text);
	free(d.disks);
}
END_TEST

static void assert_mask(const struct cpumask *m, const char *list)
{
	autotext t = { 0 };

	cpumask_format(&t, m);
	ck_assert(slice_equal(slice_of(&t), list));
}

START_TEST(cpus_come_from_sysfs_and_else_from_stat)
{
	const struct host_cpus *c = NULL;
	struct host *h;
	struct tree tree;

	tree_new(&tree);
	tree_write(&tree, "proc/stat", "cpu  1 1\ncpu1 1 1\ncpu5 1 1\nbtime 1\n");
	ck_assert_int_eq(host_new(&tree.root, &h), 0);
	ck_assert_int_eq(host_cpus(h, S, &c), 0);
	assert_mask(&c->online, "1,5");
	assert_mask(&c->possible, "1,5");
	host_put(c);
	tree_write(&tree, "sys/devices/system/cpu/online", "0-2\n");
	tree_write(&tree, "sys/devices/system/cpu/possible", "0-7\n");
	ck_assert_int_eq(host_cpus(h, 2 * S, &c), 0);
	assert_mask(&c->online, "0-2");
	assert_mask(&c->possible, "0-7");
	host_put(c);
	host_free(h);
	tree_free(&tree);
}
END_TEST

START_TEST(cpuinfo_is_shared_for_a_second_unless_a_cpu_comes_or_goes)
{
	const struct host_cpuinfo *first = NULL, *again = NULL;
	struct host *h;
	struct tree tree;

	tree_new(&tree);
	tree_write(&tree, "sys/devices/system/cpu/online", "0-1\n");
	tree_write(&tree, "proc/cpuinfo", "processor\t: 0\n\nprocessor\t: 1\n\n");
	ck_assert_int_eq(host_new(&tree.root, &h), 0);
	ck_assert_int_eq(host_cpuinfo(h, S, false, &first), 0);
	ck_assert_int_eq(host_cpuinfo(h, S + 900 * MS, false, &again), 0);
	ck_assert_ptr_eq(first, again);
	host_put(again);

	tree_write(&tree, "sys/devices/system/cpu/online", "0\n");
	tree_write(&tree, "proc/cpuinfo", "processor\t: 0\n\n");
	ck_assert_int_eq(host_cpuinfo(h, S + 950 * MS, false, &again), 0);
	ck_assert_uint_eq(again->n_parts, 1);
	ck_assert_uint_eq(first->n_parts, 2); /* whoever holds the old one still reads it */
	host_put(first);
	host_put(again);
	host_free(h);
	tree_free(&tree);
}
END_TEST

START_TEST(pools_of_huge_pages_are_those_of_sysfs)
{
	const struct host_hugepages *pools = NULL;
	uint64_t seen = 0;
	struct tree tree;
	struct host *h;

	tree_new(&tree);
	ck_assert_int_eq(host_new(&tree.root, &h), 0);
	ck_assert_int_eq(host_hugepages(h, S, &pools), -ENOENT);
	tree_write(&tree, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n");
	tree_write(&tree, "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "1\n");
	tree_write(&tree, "sys/kernel/mm/hugepages/hugepages-kB/nr_hugepages", "7\n");
	tree_write(&tree, "sys/kernel/mm/hugepages/hugepages-0kB/nr_hugepages", "7\n");
	tree_write(&tree, "sys/kernel/mm/hugepages/demote/nr_hugepages", "7\n");
	ck_assert_int_eq(host_hugepages(h, S, &pools), 0);
	ck_assert_uint_eq(pools->n, 2);
	for (size_t i = 0; i < pools->n; i++)
		seen += pools->pools[i].page_kb * pools->pools[i].pages;
	ck_assert_uint_eq(seen, 64 * 2048 + 1048576);
	host_put(pools);
	tree_write(&tree, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "many\n");
	ck_assert_int_eq(host_hugepages(h, 2 * S, &pools), -EBADMSG);
	host_free(h);
	tree_free(&tree);
}
END_TEST

START_TEST(a_header_ends_where_the_rows_begin)
{
	const struct host_header *header = NULL;
	struct tree tree;
	struct host *h;

	tree_new(&tree);
	tree_write(&tree, "proc/swaps", "Filename\tType\n/dev/sda2\tpartition\n");
	tree_write(&tree, "proc/slabinfo", "slabinfo - version: 2.1\n# name\ndentry 7\n# x\n");
	ck_assert_int_eq(host_new(&tree.root, &h), 0);
	ck_assert_int_eq(host_swaps(h, S, &header), 0);
	ck_assert(slice_equal(slice_of(&header->text), "Filename\tType\n"));
	host_put(header);
	ck_assert_int_eq(host_slabinfo(h, S, &header), 0);
	ck_assert(slice_equal(slice_of(&header->text), "slabinfo - version: 2.1\n# name\n"));
	host_put(header);
	tree_write(&tree, "proc/swaps", "");
	ck_assert_int_eq(host_swaps(h, 1000 * S, &header), -EBADMSG);
	host_free(h);
	tree_free(&tree);
}
END_TEST

/* The kernel's part: another text for a 32-bit reader. */
static int read_as_arm64(int fd, struct text *t)
{
	(void)fd;
	read_cpuinfo("arm64-compat32", t);
	return text_error(t);
}

static void assert_cpuinfo(struct host *h, bool compat32, const char *fixture)
{
	autohost const struct host_cpuinfo *c = NULL;
	autotext expected = { 0 };

	read_cpuinfo(fixture, &expected);
	ck_assert_int_eq(host_cpuinfo(h, S, compat32, &c), 0);
	ck_assert(slice_same(slice_of(&c->text), slice_of(&expected)));
}

START_TEST(each_rendering_of_cpuinfo_is_shared_by_its_own_callers)
{
	autotext native = { 0 };
	struct tree tree;
	struct host *h;

	tree_new(&tree);
	read_cpuinfo("arm64", &native);
	tree_write_bytes(&tree, "proc/cpuinfo", native.data, native.len);
	ck_assert_int_eq(host_new(&tree.root, &h), 0);
	host_set_compat32(h, NULL); /* any other architecture */
	assert_cpuinfo(h, true, "arm64");
	host_set_compat32(h, read_as_arm64);
	assert_cpuinfo(h, false, "arm64");
	assert_cpuinfo(h, true, "arm64-compat32");
	assert_cpuinfo(h, false, "arm64");
	host_free(h);
	tree_free(&tree);
}
END_TEST

START_TEST(a_file_is_read_as_a_32_bit_caller_and_nothing_else_is)
{
	autoclose int fd = open("/proc/thread-self/personality", O_RDONLY | O_CLOEXEC);
	autotext inside = { 0 }, after = { 0 };

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(host_read_compat32(fd, &inside), 0);
	ck_assert(slice_equal(slice_of(&inside), "00000008\n"));
	ck_assert_int_eq(read_fd(fd, &after), 0);
	ck_assert(slice_equal(slice_of(&after), "00000000\n"));
}
END_TEST

START_TEST(whose_personality_cannot_be_read_is_no_32_bit_caller)
{
	struct tree tree;

	tree_new(&tree);
	tree_write(&tree, "proc/7/personality", "00000008\n");
	tree_write(&tree, "proc/8/personality", "00c40008\n"); /* setarch -R -X linux32 */
	tree_write(&tree, "proc/9/personality", "00400000\n");
	tree_write(&tree, "proc/10/personality", "");
	tree_write(&tree, "proc/11/personality", "0000000800000008000000080000000800000008\n");
	ck_assert(host_caller_is_compat32(&tree.root, 7));
	ck_assert(host_caller_is_compat32(&tree.root, 8));
	for (pid_t tid = 9; tid <= 12; tid++)
		ck_assert(!host_caller_is_compat32(&tree.root, tid));
	tree_free(&tree);
}
END_TEST

START_TEST(files_of_the_host_are_found_below_proc_and_sys_alone)
{
	autotext t = { 0 };
	struct host *h;
	struct tree tree;

	tree_new(&tree);
	tree_write(&tree, "proc/swaps", "Filename\n");
	tree_write(&tree, "etc/passwd", "root\n");
	ck_assert_int_eq(host_new(&tree.root, &h), 0);
	text_puts(&t, "before ");
	ck_assert_int_eq(host_file(h, "proc/swaps", &t), 0);
	ck_assert(slice_equal(slice_of(&t), "before Filename\n"));
	ck_assert_int_eq(host_file(h, "etc/passwd", &t), -ENOENT);
	ck_assert_int_eq(host_file(h, "proc/none", &t), -ENOENT);
	ck_assert(slice_equal(slice_of(&t), "before Filename\n"));
	host_free(h);
	tree_free(&tree);
}
END_TEST

START_TEST(what_is_no_such_file_is_refused)
{
	struct host_cpuinfo c = { 0 };
	struct host_stat s = { .text = exact("x", 1) };
	struct host_meminfo m = { .text = exact("MemFree: 1 kB\n", 14) };

	ck_assert_int_eq(host_cpuinfo_parse(&c), -EBADMSG);
	ck_assert_int_eq(host_stat_parse(&s), -EBADMSG);
	ck_assert_int_eq(host_meminfo_parse(&m), -EBADMSG);
	text_free(&s.text);
	text_free(&m.text);
	free(s.cpus);
	free(m.lines);
}
END_TEST

/* Every parser on one piece of bytes. */
static void parse_all(const void *bytes, size_t n)
{
	struct host_cpuinfo c = { .text = exact(bytes, n) };
	struct host_stat s = { .text = exact(bytes, n) };
	struct host_meminfo m = { .text = exact(bytes, n) };
	struct host_diskstats d = { .text = exact(bytes, n) };

	if (host_cpuinfo_parse(&c) == 0)
		assert_gapless(&c);
	host_stat_parse(&s);
	host_meminfo_parse(&m);
	host_diskstats_parse(&d);
	cpuinfo_release(&c);
	text_free(&s.text);
	text_free(&m.text);
	text_free(&d.text);
	free(s.cpus);
	free(m.lines);
	free(d.disks);
}

/* Overwrites a few bytes with what parsers look at. */
static void spoil(struct text *t, unsigned *seed)
{
	static const char likely[] = "\n\n::  0123456789processor\t#-\0\xff";

	for (unsigned i = 0; i < 20; i++)
		t->data[(unsigned)rand_r(seed) % t->len] =
			likely[(unsigned)rand_r(seed) % (sizeof(likely) - 1)];
}

START_TEST(garbage_harms_no_parser)
{
	unsigned seed = 1;

	parse_all("", 0);
	parse_all("cpu", 3);
	parse_all("cpu number: 1", 13);
	parse_all("\n\n\n:\n\ncpu number:1\nprocessor 1:\n\n\n", 33);
	parse_all("cpu99999999999999999999 1\ncpu1 99999999999999999999\ncpu1 1", 57);
	for (size_t i = 0; i < countof(cpuinfo_fixtures); i++) {
		autotext t = { 0 };

		read_cpuinfo(cpuinfo_fixtures[i], &t);
		for (unsigned round = 0; round < 100; round++) {
			spoil(&t, &seed);
			parse_all(t.data, (unsigned)rand_r(&seed) % (t.len + 1));
		}
	}
	for (unsigned round = 0; round < 100; round++) {
		autotext t = { 0 };

		print_big_stat(&t, 4, 20);
		text_add(&t, meminfo, sizeof(meminfo) - 1);
		spoil(&t, &seed);
		parse_all(t.data, (unsigned)rand_r(&seed) % (t.len + 1));
	}
}
END_TEST

START_TEST(this_machine_is_read)
{
	autohost const struct host_cpuinfo *cpuinfo = NULL;
	autohost const struct host_stat *stat = NULL;
	autohost const struct host_meminfo *mem = NULL;
	autohost const struct host_diskstats *disks = NULL;
	autohost const struct host_cpus *cpus = NULL;
	struct root root;
	struct host *h;

	ck_assert_int_eq(root_open("/", &root), 0);
	ck_assert_int_eq(host_new(&root, &h), 0);
	ck_assert_int_eq(host_cpuinfo(h, S, false, &cpuinfo), 0);
	ck_assert_int_eq(host_stat(h, S, &stat), 0);
	ck_assert_int_eq(host_meminfo(h, S, &mem), 0);
	ck_assert_int_eq(host_diskstats(h, S, &disks), 0);
	ck_assert_int_eq(host_cpus(h, S, &cpus), 0);
	ck_assert_uint_eq(stat->n_cpus, (size_t)sysconf(_SC_NPROCESSORS_ONLN));
	ck_assert_uint_eq(cpumask_count(&cpus->online), stat->n_cpus);
	ck_assert_uint_gt(mem->mem_total_kb, 0);
	host_free(h); /* snapshots outlive it */
	root_close(&root);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("host");
	TCase *files = tcase_create("files");

	tcase_add_test(files, the_parts_of_cpuinfo_put_together_are_the_file);
	tcase_add_test(files, cpuinfo_gives_each_record_its_cpu_and_package);
	tcase_add_test(files, a_line_behind_a_row_of_the_head_belongs_to_no_cpu);
	tcase_add_test(files, stat_of_512_cpus_and_10000_interrupts_is_read_completely);
	tcase_add_test(files, stat_of_an_old_kernel_has_its_missing_columns_zero);
	tcase_add_test(files, meminfo_keeps_every_line_and_knows_units);
	tcase_add_test(files, the_overcommit_ratio_comes_with_meminfo);
	tcase_add_test(files, diskstats_have_as_many_columns_as_the_kernel_prints);
	tcase_add_test(files, cpus_come_from_sysfs_and_else_from_stat);
	tcase_add_test(files, cpuinfo_is_shared_for_a_second_unless_a_cpu_comes_or_goes);
	tcase_add_test(files, pools_of_huge_pages_are_those_of_sysfs);
	tcase_add_test(files, a_header_ends_where_the_rows_begin);
	tcase_add_test(files, each_rendering_of_cpuinfo_is_shared_by_its_own_callers);
	tcase_add_test(files, a_file_is_read_as_a_32_bit_caller_and_nothing_else_is);
	tcase_add_test(files, whose_personality_cannot_be_read_is_no_32_bit_caller);
	tcase_add_test(files, files_of_the_host_are_found_below_proc_and_sys_alone);
	tcase_add_test(files, what_is_no_such_file_is_refused);
	tcase_add_test(files, garbage_harms_no_parser);
	tcase_add_test(files, this_machine_is_read);
	suite_add_tcase(s, files);
	return unit_run(s);
}
