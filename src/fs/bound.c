/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a handle to the container it is bound to: proven again after a takeover, found again when
 * its cgroup vanished. What is done with the container is not known here.
 */
#include "internal.h"

#include <errno.h>

#include "log.h"
#include "slow.h"

static void drop_container(struct container **c)
{
	container_unref(*c);
}

#define autocontainer __attribute__((cleanup(drop_container))) struct container

/* The container that the handle belongs to, with a reference; after a takeover it must be proven.
 */
static int container_of(
	struct fs *fs, uint64_t fh, struct handle_info *ret_info, struct container **ret)
{
	struct container_identity identity;
	struct container *c;
	int e = handles_get(fs->handles, fh, ret_info, &c, &identity);

	if (e < 0)
		return e;
	if (!c) {
		slow_ahead();
		e = container_by_identity(fs->config.containers, &identity, &c);
		if (e == -ESTALE)
			log_limited("unproven handle",
				"a file that was open before a restart of the worker answers "
				"ESTALE: its opener's container (init's pid %d) cannot be proven; "
				"opening it again mends it",
				identity.init);
		if (e < 0)
			return e;
		handles_bind(fs->handles, fh, c);
	}
	*ret = c;
	return 0;
}

static int container_gone(struct fs *fs, const struct handle_info *info, const struct container *c)
{
	struct node node;

	if (tree_node(fs->tree, info->node, &node) == 0)
		log_limited("container gone",
			"/%s was used by a container whose cgroup is gone (init's pid %d): EIO",
			node.path, c->init);
	return -EIO;
}

int bound_use(struct fs *fs, uint64_t fh, bound_fn use, void *data)
{
	autocontainer *c = NULL;
	autocontainer *again = NULL;
	struct handle_info info;
	int e = container_of(fs, fh, &info, &c);

	if (e < 0)
		return e;
	e = use(fs, c, &info, data);
	if (e != -ENODEV)
		return e;
	slow_ahead();
	e = container_again(fs->config.containers, c, &again);
	if (e == 0) {
		handles_bind(fs->handles, fh, again);
		e = use(fs, again, &info, data);
	}
	return e == -ENODEV ? container_gone(fs, &info, c) : e;
}
