/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attributes. The kernel keeps one copy for all containers, so nothing here may depend on who asks.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "clock.h"
#include "sysdir.h"

/* Constant. For longer than any machine runs, since splice.c keeps the kernel from starting the
 * time anew: it would then ask at each open. */
#define REGISTERED_TIMEOUT_S 1e9
/* CPUs come and go, files change their modes. */
#define PASSED_TIMEOUT_S 1.0

#define BLOCK_SIZE 4096

/* All of our files date from the boot, whichever worker is asked. */
static struct timespec boot_time(void)
{
	const uint64_t now = clock_ns(CLOCK_REALTIME), up = clock_boottime_ns();

	return (struct timespec){ .tv_sec = (time_t)(sat_sub(now, up) / NS_PER_S) };
}

/* The host's answer where it has such a file, else the registry's; a shortage is no answer, for the
 * kernel would keep what was made of it. 0 or -errno. */
static int mode_of(const struct fs *fs, const struct view *v, mode_t *ret)
{
	struct stat host;
	int e = sysdir_host_stat(fs->config.root, v->path, &host);

	if (is_shortage(e))
		return e;
	*ret = e == 0 && S_ISDIR(host.st_mode) == (v->kind != VIEW_FILE) ? host.st_mode & 07777
									 : v->mode;
	return 0;
}

static nlink_t links_of(const struct fs *fs, const struct node *node)
{
	struct tree_entry entry;
	size_t position = 0;
	nlink_t n = 2;

	if (node->view->kind == VIEW_FILE)
		return 1;
	/* 1 says "not known" to find(1): listings differ, and this number may not. */
	if (node->view->kind == VIEW_CPU_DIR)
		return 1;
	while (tree_next_entry(fs->tree, node, &position, &entry))
		n += entry.view->kind != VIEW_FILE;
	return n;
}

static struct stat *registered(const struct fs *fs, enum tree_policy policy, const struct view *v)
{
	return &fs->registered[policy * view_count + (size_t)(v - view_registry)];
}

static int init_one(const struct fs *fs, const struct timespec *start, const struct node *node)
{
	mode_t mode;
	int e = mode_of(fs, node->view, &mode);

	if (e < 0)
		return e;
	*registered(fs, node->policy, node->view) = (struct stat){
		.st_ino = node->number,
		.st_mode = mode | DTTOIF(node->type),
		.st_nlink = links_of(fs, node),
		.st_blksize = BLOCK_SIZE,
		.st_atim = *start,
		.st_mtim = *start,
		.st_ctim = *start,
	};
	return 0;
}

int attr_init(struct fs *fs)
{
	const struct timespec start = boot_time();
	int e = 0;

	fs->registered = calloc(TREE_POLICIES * view_count, sizeof(*fs->registered));
	if (!fs->registered)
		return -ENOMEM;
	for (size_t i = 0; e == 0 && i < TREE_POLICIES * view_count; i++) {
		struct node node;

		if (tree_node(fs->tree,
			    tree_number_of(i / view_count, &view_registry[i % view_count]),
			    &node) == 0)
			e = init_one(fs, &start, &node);
	}
	return e;
}

static void attr_passed(const struct stat *host, uint64_t number, struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = number,
		.st_mode = host->st_mode,
		.st_nlink = host->st_nlink,
		.st_blksize = BLOCK_SIZE,
		.st_atim = host->st_atim,
		.st_mtim = host->st_mtim,
		.st_ctim = host->st_ctim,
	};
}

static void attr_registered(const struct fs *fs, enum tree_policy policy, const struct view *v,
	struct stat *ret, double *ret_timeout)
{
	*ret = *registered(fs, policy, v);
	*ret_timeout = REGISTERED_TIMEOUT_S;
}

int attr_node(struct fs *fs, const struct node *node, struct stat *ret, double *ret_timeout)
{
	struct stat host;
	int e;

	if (node->view) {
		attr_registered(fs, node->policy, node->view, ret, ret_timeout);
		return 0;
	}
	e = sysdir_stat(fs->config.root, node, &host);
	if (e < 0)
		return e;
	attr_passed(&host, node->number, ret);
	*ret_timeout = PASSED_TIMEOUT_S;
	return 0;
}

static int lookup_passed(
	struct fs *fs, const struct node *dir, struct slice name, struct fuse_entry_param *ret)
{
	struct stat host;
	uint64_t number;
	int e = sysdir_lookup(fs->tree, fs->config.root, dir, name, &number, &host);

	if (e < 0)
		return e;
	attr_passed(&host, number, &ret->attr);
	ret->attr_timeout = PASSED_TIMEOUT_S;
	return 0;
}

int attr_lookup(struct fs *fs, uint64_t parent, struct slice name, struct fuse_entry_param *ret)
{
	struct node dir;
	struct tree_entry entry;
	int e = tree_node(fs->tree, parent, &dir);

	if (e < 0)
		return e;
	if (dir.type != DT_DIR)
		return -ENOTDIR;
	*ret = (struct fuse_entry_param){ 0 };
	if (tree_entry(fs->tree, &dir, name, &entry))
		attr_registered(fs, entry.policy, entry.view, &ret->attr, &ret->attr_timeout);
	else if (tree_passes_through(&dir))
		e = lookup_passed(fs, &dir, name, ret);
	else
		e = -ENOENT;
	ret->ino = ret->attr.st_ino;
	ret->entry_timeout = ret->attr_timeout;
	return e;
}
