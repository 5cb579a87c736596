/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which cgroup is a container's, whatever its processes have made of their cgroups and mounts: in
 * each hierarchy the process's own or one above it, never one that only another hierarchy knows; a
 * mount changes that for one strictly below the outer container alone.
 *
 * Byte 0 chooses the machine and which texts there are. The rest are those, a NUL behind each: the
 * process's cgroup file, its mountinfo, init's cgroup file, and the outer container's cgroups as
 * such a file.
 */
#include <string.h>

#include "../../src/container/private.h"
#include "fuzz.h"
#include "mounts.h"

enum { WITH_MOUNTS = 1, WITH_INIT = 2, WITH_BASE = 4, FLAGS = 8 };

#define autopaths __attribute__((cleanup(cgroup_paths_free))) struct cgroup_paths

static char memory[] = "memory", cpu[] = "cpu,cpuacct", named[] = "name=systemd", none[] = "",
	    top[] = "/";

static const struct cgroup_layout machines[] = {
	{ .n = 1,
		.hierarchy = { { .unified = true, .name = none, .mount_root = top } },
		.unified = 0 },
	{ .n = 3,
		.hierarchy = { { .name = memory, .mount_root = top },
			{ .name = cpu, .mount_root = top }, { .name = named, .mount_root = top } },
		.unified = -1 },
	{ .n = 4,
		.hierarchy = { { .name = memory, .mount_root = top },
			{ .name = cpu, .mount_root = top },
			{ .unified = true, .name = none, .mount_root = top },
			{ .name = named, .mount_root = top } },
		.unified = 2 },
};

/* --- the same said in another way ----------------------------------------------------------- */

/* `path` is `above`, or what goes on behind it is a name. */
static bool lies_below(const char *path, const char *above, bool strictly)
{
	const size_t n = strcmp(above, "/") == 0 ? 0 : strlen(above);

	if (strncmp(path, above, n) != 0 || (path[n] != '\0' && path[n] != '/'))
		return false;
	if (strcmp(path + n, "/..") == 0 || strncmp(path + n, "/../", 4) == 0)
		return false;
	return !strictly || strcmp(path, above) != 0;
}

/* Without a last "/init.scope"; what is nothing then is the root. */
static bool is_stripped(const char *path, const char *of)
{
	static const char scope[] = "/init.scope";
	struct slice before = slice_str(of);

	if (slice_ends(before, scope))
		before.n -= strlen(scope);
	return slice_equal(before, path) || (before.n == 0 && strcmp(path, "/") == 0);
}

static bool has_option(struct slice options, struct slice wanted)
{
	struct slice word;

	while (slice_cut(&options, ',', &word))
		if (slice_same(word, wanted))
			return true;
	return false;
}

/* One that shows the hierarchy, behind a hyphen and its type. */
static bool is_of(const struct cgroup_hierarchy *h, struct slice line)
{
	struct slice part, words = slice_str(h->name), word;
	struct slice type, source, options;

	do
		if (!slice_cut(&line, ' ', &part))
			return false;
	while (!slice_equal(part, "-"));
	if (!slice_cut(&line, ' ', &type) || !slice_cut(&line, ' ', &source) ||
		!slice_cut(&line, ' ', &options))
		return false;
	if (h->unified)
		return slice_equal(type, "cgroup2");
	while (slice_cut(&words, ',', &word))
		if (!has_option(options, word))
			return false;
	return slice_equal(type, "cgroup");
}

/* Whether some line has that root, on a mount of that hierarchy. */
static bool is_mounted(const struct cgroup_hierarchy *h, struct slice mountinfo, const char *path)
{
	struct slice line, part, rest;
	char root[4096];

	while (slice_line(&mountinfo, &line)) {
		struct slice fields[7] = { 0 };

		rest = line;
		for (unsigned field = 1; field <= 6 && slice_cut(&rest, ' ', &part); field++)
			fields[field] = part;
		if (parse_unescape(fields[4], root, sizeof(root)) && strcmp(root, path) == 0 &&
			mount_path_within(fields[5], slice_str("/sys/fs/cgroup")) && is_of(h, rest))
			return true;
	}
	return false;
}

/* --- what must hold ------------------------------------------------------------------------- */

struct known {
	const struct rules_input *in;
	struct cgroup_paths own, init;
};

