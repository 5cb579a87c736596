/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Containers without a runtime, for tests: child cgroups, and processes in namespaces of their own
 * that do what they are told. Everything made is on a list that outlives a failed test.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cgroup.h"

enum box_flag {
	BOX_PID_NS = 1,
	BOX_CGROUP_NS = 2,
	BOX_CGROUP_MOUNT = 4, /* the cgroup fs is mounted in it, as runtimes do */
	BOX_OWN_CGROUP = 8,   /* else it stays where its maker is */
	BOX_TIME_NS = 16,     /* a day ahead; only where the kernel has such */
};

/* What a process of a box can be told. */
enum box_command {
	BOX_UNSHARE_CGROUP = 'c',
	BOX_UNSHARE_MOUNTS = 'm',
	BOX_ENTER_LEAF = 'l', /* moves to the child cgroup "leaf" */
	BOX_ENTER_BOX = 'b',  /* moves to the box's own cgroup */
	BOX_LEAVE = 'r',      /* moves to the root cgroup */
	BOX_FORK = 'f',       /* makes the one child that box.child is */
	BOX_NEST = 'n',       /* the same as PID 1 of a pid namespace below */
	BOX_END_THREAD = 't', /* its first thread ends, another one lives on and obeys */
	BOX_CHROOT = 'h',     /* its root becomes /proc, from where no cgroup mount is seen */
};

struct box {
	const struct cgroup_layout *layout;
	char path[64]; /* of its cgroup */
	pid_t pid;     /* the daemon's number of its first process */
	pid_t child;
	int control, child_control;
};

/* True where boxes can be made: root, and a hierarchy to make cgroups in. */
bool box_possible(const struct cgroup_layout *layout);

/* Makes the cgroups and starts the first process. */
void box_start(struct box *b, const struct cgroup_layout *layout, unsigned flags);
/* Tells the first process, or its child, to do something, and waits until that is done. */
void box_tell(struct box *b, enum box_command command);
void box_tell_child(struct box *b, enum box_command command);
/* Moves a process of the test to the box's cgroup. */
void box_move(const struct box *b, pid_t pid);
/* Ends all its processes; the cgroups stay until box_remove(). */
void box_kill(struct box *b);
void box_remove(struct box *b);
void box_stop(struct box *b);

/* Before and after all tests, in the process that runs them. */
void box_setup(void);
void box_teardown(void);
