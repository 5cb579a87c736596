/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One file of a machine says anything at all: what containers are shown is well-formed. An input
 * begins with the file's name and a newline, which stays right when a fixture gains files, or with
 * its number, one byte. The next byte chooses the options and the machine, the rest is the file's
 * text. What a cgroup's file says must never change the shape of a line, nor which lines there are:
 * a container then sees only what it could see before, with other numbers. Of what a host's file
 * says the kernel's lines are passed on as they are, whatever they say, and the rest is
 * well-formed.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/host/formats.h"
#include "account.h"
#include "cgroup.h"
#include "fuzz.h"
#include "host.h"
#include "load.h"
#include "machine.h"
#include "slab.h"
#include "view.h"

#define ACCOUNTS 4u
#define PAGES 64u
#define SHAPES_MAX 4096

#define OPTIONS 8u /* every combination of them */

/* One of the machines, every shape that a line of it has, and what the lines are called of files in
 * which they are always the same ones. */
struct stage {
	struct machine *machine;
	struct cgroup_layout *layout;
	struct text shapes[SHAPES_MAX];
	size_t n_shapes;
	struct text meminfo[OPTIONS], stat[OPTIONS];
};

static struct stage stages[MACHINES];
static struct host *host;
static struct load *load;
static struct slab *slab;
static struct account_store *accounts;
static struct account_entry entries[ACCOUNTS];
static uint32_t links[PAGES];
static _Alignas(SLAB_PAGE) uint8_t pages[PAGES * SLAB_PAGE];
static uint64_t now_ns = UINT64_C(1000) * 1000000000;

/* --- what a cgroup's file says --------------------------------------------------------------- */

/* Numbers and what stands between them do not matter. */
static void shape_of(struct slice line, struct text *ret)
{
	for (size_t i = 0; i < line.n; i++) {
		const char c = line.p[i];

		if (isdigit((unsigned char)c) || (c && strchr(".,-", c))) {
			if (ret->len == 0 || ret->data[ret->len - 1] != '0')
				text_puts(ret, "0");
		} else if (!isspace((unsigned char)c)) {
			text_add(ret, &c, 1);
		} else if (ret->len == 0 || ret->data[ret->len - 1] != ' ') {
			text_puts(ret, " ");
		}
	}
}

static bool is_known(const struct stage *s, const struct text *shape)
{
	for (size_t i = 0; i < s->n_shapes; i++)
		if (slice_same(slice_of(&s->shapes[i]), slice_of(shape)))
			return true;
	return false;
}

static bool is_view(const struct view *v, const char *path)
{
	return strcmp(v->path, path) == 0;
}

static bool is_of_cpus(struct slice line)
{
	return slice_starts(line, "cpu");
}

/* What lines there are, one after the other; the number of CPUs is the container's own. */
static void names_of(struct slice text, struct text *ret)
{
	struct slice line, name;

	while (slice_line(&text, &line))
		if (!is_of_cpus(line) && slice_word(&line, &name)) {
			text_add(ret, name.p, name.n);
			text_puts(ret, "\n");
		}
}

/* Where the names of the view's lines are kept; NULL: they are not always the same ones. */
static struct text *names_in(struct stage *s, const struct view *v, unsigned bits)
{
	if (is_view(v, "proc/meminfo"))
		return &s->meminfo[bits % OPTIONS];
	return is_view(v, "proc/stat") ? &s->stat[bits % OPTIONS] : NULL;
}

static void learn(struct stage *s, const struct view *v, struct text *text, unsigned bits)
{
	struct slice rest = slice_of(text), line;
	struct text *names = names_in(s, v, bits);

	if (names) {
		text_reset(names);
		names_of(rest, names);
	}
	while (slice_line(&rest, &line)) {
		struct text shape = { 0 };

		shape_of(line, &shape);
		if (is_known(s, &shape) || s->n_shapes == SHAPES_MAX)
			text_free(&shape);
		else
			s->shapes[s->n_shapes++] = shape;
	}
}

static void check_names(struct stage *s, const struct view *v, struct text *text, unsigned bits)
{
	const struct text *known = names_in(s, v, bits);
	autotext names = { 0 };

	if (!known)
		return;
	names_of(slice_of(text), &names);
	FUZZ_ASSERT(slice_same(slice_of(&names), slice_of(known)));
}

/* A container that has done no I/O has no devices (SPEC 11). */
static bool may_be_empty(const struct view *v)
{
	return is_view(v, "proc/diskstats");
}

/* Of what a cgroup says: no amount is above MemTotal, but for those that have bounds of their own
 * (SPEC 1), and swap's, which is the host's at most. */
