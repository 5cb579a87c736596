/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The counters of containers (SPEC 6), kept apart from container records: an entry lives in the
 * shared area until its init is dead or its cgroup is gone, however often records and workers come
 * and go. What the bytes of an entry mean is known to view/cputime alone.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slab.h"
#include "text.h"
#include "use.h"

enum account_kind {
	ACCOUNT_CPU,       /* view/cputime, visible CPUs = the cpuset */
	ACCOUNT_CPU_QUOTA, /* the same with the CPU count that follows the quota */
	ACCOUNT_DISK,      /* view/disktime */
	ACCOUNT_START, /* container/start: 8 bytes, CLOCK_BOOTTIME of a container without init */
	ACCOUNT_LOAD,  /* container/load */
	ACCOUNT_KINDS,
};

struct account_key {
	uint64_t cgroup_dev, cgroup_ino; /* of cgroup_set_identity() */
	uint64_t init_start; /* init's start time in clock ticks; 0 without an own init */
	int32_t init_pid;    /* 0 without an own init */
	uint32_t kind;       /* enum account_kind; a subject's key leaves it 0 */
};

/* In shared memory. `state` is published last and cleared first. */
struct account_entry {
	struct account_key key;
	_Atomic uint64_t state; /* slab reference; SLAB_NONE: the entry is free */
	uint64_t owner;         /* number of the struct use that it is charged to; 0: of none */
	uint64_t reserved[2];
};

struct account_store;

/* Adopts what `entries` hold (an entry whose bytes cannot be right is cleared), each charged to its
 * owner in `uses` (NULL: to nobody). Borrows all three. 0; -ENOMEM: the next one can adopt them. */
int account_store_new(struct account_entry *entries, size_t n, struct slab *slab, struct uses *uses,
	struct account_store **ret);
void account_store_free(struct account_store *s);

#define ACCOUNT_SIBLINGS 64u

/* Of one owner, who may make as many cgroups as it likes: an eighth of all there are. */
#define ACCOUNT_OF_OWNER 4096u
#define ACCOUNT_PAGES_OF_OWNER 8192u

/* An account locked by account_begin(). */
struct account;

/*
 * Locks the account of `key` against other threads and appends its bytes to `state`: empty when it
 * is new. Then `predecessor` gets the bytes of an earlier init's account of the same kind in the
 * same cgroup, if one is kept (the latest started). A new account is charged to `use` (NULL: to
 * nobody). 0; -ENOSPC when the table is full; -EDQUOT when the cgroup has ACCOUNT_SIBLINGS accounts
 * of that kind already (pid namespaces cost a container nothing), or the owner all it may have:
 * compute without memory then, nobody is evicted (`predecessor` is filled all the same, and nothing
 * is locked); -ENOMEM.
 */
int account_begin(struct account_store *s, const struct account_key *key, struct use *use,
	struct text *state, struct text *predecessor, struct account **ret);

/* True for the errors that mean: compute without memory. */
static inline bool account_is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT;
}

/* Whom it is charged to; a new one: whom it will be. Borrowed, until account_end(). NULL: nobody.
 */
struct use *account_use(const struct account *a);

/* Publishes new bytes (none: the old ones stay) and unlocks. -ENOSPC or -EDQUOT, the old bytes then
 * staying. */
int account_end(struct account *a, const void *state, size_t n);

enum account_fate {
	ACCOUNT_LIVES,
	ACCOUNT_INIT_DEAD, /* kept as a predecessor until another init's account of the same kind
			      is published in the same cgroup; at most ACCOUNT_PREDECESSORS are */
	ACCOUNT_CGROUP_GONE,
};

#define ACCOUNT_PREDECESSORS 1024u
/* Of one owner, whose further ones are cleared at once: who makes many inits must not push out what
 * a neighbour's next init needs. */
#define ACCOUNT_PREDECESSORS_OF_OWNER 64u

/* Asks after every entry, without a lock held, and clears those that are of no more use. `fate` is
 * asked again after the dead at the next sweep, for their cgroup may be gone by then. 0; -ENOMEM:
 * some were not asked after. */
int account_sweep(struct account_store *s,
	enum account_fate (*fate)(const struct account_key *key, void *data), void *data);
