/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Renderers alone, on a captured machine that may be larger than any here. Prints plain numbers.
 *
 * usage: render ROOT CGROUP-LINE ROUNDS FILE
 * FILE ("proc/stat") for the container whose /proc/PID/cgroup is CGROUP-LINE, on the machine below
 * ROOT, ROUNDS times, two seconds of that machine's time apart: the host's own files are read anew
 * each time. Prints "median p99 bytes", in ns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "cgroup.h"
#include "cleanup.h"
#include "clock.h"
#include "host.h"
#include "slab.h"
#include "timing.h"
#include "view.h"

#define ACCOUNTS 4u
#define PAGES 1024u
#define START_NS (100 * NS_PER_S)
#define STEP_NS (2 * NS_PER_S)

static uint8_t pages[PAGES * SLAB_PAGE];
static uint32_t links[PAGES];
static struct account_entry entries[ACCOUNTS];
static struct options options;

/* Everything that a view is told. Never taken apart: the process ends. */
struct machine {
	struct root root;
	struct cgroup_layout *layout;
	struct cgroup_tree *tree;
	struct slab *slab;
	struct cgroup_set *set;
	struct subject subject;
	struct view_args args;
};

static int find_container(struct machine *m, const char *line)
{
	struct cgroup_paths paths;
	int r = cgroup_paths_parse(m->layout, slice_str(line), &paths);

	if (r < 0)
		return r;
	r = cgroup_set_new(m->tree, &paths, &m->set);
	cgroup_paths_free(&paths);
	if (r < 0)
		return r;
	m->subject = (struct subject){ .cgroups = m->set,
		.is_host = cgroup_set_is_root(m->set),
		.start_ns = START_NS,
		.account = { .init_start = 1, .init_pid = 1 } };
	cgroup_set_identity(m->set, &m->subject.account.cgroup_dev, &m->subject.account.cgroup_ino);
	return 0;
}

static int machine_open(struct machine *m, const char *path, const char *line)
{
	int r = root_open(path, &m->root);

	m->args = (struct view_args){
		.options = &options, .subject = &m->subject, .user_hz = 100, .page_size = 4096
	};
	if (r == 0)
		r = host_new(&m->root, &m->args.host);
	if (r == 0)
		r = cgroup_layout_new(&m->root, &m->layout);
	m->args.layout = m->layout;
	if (r == 0)
		r = cgroup_tree_new(m->layout, 16, &m->tree);
	if (r == 0)
		r = slab_new(pages, links, PAGES, &m->slab);
	if (r == 0)
		r = account_store_new(entries, ACCOUNTS, m->slab, NULL, &m->args.accounts);
	return r == 0 ? find_container(m, line) : r;
}

int main(int argc, char **argv)
{
	const size_t rounds = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
	const struct view *view = rounds > 0 ? view_by_path(argv[4]) : NULL;
	uint64_t *ns = calloc(rounds + 1, sizeof(*ns));
	struct machine m = { .root = ROOT_NONE };
	autotext t = { 0 };
	int r;

	if (!view || !ns) {
		fprintf(stderr, "usage: render ROOT CGROUP-LINE ROUNDS FILE\n");
		return 2;
	}
	r = machine_open(&m, argv[1], argv[2]);
	for (size_t i = 0; r == 0 && i < rounds; i++) {
		const uint64_t began = clock_monotonic_ns();

		m.args.now_ns = 2 * START_NS + i * STEP_NS;
		t.len = 0;
		r = view_render(view, &m.args, &t);
		ns[i] = clock_monotonic_ns() - began;
	}
	if (r != 0) {
		fprintf(stderr, "render: %s: %s\n", argv[4], strerror(r < 0 ? -r : 0));
		return 1;
	}
	timing_print(ns, rounds);
	printf(" %zu\n", t.len);
	return 0;
}
