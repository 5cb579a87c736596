/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is asking (SPEC 2): from a thread id that the kernel put into a request to the container it
 * belongs to. A record is made once, kept while its init lives, shared by everybody whom the rules
 * lead to it, and never depends on who asked first.
 *
 * Special states of a record: `host` (root in every hierarchy), one without an init of its own
 * (the caller's pid namespace is the daemon's), and one that serves a single handle and is not
 * stored (no rule confirmed it, as for nsenter's caller).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "root.h"
#include "view.h"

enum container_rule {
	CONTAINER_RULE_NONE,  /* no cgroup in that hierarchy */
	CONTAINER_RULE_MOUNT, /* 2.3a: the root of its own cgroup mount */
	CONTAINER_RULE_INIT,  /* 2.3b: init's cgroup */
	CONTAINER_RULE_OWN,   /* 2.3c: the process's own cgroup */
};

struct container {
	struct subject subject;
	pid_t init; /* 0 without an own init */
	enum container_rule rule[CGROUP_HIERARCHIES];
	/* the rest is container/'s own */
	struct container_private *own;
};

/* What of a record survives a worker, in a handle of the hand-over memory. Frozen layout. */
struct container_identity {
	uint64_t init_start; /* clock ticks; with the pid it names init for the machine's whole life
			      */
	uint64_t caller_start;
	uint64_t cgroups; /* a hash of all its cgroup paths */
	int32_t init;     /* 0 without an own init */
	int32_t caller;   /* the thread that opened; proves records that init alone does not lead to
			   */
};

struct container_cache;

struct container_config {
	const struct root *root;
	struct cgroup_tree *tree;
	const struct cgroup_layout *layout;
	struct account_store *accounts; /* swept when containers end; may be NULL */
	struct uses *uses;              /* what containers are charged in; NULL: no limits */
	unsigned max_records;           /* descriptors are bounded by it: a record holds two */
	unsigned max_callers;           /* threads that are known again at less cost, one each */
	bool no_ioctl;                  /* find init as on kernels before 6.11 (tests) */
};

/* Starts the thread that evicts records whose init has died. Copies `config`. 0 or -errno. */
int container_cache_new(const struct container_config *config, struct container_cache **ret);
void container_cache_free(struct container_cache *c);

/*
 * The container of thread `tid` (a number of the daemon's pid namespace), for OPEN. Warm: its
 * one or two namespace links are read, and nothing else unless a second has passed since the last
 * check.
 * `tid` 0: the host where the daemon is in the initial pid namespace, else -EIO, logged.
 * 0 with a reference; -ESRCH when the thread or its init is gone; -ENFILE over quota; -errno.
 */
int container_open(struct container_cache *c, pid_t tid, struct container **ret);

/* The host itself: what root in every hierarchy sees. Never fails, takes a reference. */
struct container *container_host(struct container_cache *c);

/* Looks at init's cgroups again (SPEC 2.7) before the next OPEN would have to. For a time when
 * nobody waits; costs nothing where the last look was not half a second ago. */
void container_look_early(struct container *c);

/* A file of `old` said -ENODEV: evaluates the rules again, on init (where the record has one) or
 * on the thread that opened. 0 with a reference on the new record; -ENODEV when that leads nowhere
 * else; -errno where it cannot be told. */
int container_again(struct container_cache *c, struct container *old, struct container **ret);

/* After a takeover: the record that a handle was bound to. -ESTALE when it cannot be proven;
 * -ENOMEM and the like when only nobody can tell now. */
int container_by_identity(struct container_cache *c, const struct container_identity *identity,
	struct container **ret);
void container_identity(const struct container *c, struct container_identity *ret);

struct container *container_ref(struct container *c);
/* NULL is fine. */
void container_unref(struct container *c);

/* A number that no other record of this process ever has. */
uint64_t container_number(const struct container *c);

/* Who shares the worker with others: one number for all records that are charged to the same
 * outermost container, in 24 bits. A fair turn depends on it, and nothing else may. */
uint32_t container_sharer(const struct container *c);
/* The same of a thread, from what OPENs have found in the last seconds, else by its pid namespace;
 * at most one system call. */
uint32_t container_sharer_of(struct container_cache *c, pid_t tid);

/* False: the daemon is not in the initial pid namespace, so there are callers without a number
 * (SPEC 2.6). */
bool container_sees_everybody(const struct container_cache *c);

/* The cgroup that rule[hierarchy] chose, as /proc/<pid>/cgroup has it: "/" where that is the root.
 * NULL without one. */
const char *container_path(const struct container *c, unsigned hierarchy);

/* Records alive, for tests and limits. */
unsigned container_count(const struct container_cache *c);
