/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Collects the facts about one process from the modules that serve files: the same rules, the same
 * getters. Computes nothing that they do not, and prints nothing.
 */
#include "private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "meminfo.h"

/* What has to be open to ask. */
struct machine {
	const struct root *root;
	struct cgroup_layout *layout;
	struct cgroup_tree *tree;
	struct host *host;
	struct container_cache *containers;
	struct container *container;
};

static void machine_close(struct machine *m)
{
	container_unref(m->container);
	container_cache_free(m->containers);
	host_free(m->host);
	cgroup_tree_free(m->tree);
	cgroup_layout_free(m->layout);
}

#define MAX_FILES 64u
#define MAX_RECORDS 256u

static int machine_open(const struct root *root, pid_t pid, struct machine *m)
{
	struct container_config config = { .root = root, .max_records = MAX_RECORDS };
	int r = cgroup_layout_new(root, &m->layout);

	m->root = root;
	if (r == 0)
		r = cgroup_tree_new(m->layout, MAX_FILES, &m->tree);
	if (r == 0)
		r = host_new(root, &m->host);
	if (r < 0)
		return r;
	config.tree = m->tree;
	config.layout = m->layout;
	r = container_cache_new(&config, &m->containers);
	return r < 0 ? r : container_open(m->containers, pid, &m->container);
}

/* --- the process and its container ------------------------------------------------------------ */

static int read_of(const struct root *root, pid_t pid, const char *name, struct text *t)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	r = read_file_at(root->proc, path, t);
	return r == -ENOENT ? -ESRCH : r;
}

