/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup v1: names and formats of its files (Documentation/admin-guide/cgroup-v1/).
 */
#include "tree.h"

#include <errno.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"

/* --- memory -------------------------------------------------------------------------------- */

#define STAT_FIELD(line, member) FIELD(line, struct cgroup_memory_lines, member)

/* In the kernel's order. The lines without total_ do not count the cgroups below. */
static const struct field memory_fields[] = {
	STAT_FIELD("hierarchical_memory_limit", limit),
	STAT_FIELD("hierarchical_memsw_limit", memsw_limit),
	STAT_FIELD("total_cache", stat.file),
	STAT_FIELD("total_rss", stat.anon),
	STAT_FIELD("total_rss_huge", stat.anon_thp),
	STAT_FIELD("total_shmem", stat.shmem),
	STAT_FIELD("total_mapped_file", stat.file_mapped),
	STAT_FIELD("total_dirty", stat.file_dirty),
	STAT_FIELD("total_writeback", stat.file_writeback),
	STAT_FIELD("total_swapcached", stat.swapcached),
	STAT_FIELD("total_inactive_anon", stat.inactive_anon),
	STAT_FIELD("total_active_anon", stat.active_anon),
	STAT_FIELD("total_inactive_file", stat.inactive_file),
	STAT_FIELD("total_active_file", stat.active_file),
	STAT_FIELD("total_unevictable", stat.unevictable),
};

static int v1_memory_stat(struct cgroup *c, struct cgroup_memory_lines *ret)
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
	ret->limit = cgroup_limit(ret->limit);
	ret->memsw_limit = cgroup_limit(ret->memsw_limit);
	return 0;
}

/* Before Linux 5.11 a cgroup may leave those below it alone. It can be changed only while there are
 * none, so one look at a parent is enough for its life. */
static int v1_memory_parent(struct cgroup *c, struct cgroup **ret)
{
	enum { UNKNOWN, NO, YES } known;
	struct cgroup *parent = c->parent;
	uint64_t value = 1;
	int r;

	if (!parent) {
		*ret = NULL;
		return 0;
	}
	known = atomic_load_explicit(&parent->use_hierarchy, memory_order_relaxed);
	if (known == UNKNOWN) {
		r = cgroup_read_u64(parent, FILE_USE_HIERARCHY, &value);
		if (r < 0 && r != -ENOENT)
			return r;
		known = value ? YES : NO;
		atomic_store_explicit(&parent->use_hierarchy, known, memory_order_relaxed);
	}
	*ret = known == YES ? parent : NULL;
	return 0;
}

/* What the ancestors' limits of memory and swap together leave. */
static int memsw_left(struct cgroup *c, uint64_t *left)
{
	for (;;) {
		uint64_t limit, usage;
		int r = v1_memory_parent(c, &c);

		if (r < 0 || !c)
			return r;
		r = cgroup_read_limit(c, FILE_SWAP_LIMIT, &limit);
		if (r == 0 && limit == CGROUP_NO_LIMIT)
			continue;
		if (r == 0)
			r = cgroup_read_u64(c, FILE_SWAP_USAGE, &usage);
		if (r != 0)
			return r;
		*left = min_u64(*left, sat_sub(limit, usage));
	}
}

/* Whether the kernel would swap anything (more) of this cgroup. */
static int may_swap(struct cgroup *c, const struct cgroup_memory *memory, bool *ret)
{
	uint64_t swappiness = 1;
	int r = 0;

	*ret = memory->limit == CGROUP_NO_LIMIT || memory->memsw_limit > memory->limit;
	if (*ret)
		r = cgroup_read_u64(c, FILE_SWAPPINESS, &swappiness);
	if (swappiness == 0)
		*ret = false;
	return r == -ENOENT ? 0 : r;
}

