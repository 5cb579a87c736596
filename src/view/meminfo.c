/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/meminfo (SPEC 8). Gathers from the cgroup's getters, computes one number a line, prints the
 * host's lines with these numbers. Knows nothing of cgroup versions, and no format that the host's
 * own text does not show.
 */
#include "meminfo.h"

#include <errno.h>

#include "cleanup.h"

/* One number for each row of the table below; kB, but for the counts of huge pages. */
struct meminfo {
	uint64_t zero;
	uint64_t total, free, available;
	uint64_t cached, swap_cached;
	uint64_t active, inactive;
	uint64_t active_anon, inactive_anon, active_file, inactive_file, unevictable;
	uint64_t swap_total, swap_free, zswap, zswapped;
	uint64_t dirty, writeback, anon, mapped, shmem;
	uint64_t slab, slab_reclaimable, slab_unreclaimable;
	uint64_t kernel_stack, page_tables, sec_page_tables, percpu, vmalloc_used;
	uint64_t anon_huge, shmem_huge, file_huge;
	uint64_t commit_limit, committed;
	uint64_t huge_total, huge_free, huge_reserved, huge_surplus, huge_all;
};

enum bound {
	BOUND_TOTAL, /* never above MemTotal */
	BOUND_OWN,   /* section 1's exceptions, and swap, which section 9 bounds */
	HOSTS,       /* the host's line as it is */
};

struct row {
	const char *name;
	enum bound bound;
	size_t offset; /* in struct meminfo */
};

#define COUNTER(name, member)                                                                      \
	{                                                                                          \
		name, BOUND_TOTAL, offsetof(struct meminfo, member)                                \
	}
#define UNBOUND(name, member)                                                                      \
	{                                                                                          \
		name, BOUND_OWN, offsetof(struct meminfo, member)                                  \
	}
#define ZERO(name) COUNTER(name, zero)

/* In the order of fs/proc/meminfo.c, for the search goes on where the last one ended. */
static const struct row rows[] = {
	COUNTER("MemTotal", total),
	COUNTER("MemFree", free),
	COUNTER("MemAvailable", available),
	ZERO("Buffers"),
	COUNTER("Cached", cached),
	COUNTER("SwapCached", swap_cached),
	COUNTER("Active", active),
	COUNTER("Inactive", inactive),
	COUNTER("Active(anon)", active_anon),
	COUNTER("Inactive(anon)", inactive_anon),
	COUNTER("Active(file)", active_file),
	COUNTER("Inactive(file)", inactive_file),
	COUNTER("Unevictable", unevictable),
	ZERO("Mlocked"),
	UNBOUND("SwapTotal", swap_total),
	UNBOUND("SwapFree", swap_free),
	COUNTER("Zswap", zswap),
	COUNTER("Zswapped", zswapped),
	COUNTER("Dirty", dirty),
	COUNTER("Writeback", writeback),
	COUNTER("AnonPages", anon),
	COUNTER("Mapped", mapped),
	COUNTER("Shmem", shmem),
	COUNTER("KReclaimable", slab_reclaimable),
	COUNTER("Slab", slab),
	COUNTER("SReclaimable", slab_reclaimable),
	COUNTER("SUnreclaim", slab_unreclaimable),
	COUNTER("KernelStack", kernel_stack),
	COUNTER("PageTables", page_tables),
	COUNTER("SecPageTables", sec_page_tables),
	ZERO("NFS_Unstable"),
	ZERO("Bounce"),
	ZERO("WritebackTmp"),
	UNBOUND("CommitLimit", commit_limit),
	UNBOUND("Committed_AS", committed),
	{ "VmallocTotal", HOSTS, 0 },
	UNBOUND("VmallocUsed", vmalloc_used),
	{ "VmallocChunk", HOSTS, 0 },
	COUNTER("Percpu", percpu),
	ZERO("HardwareCorrupted"),
	COUNTER("AnonHugePages", anon_huge),
	COUNTER("ShmemHugePages", shmem_huge),
	ZERO("ShmemPmdMapped"),
	COUNTER("FileHugePages", file_huge),
	ZERO("FilePmdMapped"),
	ZERO("CmaTotal"),
	ZERO("CmaFree"),
	ZERO("Unaccepted"),
	ZERO("Balloon"),
	UNBOUND("HugePages_Total", huge_total),
	UNBOUND("HugePages_Free", huge_free),
	UNBOUND("HugePages_Rsvd", huge_reserved),
	UNBOUND("HugePages_Surp", huge_surplus),
	{ "Hugepagesize", HOSTS, 0 },
	UNBOUND("Hugetlb", huge_all),
	/* The direct map in the page sizes of x86, s390x and powerpc: all of it in the smallest. */
	COUNTER("DirectMap4k", total),
	ZERO("DirectMap64k"),
	ZERO("DirectMap1M"),
	ZERO("DirectMap2M"),
	ZERO("DirectMap4M"),
	ZERO("DirectMap1G"),
	ZERO("DirectMap2G"),
};

