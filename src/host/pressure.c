/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/pressure, of which only the shape is of use: how many lines there are differs by file and
 * kernel (cpu has "full" since Linux 5.13, irq has nothing else). The host's stalls are no
 * container's.
 */
#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "snapshot.h"

static void destroy(struct host_snapshot *base)
{
	text_free(&((struct host_pressure *)base)->text);
	free(base);
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	struct host_pressure *p = (struct host_pressure *)base;
	int r = host_cache_read(c, 0, &p->text);

	(void)now_ns;
	if (r < 0)
		return r;
	return p->text.len > 0 ? 0 : -EBADMSG;
}

#define KIND(path)                                                                                 \
	{                                                                                          \
		.files = { path }, .max_age_ns = 60 * NS_PER_S,                                    \
		.size = sizeof(struct host_pressure), .load = load, .destroy = destroy,            \
	}

const struct host_kind host_kind_pressure[PRESSURES] = {
	[PRESSURE_CPU] = KIND("proc/pressure/cpu"),
	[PRESSURE_MEMORY] = KIND("proc/pressure/memory"),
	[PRESSURE_IO] = KIND("proc/pressure/io"),
	[PRESSURE_IRQ] = KIND("proc/pressure/irq"),
};

int host_pressure(
	struct host *h, uint64_t now_ns, enum pressure what, const struct host_pressure **ret)
{
	const struct host_snapshot *s;
	int r = host_cache_get(&h->pressure[what], now_ns, &s);

	if (r == 0)
		*ret = (const struct host_pressure *)s;
	return r;
}
