/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a runtime hands to the hook. The first byte chooses: a container's state, which annotations
 * of whoever started it are part of; a bundle's config.json, of which nothing is lost when a hook
 * is added; a mountinfo, whose peer groups are found however long its lines are.
 */
#include <json-c/json.h>
#include <string.h>

#include "fuzz.h"
#include "runtime.h"

#define PROGRAM "/usr/bin/lxcfs"
#define DIR_NAME "/var/lib/lxcfs"

static void state(struct slice text)
{
	struct oci_state s;

	if (oci_state_parse(text, &s) < 0)
		return;
	FUZZ_ASSERT(!s.bundle || s.bundle[0]);
	FUZZ_ASSERT(!s.root || s.root[0]);
	FUZZ_ASSERT(!s.tree || strcmp(s.tree, "") == 0 || strcmp(s.tree, "quota") == 0 ||
		strcmp(s.tree, "cpuset") == 0);
	FUZZ_ASSERT(!s.unknown || (s.tree && !s.tree[0]));
	/* Neither word is anywhere else in such a text. */
	FUZZ_ASSERT(!s.nested || memmem(text.p, text.n, "yes", 3) || memchr(text.p, '\\', text.n));
	oci_state_free(&s);
}

static json_object *parse(struct slice text)
{
	json_tokener *tokener = json_tokener_new();
	json_object *j = tokener ? json_tokener_parse_ex(tokener, text.p, (int)text.n) : NULL;

	json_tokener_free(tokener);
	return j;
}

/* The list of hooks that ours was added to. */
static json_object *list_of(json_object *config)
{
	json_object *hooks = NULL, *list = NULL;

	if (json_object_object_get_ex(config, "hooks", &hooks) && hooks)
		json_object_object_get_ex(hooks, "createContainer", &list);
	return list;
}

/* Ours is the last, and without it the text says what it said. */
static void check_added(struct slice before, struct slice after)
{
	json_object *was = parse(before), *is = parse(after), *hooks, *path = NULL;
	const size_t n = list_of(was) ? json_object_array_length(list_of(was)) : 0;

	FUZZ_ASSERT(was && is && list_of(is));
	hooks = list_of(is);
	FUZZ_ASSERT(json_object_array_length(hooks) == n + 1);
	FUZZ_ASSERT(json_object_object_get_ex(json_object_array_get_idx(hooks, n), "path", &path) &&
		strcmp(json_object_get_string(path), PROGRAM) == 0);
	json_object_array_del_idx(hooks, n, 1);
	/* An empty list is one that was not there. */
	if (!list_of(was)) {
		json_object *of = NULL;

		json_object_object_get_ex(is, "hooks", &of);
		json_object_object_del(of, "createContainer");
		if (json_object_object_get_ex(was, "hooks", &of) && of)
			json_object_object_del(of, "createContainer");
		else {
			json_object_object_del(is, "hooks");
			json_object_object_del(was, "hooks");
		}
	}
	/* A NaN is not itself; json-c takes it, and no runtime writes it. */
	FUZZ_ASSERT(
		json_object_equal(was, is) || strcasestr(json_object_to_json_string(was), "nan"));
	json_object_put(was);
	json_object_put(is);
}

static void config(struct slice text)
{
	autotext added = { 0 }, again = { 0 };
	autofree char *root = NULL, *root_again = NULL;
	const int found = oci_config_root(text, &root);
	const int r = oci_config_add_hook(text, PROGRAM, DIR_NAME, &added);

	FUZZ_ASSERT(found < 0 || root[0]);
	FUZZ_ASSERT(r == 0 || added.len == 0);
	if (r != 0)
		return;
	FUZZ_ASSERT(oci_config_add_hook(slice_of(&added), PROGRAM, DIR_NAME, &again) == 1);
	FUZZ_ASSERT(again.len == 0);
	FUZZ_ASSERT(oci_config_root(slice_of(&added), &root_again) == found);
	FUZZ_ASSERT(found < 0 || strcmp(root, root_again) == 0);
	check_added(text, slice_of(&added));
}

/* A path of any length between the number and the peer group. */
static void mounts(struct slice text)
{
	autotext t = { 0 };
	size_t before;

	oci_mount_is_shared(text, 7);
	for (unsigned shared = 0; shared < 2; shared++) {
		text_reset(&t);
		text_puts(&t, "7 1 0:21 /");
		for (size_t i = 0; i < text.n; i++)
			if (text.p[i] != '\n' && text.p[i] != ' ' && text.p[i] != '\t')
				text_add(&t, &text.p[i], 1);
		before = t.len;
		text_puts(&t, shared ? " /proc rw shared:5 - proc" : " /proc rw master:5 - proc");
		FUZZ_ASSERT(oci_mount_is_shared(slice_of(&t), 7) == (shared == 1));
		FUZZ_ASSERT(oci_mount_is_shared(slice_of(&t), 8)); /* it does not tell */
		FUZZ_ASSERT(oci_mount_is_shared((struct slice){ t.data, before }, 7));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(struct slice) = { state, config, mounts };
	/* As long as the text, and no longer, so that a read past its end is seen. */
	autofree char *bytes = malloc(size);

	if (size == 0 || !bytes)
		return 0;
	memcpy(bytes, data, size);
	parsers[(uint8_t)bytes[0] % countof(parsers)]((struct slice){ bytes + 1, size - 1 });
	return 0;
}
