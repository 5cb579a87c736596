/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/stat (SPEC 6): CPU times of the container, and the kernel's other lines without what they
 * tell of the machine. Which lines there are, and how long, is learned from the kernel's own.
 */
#include "cleanup.h"
#include "cpuaccount.h"
#include "load.h"

/* "cpu" or "cpu3", then as many columns as the kernel prints; those behind idle are 0. */
static void print_columns(
	struct text *t, const uint64_t ticks[CPUTIME_COLUMNS], const struct host_stat *host)
{
	for (unsigned c = 0; c < CPUTIME_COLUMNS || c < host->columns; c++) {
		text_add(t, " ", 1);
		text_u64(t, c < CPUTIME_COLUMNS ? ticks[c] : 0, 0);
	}
	text_add(t, "\n", 1);
}

static void print_cpus(struct text *t, const struct cputime *c, const struct host_stat *host)
{
	/* The kernel sets the sum off by a second blank. */
	text_puts(t, "cpu ");
	print_columns(t, c->total, host);
	for (size_t i = 0; i < c->n_cpus; i++) {
		text_puts(t, "cpu");
		text_u64(t, c->cpus[i].cpu, 0);
		print_columns(t, c->cpus[i].ticks, host);
	}
}

/* What the lines behind the CPUs are printed from. */
struct values {
	const struct cputime *times;
	uint64_t btime;
	uint64_t running, blocked;
};

static void print_zero(struct text *t, struct slice columns, const struct values *v)
{
	(void)columns;
	(void)v;
	text_puts(t, " 0");
}

static void print_zeros(struct text *t, struct slice columns, const struct values *v)
{
	struct slice word;

	while (slice_word(&columns, &word))
		print_zero(t, columns, v);
}

static void print_btime(struct text *t, struct slice columns, const struct values *v)
{
	(void)columns;
	text_add(t, " ", 1);
	text_u64(t, v->btime, 0);
}

static void print_processes(struct text *t, struct slice columns, const struct values *v)
{
	(void)columns;
	text_add(t, " ", 1);
	text_u64(t, v->times->processes, 0);
}

static void print_running(struct text *t, struct slice columns, const struct values *v)
{
	(void)columns;
	text_add(t, " ", 1);
	text_u64(t, v->running, 0);
}

static void print_blocked(struct text *t, struct slice columns, const struct values *v)
{
	(void)columns;
	text_add(t, " ", 1);
	text_u64(t, v->blocked, 0);
}

/* The lines that tell of the machine. Any other is the kernel's, for readers of a newer one. */
static const struct line {
	const char *name;
	void (*print)(struct text *t, struct slice columns, const struct values *v);
} lines[] = {
	{ "intr", print_zero },
	{ "ctxt", print_zero },
	{ "btime", print_btime },
	{ "processes", print_processes },
	{ "procs_running", print_running },
	{ "procs_blocked", print_blocked },
	{ "softirq", print_zeros },
};

static void print_line(struct text *t, struct slice line, const struct values *v)
{
	struct slice columns = line, name;

	if (!slice_word(&columns, &name))
		name = line;
	for (size_t i = 0; i < countof(lines); i++)
		if (slice_equal(name, lines[i].name)) {
			text_puts(t, lines[i].name);
			lines[i].print(t, columns, v);
			text_add(t, "\n", 1);
			return;
		}
	text_add(t, line.p, line.n);
	text_add(t, "\n", 1);
}

/* As the kernel does in a time namespace: the time of its boot is what its CLOCK_BOOTTIME counts
 * from. */
static uint64_t btime_inside(uint64_t btime, int64_t offset_s)
{
	return offset_s < 0 ? sat_add(btime, -(uint64_t)offset_s)
			    : sat_sub(btime, (uint64_t)offset_s);
}

/* Where nobody samples there is no one but the reader to be sure of; and while it reads, a kernel
 * has that one run, too. */
static int gather_tasks(const struct view_args *a, struct values *v)
{
	struct load_values load = { 0 };
	int r = a->load ? load_get(a->load, a->subject, &load) : 0;

	v->running = max_u64(load.running, 1);
	v->blocked = load.blocked;
	return r;
}

int view_stat(const struct view_args *a, struct text *t)
{
	autohost const struct host_stat *host = NULL;
	__attribute__((cleanup(cputime_free))) struct cputime times = { 0 };
	struct values values = { .times = &times };
	struct slice rest, line;
	uint64_t tasks = 0;
	int r = cgroup_tasks(a->subject->cgroups, &tasks);

	if (r < 0 && r != -ENOENT) /* no pids controller: unknown */
		return r;
	r = host_stat(a->host, a->now_ns, &host);
	if (r == 0)
		r = cpuaccount_advance(a, host, tasks, &times);
	if (r == 0)
		r = gather_tasks(a, &values);
	if (r < 0)
		return r;
	values.btime = btime_inside(host->btime, a->subject->boottime_offset_s);
	print_cpus(t, &times, host);
	rest = host->rest;
	while (slice_line(&rest, &line))
		print_line(t, line, &values);
	return text_error(t);
}