static int gather_process(const struct root *root, struct inspection *in)
{
	char path[64];
	autotext name = { 0 };
	struct stat st;
	size_t n;
	int r = read_of(root, in->pid, "comm", &name);

	if (r < 0)
		return r;
	n = min_u64(name.len, sizeof(in->name) - 1);
	for (size_t i = 0; i < n && name.data[i] != '\n'; i++)
		in->name[i] = (char)(name.data[i] == ' ' ? '?' : text_printable(name.data[i]));
	snprintf(path, sizeof(path), "%d/ns/pid", (int)in->pid);
	if (fstatat(root->proc, path, &st, 0) < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	in->pid_ns = st.st_ino;
	return 0;
}

static int gather_container(const struct machine *m, struct inspection *in)
{
	const struct container *c = m->container;

	in->init = c->init;
	in->is_host = c->subject.is_host;
	in->start_ns = c->subject.start_ns;
	in->boottime_offset_s = c->subject.boottime_offset_s;
	in->now_ns = clock_boottime_ns();
	in->available = m->layout->available;
	cgroup_layout_describe(m->layout, &in->machine);
	for (unsigned i = 0; i < m->layout->n; i++) {
		struct inspect_cgroup *cgroup = &in->cgroups[in->n_cgroups];
		const char *path = container_path(c, i);

		cgroup->rule = c->rule[i];
		cgroup->hierarchy = strdup(m->layout->hierarchy[i].name);
		cgroup->path = path ? strdup(path) : NULL;
		in->n_cgroups++;
		if (!cgroup->hierarchy || (path && !cgroup->path))
			return -ENOMEM;
	}
	return text_error(&in->machine);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void add_level(const struct cgroup_level *level, void *data)
{
	struct inspect_limit *l = data;
	struct inspect_level *levels = reallocarray(l->levels, l->n + 1, sizeof(*levels));

	if (!levels) {
		l->failed = true;
		return;
	}
	l->levels = levels;
	levels[l->n] = (struct inspect_level){
		.path = strdup(level->path),
		.file = strdup(level->file ? level->file : ""),
		.says = strndup(level->says.n ? level->says.p : "", level->says.n),
		.there = level->there,
		.limit = level->limit,
	};
	if (!levels[l->n].path || !levels[l->n].file || !levels[l->n].says)
		l->failed = true;
	l->n++;
}

/* The nearest that has the least. */
static const struct inspect_level *find_deciding(const struct inspect_limit *l)
{
	const struct inspect_level *found = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (l->levels[i].there && l->levels[i].limit < CGROUP_NO_LIMIT &&
			(!found || l->levels[i].limit < found->limit))
			found = &l->levels[i];
	return found;
}

static int gather_limits(const struct cgroup_set *s, struct inspection *in)
{
	for (unsigned kind = 0; kind < CGROUP_LIMITS; kind++) {
		struct inspect_limit *l = &in->limits[kind];
		int r = cgroup_levels(s, kind, add_level, l);

		if (r < 0)
			return r;
		if (l->failed)
			return -ENOMEM;
		l->decides = find_deciding(l);
	}
	return cgroup_cpu_quota(s, &in->quota);
}

/* --- usage ------------------------------------------------------------------------------------ */

static int gather_usage(const struct cgroup_set *s, struct inspection *in)
{
	struct cgroup_cpu_usage usage;
	int r = cgroup_tasks(s, &in->tasks);

	in->has_tasks = r == 0;
	if (r < 0 && r != -ENOENT)
		return r;
	r = cgroup_cpu_usage(s, &usage);
	if (r < 0)
		return r;
	in->has_cpu_time = usage.known;
	in->cpu_time_ns = usage.usage;
	cgroup_cpu_usage_free(&usage);
	return 0;
}

static int gather_memory(const struct view_args *a, struct inspection *in)
{
	autohost const struct host_meminfo *host = NULL;
	int r = host_meminfo(a->host, a->now_ns, &host);

	if (r < 0)
		return r;
	in->host_memory_kb = host->mem_total_kb;
	in->host_swap_kb = host->swap_total_kb;
	if (in->is_host)
		return 0;
	r = meminfo_gather(a, host, &in->memory, &in->swap);
	in->has_memory = r == 0;
	return r == VIEW_KERNELS_OWN ? 0 : r;
}

static int gather_cpus(struct view_args a, struct inspection *in)
{
	autohost const struct host_cpus *cpus = NULL;
	int r = host_cpus(a.host, a.now_ns, &cpus);

	if (r < 0)
		return r;
	in->online = cpus->online;
	a.quota = false;
	r = view_visible_cpus(&a, &in->by_cpuset);
	a.quota = true;
	return r < 0 ? r : view_visible_cpus(&a, &in->by_quota);
}

static int gather_values(const struct machine *m, struct inspection *in)
{
	const struct subject *s = &m->container->subject;
	const struct view_args a = { .options = in->options,
		.host = m->host,
		.layout = m->layout,
		.subject = s,
		.now_ns = in->now_ns };
	int r = gather_memory(&a, in);

	if (r == 0)
		r = gather_cpus(a, in);
	if (r == 0 && !in->is_host)
		r = gather_limits(s->cgroups, in);
	if (r == 0 && !in->is_host)
		r = gather_usage(s->cgroups, in);
	return r;
}

static int gather_binds(const struct root *root, struct inspection *in)
{
	autotext mountinfo = { 0 };
	int r = read_of(root, in->pid, "mountinfo", &mountinfo);

	if (r < 0)
		return r;
	in->binds = calloc(view_count, sizeof(*in->binds));
	return in->binds ? inspect_binds(slice_of(&mountinfo), &in->daemon, in->binds) : -ENOMEM;
}

int inspect_gather(
	const struct root *root, const struct options *options, pid_t pid, struct inspection *ret)
{
	__attribute__((cleanup(machine_close))) struct machine m = { 0 };
	int r;

	*ret = (struct inspection){ .pid = pid, .options = options, .quota = UINT_MAX };
	r = gather_process(root, ret);
	if (r == 0)
		r = inspect_find_daemon(root, options, &ret->daemon);
	if (r == 0 && ret->daemon.pid)
		ret->options = &ret->daemon.options;
	if (r == 0)
		r = machine_open(root, pid, &m);
	if (r == 0)
		r = gather_container(&m, ret);
	if (r == 0)
		r = gather_values(&m, ret);
	return r < 0 ? r : gather_binds(root, ret);
}

void inspect_free(struct inspection *in)
{
	for (unsigned kind = 0; kind < CGROUP_LIMITS; kind++) {
		for (size_t i = 0; i < in->limits[kind].n; i++) {
			free(in->limits[kind].levels[i].path);
			free(in->limits[kind].levels[i].file);
			free(in->limits[kind].levels[i].says);
		}
		free(in->limits[kind].levels);
	}
	for (size_t i = 0; i < in->n_cgroups; i++) {
		free(in->cgroups[i].hierarchy);
		free(in->cgroups[i].path);
	}
	free(in->binds);
	text_free(&in->machine);
	inspect_daemon_free(&in->daemon);
}
