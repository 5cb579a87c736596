/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What healing goes by, from texts alone: a container arranges its mount table, and its processes
 * call themselves what they like. Nothing is opened here.
 */
#include <string.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "connection.h"
#include "heal.h"

#define DELETED "//deleted" /* behind a root whose name was looked up since its daemon died */

bool heal_parse_is_init(struct slice status)
{
	struct slice line, key;
	uint64_t numbers[3];

	while (slice_line(&status, &line))
		if (slice_word(&line, &key) && slice_equal(key, "NSpid:"))
			return parse_columns(line, numbers, countof(numbers)) == 2 &&
				numbers[1] == 1;
	return false;
}

dev_t heal_device_of(const struct mount *m)
{
	return makedev((unsigned)m->major, (unsigned)m->minor);
}

/* A whole tree in the daemon's own namespace may be another lxcfs's DIR, to be cleared away by its
 * next start. */
enum heal_origin heal_origin_of(const struct heal_source *source, bool own, const struct mount *m)
{
	static const char key[] = "max_read=";
	struct slice rest = m->options, word;
	uint64_t n;

	if (!m->visible || !slice_equal(m->type, HEAL_TYPE) || heal_device_of(m) == source->dev)
		return HEAL_ORIGIN_NOT_OURS;
	while (slice_cut(&rest, ',', &word)) {
		if (!slice_starts(word, key))
			continue;
		word = (struct slice){ word.p + strlen(key), word.n - strlen(key) };
		if (slice_u64(word, &n) && n >= CONNECTION_MAX_READ_LEAST)
			return n == source->max_read ? HEAL_ORIGIN_OURS : HEAL_ORIGIN_NOT_OURS;
	}
	return own && slice_equal(m->root, "/") ? HEAL_ORIGIN_NOT_OURS : HEAL_ORIGIN_UNKNOWN;
}

bool heal_path_of_root(const struct mount *m, char *ret, size_t size)
{
	size_t n;

	if (!parse_unescape(m->root, ret, size) || ret[0] != '/')
		return false;
	n = strlen(ret);
	if (slice_ends(slice_str(ret), DELETED))
		ret[n - strlen(DELETED)] = '\0';
	if (!ret[0] || !ret[1])
		memcpy(ret, "/.", 3);
	return true;
}
