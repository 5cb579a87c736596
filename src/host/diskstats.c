/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/diskstats: devices in the kernel's order with as many columns as it prints.
 */
#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "formats.h"
#include "snapshot.h"

static void destroy(struct host_snapshot *base)
{
	struct host_diskstats *d = (struct host_diskstats *)base;

	text_free(&d->text);
	free(d->disks);
	free(d);
}

/* "   8       0 sda 1 2 3 ...". False for whatever else. */
static bool parse_disk(struct slice line, struct host_disk *ret)
{
	struct slice rest = line, name;
	uint64_t major, minor;

	*ret = (struct host_disk){ 0 };
	if (!slice_next_u64(&rest, &major) || !slice_next_u64(&rest, &minor) ||
		!slice_word(&rest, &name) || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	ret->major = (unsigned)major;
	ret->minor = (unsigned)minor;
	ret->head = (struct slice){ line.p, (size_t)(name.p + name.n - line.p) };
	ret->columns = (unsigned)parse_columns(rest, ret->values, HOST_DISK_COLUMNS);
	return true;
}

/* A machine without any block device has an empty file: that is no error. */
int host_diskstats_parse(struct host_diskstats *d)
{
	struct slice text = slice_of(&d->text), line;
	size_t n = host_count_lines(text);

	d->disks = calloc(n + 1, sizeof(*d->disks));
	if (!d->disks)
		return -ENOMEM;
	while (d->n_disks < n && slice_line(&text, &line))
		if (parse_disk(line, &d->disks[d->n_disks]))
			d->n_disks++;
	return 0;
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	struct host_diskstats *d = (struct host_diskstats *)base;
	int r = host_cache_read(c, 0, &d->text);

	(void)now_ns;
	return r < 0 ? r : host_diskstats_parse(d);
}

const struct host_kind host_kind_diskstats = {
	.files = { "proc/diskstats" },
	.iterated = true,
	.max_age_ns = 10 * NS_PER_MS,
	.size = sizeof(struct host_diskstats),
	.load = load,
	.destroy = destroy,
};

int host_diskstats(struct host *h, uint64_t now_ns, const struct host_diskstats **ret)
{
	const struct host_snapshot *s;
	int r = host_cache_get(&h->diskstats, now_ns, &s);

	if (r == 0)
		*ret = (const struct host_diskstats *)s;
	return r;
}