static uint64_t kb(uint64_t bytes)
{
	return bytes / 1024;
}

/* --- computing -------------------------------------------------------------------------------- */

static void compute_size(const struct meminfo_sources *s, struct meminfo *m)
{
	const uint64_t usable = s->host->mem_available_kb;

	m->total = min_u64(kb(s->memory.limit), s->host->mem_total_kb);
	m->free = min_u64(kb(s->memory.free), usable);
	m->available = min_u64(kb(s->memory.available), usable);
}

static void compute_usage(const struct cgroup_memory_stat *c, struct meminfo *m)
{
	m->cached = kb(c->file);
	m->anon = kb(c->anon);
	m->swap_cached = kb(c->swapcached);
	m->active = kb(sat_add(c->active_anon, c->active_file));
	m->inactive = kb(sat_add(c->inactive_anon, c->inactive_file));
	m->active_anon = kb(c->active_anon);
	m->inactive_anon = kb(c->inactive_anon);
	m->active_file = kb(c->active_file);
	m->inactive_file = kb(c->inactive_file);
	m->unevictable = kb(c->unevictable);
	m->dirty = kb(c->file_dirty);
	m->writeback = kb(c->file_writeback);
	m->mapped = kb(c->file_mapped);
	m->shmem = kb(c->shmem);
	m->slab_reclaimable = kb(c->slab_reclaimable);
	m->slab_unreclaimable = kb(c->slab_unreclaimable);
	/* Of what is printed: the kernel's three lines always add up. */
	m->slab = sat_add(m->slab_reclaimable, m->slab_unreclaimable);
	m->kernel_stack = kb(c->kernel_stack);
	m->page_tables = kb(c->pagetables);
	m->sec_page_tables = kb(c->sec_pagetables);
	m->percpu = kb(c->percpu);
	m->vmalloc_used = kb(c->vmalloc);
	m->anon_huge = kb(c->anon_thp);
	m->shmem_huge = kb(c->shmem_thp);
	m->file_huge = kb(c->file_thp);
}

static void compute_swap(const struct meminfo_sources *s, struct meminfo *m)
{
	m->swap_total = kb(s->swap.total);
	m->swap_free = kb(s->swap.free);
	if (!s->no_zswap) {
		m->zswap = kb(s->memory.stat.zswap);
		m->zswapped = kb(s->memory.stat.zswapped);
	}
	m->commit_limit = sat_add(m->swap_total, mul_div(m->total, s->host->overcommit_ratio, 100));
	m->committed =
		kb(sat_add(sat_add(s->memory.stat.anon, s->memory.stat.shmem), s->swap.used));
}

/* Counts of pages. Free less reserved is what can really be had: bounded by the cgroup's limit and
 * by what nobody on the host has reserved. */
static void compute_huge(const struct meminfo_sources *s, struct meminfo *m)
{
	const struct host_meminfo *h = s->host;
	const uint64_t page_kb = h->huge_page_kb;
	const uint64_t others = sat_sub(h->huge_all_kb, mul_div(h->huge_total, page_kb, 1));

	if (page_kb == 0)
		return;
	m->huge_total = min_u64(kb(s->huge.limit) / page_kb, h->huge_total);
	m->huge_free = min_u64(sat_sub(m->huge_total, kb(s->huge.usage) / page_kb), h->huge_free);
	m->huge_reserved = sat_sub(m->huge_free, sat_sub(h->huge_free, h->huge_reserved));
	m->huge_surplus = sat_sub(m->huge_total, sat_sub(h->huge_total, h->huge_surplus));
	m->huge_all =
		sat_add(mul_div(m->huge_total, page_kb, 1), min_u64(kb(s->huge.others), others));
}

