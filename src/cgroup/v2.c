/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup v2: names and formats of its files (Documentation/admin-guide/cgroup-v2.rst).
 */
#include "tree.h"

#include <errno.h>

#include "cleanup.h"
#include "clock.h"

#define STAT_FIELD(line) FIELD(#line, struct cgroup_memory_lines, stat.line)

/* In the kernel's order. */
static const struct field memory_fields[] = {
	STAT_FIELD(anon),
	STAT_FIELD(file),
	STAT_FIELD(kernel_stack),
	STAT_FIELD(pagetables),
	STAT_FIELD(sec_pagetables),
	STAT_FIELD(percpu),
	STAT_FIELD(vmalloc),
	STAT_FIELD(shmem),
	STAT_FIELD(zswap),
	STAT_FIELD(zswapped),
	STAT_FIELD(file_mapped),
	STAT_FIELD(file_dirty),
	STAT_FIELD(file_writeback),
	STAT_FIELD(swapcached),
	STAT_FIELD(anon_thp),
	STAT_FIELD(file_thp),
	STAT_FIELD(shmem_thp),
	STAT_FIELD(inactive_anon),
	STAT_FIELD(active_anon),
	STAT_FIELD(inactive_file),
	STAT_FIELD(active_file),
	STAT_FIELD(unevictable),
	STAT_FIELD(slab_reclaimable),
	STAT_FIELD(slab_unreclaimable),
};

static int v2_memory_stat(struct cgroup *c, struct cgroup_memory_lines *ret)
{
	struct slice text;
	int r = cgroup_read(c, FILE_MEMORY_STAT, &text);

	if (r < 0)
		return r;
	*ret = (struct cgroup_memory_lines){
		.limit = CGROUP_NO_LIMIT,
		.memsw_limit = CGROUP_NO_LIMIT,
	};
	parse_fields(text, memory_fields, countof(memory_fields), ret);
	return 0;
}

static int v2_memory_parent(struct cgroup *c, struct cgroup **ret)
{
	*ret = c->parent;
	return 0;
}

static int v2_swap(struct cgroup *c, const struct cgroup_memory *memory, uint64_t usage,
	uint64_t host_total, struct cgroup_swap *ret)
{
	uint64_t total = host_total, left = UINT64_MAX;

	(void)memory;
	for (struct cgroup *a = c; a && total > 0; a = a->parent) {
		uint64_t limit, used = usage;
		int r = cgroup_read_limit(a, FILE_SWAP_LIMIT, &limit);

		/* A limit above the host's swap leaves no less than the host has. */
		if (r == 0 && limit >= host_total)
			continue;
		if (r == 0 && a != c)
			r = cgroup_read_u64(a, FILE_SWAP_USAGE, &used);
		if (r < 0)
			return r;
		total = min_u64(total, limit);
		left = min_u64(left, sat_sub(limit, used));
	}
	*ret = (struct cgroup_swap){ .total = total, .used = usage, .free = left };
	return 0;
}

/* "max 100000" or "50000 100000". */
static int v2_quota(struct cgroup *c, uint64_t *ret_quota, uint64_t *ret_period)
{
	struct slice text, line, quota;
	uint64_t value, period;
	int r = cgroup_read(c, FILE_CPU_QUOTA, &text);

	if (r < 0)
		return r;
	if (!slice_line(&text, &line) || !slice_word(&line, &quota))
		return cgroup_bad_text(c, FILE_CPU_QUOTA);
	if (slice_equal(quota, "max")) {
		*ret_quota = *ret_period = 0;
		return 0;
	}
	if (!slice_u64(quota, &value) || !slice_next_u64(&line, &period))
		return cgroup_bad_text(c, FILE_CPU_QUOTA);
	*ret_quota = value;
	*ret_period = period;
	return 0;
}

static int v2_cpu_usage(struct cgroup *c, struct cgroup_cpu_usage *ret)
{
	static const struct field fields[] = {
		FIELD("usage_usec", struct cgroup_cpu_usage, usage),
		FIELD("user_usec", struct cgroup_cpu_usage, user),
		FIELD("system_usec", struct cgroup_cpu_usage, system),
		FIELD("nice_usec", struct cgroup_cpu_usage, nice),
	};
	struct slice text;
	int r = cgroup_read(c, FILE_CPU_STAT, &text);

	if (r < 0)
		return r;
	parse_fields(text, fields, countof(fields), ret);
	ret->usage = mul_div(ret->usage, NS_PER_US, 1);
	ret->user = mul_div(ret->user, NS_PER_US, 1);
	ret->system = mul_div(ret->system, NS_PER_US, 1);
	ret->nice = mul_div(ret->nice, NS_PER_US, 1);
	return 0;
}