static void check_meminfo(const struct text *text)
{
	static const char *const others[] = { "Vmalloc", "Commit", "Huge", "SwapTotal",
		"SwapFree" };
	struct host_meminfo m = { 0 };

	m.text = fuzz_text((const uint8_t *)text->data, text->len);
	FUZZ_ASSERT(host_meminfo_parse(&m) != -ENOMEM && m.swap_free_kb <= m.swap_total_kb);
	for (size_t i = 0; i < m.n_lines; i++) {
		bool bounded = m.lines[i].has_unit; /* what has none is a count */

		for (size_t k = 0; k < countof(others); k++)
			bounded = bounded && !slice_starts(m.lines[i].name, others[k]);
		FUZZ_ASSERT(!bounded || m.lines[i].value <= m.mem_total_kb);
	}
	free(m.lines);
	text_free(&m.text);
}

static void check_of_cgroup(struct stage *s, const struct view *v, struct text *text, unsigned bits)
{
	struct slice rest = slice_of(text), line;

	if (text->len == 0 && !may_be_empty(v)) {
		fprintf(stderr, "/%s is empty\n", v->path);
		FUZZ_ASSERT(false);
	}
	FUZZ_ASSERT(text->len == 0 || text->data[text->len - 1] == '\n');
	while (slice_line(&rest, &line)) {
		autotext shape = { 0 };

		shape_of(line, &shape);
		if (!is_known(s, &shape)) {
			fprintf(stderr, "/%s says: %.*s\n", v->path, (int)line.n, line.p);
			FUZZ_ASSERT(false);
		}
	}
	check_names(s, v, text, bits);
	if (is_view(v, "proc/meminfo"))
		check_meminfo(text);
}

/* --- what a host's file says ----------------------------------------------------------------- */

/* "cpu", then "cpuN" with ascending numbers. What is behind those is the kernel's. */
static void check_stat(struct slice text)
{
	struct slice line, name, word;
	uint64_t id, value, last = 0;

	for (size_t n = 0; slice_line(&text, &line) && is_of_cpus(line); n++) {
		FUZZ_ASSERT(slice_word(&line, &name));
		name = (struct slice){ name.p + 3, name.n - 3 };
		FUZZ_ASSERT(n == 0 ? name.n == 0 : slice_u64(name, &id));
		FUZZ_ASSERT(n < 2 || id > last);
		last = n > 0 ? id : 0;
		while (slice_word(&line, &word))
			FUZZ_ASSERT(slice_u64(word, &value));
	}
}

/* The kernel's header, comments of it, and no device of the host. */
static void check_swaps(struct slice text)
{
	struct slice line;
	unsigned rows = 0;

	FUZZ_ASSERT(slice_line(&text, &line));
	while (slice_line(&text, &line))
		if (!slice_starts(line, "#")) {
			FUZZ_ASSERT(slice_starts(line, "none ") && rows++ == 0);
		}
}

/* Every line that has a number, for a host's text may have several of one name. */
static void check_swap(const struct text *text)
{
	struct host_meminfo m = { .text = fuzz_text((const uint8_t *)text->data, text->len) };
	uint64_t total = UINT64_MAX, left = 0;

	FUZZ_ASSERT(host_meminfo_parse(&m) != -ENOMEM);
	for (size_t i = 0; i < m.n_lines; i++) {
		const struct host_meminfo_line *l = &m.lines[i];

		if (l->end == l->start)
			continue;
		if (slice_equal(l->name, "SwapTotal"))
			total = min_u64(total, l->value);
		else if (slice_equal(l->name, "SwapFree"))
			left = max_u64(left, l->value);
	}
	FUZZ_ASSERT(left <= total);
	free(m.lines);
	text_free(&m.text);
}

/* Whether all of a view is printed by its renderer, line by line. Of others the kernel's text, or a
 * header of it, is passed on, which ends as it does there. */
static bool is_printed(const struct view *v)
{
	return !slice_starts(slice_str(v->path), "proc/pressure/") && !is_view(v, "proc/swaps") &&
		!is_view(v, "proc/slabinfo") && !is_view(v, "proc/cpuinfo");
}

static void check_of_host(const struct view *v, struct text *text)
{
	const struct slice all = slice_of(text);

	if (is_printed(v) && text->len > 0 && text->data[text->len - 1] != '\n') {
		fprintf(stderr, "/%s does not end\n", v->path);
		FUZZ_ASSERT(false);
	}
	if (is_view(v, "proc/stat"))
		check_stat(all);
	else if (is_view(v, "proc/swaps"))
		check_swaps(all);
	else if (is_view(v, "proc/meminfo"))
		check_swap(text);
}

/* --- rendering -------------------------------------------------------------------------------- */

static void render_all(struct stage *s, const struct subject *subject, unsigned bits,
	bool shapes_hold, bool learning)
{
	const struct options options = { .disable_swap = bits & 1, .disable_zswap = bits & 2 };
	const struct view_args args = { .options = &options,
		.host = host,
		.layout = s->layout,
		.accounts = accounts,
		.load = load,
		.subject = subject,
		.now_ns = now_ns += UINT64_C(2000000000), /* no snapshot is that old */
		.user_hz = 100,
		.page_size = 4096,
		.quota = bits & 4 };

	for (size_t i = 0; i < view_count; i++) {
		autotext text = { 0 };
		int r;

		if (view_registry[i].kind != VIEW_FILE)
			continue;
		r = view_render(&view_registry[i], &args, &text);
		/* A file that is never shown would be looked at in vain. */
		FUZZ_ASSERT(!learning || r >= 0 || r == -ENOENT);
		if (r < 0)
			continue;
		if (learning)
			learn(s, &view_registry[i], &text, bits);
		else if (shapes_hold)
			check_of_cgroup(s, &view_registry[i], &text, bits);
		else
			check_of_host(&view_registry[i], &text);
	}
}

