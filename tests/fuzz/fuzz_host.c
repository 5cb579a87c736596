/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's own files. The first byte chooses one, the rest is its text; what cpuinfo and meminfo
 * are cut into must be the whole of it, in order, and a number be where a renderer is told it is.
 */
#include <errno.h>
#include <string.h>

#include "../../src/host/formats.h"
#include "fuzz.h"
#include "host.h"

static void cpuinfo(struct text text)
{
	struct host_cpuinfo c = { .text = text };

	if (host_cpuinfo_parse(&c) == 0) {
		const char *at = c.text.data;

		for (size_t i = 0; i < c.n_parts; i++) {
			FUZZ_ASSERT(c.parts[i].text.p == at);
			at += c.parts[i].text.n;
		}
		FUZZ_ASSERT(c.n_parts == 0 || at == c.text.data + c.text.len);
	}
	free(c.parts);
	text_free(&c.text);
}

/* A number past the columns that the kernel prints would be made up. */
static void check_columns(const uint64_t *values, size_t from, size_t n)
{
	for (size_t i = from; i < n; i++)
		FUZZ_ASSERT(values[i] == 0);
}

static bool lies_in(struct slice part, const struct text *text)
{
	return part.p >= text->data && part.p + part.n <= text->data + text->len;
}

/* CPUs ascend, since every search goes on behind the last one; what stands behind them is the whole
 * rest. */
static void stat(struct text text)
{
	struct host_stat s = { .text = text };

	if (host_stat_parse(&s) == 0) {
		FUZZ_ASSERT(s.n_cpus > 0 && s.columns <= HOST_STAT_COLUMNS);
		check_columns(s.cpus[0].ticks, s.columns, HOST_STAT_COLUMNS);
		for (size_t i = 0; i < s.n_cpus; i++)
			FUZZ_ASSERT(s.cpus[i].cpu < CPUMASK_MAX &&
				(i == 0 || s.cpus[i].cpu > s.cpus[i - 1].cpu));
		FUZZ_ASSERT(s.rest.p + s.rest.n == s.text.data + s.text.len);
	}
	free(s.cpus);
	text_free(&s.text);
}

/* Its name and its number are where it says, and a renderer puts another number there. */
static void check_meminfo_line(const struct host_meminfo_line *l)
{
	struct slice number = { l->line.p + l->start, l->end - l->start };
	struct slice rest = { l->line.p + l->end, l->line.n - l->end }, unit;
	uint64_t value;

	FUZZ_ASSERT(l->name.p == l->line.p && l->name.n <= l->line.n);
	FUZZ_ASSERT(l->start <= l->end && l->end <= l->line.n);
	if (l->start == l->end) {
		FUZZ_ASSERT(l->name.n == l->line.n && !l->padded && !l->has_unit);
		return;
	}
	FUZZ_ASSERT(l->line.p[l->name.n] == ':' && !memchr(l->name.p, ':', l->name.n));
	FUZZ_ASSERT(l->start > l->name.n && slice_u64(number, &value) && value == l->value);
	FUZZ_ASSERT(!l->padded || l->start >= l->name.n + 3);
	FUZZ_ASSERT(l->has_unit == (slice_word(&rest, &unit) && slice_equal(unit, "kB")));
}

/* The lines put together are the file; no padded number ends before the column does. */
static void check_meminfo(const struct host_meminfo *m)
{
	struct slice rest = slice_of(&m->text), line;

	for (size_t i = 0; i < m->n_lines; i++) {
		FUZZ_ASSERT(slice_line(&rest, &line) && m->lines[i].line.p == line.p &&
			m->lines[i].line.n == line.n);
		check_meminfo_line(&m->lines[i]);
		FUZZ_ASSERT(!m->lines[i].padded || m->lines[i].end >= m->column_end);
	}
	FUZZ_ASSERT(!slice_line(&rest, &line));
}

static void meminfo(struct text text)
{
	struct host_meminfo m = { .text = text };
	const int r = host_meminfo_parse(&m);

	FUZZ_ASSERT(r == 0 || r == -EBADMSG);
	check_meminfo(&m);
	FUZZ_ASSERT((r == 0) == (m.mem_total_kb > 0) && m.mem_available_kb <= m.mem_total_kb);
	free(m.lines);
	text_free(&m.text);
}

static void diskstats(struct text text)
{
	struct host_diskstats d = { .text = text };

	FUZZ_ASSERT(host_diskstats_parse(&d) == 0);
	for (size_t i = 0; i < d.n_disks; i++) {
		const struct host_disk *disk = &d.disks[i];

		FUZZ_ASSERT(disk->columns <= HOST_DISK_COLUMNS && lies_in(disk->head, &d.text));
		FUZZ_ASSERT(disk->head.n >= strlen("0 0 a") &&
			!memchr(disk->head.p, '\n', disk->head.n));
		FUZZ_ASSERT(i == 0 || disk->head.p > d.disks[i - 1].head.p);
		check_columns(disk->values, disk->columns, HOST_DISK_COLUMNS);
	}
	free(d.disks);
	text_free(&d.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(struct text) = { cpuinfo, stat, meminfo, diskstats };

	if (size > 0)
		parsers[data[0] % countof(parsers)](fuzz_text(data + 1, size - 1));
	return 0;
}