static int v1_swap(struct cgroup *c, const struct cgroup_memory *memory, uint64_t usage,
	uint64_t host_total, struct cgroup_swap *ret)
{
	const uint64_t limit = memory->memsw_limit;
	const uint64_t used = sat_sub(usage, memory->usage);
	uint64_t left = sat_sub(limit, usage);
	bool may;
	int r = may_swap(c, memory, &may);

	if (r < 0)
		return r;
	if (may && limit != CGROUP_NO_LIMIT)
		r = memsw_left(c, &left);
	if (r < 0)
		return r;
	*ret = (struct cgroup_swap){
		.total = min_u64(may ? limit : used, host_total),
		.used = used,
		.free = may ? left : 0,
	};
	return 0;
}

/* --- cpu ----------------------------------------------------------------------------------- */

/* "-1": no quota. */
static int v1_quota(struct cgroup *c, uint64_t *ret_quota, uint64_t *ret_period)
{
	struct slice text, line;
	uint64_t quota, period = 0;
	int r = cgroup_read(c, FILE_CPU_QUOTA, &text);

	if (r < 0)
		return r;
	if (!slice_line(&text, &line))
		return cgroup_bad_text(c, FILE_CPU_QUOTA);
	if (slice_starts(line, "-"))
		quota = 0;
	else if (!slice_u64(line, &quota))
		return cgroup_bad_text(c, FILE_CPU_QUOTA);
	else
		r = cgroup_read_u64(c, FILE_CPU_PERIOD, &period);
	if (r < 0)
		return r;
	*ret_quota = quota;
	*ret_period = period;
	return 0;
}

/* One array for the three columns. */
static int usage_alloc(struct cgroup_cpu_usage *u, unsigned n)
{
	uint64_t *columns = calloc((size_t)n + 1, 3 * sizeof(*columns));

	if (!columns)
		return -ENOMEM;
	u->n_cpus = n;
	u->cpu_usage = columns;
	u->cpu_user = columns + n;
	u->cpu_system = columns + 2 * (size_t)n;
	return 0;
}

/* Cuts "1 1386 77", a line of usage_all, off `text`; its first line is a header. */
static bool usage_all_row(struct slice *text, uint64_t row[3])
{
	struct slice line;

	while (slice_line(text, &line))
		if (parse_columns(line, row, 3) == 3 && row[0] < CPUMASK_MAX)
			return true;
	return false;
}

/* Fills users and systems, and which ids the kernel counts. -ENOENT before Linux 4.9. */
static int read_usage_all(struct cgroup *c, struct cgroup_cpu_usage *u, struct cpumask *ids)
{
	struct slice text, rest;
	uint64_t row[3];
	unsigned n = 0;
	int r = cgroup_read(c, FILE_CPU_USAGE_ALL, &text);

	if (r < 0)
		return r;
	for (rest = text; usage_all_row(&rest, row);) {
		cpumask_set(ids, (unsigned)row[0]);
		n = (unsigned)max_u64(n, row[0] + 1);
	}
	r = usage_alloc(u, n);
	for (rest = text; r == 0 && usage_all_row(&rest, row);) {
		u->cpu_user[row[0]] = row[1];
		u->cpu_system[row[0]] = row[2];
		u->user = sat_add(u->user, row[1]);
		u->system = sat_add(u->system, row[2]);
	}
	return r;
}

/* cpuacct.stat, in ticks: the sums where there is no usage_all. */
static int read_ticks(struct cgroup *c, struct cgroup_cpu_usage *u)
{
	static const struct field fields[] = {
		FIELD("user", struct cgroup_cpu_usage, user),
		FIELD("system", struct cgroup_cpu_usage, system),
	};
	const uint64_t tick_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
	struct slice text;
	int r = cgroup_read(c, FILE_CPU_TICKS, &text);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	parse_fields(text, fields, countof(fields), u);
	u->user = mul_div(u->user, tick_ns, 1);
	u->system = mul_div(u->system, tick_ns, 1);
	return 0;
}

