/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Captured machines, containers on them, and every byte they are to see.
 *
 * tests/fixtures/MACHINE is a tree with proc/ and sys/ (mountinfo says where its cgroups are).
 * tests/golden/MACHINE.CASE/case describes a container on it, in lines:
 *
 *   machine NAME          the tree; without it: what stands before the first dot of the case
 *   cgroup LINE           a line of its /proc/PID/cgroup, after the rules of SPEC 2.3
 *   host                  it is root in every hierarchy
 *   start_ns N, now_ns N, boottime_offset_s N
 *   init_pid N            1234 without it; 0: it has no init of its own
 *   option WORD           enable-cfs, disable-swap, disable-uptime, disable-zswap, compat32; load:
 *                         it is sampled; nested: processes of cgroups below it count, too
 *
 * Every other file there is what one served file says: "proc.meminfo" for proc/meminfo; or, with
 * ".error" behind it, the name of the errno that is answered. They are reasoned from SPEC and the
 * fixture, never written by our own output. Blank lines and lines with a # in front are comments
 * in a case. Nothing here knows a served file by name.
 */
#pragma once

#include <check.h>

#include "account.h"
#include "cgroup.h"
#include "host.h"
#include "load.h"
#include "root.h"
#include "slab.h"
#include "view.h"

#define GOLDEN TESTS_DIR "/golden"

#define ACCOUNTS 4u
#define PAGES 64u

struct golden {
	char *name; /* of the case: a directory below tests/golden */
	char *file;
};

/* All of them, in the order of their names, between these two. */
extern struct golden *goldens;
extern size_t n_goldens;
void goldens_list(void);
void goldens_free(void);

/* What tests/golden/MACHINE.CASE/case says. */
struct golden_case {
	char machine[64];
	struct text cgroup; /* /proc/PID/cgroup */
	bool is_host;
	uint64_t start_ns, now_ns, boottime_offset_s, init_pid;
	struct options options;
	bool compat32, samples_load, is_nested;
};

void case_read(const struct golden *g, struct golden_case *ret);

/* Everything that a renderer is handed, on heap memory in place of the hand-over memory. */
struct machine {
	struct root root;
	struct host *host;
	struct cgroup_layout *layout;
	struct cgroup_tree *tree;
	struct cgroup_set *set;
	struct slab *slab;
	struct account_store *accounts;
	struct load *load; /* without its thread; NULL: nobody is sampled */
	struct account_entry entries[ACCOUNTS];
	uint32_t links[PAGES];
	uint8_t pages[PAGES * SLAB_PAGE];
	_Atomic uint64_t virtualised;
	struct subject subject;
};

/* 0 or -errno of whatever of it could not be made. */
int machine_try(const struct golden_case *c, struct machine **ret);
/* The same for a machine that must come about. */
struct machine *machine_new(const struct golden_case *c);
void machine_free(struct machine *m);

/* What a reader of `v` gets: as view_render(). */
int machine_render(
	struct machine *m, const struct golden_case *c, const struct view *v, struct text *t);

/* The entry of the registry with that name of a golden file; NULL. */
const struct view *view_by_file(struct slice file);
