/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The facts as JSON. Names are a promise to whoever reads them: they are added to, never changed.
 * What is unlimited or not known is null. Sizes are in bytes, times in seconds.
 */
#include "private.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "clock.h"
#include "json.h"

/* A member that is missing would be a lie, so it is noted. */
struct maker {
	bool failed;
};

static void add(struct maker *m, json *to, const char *name, json *value)
{
	if (!json_add(to, name, value))
		m->failed = true;
}

static void add_null(struct maker *m, json *to, const char *name)
{
	if (!json_add_null(to, name))
		m->failed = true;
}

static void append(struct maker *m, json *to, json *value)
{
	if (!json_append(to, value))
		m->failed = true;
}

/* How many bytes the character has that `s` begins with; 0: it is not UTF-8. */
static size_t character(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	const size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t code = n > 0 ? p[0] & (0xff >> n) : 0;

	if (n > s.n || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
		(n == 4 && (code < 0x10000 || code > 0x10ffff)))
		return 0;
	return n;
}

/* JSON is UTF-8; names of cgroups may be any bytes. */
static json *slice_json(struct slice s)
{
	autotext t = { 0 };

	while (s.n > 0) {
		const size_t n = character(s);

		if (n > 0)
			text_add(&t, s.p, n);
		else
			text_puts(&t, "\xef\xbf\xbd"); /* U+FFFD */
		s = (struct slice){ s.p + max_u64(n, 1), s.n - max_u64(n, 1) };
	}
	if (text_error(&t) < 0)
		return NULL;
	return json_object_new_string_len(t.data ? t.data : "", (int)min_u64(t.len, INT_MAX));
}

static json *mask_json(const struct cpumask *mask)
{
	autotext t = { 0 };

	cpumask_format(&t, mask);
	return text_error(&t) < 0 ? NULL : slice_json(slice_of(&t));
}

/* Without what it is not: UINT64_MAX is "no limit". */
static void add_u64(struct maker *m, json *to, const char *name, uint64_t value)
{
	if (value == UINT64_MAX)
		add_null(m, to, name);
	else
		add(m, to, name, json_object_new_uint64(value));
}

static void add_string(struct maker *m, json *to, const char *name, const char *value)
{
	if (value)
		add(m, to, name, slice_json(slice_str(value)));
	else
		add_null(m, to, name);
}

static void add_bool(struct maker *m, json *to, const char *name, bool value)
{
	add(m, to, name, json_object_new_boolean(value));
}

static void add_why(struct maker *m, json *to, const struct inspection *in,
	void (*why)(const struct inspection *, struct text *))
{
	json *lines = json_object_new_array();
	autotext t = { 0 };
	struct slice rest, line;

	why(in, &t);
	rest = slice_of(&t);
	if (text_error(&t) < 0)
		m->failed = true;
	while (lines && slice_line(&rest, &line))
		append(m, lines, slice_json(line));
	add(m, to, "why", lines);
}

/* --- the parts ---------------------------------------------------------------------------------
 */

static json *options_json(struct maker *m, const struct options *o)
{
	json *j = json_object_new_object();

	add_bool(m, j, "enable_cfs", o->enable_cfs);
	add_bool(m, j, "disable_swap", o->disable_swap);
	add_bool(m, j, "disable_zswap", o->disable_zswap);
	add_bool(m, j, "disable_uptime", o->disable_uptime);
	add_bool(m, j, "disable_loadavg", o->disable_loadavg);
	add_bool(m, j, "enable_psi_poll", o->enable_psi_poll);
	add_bool(m, j, "disable_polling", o->disable_polling);
	return j;
}

static json *daemon_json(struct maker *m, const struct inspection *in)
{
	const struct inspect_daemon *d = &in->daemon;
	json *j = json_object_new_object(), *command;
	struct slice rest = { d->command.data, d->command.len ? d->command.len - 1 : 0 }, word;

	add_bool(m, j, "runs", d->pid != 0);
	add_string(m, j, "pidfile", in->options->pidfile);
	add(m, j, "options", options_json(m, in->options));
	add_bool(m, j, "pass_through", d->pass_through);
	if (d->pid == 0)
		return j;
	command = json_object_new_array();
	while (command && slice_cut(&rest, '\0', &word))
		append(m, command, slice_json(word));
	add(m, j, "pid", json_object_new_int(d->pid));
	add(m, j, "command", command);
	add_string(m, j, "directory", d->options.dir);
	add_bool(m, j, "other_namespaces", d->elsewhere);
	return j;
}

static json *machine_json(struct maker *m, const struct inspection *in)
{
	json *j = json_object_new_object();

	add(m, j, "cgroups", slice_json(slice_of(&in->machine)));
	add(m, j, "online_cpus", mask_json(&in->online));
	add_u64(m, j, "memory", mul_div(in->host_memory_kb, 1024, 1));
	add_u64(m, j, "swap", mul_div(in->host_swap_kb, 1024, 1));
	return j;
}

static json *cgroups_json(struct maker *m, const struct inspection *in)
{
	static const char *const rules[] = {
		[CONTAINER_RULE_NONE] = NULL,
		[CONTAINER_RULE_MOUNT] = "mount",
		[CONTAINER_RULE_INIT] = "init",
		[CONTAINER_RULE_OWN] = "own",
	};
	json *all = json_object_new_array();

	for (size_t i = 0; all && i < in->n_cgroups; i++) {
		const struct inspect_cgroup *c = &in->cgroups[i];
		json *j = json_object_new_object();

		add_string(m, j, "hierarchy", c->hierarchy);
		add_string(m, j, "path", c->path);
		add_string(m, j, "rule", rules[c->rule]);
		append(m, all, j);
	}
	return all;
}