/* "1386 77 \n": one number for each id, without saying which. */
static int fill_percpu(struct slice text, const struct cpumask *ids, struct cgroup_cpu_usage *u)
{
	struct slice line;
	uint64_t value;

	if (!slice_line(&text, &line))
		return -EBADMSG;
	for (unsigned id = cpumask_next(ids, 0); slice_next_u64(&line, &value);
		id = cpumask_next(ids, id + 1)) {
		if (id >= u->n_cpus)
			return -EBADMSG;
		u->cpu_usage[id] = value;
		u->usage = sat_add(u->usage, value);
	}
	return 0;
}

/* Without usage_all the ids are taken for consecutive; so they are but on the rarest machines. */
static int count_percpu(struct slice text, struct cgroup_cpu_usage *u, struct cpumask *ids)
{
	struct slice line = { 0 };
	uint64_t value;
	unsigned n = 0;

	slice_line(&text, &line);
	for (; slice_next_u64(&line, &value) && n < CPUMASK_MAX; n++)
		cpumask_set(ids, n);
	return usage_alloc(u, n);
}

static int v1_cpu_usage(struct cgroup *c, struct cgroup_cpu_usage *ret)
{
	struct cpumask ids = { 0 };
	struct slice text;
	int r = read_usage_all(c, ret, &ids);
	bool ticks = r == -ENOENT;

	if (ticks)
		r = read_ticks(c, ret);
	if (r < 0)
		return r;
	r = cgroup_read(c, FILE_CPU_USAGE_PERCPU, &text);
	if (r == 0 && ticks)
		r = count_percpu(text, ret, &ids);
	if (r < 0)
		return r;
	return fill_percpu(text, &ids, ret) < 0 ? cgroup_bad_text(c, FILE_CPU_USAGE_PERCPU) : 0;
}

/* --- io ------------------------------------------------------------------------------------ */

/* Where "8:0 Read 12" belongs. Sync, Async and Total count the same once more. */
struct io_columns {
	struct field column[3];
};

static const struct io_columns io_ops = { {
	FIELD("Read", struct cgroup_io_device, reads),
	FIELD("Write", struct cgroup_io_device, writes),
	FIELD("Discard", struct cgroup_io_device, discards),
} };
static const struct io_columns io_bytes = { {
	FIELD("Read", struct cgroup_io_device, read_bytes),
	FIELD("Write", struct cgroup_io_device, write_bytes),
	FIELD("Discard", struct cgroup_io_device, discard_bytes),
} };

static int io_line(struct slice line, const struct io_columns *columns, struct cgroup_io *io)
{
	struct slice device, what;
	unsigned major, minor;
	uint64_t value;

	if (!slice_word(&line, &device) || !cgroup_io_number(device, &major, &minor) ||
		!slice_word(&line, &what) || !slice_next_u64(&line, &value) || value == 0)
		return 0;
	for (size_t i = 0; i < countof(columns->column); i++) {
		const struct field *column = &columns->column[i];
		struct cgroup_io_device *d;

		if (!slice_equal(what, column->key))
			continue;
		d = cgroup_io_device(io, major, minor);
		if (!d)
			return -ENOMEM;
		*(uint64_t *)((char *)d + column->offset) = value;
	}
	return 0;
}

static int io_file(struct cgroup *c, enum cgroup_file file, const struct io_columns *columns,
	struct cgroup_io *io)
{
	struct slice text, line;
	int r = cgroup_read(c, file, &text);

	while (r == 0 && slice_line(&text, &line))
		r = io_line(line, columns, io);
	return r;
}

/* The first source that has counted anything: since Linux 6.10 the throttle files count nothing
 * where no throttle is set, and bfq's only what goes through bfq. */
