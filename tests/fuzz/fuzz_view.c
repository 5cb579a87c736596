/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One file of a machine says anything at all: what containers are shown is well-formed. An input
 * begins with the file's name and a newline, which stays right when a fixture gains files, or with
 * its number, one byte. The next byte chooses the options and the machine, the rest is the file's
 * text. What a cgroup's file says must never change the shape of a line: a container then sees only
 * lines that it could see before, with other numbers.
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
#include "machine.h"
#include "slab.h"
#include "view.h"

#define ACCOUNTS 4u
#define PAGES 64u
#define SHAPES_MAX 4096

#define OPTIONS 8u /* every combination of them */

/* One of the machines, and every shape that a line of it has. */
struct stage {
	struct machine *machine;
	struct cgroup_layout *layout;
	struct text shapes[SHAPES_MAX];
	size_t n_shapes;
};

static struct stage stages[MACHINES];
static struct host *host;
static struct slab *slab;
static struct account_store *accounts;
static struct account_entry entries[ACCOUNTS];
static uint32_t links[PAGES];
static _Alignas(SLAB_PAGE) uint8_t pages[PAGES * SLAB_PAGE];
static uint64_t now_ns = UINT64_C(1000) * 1000000000;

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

static void learn(struct stage *s, struct text *text)
{
	struct slice rest = slice_of(text), line;

	while (slice_line(&rest, &line)) {
		struct text shape = { 0 };

		shape_of(line, &shape);
		if (is_known(s, &shape) || s->n_shapes == SHAPES_MAX)
			text_free(&shape);
		else
			s->shapes[s->n_shapes++] = shape;
	}
}

static void check(const struct stage *s, const struct view *v, struct text *text, bool shapes_hold)
{
	struct slice rest = slice_of(text), line;

	FUZZ_ASSERT(text->len == 0 || !shapes_hold || text->data[text->len - 1] == '\n');
	while (shapes_hold && slice_line(&rest, &line)) {
		autotext shape = { 0 };

		shape_of(line, &shape);
		if (!is_known(s, &shape)) {
			fprintf(stderr, "/%s says: %.*s\n", v->path, (int)line.n, line.p);
			FUZZ_ASSERT(false);
		}
	}
}

/* Of what a cgroup says: no counter is above MemTotal, but for those that have bounds of their own
 * (SPEC 1), and swap's, which is the host's at most. */
static void check_meminfo(const struct text *text)
{
	static const char *const others[] = { "Vmalloc", "Commit", "Huge", "SwapTotal",
		"SwapFree" };
	struct host_meminfo m = { 0 };

	text_add(&m.text, text->data, text->len);
	FUZZ_ASSERT(host_meminfo_parse(&m) != -ENOMEM && m.swap_free_kb <= m.swap_total_kb);
	for (size_t i = 0; i < m.n_lines; i++) {
		bool bounded = true;

		for (size_t k = 0; k < countof(others); k++)
			bounded = bounded && !slice_starts(m.lines[i].name, others[k]);
		FUZZ_ASSERT(!bounded || m.lines[i].value <= m.mem_total_kb);
	}
	free(m.lines);
	text_free(&m.text);
}

static void render_all(struct stage *s, const struct subject *subject, unsigned bits,
	bool shapes_hold, bool learning)
{
	const struct options options = { .disable_swap = bits & 1, .disable_zswap = bits & 2 };
	const struct view_args args = { .options = &options,
		.host = host,
		.layout = s->layout,
		.accounts = accounts,
		.subject = subject,
		.now_ns = now_ns += UINT64_C(2000000000), /* no snapshot is that old */
		.user_hz = 100,
		.page_size = 4096,
		.quota = bits & 4 };

	for (size_t i = 0; i < view_count; i++) {
		autotext text = { 0 };
		int r = 0;

		if (view_registry[i].kind == VIEW_FILE)
			r = view_render(&view_registry[i], &args, &text);
		/* A file that is never shown would be looked at in vain. */
		FUZZ_ASSERT(!learning || r >= 0 || r == -ENOENT);
		if (r < 0)
			continue;
		if (learning)
			learn(s, &text);
		else
			check(s, &view_registry[i], &text, shapes_hold);
		if (shapes_hold && !subject->is_host &&
			strcmp(view_registry[i].path, "proc/meminfo") == 0)
			check_meminfo(&text);
	}
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

	/* New ones, for they keep what cannot change on a real machine. */
	if (host_new(machine_root(s->machine), &host) < 0 ||
		cgroup_tree_new(s->layout, 16, &tree) < 0)
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
	cgroup_set_free(set);
	cgroup_tree_free(tree);
	host_free(host);
}

static void start_one(struct stage *s, enum machine_kind kind)
{
	static const struct subject the_host = { .is_host = true };

	s->machine = machine_get(kind);
	FUZZ_ASSERT(cgroup_layout_new(machine_root(s->machine), &s->layout) == 0);
	for (unsigned bits = 0; bits < OPTIONS; bits++)
		render(s, bits, true, true);
	FUZZ_ASSERT(host_new(machine_root(s->machine), &host) == 0);
	render_all(s, &the_host, 0, true, true);
	host_free(host);
}

static void start(void)
{
	FUZZ_ASSERT(slab_new(pages, links, PAGES, &slab) == 0);
	FUZZ_ASSERT(account_store_new(entries, ACCOUNTS, slab, &accounts) == 0);
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
