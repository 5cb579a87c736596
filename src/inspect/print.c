/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The facts as text for people, one under the other. Decides nothing.
 */
#include "private.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

typedef unsigned long long ull; /* what printf(3) calls it */

#define INDENT "    "

static void print_title(struct text *t, const char *title)
{
	text_printf(t, "\n%s\n", title);
}

/* A line of a table: the name in a column of its own. */
#define print_row(t, name, ...)                                                                    \
	do {                                                                                       \
		text_printf((t), INDENT "%-12s ", (name));                                         \
		text_printf((t), __VA_ARGS__);                                                     \
		text_puts((t), "\n");                                                              \
	} while (0)

/* `t` is made of another text, which may be in error. */
static void take_error(struct text *t, const struct text *from)
{
	t->failed |= text_error(from) < 0;
}

static void print_lines(struct text *t, const struct text *lines)
{
	struct slice rest = slice_of(lines), line;

	while (slice_line(&rest, &line))
		text_printf(t, INDENT "%.*s\n", (int)line.n, line.p);
}

static void print_why(struct text *t, const struct inspection *in,
	void (*why)(const struct inspection *, struct text *))
{
	autotext lines = { 0 };

	why(in, &lines);
	take_error(t, &lines);
	print_lines(t, &lines);
}

static void print_command(struct text *t, const struct inspect_daemon *d)
{
	struct slice rest = { d->command.data, d->command.len ? d->command.len - 1 : 0 }, word;

	text_puts(t, INDENT "command      ");
	while (slice_cut(&rest, '\0', &word)) {
		text_add(t, word.p, word.n);
		text_puts(t, rest.n ? " " : "");
	}
	text_puts(t, "\n");
}

static void print_daemon(struct text *t, const struct inspection *in)
{
	const struct inspect_daemon *d = &in->daemon;

	print_title(t, "daemon");
	if (d->pid == 0) {
		print_row(t, "pid",
			"none holds %s: this is what one with the options of this "
			"command line would say",
			in->options->pidfile);
		return;
	}
	print_row(t, "pid", "%d, which holds %s", (int)d->pid, in->options->pidfile);
	print_command(t, d);
	if (d->elsewhere)
		print_row(t, "beware",
			"it runs in another pid or cgroup namespace than this "
			"command and may find other cgroups");
}

static void print_container(struct text *t, const struct inspection *in)
{
	const uint64_t age_s = sat_sub(in->now_ns, in->start_ns) / NS_PER_S;

	print_title(t, "container");
	if (in->init)
		print_row(t, "init", "process %d", (int)in->init);
	else
		print_row(t, "init", "none of its own: it is in the pid namespace of this command");
	print_row(t, "pid namespace", "%llu", (ull)in->pid_ns);
	print_row(t, "host", in->is_host ? "yes: it is at the root of every hierarchy" : "no");
	print_row(t, "age", "%llu s", (ull)age_s);
}

static void print_cgroups(struct text *t, const struct inspection *in)
{
	print_title(t, "cgroups, and which rule chose each");
	for (size_t i = 0; i < in->n_cgroups; i++) {
		const struct inspect_cgroup *c = &in->cgroups[i];

		print_row(t, c->hierarchy[0] ? c->hierarchy : "(v2)", "%-24s %s",
			c->path ? c->path : "-", inspect_rule(c->rule));
	}
}

/* 262144 kB, 0-3, 2 CPUs. */
static void print_value(struct text *t, const struct inspection *in, unsigned kind)
{
	switch ((enum cgroup_limit_kind)kind) {
	case CGROUP_LIMIT_MEMORY:
	case CGROUP_LIMIT_SWAP:
		text_printf(t, "%llu kB", (ull)in->limits[kind].decides->limit / 1024);
		break;
	case CGROUP_LIMIT_CPUSET:
		text_puts(t, in->limits[kind].decides->says);
		break;
	case CGROUP_LIMIT_QUOTA:
		text_printf(t, "%u CPUs", in->quota);
		break;
	case CGROUP_LIMITS:
		break;
	}
}

static void print_limits(struct text *t, const struct inspection *in)
{
	print_title(t, "limits in force, and where each comes from");
	for (unsigned kind = 0; kind < CGROUP_LIMITS; kind++) {
		const struct inspect_level *l = in->limits[kind].decides;
		autotext value = { 0 };

		if (!l) {
			print_row(t, inspect_limit_name(kind), "none");
			continue;
		}
		print_value(&value, in, kind);
		take_error(t, &value);
		print_row(t, inspect_limit_name(kind), "%-24.*s %s of %s", (int)value.len,
			value.data, l->file, l->path);
	}
}

static void print_usage(struct text *t, const struct inspection *in)
{
	print_title(t, "usage");
	if (in->has_memory)
		print_row(t, "memory", "%llu kB", (ull)in->memory.usage / 1024);
	if (in->has_memory)
		print_row(t, "swap", "%llu kB", (ull)in->swap.used / 1024);
	if (in->has_cpu_time)
		print_row(t, "CPU time", "%llu.%02llu s", (ull)(in->cpu_time_ns / NS_PER_S),
			(ull)(in->cpu_time_ns / (NS_PER_S / 100) % 100));
	if (in->has_tasks)
		print_row(t, "tasks", "%llu", (ull)in->tasks);
}

static void print_cpus(struct text *t, const struct inspection *in)
{
	const struct cpumask *visible = inspect_visible(in);

	text_puts(t, "\nCPUs: ");
	cpumask_format(t, visible);
	text_printf(t, " (%u of %u)\n", cpumask_count(visible), cpumask_count(&in->online));
	print_why(t, in, inspect_why_cpus);
}

static void print_files(struct text *t, const struct inspection *in)
{
	static const char *const trees[] = { "DIR", "DIR/quota", "DIR/cpuset" };

	print_title(t, "what lies over the kernel's files in its mount namespace");
	for (size_t i = 0; i < view_count; i++) {
		const struct inspect_bind *b = &in->binds[i];

		if (view_registry[i].kind != VIEW_FILE)
			continue;
		text_printf(t, INDENT "/%-36s %s%s%s\n", view_registry[i].path,
			b->bound ? "lxcfs, from " : "nothing", b->bound ? trees[b->tree] : "",
			b->stale ? ", but not the running daemon's" : "");
	}
}

void inspect_print(const struct inspection *in, struct text *t)
{
	text_printf(t, "process %d (%s)\n", (int)in->pid, in->name);
	print_daemon(t, in);
	print_title(t, "machine");
	print_row(t, "cgroups", "%.*s", (int)in->machine.len, in->machine.data);
	print_row(t, "memory", "%llu kB, swap %llu kB", (ull)in->host_memory_kb,
		(ull)in->host_swap_kb);
	print_container(t, in);
	print_cgroups(t, in);
	if (!in->is_host) {
		print_limits(t, in);
		print_usage(t, in);
	}
	print_cpus(t, in);
	text_printf(t, "\nmemory: %llu kB of %llu\n", (ull)inspect_memory_kb(in),
		(ull)in->host_memory_kb);
	print_why(t, in, inspect_why_memory);
	text_printf(
		t, "\nswap: %llu kB of %llu\n", (ull)inspect_swap_kb(in), (ull)in->host_swap_kb);
	print_why(t, in, inspect_why_swap);
	print_title(t, "uptime");
	print_why(t, in, inspect_why_uptime);
	print_files(t, in);
}