static int v1_io(struct cgroup *c, struct cgroup_io *ret)
{
	static const struct {
		enum cgroup_file ops, bytes;
	} sources[] = {
		{ FILE_IO_THROTTLE_OPS, FILE_IO_THROTTLE_BYTES },
		{ FILE_IO_BFQ_OPS, FILE_IO_BFQ_BYTES },
		{ FILE_IO_OPS, FILE_IO_BYTES },
	};

	for (size_t i = 0; i < countof(sources) && ret->n == 0; i++) {
		int r = io_file(c, sources[i].ops, &io_ops, ret);

		if (r == 0 && ret->n > 0)
			r = io_file(c, sources[i].bytes, &io_bytes, ret);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

#define FILES(n) [(n)...(n) + CGROUP_HUGE_SIZES - 1]

/* clang-format off: one line a file */
const struct cgroup_version cgroup_v1 = {
	.file = {
		[FILE_MEMORY_LIMIT] = { "memory.limit_in_bytes", CGROUP_MEMORY, .settled = true },
		[FILE_MEMORY_USAGE] = { "memory.usage_in_bytes", CGROUP_MEMORY, .settled = true },
		[FILE_MEMORY_STAT] = { "memory.stat", CGROUP_MEMORY, .settled = true },
		[FILE_MEMORY_KERNEL] = { "memory.kmem.usage_in_bytes", CGROUP_MEMORY, .settled = true },
		[FILE_MEMORY_SLABINFO] = { "memory.kmem.slabinfo", CGROUP_MEMORY, .settled = true, .iterated = true },
		[FILE_USE_HIERARCHY] = { "memory.use_hierarchy", CGROUP_MEMORY, .settled = true },
		[FILE_SWAP_LIMIT] = { "memory.memsw.limit_in_bytes", CGROUP_MEMORY, .settled = true },
		[FILE_SWAP_USAGE] = { "memory.memsw.usage_in_bytes", CGROUP_MEMORY, .settled = true },
		[FILE_SWAPPINESS] = { "memory.swappiness", CGROUP_MEMORY, .settled = true },
		[FILE_CPUSET_EFFECTIVE] = { "cpuset.effective_cpus", CGROUP_CPUSET, .settled = true },
		[FILE_CPUSET_CPUS] = { "cpuset.cpus", CGROUP_CPUSET, .settled = true },
		[FILE_CPU_QUOTA] = { "cpu.cfs_quota_us", CGROUP_CPU, .settled = true },
		[FILE_CPU_PERIOD] = { "cpu.cfs_period_us", CGROUP_CPU, .settled = true },
		[FILE_CPU_USAGE_PERCPU] = { "cpuacct.usage_percpu", CGROUP_CPUACCT, .settled = true },
		[FILE_CPU_USAGE_ALL] = { "cpuacct.usage_all", CGROUP_CPUACCT, .settled = true },
		[FILE_CPU_TICKS] = { "cpuacct.stat", CGROUP_CPUACCT, .settled = true },
		[FILE_PIDS] = { "pids.current", CGROUP_PIDS, .settled = true },
		[FILE_IO_THROTTLE_OPS] = { "blkio.throttle.io_serviced_recursive", CGROUP_IO, .settled = true },
		[FILE_IO_THROTTLE_BYTES] = { "blkio.throttle.io_service_bytes_recursive", CGROUP_IO, .settled = true },
		[FILE_IO_BFQ_OPS] = { "blkio.bfq.io_serviced_recursive", CGROUP_IO, .settled = false },
		[FILE_IO_BFQ_BYTES] = { "blkio.bfq.io_service_bytes_recursive", CGROUP_IO, .settled = false },
		[FILE_IO_OPS] = { "blkio.io_serviced_recursive", CGROUP_IO, .settled = true },
		[FILE_IO_BYTES] = { "blkio.io_service_bytes_recursive", CGROUP_IO, .settled = true },
		FILES(FILE_HUGETLB_LIMIT) = { "hugetlb.%s.limit_in_bytes", CGROUP_HUGETLB, .settled = true },
		FILES(FILE_HUGETLB_USAGE) = { "hugetlb.%s.usage_in_bytes", CGROUP_HUGETLB, .settled = true },
	},
	.stat_tells_limits = true,
	.memory_stat = v1_memory_stat,
	.memory_parent = v1_memory_parent,
	.swap = v1_swap,
	.quota = v1_quota,
	.cpu_usage = v1_cpu_usage,
	.io = v1_io,
};
/* clang-format on */
