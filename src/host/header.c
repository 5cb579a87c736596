/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The head of /proc/swaps and of /proc/slabinfo: what stands above the rows is the running
 * kernel's format, and never changes. The rows are the host's own and are not kept.
 */
#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "snapshot.h"

#define MAX_AGE_NS (60 * NS_PER_S)

static void destroy(struct host_snapshot *base)
{
	struct host_header *h = (struct host_header *)base;

	text_free(&h->text);
	free(h);
}

/* The first line, and lines below it that are comments. No row is one: swap files are shown by
 * their absolute path. */
static struct slice head_of(const struct text *t)
{
	struct slice rest = slice_of(t), line;
	size_t n = 0;

	while (slice_line(&rest, &line) && (n == 0 || slice_starts(line, "#")))
		n = t->len - rest.n;
	return (struct slice){ t->data, n };
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	struct host_header *h = (struct host_header *)base;
	autotext whole = { 0 };
	struct slice head;
	int r = host_cache_read(c, 0, &whole);

	(void)now_ns;
	if (r < 0)
		return r;
	head = head_of(&whole);
	if (head.n == 0)
		return -EBADMSG;
	text_add(&h->text, head.p, head.n);
	return text_error(&h->text);
}

const struct host_kind host_kind_swaps = {
	.files = { "proc/swaps" },
	.iterated = true,
	.max_age_ns = MAX_AGE_NS,
	.size = sizeof(struct host_header),
	.load = load,
	.destroy = destroy,
};

const struct host_kind host_kind_slabinfo = {
	.files = { "proc/slabinfo" },
	.iterated = true,
	.max_age_ns = MAX_AGE_NS,
	.size = sizeof(struct host_header),
	.load = load,
	.destroy = destroy,
};

static int get(struct host_cache *c, uint64_t now_ns, const struct host_header **ret)
{
	const struct host_snapshot *s;
	int r = host_cache_get(c, now_ns, &s);

	if (r == 0)
		*ret = (const struct host_header *)s;
	return r;
}

int host_swaps(struct host *h, uint64_t now_ns, const struct host_header **ret)
{
	return get(&h->swaps, now_ns, ret);
}

int host_slabinfo(struct host *h, uint64_t now_ns, const struct host_header **ret)
{
	return get(&h->slabinfo, now_ns, ret);
}
