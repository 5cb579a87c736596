/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Captured machines, containers on them, and every byte they are to see.
 *
 * tests/fixtures/MACHINE is a tree with proc/ and sys/ (mountinfo says where its cgroups are).
 * tests/golden/MACHINE.CASE/case describes a container on it, in lines:
 *
 *   machine NAME          the tree; without it: what stands before the first dot of the case
 *   cgroup LINE           a line of its /proc/PID/cgroup, after the rules of SPEC 2.3
 *   host                  it is root in every hierarchy
 *   start_ns N, now_ns N, boottime_offset_s N
 *   option WORD           enable-cfs, disable-swap, disable-uptime, disable-zswap, compat32
 *
 * Every other file there is what one served file says: "proc.meminfo" for proc/meminfo; or, with
 * ".error" behind it, the name of the errno that is answered. They are reasoned from SPEC and the
 * fixture, never written by our own output. Blank lines and lines with a # in front are comments
 * in a case. Nothing here knows a served file by name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "cleanup.h"
#include "cgroup.h"
#include "host.h"
#include "root.h"
#include "slab.h"
#include "unit.h"
#include "view.h"

#define FIXTURES TESTS_DIR "/fixtures"
#define GOLDEN TESTS_DIR "/golden"

#define ACCOUNTS 4u
#define PAGES 64u

/* --- the list of golden files --------------------------------------------------------------- */

struct golden {
	char *name; /* of the case: a directory below tests/golden */
	char *file;
};

static struct golden *goldens;
static size_t n_goldens;

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

/* --- a case --------------------------------------------------------------------------------- */

/* What tests/golden/MACHINE.CASE/case says. */
struct golden_case {
	char machine[64];
	struct text cgroup; /* /proc/PID/cgroup */
	bool is_host;
	uint64_t start_ns, now_ns, boottime_offset_s;
	struct options options;
	bool compat32;
};

static const struct {
	const char *word;
	size_t offset; /* of a bool */
} case_options[] = {
	{ "enable-cfs", offsetof(struct golden_case, options.enable_cfs) },
	{ "disable-swap", offsetof(struct golden_case, options.disable_swap) },
	{ "disable-uptime", offsetof(struct golden_case, options.disable_uptime) },
	{ "disable-zswap", offsetof(struct golden_case, options.disable_zswap) },
	{ "compat32", offsetof(struct golden_case, compat32) },
};