static json *container_json(struct maker *m, const struct inspection *in)
{
	json *j = json_object_new_object();

	if (in->init)
		add(m, j, "init", json_object_new_int(in->init));
	else
		add_null(m, j, "init");
	add_u64(m, j, "pid_namespace", in->pid_ns);
	add_bool(m, j, "host", in->is_host);
	add(m, j, "age", json_object_new_double((double)sat_sub(in->now_ns, in->start_ns) / 1e9));
	add(m, j, "boottime_offset", json_object_new_int64(in->boottime_offset_s));
	add(m, j, "cgroups", cgroups_json(m, in));
	return j;
}

static json *levels_json(struct maker *m, const struct inspect_limit *l)
{
	json *all = json_object_new_array();

	for (size_t i = 0; all && i < l->n; i++) {
		json *j = json_object_new_object();

		add_string(m, j, "cgroup", l->levels[i].path);
		add_string(m, j, "file", l->levels[i].file);
		add_string(m, j, "says", l->levels[i].there ? l->levels[i].says : NULL);
		append(m, all, j);
	}
	return all;
}

static void add_value(struct maker *m, json *to, const struct inspection *in, unsigned kind)
{
	const struct inspect_level *l = in->limits[kind].decides;

	if (kind == CGROUP_LIMIT_CPUSET)
		add_string(m, to, "value", l ? l->says : NULL);
	else
		add_u64(m, to, "value", l ? l->limit : UINT64_MAX);
}

static json *limits_json(struct maker *m, const struct inspection *in)
{
	json *all = json_object_new_object();

	for (unsigned kind = 0; kind < CGROUP_LIMITS; kind++) {
		const struct inspect_level *l = in->limits[kind].decides;
		json *j = json_object_new_object();

		add_value(m, j, in, kind);
		add_string(m, j, "cgroup", l ? l->path : NULL);
		add_string(m, j, "file", l ? l->file : NULL);
		add(m, j, "levels", levels_json(m, &in->limits[kind]));
		add(m, all, inspect_limit_name(kind), j);
	}
	return all;
}

static json *usage_json(struct maker *m, const struct inspection *in)
{
	json *j = json_object_new_object();

	add_u64(m, j, "memory", in->has_memory ? in->memory.usage : UINT64_MAX);
	add_u64(m, j, "swap", in->has_memory ? in->swap.used : UINT64_MAX);
	add_u64(m, j, "tasks", in->has_tasks ? in->tasks : UINT64_MAX);
	if (in->has_cpu_time)
		add(m, j, "cpu", json_object_new_double((double)in->cpu_time_ns / 1e9));
	else
		add_null(m, j, "cpu");
	return j;
}

static json *cpus_json(struct maker *m, const struct inspection *in)
{
	json *j = json_object_new_object();

	add(m, j, "visible", mask_json(inspect_visible(in)));
	add_bool(m, j, "quota_counts", inspect_quota_counts(in));
	add(m, j, "without_quota", mask_json(&in->by_cpuset));
	add(m, j, "with_quota", mask_json(&in->by_quota));
	add_why(m, j, in, inspect_why_cpus);
	return j;
}

static json *size_json(struct maker *m, const struct inspection *in, uint64_t kb,
	void (*why)(const struct inspection *, struct text *))
{
	json *j = json_object_new_object();

	add_u64(m, j, "total", mul_div(kb, 1024, 1));
	add_why(m, j, in, why);
	return j;
}

static json *uptime_json(struct maker *m, const struct inspection *in)
{
	json *j = json_object_new_object();

	add_why(m, j, in, inspect_why_uptime);
	return j;
}

static json *files_json(struct maker *m, const struct inspection *in)
{
	static const char *const trees[] = { "", "quota", "cpuset" };
	json *all = json_object_new_array();

	for (size_t i = 0; all && i < view_count; i++) {
		const struct inspect_bind *b = &in->binds[i];
		json *j;

		if (view_registry[i].kind != VIEW_FILE)
			continue;
		j = json_object_new_object();
		add_string(m, j, "path", view_registry[i].path);
		add_bool(m, j, "bound", b->bound);
		add_bool(m, j, "stale", b->stale);
		add_string(m, j, "tree", b->bound ? trees[b->tree] : NULL);
		append(m, all, j);
	}
	return all;
}

static json *process_json(struct maker *m, const struct inspection *in)
{
	json *j = json_object_new_object();

	add(m, j, "pid", json_object_new_int(in->pid));
	add_string(m, j, "name", in->name);
	return j;
}

int inspect_json(const struct inspection *in, struct text *t)
{
	struct maker m = { false };
	json *all = json_object_new_object();
	const char *s;

	if (!all)
		return -ENOMEM;
	add(&m, all, "process", process_json(&m, in));
	add(&m, all, "daemon", daemon_json(&m, in));
	add(&m, all, "machine", machine_json(&m, in));
	add(&m, all, "container", container_json(&m, in));
	add(&m, all, "limits", limits_json(&m, in));
	add(&m, all, "usage", usage_json(&m, in));
	add(&m, all, "cpus", cpus_json(&m, in));
	add(&m, all, "memory", size_json(&m, in, inspect_memory_kb(in), inspect_why_memory));
	add(&m, all, "swap", size_json(&m, in, inspect_swap_kb(in), inspect_why_swap));
	add(&m, all, "uptime", uptime_json(&m, in));
	add(&m, all, "files", files_json(&m, in));
	s = m.failed ? NULL
		     : json_object_to_json_string_ext(
			       all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (s) {
		text_puts(t, s);
		text_puts(t, "\n");
	}
	json_object_put(all);
	return s ? 0 : -ENOMEM;
}