/* "rbytes=4096" into its column. Keys of io.cost, io.latency and others are not ours. */
static void io_word(struct slice word, struct cgroup_io_device *d)
{
	static const struct field keys[] = {
		FIELD("rbytes", struct cgroup_io_device, read_bytes),
		FIELD("wbytes", struct cgroup_io_device, write_bytes),
		FIELD("rios", struct cgroup_io_device, reads),
		FIELD("wios", struct cgroup_io_device, writes),
		FIELD("dbytes", struct cgroup_io_device, discard_bytes),
		FIELD("dios", struct cgroup_io_device, discards),
	};
	struct slice key;
	uint64_t value;

	if (!slice_cut(&word, '=', &key) || !slice_u64(word, &value))
		return;
	for (size_t i = 0; i < countof(keys); i++)
		if (slice_equal(key, keys[i].key))
			*(uint64_t *)((char *)d + keys[i].offset) = value;
}

/* "8:0 rbytes=... wbytes=...". Some kernels (5.x) forget the newline behind devices that have
 * nothing to tell: "253:1 253:0 rbytes=..." is about the last one. */
static int io_line(struct slice line, struct cgroup_io *io)
{
	struct cgroup_io_device *d = NULL;
	struct slice word;
	unsigned major, minor;

	while (slice_word(&line, &word)) {
		if (cgroup_io_number(word, &major, &minor)) {
			d = cgroup_io_device(io, major, minor);
			if (!d)
				return -ENOMEM;
		} else if (d) {
			io_word(word, d);
		}
	}
	return 0;
}

static int v2_io(struct cgroup *c, struct cgroup_io *ret)
{
	struct slice text, line;
	int r = cgroup_read(c, FILE_IO_STAT, &text);

	while (r == 0 && slice_line(&text, &line))
		r = io_line(line, ret);
	return r;
}

#define FILES(n) [(n)...(n) + CGROUP_HUGE_SIZES - 1]

/* clang-format off: one line a file */
const struct cgroup_version cgroup_v2 = {
	.file = {
		[FILE_MEMORY_LIMIT] = { "memory.max", CGROUP_MEMORY, .settled = false },
		[FILE_MEMORY_USAGE] = { "memory.current", CGROUP_MEMORY, .settled = false },
		[FILE_MEMORY_STAT] = { "memory.stat", CGROUP_MEMORY, .settled = false },
		[FILE_SWAP_LIMIT] = { "memory.swap.max", CGROUP_MEMORY, .settled = false },
		[FILE_SWAP_USAGE] = { "memory.swap.current", CGROUP_MEMORY, .settled = false },
		[FILE_CPUSET_EFFECTIVE] = { "cpuset.cpus.effective", CGROUP_CPUSET, .settled = false },
		[FILE_CPU_QUOTA] = { "cpu.max", CGROUP_CPU, .settled = false },
		[FILE_CPU_STAT] = { "cpu.stat", CGROUP_NO_CONTROLLER, .settled = false },
		[FILE_PIDS] = { "pids.current", CGROUP_PIDS, .settled = false },
		[FILE_IO_STAT] = { "io.stat", CGROUP_IO, .settled = false },
		[FILE_PRESSURE_CPU] = { "cpu.pressure", CGROUP_NO_CONTROLLER, .settled = false },
		[FILE_PRESSURE_MEMORY] = { "memory.pressure", CGROUP_NO_CONTROLLER, .settled = false },
		[FILE_PRESSURE_IO] = { "io.pressure", CGROUP_NO_CONTROLLER, .settled = false },
		[FILE_PRESSURE_IRQ] = { "irq.pressure", CGROUP_NO_CONTROLLER, .settled = false },
		FILES(FILE_HUGETLB_LIMIT) = { "hugetlb.%s.max", CGROUP_HUGETLB, .settled = false },
		FILES(FILE_HUGETLB_USAGE) = { "hugetlb.%s.current", CGROUP_HUGETLB, .settled = false },
	},
	.stat_tells_limits = false,
	.memory_stat = v2_memory_stat,
	.memory_parent = v2_memory_parent,
	.swap = v2_swap,
	.quota = v2_quota,
	.cpu_usage = v2_cpu_usage,
	.io = v2_io,
};
/* clang-format on */