static const struct field case_numbers[] = {
	{ "start_ns", offsetof(struct golden_case, start_ns) },
	{ "now_ns", offsetof(struct golden_case, now_ns) },
	{ "boottime_offset_s", offsetof(struct golden_case, boottime_offset_s) },
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

static void case_read(const struct golden *g, struct golden_case *ret)
{
	autofree char *path = NULL;
	autotext text = { 0 };
	struct slice rest, line, machine, name = slice_str(g->name);

	*ret = (struct golden_case){ 0 };
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

/* Everything that a renderer is handed, on heap memory in place of the hand-over memory. */
struct machine {
	struct root root;
	struct host *host;
	struct cgroup_layout *layout;
	struct cgroup_tree *tree;
	struct cgroup_set *set;
	struct slab *slab;
	struct account_store *accounts;
	struct account_entry entries[ACCOUNTS];
	uint32_t links[PAGES];
	uint8_t pages[PAGES * SLAB_PAGE];
	_Atomic uint64_t virtualised;
	struct subject subject;
};

static void machine_set(struct machine *m, const struct golden_case *c)
{
	struct cgroup_paths paths;

	ck_assert_int_eq(cgroup_paths_parse(m->layout, slice_of(&c->cgroup), &paths), 0);
	ck_assert_int_eq(cgroup_set_new(m->tree, &paths, &m->set), 0);
	cgroup_paths_free(&paths);
	ck_assert_msg(!cgroup_set_is_root(m->set),
		"the case is root in every hierarchy but does not say \"host\"");
}

static void machine_subject(struct machine *m, const struct golden_case *c)
{
	dev_t dev = 0;
	ino_t ino = 0;

	if (m->set)
		ck_assert(cgroup_set_identity(m->set, &dev, &ino));
	m->subject = (struct subject){ .cgroups = m->set,
		.is_host = c->is_host,
		.start_ns = c->start_ns,
		.boottime_offset_s = (int64_t)c->boottime_offset_s,
		.account = { .cgroup_dev = dev,
			.cgroup_ino = ino,
			.init_start = c->start_ns / 10000000,
			.init_pid = 1234 },
		.virtualised = &m->virtualised };
}

static struct machine *machine_new(const struct golden_case *c)
{
	struct machine *m = calloc(1, sizeof(*m));
	autofree char *path = NULL;

	ck_assert_ptr_nonnull(m);
	ck_assert_int_ge(asprintf(&path, FIXTURES "/%s", c->machine), 0);
	ck_assert_msg(root_open(path, &m->root) == 0, "%s is no captured tree", path);
	ck_assert_int_eq(host_new(&m->root, &m->host), 0);
	ck_assert_int_eq(cgroup_layout_new(&m->root, &m->layout), 0);
	ck_assert_int_eq(cgroup_tree_new(m->layout, 16, &m->tree), 0);
	ck_assert_int_eq(slab_new(m->pages, m->links, PAGES, &m->slab), 0);
	ck_assert_int_eq(account_store_new(m->entries, ACCOUNTS, m->slab, &m->accounts), 0);
	if (!c->is_host)
		machine_set(m, c);
	machine_subject(m, c);
	return m;
}

static void machine_free(struct machine *m)
{
	account_store_free(m->accounts);
	slab_free(m->slab);
	cgroup_set_free(m->set);
	cgroup_tree_free(m->tree);
	cgroup_layout_free(m->layout);
	host_free(m->host);
	root_close(&m->root);
	free(m);
}

static int machine_render(
	struct machine *m, const struct golden_case *c, const struct view *v, struct text *t)
{
	const struct view_args args = { .options = &c->options,
		.host = m->host,
		.layout = m->layout,
		.accounts = m->accounts,
		.subject = &m->subject,
		.now_ns = c->now_ns,
		.user_hz = 100,
		.page_size = 4096,
		.quota = c->options.enable_cfs,
		.compat32 = c->compat32 };

	return view_render(v, &args, t);
}

/* --- what is expected ----------------------------------------------------------------------- */

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

static const struct view *view_by_file(struct slice file)
{
	for (size_t i = 0; i < view_count; i++)
		if (view_registry[i].kind == VIEW_FILE && is_named(view_registry[i].path, file))
			return &view_registry[i];
	return NULL;
}

static int errno_by_name(struct slice name)
{
	static const struct {
		const char *name;
		int number;
	} names[] = { { "EACCES", EACCES }, { "EBADMSG", EBADMSG }, { "EIO", EIO },
		{ "ENODEV", ENODEV }, { "ENOENT", ENOENT }, { "EPERM", EPERM } };

	for (size_t i = 0; i < countof(names); i++)
		if (slice_equal(name, names[i].name))
			return names[i].number;
	return 0;
}

static void diff_line(struct text *diff, char mark, bool there, struct slice line)
{
	if (!there)
		return;
	text_add(diff, &mark, 1);
	text_add(diff, line.p, line.n);
	text_puts(diff, "\n");
}

/* The lines that differ, both texts being walked in step; `diff` stays empty for equal texts. */
static void compare(struct slice expected, struct slice got, struct text *diff)
{
	const bool same = slice_same(expected, got);
	struct slice want, have;

	while (!same && (expected.n > 0 || got.n > 0)) {
		const bool wanted = slice_line(&expected, &want);
		const bool had = slice_line(&got, &have);

		if (wanted && had && slice_same(want, have))
			continue;
		diff_line(diff, '-', wanted, want);
		diff_line(diff, '+', had, have);
	}
	if (!same && diff->len == 0)
		text_puts(diff, "(only the newline at the end)\n");
}

static void check_error(const struct golden *g, struct slice expected, int r)
{
	struct slice name = { 0 };

	ck_assert_msg(slice_line(&expected, &name) && errno_by_name(name) != 0,
		"%s/%s: what errno is \"%.*s\"?", g->name, g->file, (int)name.n, name.p);
	ck_assert_msg(r == -errno_by_name(name), "%s/%s: expected %.*s, got %s", g->name, g->file,
		(int)name.n, name.p, r < 0 ? strerror(-r) : "an answer");
}

static void check_text(const struct golden *g, struct slice expected, int r, const struct text *got)
{
	autotext diff = { 0 };

	ck_assert_msg(r == 0, "%s/%s: %s", g->name, g->file, strerror(-r));
	compare(expected, slice_of(got), &diff);
	ck_assert_msg(diff.len == 0, "%s/%s:\n%.*s", g->name, g->file, (int)diff.len, diff.data);
}

START_TEST(a_file_says_what_its_golden_file_does)
{
	const struct golden *g = &goldens[_i];
	struct slice file = slice_str(g->file);
	const bool is_error = slice_ends(file, ".error");
	const struct view *v;
	struct golden_case c;
	autofree char *path = NULL;
	autotext expected = { 0 };
	autotext got = { 0 };
	struct machine *m;
	int r;

	if (is_error)
		file.n -= strlen(".error");
	v = view_by_file(file);
	ck_assert_msg(v != NULL, "%s/%s: the registry has no such file", g->name, g->file);
	ck_assert_int_ge(asprintf(&path, GOLDEN "/%s/%s", g->name, g->file), 0);
	ck_assert_int_eq(read_file_at(AT_FDCWD, path, &expected), 0);
	case_read(g, &c);
	m = machine_new(&c);
	r = machine_render(m, &c, v, &got);
	if (is_error)
		check_error(g, slice_of(&expected), r);
	else
		check_text(g, slice_of(&expected), r, &got);
	machine_free(m);
	text_free(&c.cgroup);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("golden");
	TCase *c = tcase_create("golden");
	int r;

	each_entry(GOLDEN, NULL, list_case);
	tcase_add_loop_test(c, a_file_says_what_its_golden_file_does, 0, (int)n_goldens);
	suite_add_tcase(s, c);
	r = unit_run(s);
	for (size_t i = 0; i < n_goldens; i++) {
		free(goldens[i].name);
		free(goldens[i].file);
	}
	free(goldens);
	return n_goldens > 0 ? r : 1;
}
