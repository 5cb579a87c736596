/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cuts /proc/cpuinfo of any architecture into what belongs to one CPU and what belongs to none.
 * There are three layouts of what is about one CPU:
 *
 *   "processor : N" and what follows, blank lines at its end included (x86, arm, ppc, riscv...);
 *   "cpu number : N" with the blank line before it and what follows (s390x);
 *   "processor N: version = ...", a line of its own in the head (s390x).
 *
 * Whatever follows a record's closing blank line without starting another belongs to no CPU, as
 * does everything before the first. Nothing is dropped: the parts put together are the text.
 */
#include <errno.h>
#include <limits.h>

#include "cleanup.h"
#include "formats.h"

enum line_kind {
	LINE_OTHER,
	LINE_BLANK,
	LINE_RECORD,
	LINE_RECORD_AFTER_BLANK,
	LINE_ROW,
};

/* One line; `key` and `value` are what stands around its colon. */
struct line {
	enum line_kind kind;
	int cpu;
	struct slice key, value;
};

/* Numbers of a record that name its place in the machine; -1: none. */
struct place {
	int64_t package, core, book, drawer;
};

struct cutter {
	struct host_cpuinfo *info;
	size_t capacity;
	struct place place; /* of the current part */
	size_t blank;       /* bytes of blank lines at the end of the current part */
	bool row;           /* the current part ends with its first line */
};

static bool cpu_id(struct slice s, int *ret)
{
	uint64_t id;

	if (!slice_u64(s, &id) || id >= CPUMASK_MAX)
		return false;
	*ret = (int)id;
	return true;
}

static enum line_kind kind_of(const struct line *line, int *ret_cpu)
{
	struct slice rest = line->key, word;

	if (slice_equal(line->key, "processor") && cpu_id(line->value, ret_cpu))
		return LINE_RECORD;
	if (slice_equal(line->key, "cpu number") && cpu_id(line->value, ret_cpu))
		return LINE_RECORD_AFTER_BLANK;
	if (slice_starts(line->key, "processor ") && slice_word(&rest, &word) &&
		cpu_id(slice_trim(rest), ret_cpu))
		return LINE_ROW;
	return LINE_OTHER;
}

static struct line classify(struct slice text)
{
	struct line line = { .kind = LINE_OTHER, .cpu = -1 };
	struct slice key;

	if (slice_trim(text).n == 0)
		line.kind = LINE_BLANK;
	if (!slice_cut(&text, ':', &key) || key.p + key.n == text.p) /* no colon */
		return line;
	line.key = slice_trim(key);
	line.value = slice_trim(text);
	line.kind = kind_of(&line, &line.cpu);
	return line;
}

static struct host_cpuinfo_part *current(struct cutter *c)
{
	return c->info->n_parts ? &c->info->parts[c->info->n_parts - 1] : NULL;
}

static int start_part(struct cutter *c, const char *at, int cpu)
{
	struct host_cpuinfo *info = c->info;

	if (info->n_parts == c->capacity) {
		size_t capacity = c->capacity ? c->capacity * 2 : 16;
		void *parts = reallocarray(info->parts, capacity, sizeof(*info->parts));

		if (!parts)
			return -ENOMEM;
		info->parts = parts;
		c->capacity = capacity;
	}
	info->parts[info->n_parts++] = (struct host_cpuinfo_part){
		.text = { at, 0 },
		.cpu = cpu,
		.package = -1,
		.core = -1,
	};
	c->place = (struct place){ -1, -1, -1, -1 };
	c->blank = 0;
	return 0;
}

/* True when the line is one more of the current part. */
static bool continues(struct cutter *c, const struct line *line)
{
	const struct host_cpuinfo_part *part = current(c);

	if (!part || (line->kind != LINE_BLANK && line->kind != LINE_OTHER))
		return false;
	return line->kind == LINE_BLANK || part->cpu < 0 || !(c->row || c->blank > 0);
}

static int cut_before(struct cutter *c, const struct line *line, const char *at)
{
	struct host_cpuinfo_part *part = current(c);
	size_t blank = 0;
	int r;

	if (continues(c, line))
		return 0;
	if (line->kind == LINE_RECORD_AFTER_BLANK && part) {
		blank = c->blank;
		part->text.n -= blank;
	}
	r = start_part(c, at - blank, line->cpu);
	if (r == 0) {
		current(c)->text.n = blank;
		c->row = line->kind == LINE_ROW;
	}
	return r;
}

static void note_place(struct cutter *c, const struct line *line)
{
	static const struct field fields[] = {
		FIELD("physical id", struct place, package),
		FIELD("core id", struct place, core),
		FIELD("book id", struct place, book),
		FIELD("drawer id", struct place, drawer),
	};
	struct host_cpuinfo_part *part = current(c);
	uint64_t value;

	for (size_t i = 0; i < countof(fields); i++)
		if (slice_equal(line->key, fields[i].key) && slice_u64(line->value, &value))
			*(int64_t *)((char *)&c->place + fields[i].offset) =
				(int64_t)min_u64(value, INT_MAX);
	part->core = c->place.core;
	part->package = c->place.package;
	if (part->package >= 0 && c->place.book >= 0)
		part->package |= (c->place.book & 0xffff) << 31;
	if (part->package >= 0 && c->place.drawer >= 0)
		part->package |= (c->place.drawer & 0xffff) << 47;
}

static void note_count(struct cutter *c, const struct line *line)
{
	static const char *const keys[] = {
		[HOST_CPUINFO_PROCESSORS] = "# processors",
		[HOST_CPUINFO_SIBLINGS] = "siblings",
		[HOST_CPUINFO_CPU_CORES] = "cpu cores",
	};
	uint64_t value;

	for (size_t i = 0; i < countof(keys); i++)
		if (slice_equal(line->key, keys[i]) && slice_u64(line->value, &value))
			current(c)->count[i] = line->value;
}

static int add_line(struct cutter *c, struct slice text, size_t whole)
{
	struct line line = classify(text);
	int r = cut_before(c, &line, text.p);

	if (r < 0)
		return r;
	current(c)->text.n += whole;
	c->blank = line.kind == LINE_BLANK ? c->blank + whole : 0;
	note_place(c, &line);
	note_count(c, &line);
	return 0;
}

int host_cpuinfo_parse(struct host_cpuinfo *info)
{
	struct cutter c = { .info = info };
	struct slice rest = slice_of(&info->text), line;
	size_t before = rest.n;
	int r = 0;

	while (r == 0 && slice_line(&rest, &line)) {
		r = add_line(&c, line, before - rest.n);
		before = rest.n;
	}
	if (r == 0 && info->n_parts == 0)
		r = -EBADMSG;
	return r;
}
