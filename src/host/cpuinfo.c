/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shared snapshot of /proc/cpuinfo. How it is cut is in cpuinfo_parse.c.
 */
#include "cleanup.h"
#include "clock.h"
#include "formats.h"
#include "snapshot.h"

struct cpuinfo {
	struct host_cpuinfo info; /* first: the snapshot's head is in it */
	struct cpumask online;    /* when it was read */
};

static void destroy(struct host_snapshot *base)
{
	struct cpuinfo *c = (struct cpuinfo *)base;

	text_free(&c->info.text);
	free(c->info.parts);
	free(c);
}

static void get_online(struct host *h, uint64_t now_ns, struct cpumask *ret)
{
	autohost const struct host_cpus *cpus = NULL;

	cpumask_clear(ret);
	if (host_cpus(h, now_ns, &cpus) == 0)
		*ret = cpus->online;
}

static int load_by(struct host_cache *c, uint64_t now_ns, int (*read)(int fd, struct text *t),
	struct cpuinfo *ret)
{
	int r;

	/* Before the text: a CPU that comes in between is then missing here, and read again. */
	get_online(c->host, now_ns, &ret->online);
	r = host_cache_read_by(c, 0, read, &ret->info.text);
	return r < 0 ? r : host_cpuinfo_parse(&ret->info);
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	return load_by(c, now_ns, read_fd, (struct cpuinfo *)base);
}

static int load_compat32(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	return load_by(c, now_ns, c->host->read_compat32, (struct cpuinfo *)base);
}

const struct host_kind host_kind_cpuinfo = {
	.files = { "proc/cpuinfo" },
	.iterated = true,
	.max_age_ns = NS_PER_S,
	.size = sizeof(struct cpuinfo),
	.load = load,
	.destroy = destroy,
};

const struct host_kind host_kind_cpuinfo32 = {
	.files = { "proc/cpuinfo" },
	.iterated = true,
	.max_age_ns = NS_PER_S,
	.size = sizeof(struct cpuinfo),
	.load = load_compat32,
	.destroy = destroy,
};

void host_set_compat32(struct host *h, int (*read)(int fd, struct text *t))
{
	h->read_compat32 = read;
}

int host_cpuinfo(struct host *h, uint64_t now_ns, bool compat32, const struct host_cpuinfo **ret)
{
	struct host_cache *cache = compat32 && h->read_compat32 ? &h->cpuinfo32 : &h->cpuinfo;
	const struct host_snapshot *s;
	struct cpumask online;
	int r = host_cache_get(cache, now_ns, &s);

	if (r < 0)
		return r;
	/* A second is too old where a CPU has come or gone since: files must not disagree. */
	get_online(h, now_ns, &online);
	if (!cpumask_equal(&online, &((const struct cpuinfo *)s)->online)) {
		host_cache_expire(cache, s);
		host_put(s);
		r = host_cache_get(cache, now_ns, &s);
	}
	if (r == 0)
		*ret = (const struct host_cpuinfo *)s;
	return r;
}