static void check_one(const struct known *k, const struct rules_result *r, size_t i)
{
	const struct rules_input *in = k->in;
	const char *path = r->paths.path[i], *own = k->own.path[i], *init = k->init.path[i];
	const char *base = in->base ? in->base->path[i] : NULL;

	FUZZ_ASSERT(!path == !own && !path == (r->rule[i] == CONTAINER_RULE_NONE));
	if (!path)
		return;
	FUZZ_ASSERT(path[0] == '/');
	switch (r->rule[i]) {
	case CONTAINER_RULE_NONE:
		break;
	case CONTAINER_RULE_MOUNT:
		FUZZ_ASSERT(lies_below(own, path, false));
		FUZZ_ASSERT(lies_below(path, base ? base : "/", true));
		FUZZ_ASSERT(in->mountinfo &&
			is_mounted(&in->layout->hierarchy[i], *in->mountinfo, path));
		break;
	case CONTAINER_RULE_INIT:
		FUZZ_ASSERT(init && is_stripped(path, init) && lies_below(own, path, false));
		break;
	case CONTAINER_RULE_OWN:
		FUZZ_ASSERT(is_stripped(path, own));
		break;
	}
}

static void check(const struct rules_input *in, const struct rules_result *r)
{
	struct known k = { .in = in };
	bool confirmed = true, by_init = true;

	FUZZ_ASSERT(cgroup_paths_parse(in->layout, in->cgroup, &k.own) == 0);
	if (in->init_cgroup)
		FUZZ_ASSERT(cgroup_paths_parse(in->layout, *in->init_cgroup, &k.init) == 0);
	for (size_t i = 0; i < CGROUP_HIERARCHIES; i++) {
		FUZZ_ASSERT(i < in->layout->n || !r->paths.path[i]);
		check_one(&k, r, i);
		confirmed = confirmed && !(in->init_cgroup && r->rule[i] == CONTAINER_RULE_OWN);
		by_init = by_init &&
			(r->rule[i] == CONTAINER_RULE_NONE || r->rule[i] == CONTAINER_RULE_INIT);
	}
	FUZZ_ASSERT(r->confirmed == confirmed && r->by_init == by_init);
	cgroup_paths_free(&k.own);
	cgroup_paths_free(&k.init);
}

/* What the mounts do not decide is as it is without them. */
static void check_without_mounts(const struct rules_input *in, const struct rules_result *r)
{
	struct rules_input blind = *in;
	struct rules_result without;

	blind.mountinfo = NULL;
	FUZZ_ASSERT(rules_apply(&blind, &without) == 0);
	for (size_t i = 0; i < in->layout->n; i++) {
		FUZZ_ASSERT(without.rule[i] != CONTAINER_RULE_MOUNT);
		FUZZ_ASSERT(r->rule[i] == CONTAINER_RULE_MOUNT ||
			(r->rule[i] == without.rule[i] &&
				(!r->paths.path[i] ||
					strcmp(r->paths.path[i], without.paths.path[i]) == 0)));
	}
	rules_result_free(&without);
}

/* Of each hierarchy by itself, as if the machine had no other. */
static void check_apart(const struct rules_input *in, const struct rules_result *r)
{
	for (size_t i = 0; i < in->layout->n; i++) {
		struct cgroup_layout one = { .n = 1,
			.hierarchy = { in->layout->hierarchy[i] },
			.unified = in->layout->hierarchy[i].unified ? 0 : -1 };
		struct cgroup_paths base = { { in->base ? in->base->path[i] : NULL } };
		struct rules_input alone = *in;
		struct rules_result result;

		alone.layout = &one;
		alone.base = &base;
		alone.mountinfo = NULL;
		FUZZ_ASSERT(rules_apply(&alone, &result) == 0);
		if (r->paths.path[i] && r->rule[i] != CONTAINER_RULE_MOUNT)
			FUZZ_ASSERT(result.rule[0] == r->rule[i] &&
				strcmp(result.paths.path[0], r->paths.path[i]) == 0);
		rules_result_free(&result);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest, texts[4] = { 0 };
	autotext bytes = { 0 };
	autopaths base = { 0 };
	struct rules_result result;
	struct rules_input in;

	if (size == 0)
		return 0;
	bytes = fuzz_text(data + 1, size - 1);
	rest = slice_of(&bytes);
	for (size_t i = 0; i < countof(texts) && slice_cut(&rest, '\0', &texts[i]); i++)
		;
	in = (struct rules_input){ .layout = &machines[data[0] / FLAGS % countof(machines)],
		.cgroup = texts[0],
		.mountinfo = data[0] & WITH_MOUNTS ? &texts[1] : NULL,
		.init_cgroup = data[0] & WITH_INIT ? &texts[2] : NULL,
		.base = data[0] & WITH_BASE ? &base : NULL };
	FUZZ_ASSERT(cgroup_paths_parse(in.layout, texts[3], &base) == 0);
	FUZZ_ASSERT(rules_apply(&in, &result) == 0);
	check(&in, &result);
	check_without_mounts(&in, &result);
	check_apart(&in, &result);
	rules_result_free(&result);
	return 0;
}
