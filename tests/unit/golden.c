/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists the golden files, reads their cases, and puts a captured machine together for each.
 */
#include "golden.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define FIXTURES TESTS_DIR "/fixtures"

/* --- the list of golden files --------------------------------------------------------------- */

struct golden *goldens;
size_t n_goldens;

/* For what goes wrong before the first test: Check's own assertions need one. */
static void need(bool it, const char *what)
{
	if (it)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void golden_add(const char *name, const char *file)
{
	struct golden *more = realloc(goldens, (n_goldens + 1) * sizeof(*goldens));

	need(more != NULL, name);
	goldens = more;
	goldens[n_goldens++] = (struct golden){ strdup(name), strdup(file) };
}

/* Calls `each` for every entry that is not hidden, in the order of their names. */
static void each_entry(
	const char *path, const char *name, void (*each)(const char *name, const char *entry))
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);

	need(n >= 0, path);
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.')
			each(name, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void list_file(const char *name, const char *file)
{
	if (strcmp(file, "case") != 0)
		golden_add(name, file);
}

static void list_case(const char *unused, const char *name)
{
	autofree char *path = NULL;

	(void)unused;
	need(asprintf(&path, GOLDEN "/%s/case", name) >= 0, name);
	if (access(path, F_OK) < 0)
		return; /* another test's */
	path[strlen(path) - strlen("/case")] = '\0';
	each_entry(path, name, list_file);
}

void goldens_list(void)
{
	each_entry(GOLDEN, NULL, list_case);
}

void goldens_free(void)
{
	for (size_t i = 0; i < n_goldens; i++) {
		free(goldens[i].name);
		free(goldens[i].file);
	}
	free(goldens);
}

/* --- a case --------------------------------------------------------------------------------- */

static const struct {
	const char *word;
	size_t offset; /* of a bool */
} case_options[] = {
	{ "enable-cfs", offsetof(struct golden_case, options.enable_cfs) },
	{ "disable-swap", offsetof(struct golden_case, options.disable_swap) },
	{ "disable-uptime", offsetof(struct golden_case, options.disable_uptime) },
	{ "disable-zswap", offsetof(struct golden_case, options.disable_zswap) },
	{ "compat32", offsetof(struct golden_case, compat32) },
	{ "load", offsetof(struct golden_case, samples_load) },
	{ "nested", offsetof(struct golden_case, is_nested) },
};

static const struct field case_numbers[] = {
	FIELD("start_ns", struct golden_case, start_ns),
	FIELD("now_ns", struct golden_case, now_ns),
	FIELD("boottime_offset_s", struct golden_case, boottime_offset_s),
	FIELD("init_pid", struct golden_case, init_pid),
};

static bool case_option(struct golden_case *c, struct slice word)
{
	for (size_t i = 0; i < countof(case_options); i++) {
		if (!slice_equal(word, case_options[i].word))
			continue;
		*(bool *)((char *)c + case_options[i].offset) = true;
		return true;
	}
	return false;
}

static bool case_number(struct slice line, struct golden_case *c)
{
	return parse_fields(line, case_numbers, countof(case_numbers), c) == 1;
}

/* False for a line that means nothing. */
static bool case_line(struct slice line, struct golden_case *c)
{
	struct slice rest = line, word;

	if (!slice_word(&rest, &word) || slice_starts(word, "#"))
		return true;
	rest = slice_trim(rest);
	if (slice_equal(word, "host"))
		return c->is_host = true;
	if (slice_equal(word, "machine"))
		return parse_unescape(rest, c->machine, sizeof(c->machine));
	if (slice_equal(word, "option"))
		return case_option(c, rest);
	if (!slice_equal(word, "cgroup"))
		return case_number(line, c);
	text_add(&c->cgroup, rest.p, rest.n);
	text_puts(&c->cgroup, "\n");
	return true;
}

void case_read(const struct golden *g, struct golden_case *ret)
{
	autofree char *path = NULL;
	autotext text = { 0 };
	struct slice rest, line, machine, name = slice_str(g->name);

	*ret = (struct golden_case){ .init_pid = 1234 };
	ck_assert(slice_cut(&name, '.', &machine));
	ck_assert(parse_unescape(machine, ret->machine, sizeof(ret->machine)));
	ck_assert_int_ge(asprintf(&path, GOLDEN "/%s/case", g->name), 0);
	ck_assert_msg(read_file_at(AT_FDCWD, path, &text) == 0, "%s cannot be read", path);
	rest = slice_of(&text);
	while (slice_line(&rest, &line))
		ck_assert_msg(
			case_line(line, ret), "%s: what is \"%.*s\"?", path, (int)line.n, line.p);
}

/* --- the machine ---------------------------------------------------------------------------- */

static int machine_set(struct machine *m, const struct golden_case *c)
{
	struct cgroup_paths paths;
	int r = cgroup_paths_parse(m->layout, slice_of(&c->cgroup), &paths);

	if (r < 0)
		return r;
	r = cgroup_set_new(m->tree, &paths, &m->set);
	cgroup_paths_free(&paths);
	return r;
}

static int machine_subject(struct machine *m, const struct golden_case *c)
{
	dev_t dev = 0;
	ino_t ino = 0;

	if (m->set && !cgroup_set_identity(m->set, &dev, &ino))
		return -EIO;
	m->subject = (struct subject){ .cgroups = m->set,
		.is_host = c->is_host,
		.start_ns = c->start_ns,
		.boottime_offset_s = (int64_t)c->boottime_offset_s,
		.account = { .cgroup_dev = dev,
			.cgroup_ino = ino,
			.init_start = c->start_ns / 10000000,
			.init_pid = (pid_t)c->init_pid },
		.virtualised = &m->virtualised };
	return 0;
}

static int machine_load(struct machine *m)
{
	const struct load_config config = { &m->root, m->layout, m->accounts };

	return load_new(&config, &m->load);
}

static int machine_fill(struct machine *m, const struct golden_case *c)
{
	autofree char *path = NULL;
	int r = asprintf(&path, FIXTURES "/%s", c->machine);

	if (r < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = root_open(path, &m->root);
	if (r == 0)
		r = host_new(&m->root, &m->host);
	if (r == 0)
		r = cgroup_layout_new(&m->root, &m->layout);
	if (r == 0)
		r = cgroup_tree_new(m->layout, 16, &m->tree);
	if (r == 0)
		r = slab_new(m->pages, m->links, PAGES, &m->slab);
	if (r == 0)
		r = account_store_new(m->entries, ACCOUNTS, m->slab, NULL, &m->accounts);
	if (r == 0 && c->samples_load)
		r = machine_load(m);
	if (r == 0 && !c->is_host)
		r = machine_set(m, c);
	return r == 0 ? machine_subject(m, c) : r;
}

int machine_try(const struct golden_case *c, struct machine **ret)
{
	struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->root = ROOT_NONE;
	r = machine_fill(m, c);
	if (r == 0)
		*ret = m;
	else
		machine_free(m);
	return r;
}

struct machine *machine_new(const struct golden_case *c)
{
	struct machine *m = NULL;
	int r = machine_try(c, &m);

	ck_assert_msg(r == 0, "%s is no captured tree: %s", c->machine, strerror(-r));
	ck_assert_msg(!m->set || !cgroup_set_is_root(m->set),
		"the case is root in every hierarchy but does not say \"host\"");
	return m;
}

void machine_free(struct machine *m)
{
	load_free(m->load);
	account_store_free(m->accounts);
	slab_free(m->slab);
	cgroup_set_free(m->set);
	cgroup_tree_free(m->tree);
	cgroup_layout_free(m->layout);
	host_free(m->host);
	root_close(&m->root);
	free(m);
}

int machine_render(
	struct machine *m, const struct golden_case *c, const struct view *v, struct text *t)
{
	const struct view_args args = { .options = &c->options,
		.host = m->host,
		.layout = m->layout,
		.accounts = m->accounts,
		.load = m->load,
		.subject = &m->subject,
		.now_ns = c->now_ns,
		.user_hz = 100,
		.page_size = 4096,
		.quota = c->options.enable_cfs,
		.compat32 = c->compat32 };

	return view_render(v, &args, t);
}

/* Compares a path of the registry with a file's name, which has dots for slashes. */
static bool is_named(const char *path, struct slice file)
{
	if (strlen(path) != file.n)
		return false;
	for (size_t i = 0; i < file.n; i++)
		if (file.p[i] != (path[i] == '/' ? '.' : path[i]))
			return false;
	return true;
}

const struct view *view_by_file(struct slice file)
{
	for (size_t i = 0; i < view_count; i++)
		if (view_registry[i].kind == VIEW_FILE && is_named(view_registry[i].path, file))
			return &view_registry[i];
	return NULL;
}
