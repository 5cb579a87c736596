/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/<pid>/stat, whose name field is the process's own choice, and timens_offsets; the cgroup
 * paths that are cut, and escapes that are undone.
 */
#include <string.h>

#include "../../src/container/private.h"
#include "fuzz.h"

/* Whatever a process calls itself, its state does not stand in its name. */
static void check_state(const struct proc_stat *stat, const struct text *text)
{
	const char *end = memrchr(text->data, ')', text->len);

	FUZZ_ASSERT(end && memchr(end, stat->state, text->len - (size_t)(end - text->data)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext text = fuzz_text(data, size);
	autofree char *path = malloc(size + 1);
	struct proc_stat stat;

	if (!path)
		return 0;
	if (proc_parse_stat(slice_of(&text), &stat) == 0)
		check_state(&stat, &text);
	proc_parse_boottime_offset(slice_of(&text));
	if (parse_unescape(slice_of(&text), path, size + 1))
		FUZZ_ASSERT(strlen(path) <= size);
	memcpy(path, data, size);
	path[size] = '\0';
	if (path[0] == '/') {
		cgroup_path_strip_init_scope(path);
		FUZZ_ASSERT(path[0] == '/');
	}
	return 0;
}
