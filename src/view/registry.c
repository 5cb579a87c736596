/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table behind lookup, readdir, open, --list-files and help. Its lines stand in
 * view_registry.h; nothing is decided here.
 */
#include <string.h>

#include "cleanup.h"
#include "view.h"

#define ENTRY_DIR(number, where, what, text)                                                       \
	{ .node = (number), .path = (where), .kind = (what), .mode = 0555, .says = (text) },
#define ENTRY_FILE(number, where, bits, controllers, init, renderer, text)                         \
	{ .node = (number),                                                                        \
		.path = (where),                                                                   \
		.kind = VIEW_FILE,                                                                 \
		.mode = (bits),                                                                    \
		.needs = (controllers),                                                            \
		.follows_init = (init),                                                            \
		.render = (renderer),                                                              \
		.says = (text) },

const struct view view_registry[] = { VIEW_REGISTRY(ENTRY_DIR, ENTRY_FILE) };
const size_t view_count = countof(view_registry);

const struct view *view_by_node(uint64_t node)
{
	for (size_t i = 0; i < view_count; i++)
		if (view_registry[i].node == node)
			return &view_registry[i];
	return NULL;
}

const struct view *view_by_path(const char *path)
{
	for (size_t i = 0; i < view_count; i++)
		if (strcmp(view_registry[i].path, path) == 0)
			return &view_registry[i];
	return NULL;
}
