/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of containers stand on: the machine's own root and cgroups, accounts, a cache,
 * and questions to it.
 */
#pragma once

#include <check.h>
#include <unistd.h>

#include "../../src/container/private.h"
#include "account.h"
#include "box.h"

extern struct root root;
extern struct cgroup_layout *layout;
extern struct cgroup_tree *tree;
extern struct account_store *accounts;
extern struct container_cache *cache;

/* A box as runtimes without and with cgroup namespaces make it. */
#define PLAIN (BOX_PID_NS | BOX_OWN_CGROUP)
#define MODERN (PLAIN | BOX_CGROUP_NS | BOX_CGROUP_MOUNT)

/* Waits up to 5 s for what other threads and the kernel do in their own time. */
#define BY_NOW(condition)                                                                          \
	do {                                                                                       \
		for (int _tries = 0; _tries < 500 && !(condition); _tries++)                       \
			usleep(10000);                                                             \
		ck_assert(condition);                                                              \
	} while (0)

struct container_config config_of(bool no_ioctl);
struct container_cache *new_cache(bool no_ioctl);

/* container_open() that must succeed. */
struct container *open_of(pid_t pid);
/* The hierarchy boxes are told apart by. */
unsigned box_hierarchy(void);
void assert_cgroup(const struct container *r, const char *path, enum container_rule rule);
/* Whether the key of `pid` leads somewhere without applying any rule. */
bool is_stored(pid_t pid);
bool is_stored_short(pid_t pid);

unsigned count_fds(void);
/* Lives that hold descriptors, the host's being one. */
unsigned count_lives(const struct container_cache *c);

/* A process of the box's pid namespace whose parents are all outside. */
pid_t enter_pid_ns(const struct box *box);
void end(pid_t pid);

/* A case with all of this around each test; NULL where no containers can be made. */
TCase *make_case(const char *name);