/* Whose cgroup is the root, but who has an init: the kernel's averages, and a number of its own. */
static void render_loadavg(struct stage *s)
{
	static const struct subject subject = { .is_host = true,
		.account = { .init_pid = MACHINE_PID, .init_start = 1000 } };
	static const struct options options;
	const struct view_args args = { .options = &options,
		.host = host,
		.layout = s->layout,
		.load = load,
		.subject = &subject,
		.now_ns = now_ns };
	const struct view *v = view_by_path("proc/loadavg");
	autotext text = { 0 };

	if (view_render(v, &args, &text) == 0)
		check_of_host(v, &text);
}

/* New ones, for they keep what cannot change on a real machine, and for how long. */
static bool look_at_machine(const struct stage *s)
{
	const struct load_config config = { .root = machine_root(s->machine), .layout = s->layout };

	return host_new(config.root, &host) == 0 && load_new(&config, &load) == 0;
}

static void render(struct stage *s, unsigned bits, bool shapes_hold, bool learning)
{
	struct cgroup_tree *tree = NULL;
	struct cgroup_paths paths;
	struct cgroup_set *set = NULL;
	struct subject subject = { .start_ns = 10000000000,
		.account = { .init_pid = MACHINE_PID, .init_start = 1000, .cgroup_ino = 1 } };
	dev_t dev;
	ino_t ino;

	if (!look_at_machine(s) || cgroup_tree_new(s->layout, 16, &tree) < 0)
		return;
	if (cgroup_paths_parse(s->layout, machine_cgroups(s->machine), &paths) == 0) {
		if (cgroup_set_new(tree, &paths, &set) == 0 &&
			cgroup_set_identity(set, &dev, &ino)) {
			subject.cgroups = set;
			subject.account.cgroup_dev = dev;
			subject.account.cgroup_ino = ino;
			render_all(s, &subject, bits, shapes_hold, learning);
		}
		cgroup_paths_free(&paths);
	}
	if (!shapes_hold)
		render_loadavg(s);
	cgroup_set_free(set);
	cgroup_tree_free(tree);
	load_free(load);
	host_free(host);
}

static void start_one(struct stage *s, enum machine_kind kind)
{
	static const struct subject the_host = { .is_host = true };

	s->machine = machine_get(kind);
	FUZZ_ASSERT(cgroup_layout_new(machine_root(s->machine), &s->layout) == 0);
	for (unsigned bits = 0; bits < OPTIONS; bits++)
		render(s, bits, true, true);
	FUZZ_ASSERT(look_at_machine(s));
	render_all(s, &the_host, 0, true, true);
	load_free(load);
	host_free(host);
}

static void start(void)
{
	FUZZ_ASSERT(slab_new(pages, links, PAGES, &slab) == 0);
	FUZZ_ASSERT(account_store_new(entries, ACCOUNTS, slab, NULL, &accounts) == 0);
	for (unsigned kind = 0; kind < MACHINES; kind++)
		start_one(&stages[kind], kind);
}

/* What an input says. */
struct choice {
	struct stage *stage;
	uint8_t bits;
	size_t file;
	struct slice text;
};

/* What stands behind the file. */
static bool choose_stage(struct slice input, struct choice *ret)
{
	if (input.n == 0)
		return false;
	ret->bits = (uint8_t)input.p[0];
	ret->stage = &stages[ret->bits / OPTIONS % MACHINES];
	ret->text = (struct slice){ input.p + 1, input.n - 1 };
	return true;
}

static bool choose(struct slice input, struct choice *ret)
{
	struct slice rest = input, name;

	if (slice_line(&rest, &name) && choose_stage(rest, ret)) {
		ret->file = machine_find(ret->stage->machine, name);
		if (ret->file < machine_files(ret->stage->machine))
			return true;
	}
	if (input.n == 0 || !choose_stage((struct slice){ input.p + 1, input.n - 1 }, ret))
		return false;
	ret->file = (uint8_t)input.p[0] % machine_files(ret->stage->machine);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine *m;
	struct choice c;

	if (!stages[0].machine)
		start();
	if (!choose((struct slice){ (const char *)data, size }, &c))
		return 0;
	m = c.stage->machine;
	machine_replace(m, c.file, c.text.p, c.text.n);
	render(c.stage, c.bits, machine_is_parsed(m, c.file), false);
	machine_restore(m, c.file);
	return 0;
}
