/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/stat: the counters of each CPU, and everything behind them as text.
 */
#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "formats.h"
#include "snapshot.h"

static void destroy(struct host_snapshot *base)
{
	struct host_stat *s = (struct host_stat *)base;

	text_free(&s->text);
	free(s->cpus);
	free(s);
}

/* "cpu3 607 0 783 ...". Not the sum ("cpu  1706 ..."), nor an id that does not ascend. */
static void add_cpu(struct host_stat *s, struct slice line)
{
	struct host_stat_cpu *c = &s->cpus[s->n_cpus];
	struct slice name;
	uint64_t id;
	size_t n;

	if (!slice_word(&line, &name) || !slice_starts(name, "cpu"))
		return;
	name = (struct slice){ name.p + 3, name.n - 3 };
	if (!slice_u64(name, &id) || id >= CPUMASK_MAX)
		return;
	if (s->n_cpus > 0 && id <= s->cpus[s->n_cpus - 1].cpu)
		return;
	c->cpu = (unsigned)id;
	n = parse_columns(line, c->ticks, HOST_STAT_COLUMNS);
	if (s->n_cpus++ == 0)
		s->columns = (unsigned)n;
}

static size_t count_cpu_lines(struct slice text)
{
	struct slice line;
	size_t n = 0;

	while (slice_line(&text, &line) && slice_starts(line, "cpu"))
		n++;
	return n;
}

int host_stat_parse(struct host_stat *s)
{
	struct slice rest = slice_of(&s->text), line;
	size_t n = count_cpu_lines(rest);

	s->cpus = calloc(n + 1, sizeof(*s->cpus));
	if (!s->cpus)
		return -ENOMEM;
	for (; n > 0 && slice_line(&rest, &line); n--)
		add_cpu(s, line);
	s->rest = rest;
	parse_key(rest, "btime", &s->btime);
	return s->n_cpus > 0 ? 0 : -EBADMSG;
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	struct host_stat *s = (struct host_stat *)base;
	int r = host_cache_read(c, 0, &s->text);

	(void)now_ns;
	return r < 0 ? r : host_stat_parse(s);
}

const struct host_kind host_kind_stat = {
	.files = { "proc/stat" },
	.max_age_ns = 10 * NS_PER_MS,
	.size = sizeof(struct host_stat),
	.load = load,
	.destroy = destroy,
};

int host_stat(struct host *h, uint64_t now_ns, const struct host_stat **ret)
{
	const struct host_snapshot *s;
	int r = host_cache_get(&h->stat, now_ns, &s);

	if (r == 0)
		*ret = (const struct host_stat *)s;
	return r;
}
