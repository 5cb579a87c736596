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
extern struct container_use use;
extern struct container box;
extern struct slab *slab;
extern int references;

/* Fixtures. */
void fs_worker_setup(void);
void fs_worker_teardown(void);

/* The worker ends, and another starts with what it leaves. */
void next_worker(void);
