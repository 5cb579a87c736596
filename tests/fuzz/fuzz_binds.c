/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mountinfo that a container arranged, as --inspect and healing look at it: what counts as a bind
 * of ours is a visible mount of our type, what healing takes for its own says so in its options,
 * and the path that it opens for one lies below the living mount.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "../../src/daemon/heal.h"
#include "../../src/inspect/private.h"
#include "fuzz.h"
#include "mounts.h"

#define MAX_READ 1073741825u
#define MINOR 5 /* of the living mount; its major is 0 */

static bool tells_dir(struct slice options)
{
	struct slice word, number;
	uint64_t n;

	while (slice_cut(&options, ',', &word)) {
		if (!slice_cut(&word, '=', &number) || !slice_equal(number, "max_read"))
			continue;
		if (slice_u64(word, &n) && n == MAX_READ)
			return true;
	}
	return false;
}

static void check_mount(const struct mount *m)
{
	const struct heal_source source = { .dev = makedev(0, MINOR), .max_read = MAX_READ };
	const enum heal_origin origin = heal_origin_of(&source, false, m);
	const enum heal_origin own = heal_origin_of(&source, true, m);
	char path[PATH_MAX];

	if (!m->visible || !slice_equal(m->type, HEAL_TYPE) || heal_device_of(m) == source.dev)
		FUZZ_ASSERT(origin == HEAL_ORIGIN_NOT_OURS && own == HEAL_ORIGIN_NOT_OURS);
	FUZZ_ASSERT(origin != HEAL_ORIGIN_OURS || tells_dir(m->options));
	FUZZ_ASSERT(own == origin ||
		(slice_equal(m->root, "/") && origin == HEAL_ORIGIN_UNKNOWN &&
			own == HEAL_ORIGIN_NOT_OURS));
	if (heal_path_of_root(m, path, sizeof(path)))
		FUZZ_ASSERT(path[0] == '/' && path[1] != '\0' && strlen(path) < sizeof(path));
	else
		FUZZ_ASSERT(m->root.n == 0 || m->root.p[0] != '/' || m->root.n >= sizeof(path));
}

/* Some visible mount of our type lies at the path, or above it. */
static bool lies_on_ours(const struct mounts *mounts, const struct view *v, bool dev)
{
	char path[256];

	snprintf(path, sizeof(path), "/%s", v->path);
	for (size_t i = 0; i < mounts->n; i++) {
		const struct mount *m = &mounts->list[i];

		if (m->visible && slice_equal(m->type, HEAL_TYPE) &&
			mount_path_within(slice_str(path), m->point) &&
			(!dev || m->major != 0 || m->minor != MINOR))
			return true;
	}
	return false;
}

static void check_binds(struct slice text, const struct mounts *mounts)
{
	const struct inspect_daemon daemon = { .minor = MINOR };
	autofree struct inspect_bind *binds = calloc(view_count, sizeof(*binds));

	if (!binds)
		return;
	FUZZ_ASSERT(inspect_binds(text, &daemon, binds) == 0);
	for (size_t i = 0; i < view_count; i++) {
		FUZZ_ASSERT(!binds[i].bound || lies_on_ours(mounts, &view_registry[i], false));
		FUZZ_ASSERT(!binds[i].stale ||
			(binds[i].bound && lies_on_ours(mounts, &view_registry[i], true)));
		FUZZ_ASSERT(binds[i].bound || binds[i].tree == INSPECT_TREE_DEFAULT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext text = fuzz_text(data, size);
	struct mounts mounts;

	if (mounts_parse(slice_of(&text), NULL, &mounts) < 0)
		return 0;
	for (size_t i = 0; i < mounts.n; i++)
		check_mount(&mounts.list[i]);
	check_binds(slice_of(&text), &mounts);
	mounts_free(&mounts);
	return 0;
}
