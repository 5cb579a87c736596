/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which cgroup is the container's in each hierarchy (SPEC 2.3), from texts alone: no file is
 * opened here, so every case can be tested with what some machine once said.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

enum rules_place rules_place_of(const char *path)
{
	if (!cgroup_path_goes_up(path))
		return RULES_INSIDE;
	while (cgroup_path_goes_up(path))
		path += 3;
	return *path ? RULES_BESIDE : RULES_AROUND;
}

/* `path` is `ancestor` or below it. "/../a" is spelled below "/", but is not in it. */
static bool contains(const char *ancestor, const char *path)
{
	size_t n = strcmp(ancestor, "/") == 0 ? 0 : strlen(ancestor);

	return cgroup_path_within(path, ancestor) && !cgroup_path_goes_up(path + n);
}

static bool strictly_below(const char *path, const char *base)
{
	return contains(base, path) && strcmp(path, base) != 0;
}

/* 2.3a */
static bool mount_applies(const char *mount, const char *own, const char *base)
{
	return mount && !cgroup_path_goes_up(mount) && contains(mount, own) &&
		strictly_below(mount, base);
}

static char *without_init_scope(const char *path)
{
	char *copy = strdup(path);

	if (copy)
		cgroup_path_strip_init_scope(copy);
	return copy;
}

/* What one hierarchy is decided on; NULL where it is not known. */
struct evidence {
	const char *own, *mount, *init, *base;
};

static int decide(const struct evidence *e, char **ret_path, enum container_rule *ret_rule)
{
	autofree char *path = NULL;

	*ret_rule = CONTAINER_RULE_NONE;
	if (!e->own)
		return 0;
	if (mount_applies(e->mount, e->own, e->base ? e->base : "/")) {
		*ret_rule = CONTAINER_RULE_MOUNT;
		path = strdup(e->mount);
	} else {
		if (e->init && !(path = without_init_scope(e->init)))
			return -ENOMEM;
		if (path && contains(path, e->own)) {
			*ret_rule = CONTAINER_RULE_INIT;
		} else {
			*ret_rule = CONTAINER_RULE_OWN;
			free(path);
			path = without_init_scope(e->own);
		}
	}
	*ret_path = steal_ptr(&path);
	return *ret_path ? 0 : -ENOMEM;
}

#define autopaths __attribute__((cleanup(cgroup_paths_free))) struct cgroup_paths

int rules_apply(const struct rules_input *in, struct rules_result *ret)
{
	autopaths own = { 0 }, mounts = { 0 }, init = { 0 };
	struct rules_result result = { .confirmed = true, .by_init = true };
	int r = cgroup_paths_parse(in->layout, in->cgroup, &own);

	if (r == 0 && in->mountinfo)
		r = cgroup_mount_roots_parse(in->layout, *in->mountinfo, &mounts);
	if (r == 0 && in->init_cgroup)
		r = cgroup_paths_parse(in->layout, *in->init_cgroup, &init);
	for (size_t i = 0; r == 0 && i < in->layout->n; i++) {
		const struct evidence e = { own.path[i], mounts.path[i], init.path[i],
			in->base ? in->base->path[i] : NULL };

		r = decide(&e, &result.paths.path[i], &result.rule[i]);
		if (in->init_cgroup && result.rule[i] == CONTAINER_RULE_OWN)
			result.confirmed = false;
		if (e.own && result.rule[i] != CONTAINER_RULE_INIT)
			result.by_init = false;
	}
	if (r < 0)
		rules_result_free(&result);
	else
		*ret = result;
	return r;
}

void rules_result_free(struct rules_result *r)
{
	cgroup_paths_free(&r->paths);
}
