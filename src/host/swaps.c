/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/swaps, of which only the header is of use: its columns are the running kernel's. What the
 * host swaps to is nobody's business; its totals are in /proc/meminfo.
 */
#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "snapshot.h"

static void destroy(struct host_snapshot *base)
{
	struct host_swaps *s = (struct host_swaps *)base;

	text_free(&s->text);
	free(s);
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	struct host_swaps *s = (struct host_swaps *)base;
	struct slice rest;
	int r = host_cache_read(c, 0, &s->text);

	(void)now_ns;
	if (r < 0)
		return r;
	rest = slice_of(&s->text);
	return slice_line(&rest, &s->header) ? 0 : -EBADMSG;
}

/* The header never changes, and may be as old as one likes. */
const struct host_kind host_kind_swaps = {
	.files = { "proc/swaps" },
	.iterated = true,
	.max_age_ns = 60 * NS_PER_S,
	.size = sizeof(struct host_swaps),
	.load = load,
	.destroy = destroy,
};

int host_swaps(struct host *h, uint64_t now_ns, const struct host_swaps **ret)
{
	const struct host_snapshot *s;
	int r = host_cache_get(&h->swaps, now_ns, &s);

	if (r == 0)
		*ret = (const struct host_swaps *)s;
	return r;
}
