/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker's nodes and handles without a mount, and the worker after it. The registry and the
 * containers are this file's own.
 */
#include "fs_worker.h"

#include <check.h>
#include <unistd.h>

/* --- what the modules under test ask of others ------------------------------------------- */

const struct view view_registry[] = {
	{ .node = 1, .path = "", .kind = VIEW_DIR },
	{ .node = 2, .path = "proc", .kind = VIEW_DIR },
	{ .node = 3, .path = "sys", .kind = VIEW_DIR },
	{ .node = 6, .path = "sys/cpu", .kind = VIEW_CPU_DIR },
	{ .node = 20, .path = "proc/meminfo", .kind = VIEW_FILE },
	{ .node = 32, .path = "sys/cpu/online", .kind = VIEW_FILE },
};
const size_t view_count = countof(view_registry);

const struct view *view_by_node(uint64_t node)
{
	for (size_t i = 0; i < view_count; i++)
		if (view_registry[i].node == node)
			return &view_registry[i];
	return NULL;
}

int references;

struct container *container_ref(struct container *c)
{
	references++;
	return c;
}

void container_unref(struct container *c)
{
	if (c)
		references--;
}

void container_identity(const struct container *c, struct container_identity *ret)
{
	*ret = (struct container_identity){ .init = c->init };
}

/* --- one connection, several workers ----------------------------------------------------- */

struct root host_root = ROOT_NONE;
struct handover *shared;
struct slab *slab;
struct tree *tree;
struct handles *handles;
struct container_use use;
struct container box = { .use = &use, .init = 77 };

static void worker_starts(void)
{
	ck_assert_int_eq(slab_new(shared->pages, shared->links, HANDOVER_PAGES, &slab), 0);
	ck_assert_int_eq(tree_new(shared, &host_root, &tree), 0);
	ck_assert_int_eq(handles_new(shared, slab, &handles), 0);
}

static void worker_ends(void)
{
	handles_free(handles);
	tree_free(tree);
	slab_free(slab);
	/* A new process knows no records; what they counted dies with them. */
	use = (struct container_use){ 0 };
}

void next_worker(void)
{
	worker_ends();
	worker_starts();
}

void fs_worker_setup(void)
{
	int fd;

	ck_assert_int_eq(handover_new(&fd, &shared), 0);
	close(fd);
	worker_starts();
}

void fs_worker_teardown(void)
{
	worker_ends();
	ck_assert_int_eq(references, 0);
	handover_free(shared);
}
