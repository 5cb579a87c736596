/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a worker leaves in the hand-over memory, and what the next one makes of it: the machinery of
 * the tests of fs/.
 */
#pragma once

#include "cleanup.h"
#include "handle.h"
#include "sysdir.h" /* and the fs/tree.h it stands on */

/* Of the worker that lives. */
extern struct root host_root;
extern struct handover *shared;
extern struct tree *tree;
extern struct handles *handles;
extern struct container box;
extern struct slab *slab;
extern _Atomic int references;

/* Fixtures. */
void fs_worker_setup(void);
void fs_worker_teardown(void);

/* The same on a machine that has sys/cpu and two CPUs, cpu0 and cpu1, which the first worker has
 * not looked at; files can be added. */
void fs_machine_setup(void);
void fs_machine_teardown(void);
void fs_machine_file(const char *path);

/* The worker ends, and another starts with what it leaves. */
void next_worker(void);
