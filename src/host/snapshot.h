/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of host/: the cache that every snapshot shares. A host file supplies a kind (which files,
 * how old, how to load) and nothing about ages, references or threads.
 */
#pragma once

#include <pthread.h>

#include "host.h"

#define HOST_FILES 2
/* How far over its age a snapshot may still be used while somebody refreshes it. */
#define HOST_GRACE_NS (UINT64_C(100) * 1000 * 1000)

struct host_cache;

struct host_kind {
	const char *files[HOST_FILES]; /* "proc/stat"; NULL behind the last one */
	bool iterated;                 /* not produced in one piece: a short read is not the end */
	uint64_t max_age_ns;
	size_t size; /* of the structure that begins with a struct host_snapshot */
	/* Fills a zeroed structure, one thread at a time for each cache. 0 or -errno. */
	int (*load)(struct host_cache *c, uint64_t now_ns, struct host_snapshot *s);
	/* Releases it, half-filled ones included. */
	void (*destroy)(struct host_snapshot *s);
};

/* A file that stays open. Belongs to the one thread that refreshes. */
struct host_kept {
	int fd;      /* -1: not open yet */
	size_t size; /* of the last read: the next one has room for it at once */
};

struct host_cache {
	struct host *host;
	const struct host_kind *kind;
	struct host_kept files[HOST_FILES];
	pthread_mutex_t lock;
	pthread_cond_t refreshed;
	struct host_snapshot *latest;
	bool refreshing;
	bool quick; /* the last load was; the refresher's, too */
};

struct host {
	const struct root *root;
	int (*read_compat32)(int fd, struct text *t); /* NULL: nothing differs for such callers */
	struct host_cache cpuinfo, cpuinfo32, stat, meminfo, hugepages, swaps, slabinfo, diskstats,
		cpus;
	struct host_cache pressure[PRESSURES];
};

void host_cache_init(struct host_cache *c, struct host *host, const struct host_kind *kind);
void host_cache_destroy(struct host_cache *c);

/* A snapshot that is young enough, with a reference. 0 or -errno of its load. */
int host_cache_get(struct host_cache *c, uint64_t now_ns, const struct host_snapshot **ret);

/* `s` is known to be outdated: whoever asks next does not get it. */
void host_cache_expire(struct host_cache *c, const struct host_snapshot *s);

/* Appends file number `i` of the kind through a descriptor that stays open. For load functions.
 * 0 or -errno. */
int host_cache_read(struct host_cache *c, unsigned i, struct text *t);

/* The same by another function than read_fd() or read_fd_once(). */
int host_cache_read_by(
	struct host_cache *c, unsigned i, int (*read)(int fd, struct text *t), struct text *t);

extern const struct host_kind host_kind_cpuinfo;
extern const struct host_kind host_kind_cpuinfo32;
extern const struct host_kind host_kind_stat;
extern const struct host_kind host_kind_meminfo;
extern const struct host_kind host_kind_hugepages;
extern const struct host_kind host_kind_swaps;
extern const struct host_kind host_kind_slabinfo;
extern const struct host_kind host_kind_diskstats;
extern const struct host_kind host_kind_cpus;
extern const struct host_kind host_kind_pressure[PRESSURES];
