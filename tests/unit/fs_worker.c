/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker's nodes and handles without a mount, and the worker after it. The registry, the
 * containers and the machine are this file's own.
 */
#include "fs_worker.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what the modules under test ask of others ------------------------------------------- */

const struct view view_registry[] = {
	{ .node = 1, .path = "", .kind = VIEW_DIR },
	{ .node = 2, .path = "proc", .kind = VIEW_DIR },
	{ .node = 3, .path = "sys", .kind = VIEW_DIR },
	{ .node = 6, .path = "sys/cpu", .kind = VIEW_CPU_DIR },
	{ .node = 7, .path = "proc/pressure", .kind = VIEW_DIR },
	{ .node = 20, .path = "proc/meminfo", .kind = VIEW_FILE },
	{ .node = 24,
		.path = "proc/pressure/cpu",
		.kind = VIEW_FILE,
		.needs = VIEW_NEEDS_NONE,
		.render = view_pressure_cpu },
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

_Atomic int references;

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
struct container box = { .init = 77 };

static struct uses *uses;

static void worker_starts(void)
{
	ck_assert_int_eq(uses_new(&uses), 0);
	ck_assert_int_eq(use_get(uses, 77, &box.subject.use), 0);
	ck_assert_int_eq(slab_new(shared->pages, shared->links, HANDOVER_PAGES, &slab), 0);
	ck_assert_int_eq(tree_new(shared, &host_root, &tree), 0);
	ck_assert_int_eq(handles_new(shared, slab, uses, &handles), 0);
}

static void worker_ends(void)
{
	handles_free(handles);
	tree_free(tree);
	slab_free(slab);
	use_put(box.subject.use);
	ck_assert_uint_eq(uses_count(uses), 0); /* no handle's reference was lost */
	uses_free(uses);
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

/* --- a machine with CPUs ----------------------------------------------------------------- */

static char top[] = "/tmp/lxcfs-test-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fs_machine_file(const char *path)
{
	autoclose int fd = openat(host_root.top, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0444);

	ck_assert_int_ge(fd, 0);
}

void fs_machine_setup(void)
{
	static const char *const dirs[] = { "proc", "sys", "sys/cpu", "sys/cpu/cpu0",
		"sys/cpu/cpu1", "sys/cpu/cpu10", "sys/cpu/cpufreq" };

	fs_worker_setup();
	ck_assert_ptr_nonnull(mkdtemp(top));
	for (size_t i = 0; i < countof(dirs); i++) {
		autofree char *path = NULL;

		ck_assert_int_gt(asprintf(&path, "%s/%s", top, dirs[i]), 0);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	ck_assert_int_eq(root_open(top, &host_root), 0);
	fs_machine_file("sys/cpu/online");
	fs_machine_file("sys/cpu/possible");
	fs_machine_file("sys/cpu/crash_notes_size");
	fs_machine_file("sys/cpu/cpu1/crash_notes");
	ck_assert_int_eq(symlinkat("../../bus", host_root.top, "sys/cpu/cpu1/subsystem"), 0);
}

void fs_machine_teardown(void)
{
	root_close(&host_root);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
	fs_worker_teardown();
}
