/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file that names a running daemon. The lock on it, not its text, says whether one runs: a
 * pidfile left by a killed daemon is taken over, one whose daemon lives is never touched.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "parse.h"
#include "root.h"

struct pidfile {
	const char *path; /* borrowed */
	int fd;           /* holds the lock; -1: none */
};

#define PIDFILE_NONE ((struct pidfile){ NULL, -1 })

/* Creates the file if need be and locks it. 0; -EBUSY when another daemon holds it, `ret_holder`
 * then being its pid (0: not known); -errno. */
int pidfile_lock(const char *path, struct pidfile *ret, pid_t *ret_holder);

/* Goes on with a descriptor that holds the lock, also when the file is at `path` no more. 0 or
 * -errno: it does not. */
int pidfile_take(const char *path, int fd, struct pidfile *ret);

/* Who holds the lock, without touching it: a look that took the lock could make a daemon's start
 * fail. `*ret` is 0 when nobody does. 0 or -errno. */
int pidfile_holder(const struct root *root, const char *path, pid_t *ret);
/* Whether /proc/locks says that the process has such a lock on a file with that number. */
bool pidfile_parse_locks(struct slice locks, pid_t pid, ino_t ino);

/* Writes this process's pid. 0 or -errno. */
int pidfile_write(const struct pidfile *p);

/* Removes the file if it is still the locked one, and gives up the lock. */
void pidfile_remove(struct pidfile *p);
