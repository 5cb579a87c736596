/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One file of a machine says anything at all: what containers are shown is well-formed. The first
 * byte chooses the file, the second the options, the rest is its text. What a cgroup's file says
 * must never change the shape of a line: a container then sees only lines that it could see before,
 * with other numbers.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

static const struct root *root;
static struct host *host;
static struct cgroup_layout *layout;
static struct slab *slab;
static struct account_store *accounts;
static struct account_entry entries[ACCOUNTS];
static uint32_t links[PAGES];
static _Alignas(SLAB_PAGE) uint8_t pages[PAGES * SLAB_PAGE];
static uint64_t now_ns = UINT64_C(1000) * 1000000000;

static struct text shapes[SHAPES_MAX];
static size_t n_shapes;

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

static bool is_known(const struct text *shape)
{
	for (size_t i = 0; i < n_shapes; i++)
		if (slice_same(slice_of(&shapes[i]), slice_of(shape)))
			return true;
	return false;
}

static void learn(struct text *text)
{
	struct slice rest = slice_of(text), line;

	while (slice_line(&rest, &line)) {
		struct text shape = { 0 };

		shape_of(line, &shape);
		if (is_known(&shape) || n_shapes == SHAPES_MAX)
			text_free(&shape);
		else
			shapes[n_shapes++] = shape;
	}
}

static void check(const struct view *v, struct text *text, bool shapes_hold)
{
	struct slice rest = slice_of(text), line;

	FUZZ_ASSERT(text->len == 0 || !shapes_hold || text->data[text->len - 1] == '\n');
	while (shapes_hold && slice_line(&rest, &line)) {
		autotext shape = { 0 };

		shape_of(line, &shape);
		if (!is_known(&shape)) {
			fprintf(stderr, "/%s says: %.*s\n", v->path, (int)line.n, line.p);
			FUZZ_ASSERT(false);
		}
	}
}

static void render_all(
	const struct subject *subject, unsigned bits, bool shapes_hold, bool learning)
{
	const struct options options = { .disable_swap = bits & 1, .disable_zswap = bits & 2 };
	const struct view_args args = { .options = &options,
		.host = host,
		.layout = layout,
		.accounts = accounts,
		.subject = subject,
		.now_ns = now_ns += UINT64_C(2000000000), /* no snapshot is that old */
		.user_hz = 100,
		.page_size = 4096,
		.quota = bits & 4 };

	for (size_t i = 0; i < view_count; i++) {
		autotext text = { 0 };

		if (view_registry[i].kind != VIEW_FILE ||
			view_render(&view_registry[i], &args, &text) < 0)
			continue;
		if (learning)
			learn(&text);
		else
			check(&view_registry[i], &text, shapes_hold);
	}
}

static void render(unsigned bits, bool shapes_hold, bool learning)
{
	static const char line[] = "0::" MACHINE_CGROUP "\n";
	struct cgroup_tree *tree = NULL;
	struct cgroup_paths paths;
	struct cgroup_set *set = NULL;
	struct subject subject = { .start_ns = 10000000000,
		.account = { .init_pid = MACHINE_PID, .init_start = 1000, .cgroup_ino = 1 } };
	dev_t dev;
	ino_t ino;

	/* New ones, for they keep what cannot change on a real machine. */
	if (host_new(root, &host) < 0 || cgroup_tree_new(layout, 16, &tree) < 0)
		return;
	if (cgroup_paths_parse(layout, slice_str(line), &paths) == 0) {
		if (cgroup_set_new(tree, &paths, &set) == 0 &&
			cgroup_set_identity(set, &dev, &ino)) {
			subject.cgroups = set;
			subject.account.cgroup_dev = dev;
			subject.account.cgroup_ino = ino;
			render_all(&subject, bits, shapes_hold, learning);
		}
		cgroup_paths_free(&paths);
	}
	cgroup_set_free(set);
	cgroup_tree_free(tree);
	host_free(host);
}

static void start(void)
{
	static const struct subject the_host = { .is_host = true };

	root = machine_root();
	FUZZ_ASSERT(cgroup_layout_new(root, &layout) == 0);
	FUZZ_ASSERT(slab_new(pages, links, PAGES, &slab) == 0);
	FUZZ_ASSERT(account_store_new(entries, ACCOUNTS, slab, &accounts) == 0);
	for (unsigned bits = 0; bits < 8; bits++)
		render(bits, true, true);
	FUZZ_ASSERT(host_new(root, &host) == 0);
	render_all(&the_host, 0, true, true);
	host_free(host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t file;

	if (!root)
		start();
	if (size < 2)
		return 0;
	file = data[0] % machine_files();
	machine_replace(file, data + 2, size - 2);
	render(data[1], machine_is_parsed(file), false);
	machine_restore(file);
	return 0;
}
