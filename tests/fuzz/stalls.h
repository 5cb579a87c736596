/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's side of pressure triggers, for a worker on a machine of files: a plain file takes no
 * trigger and nobody can wait for it. What the worker writes to is a copy that keeps its text, and
 * events come when an input says so. Links with --wrap=epoll_ctl and --wrap=epoll_wait.
 */
#pragma once

#include "parse.h"
#include "root.h"

enum stalls_event {
	STALLS_MANY,  /* more than any trigger waits for */
	STALLS_NONE,  /* an event without any, as the kernel's first one may be */
	STALLS_ENDED, /* the cgroup is gone */
	STALLS_SAID,  /* the file says something else */
	STALLS_EVENTS,
};

/* A cgroup_open_fn: what the opener does. `data`: the machine's struct root. */
int stalls_open(void *data, const char *path);

/* The worker's thread gets an event of the i-th trigger that was armed, and has dealt with it when
 * this returns; nothing without such a trigger. `text`: what the file says then, of STALLS_SAID. */
void stalls_happen(unsigned i, enum stalls_event event, struct slice text);

/* No trigger is armed any more. */
void stalls_forget(void);