/* --- printing --------------------------------------------------------------------------------- */

static size_t decimal_digits(uint64_t value)
{
	size_t n = 1;

	while ((value /= 10) != 0)
		n++;
	return n;
}

/* The host's line with another number, which stands where the kernel would let it stand. */
static void print_line(const struct host_meminfo *host, const struct host_meminfo_line *l,
	uint64_t value, struct text *t)
{
	const size_t name_end = l->name.n + 1;
	const size_t digits = decimal_digits(value);
	const size_t end = l->padded ? host->column_end : l->end;
	size_t at = l->padded ? max_u64(host->column_start, name_end + 1) : l->start;

	if (l->end == l->start) {
		text_add(t, l->line.p, l->line.n);
		return;
	}
	if (at + digits < end)
		at = end - digits;
	text_add(t, l->line.p, name_end);
	text_u64(t, value, (unsigned)(at + digits - name_end));
	text_add(t, l->line.p + l->end, l->line.n - l->end);
}

/* The row of a line, searched from `*next` on; NULL for a line that section 8 does not know. */
static const struct row *find_row(struct slice name, size_t *next)
{
	for (size_t tried = 0; tried < countof(rows); tried++) {
		const struct row *row = &rows[(*next + tried) % countof(rows)];

		if (slice_equal(name, row->name)) {
			*next = (size_t)(row - rows) + 1;
			return row;
		}
	}
	return NULL;
}

bool meminfo_knows(struct slice name)
{
	size_t next = 0;

	return find_row(name, &next) != NULL;
}

/* What the container is shown in place of the host's `value`. */
static uint64_t bounded(
	const struct row *row, const struct host_meminfo_line *l, const struct meminfo *m)
{
	uint64_t value;

	if (!row)
		return l->has_unit ? min_u64(l->value, m->total) : l->value;
	if (row->bound == HOSTS)
		return l->value;
	value = *(const uint64_t *)(const void *)((const char *)m + row->offset);
	return row->bound == BOUND_TOTAL ? min_u64(value, m->total) : value;
}

void meminfo_print(const struct meminfo_sources *s, struct text *t)
{
	struct meminfo m = { 0 };
	size_t next = 0;

	compute_size(s, &m);
	compute_usage(&s->memory.stat, &m);
	compute_swap(s, &m);
	compute_huge(s, &m);
	for (size_t i = 0; i < s->host->n_lines; i++) {
		const struct host_meminfo_line *l = &s->host->lines[i];
		const uint64_t value = bounded(find_row(l->name, &next), l, &m);

		if (value == l->value)
			text_add(t, l->line.p, l->line.n);
		else
			print_line(s->host, l, value, t);
		text_add(t, "\n", 1);
	}
}

/* --- gathering -------------------------------------------------------------------------------- */

int meminfo_gather(const struct view_args *a, const struct host_meminfo *host,
	struct cgroup_memory *ret_memory, struct cgroup_swap *ret_swap)
{
	const uint64_t unit = 1024;
	int r = cgroup_memory(
		a->subject->cgroups, mul_div(host->mem_total_kb, unit, 1), ret_memory);

	if (r < 0)
		return r;
	if (!ret_memory->known)
		return VIEW_KERNELS_OWN;
	*ret_swap = (struct cgroup_swap){ 0 };
	if (a->options->disable_swap)
		return 0;
	return cgroup_swap(a->subject->cgroups, ret_memory, mul_div(host->swap_total_kb, unit, 1),
		mul_div(host->swap_free_kb, unit, 1), ret_swap);
}

int view_meminfo(const struct view_args *a, struct text *t)
{
	autohost const struct host_meminfo *host = NULL;
	struct meminfo_sources s = { .no_zswap = a->options->disable_zswap };
	int r = host_meminfo(a->host, a->now_ns, &host);

	if (r == 0)
		r = meminfo_gather(a, host, &s.memory, &s.swap);
	if (r == 0)
		r = meminfo_gather_huge(a, host, &s.huge);
	if (r != 0)
		return r;
	s.host = host;
	meminfo_print(&s, t);
	return text_error(t);
}
