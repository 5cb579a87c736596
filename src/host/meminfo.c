/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/meminfo line by line, so that a view can keep the running kernel's layout, and the totals
 * that bound what a container is shown.
 */
#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "formats.h"
#include "snapshot.h"

/* The kernel's own default (mm/util.c). */
#define OVERCOMMIT_RATIO 50

static void destroy(struct host_snapshot *base)
{
	struct host_meminfo *m = (struct host_meminfo *)base;

	text_free(&m->text);
	free(m->lines);
	free(m);
}

/* A line that is not "name: value [kB]" is kept as it is, all of it being its name. */
static void parse_line(struct slice line, struct host_meminfo_line *ret)
{
	struct slice rest = line, name = { 0 }, number, unit;

	*ret = (struct host_meminfo_line){ .line = line, .name = line };
	if (!slice_cut(&rest, ':', &name) || !slice_word(&rest, &number) ||
		!slice_u64(number, &ret->value))
		return;
	ret->name = name;
	ret->start = (size_t)(number.p - line.p);
	ret->end = ret->start + number.n;
	ret->padded = ret->start >= name.n + 3;
	ret->has_unit = slice_word(&rest, &unit) && slice_equal(unit, "kB");
}

static void find_column(struct host_meminfo *m)
{
	m->column_start = 0;
	m->column_end = SIZE_MAX;
	for (size_t i = 0; i < m->n_lines; i++) {
		const struct host_meminfo_line *l = &m->lines[i];

		if (l->padded && l->end > l->start)
			m->column_end = min_u64(m->column_end, l->end);
	}
	for (size_t i = 0; i < m->n_lines; i++) {
		const struct host_meminfo_line *l = &m->lines[i];

		if (l->padded && l->end > m->column_end &&
			(m->column_start == 0 || l->start < m->column_start))
			m->column_start = l->start;
	}
}

static bool parse_totals(struct host_meminfo *m)
{
	static const struct field fields[] = {
		FIELD("MemTotal", struct host_meminfo, mem_total_kb),
		FIELD("MemAvailable", struct host_meminfo, mem_available_kb),
		FIELD("SwapTotal", struct host_meminfo, swap_total_kb),
		FIELD("SwapFree", struct host_meminfo, swap_free_kb),
		FIELD("HugePages_Total", struct host_meminfo, huge_total),
		FIELD("HugePages_Free", struct host_meminfo, huge_free),
		FIELD("HugePages_Rsvd", struct host_meminfo, huge_reserved),
		FIELD("HugePages_Surp", struct host_meminfo, huge_surplus),
		FIELD("Hugepagesize", struct host_meminfo, huge_page_kb),
		FIELD("Hugetlb", struct host_meminfo, huge_all_kb),
	};

	m->mem_available_kb = UINT64_MAX; /* the line came with Linux 3.14: without it, no bound */
	parse_fields(slice_of(&m->text), fields, countof(fields), m);
	m->mem_available_kb = min_u64(m->mem_available_kb, m->mem_total_kb);
	return m->mem_total_kb > 0;
}

int host_meminfo_parse(struct host_meminfo *m)
{
	struct slice text = slice_of(&m->text), line;
	size_t n = host_count_lines(text);

	m->lines = calloc(n + 1, sizeof(*m->lines));
	if (!m->lines)
		return -ENOMEM;
	while (m->n_lines < n && slice_line(&text, &line))
		parse_line(line, &m->lines[m->n_lines++]);
	find_column(m);
	return parse_totals(m) ? 0 : -EBADMSG;
}

/* Where there is none, as without the sysctl, or none for us: the kernel's default. */
static int load_overcommit_ratio(struct host_cache *c, unsigned *ret)
{
	autotext t = { 0 };
	struct slice text, line;
	uint64_t ratio = OVERCOMMIT_RATIO;
	int r = host_cache_read(c, 1, &t);

	if (r < 0 && r != -ENOENT && r != -EACCES && r != -EPERM)
		return r;
	text = slice_of(&t);
	if (slice_line(&text, &line) && !slice_u64(slice_trim(line), &ratio))
		ratio = OVERCOMMIT_RATIO;
	*ret = (unsigned)min_u64(ratio, UINT32_MAX);
	return 0;
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	struct host_meminfo *m = (struct host_meminfo *)base;
	int r = host_cache_read(c, 0, &m->text);

	(void)now_ns;
	if (r < 0)
		return r;
	r = load_overcommit_ratio(c, &m->overcommit_ratio);
	return r == 0 ? host_meminfo_parse(m) : r;
}

const struct host_kind host_kind_meminfo = {
	.files = { "proc/meminfo", "proc/sys/vm/overcommit_ratio" },
	.max_age_ns = 10 * NS_PER_MS,
	.size = sizeof(struct host_meminfo),
	.load = load,
	.destroy = destroy,
};

int host_meminfo(struct host *h, uint64_t now_ns, const struct host_meminfo **ret)
{
	const struct host_snapshot *s;
	int r = host_cache_get(&h->meminfo, now_ns, &s);

	if (r == 0)
		*ret = (const struct host_meminfo *)s;
	return r;
}
