/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file that names a running daemon. The lock on it, not its text, says whether one runs: a
 * pidfile left by a killed daemon is taken over, one whose daemon lives is never touched.
 */
#pragma once

#include <sys/types.h>

struct pidfile {
	const char *path; /* borrowed */
	int fd;           /* holds the lock; -1: none */
};

#define PIDFILE_NONE ((struct pidfile){ NULL, -1 })

/* Creates the file if need be and locks it. 0; -EBUSY when another daemon holds it, `ret_holder`
 * then being its pid (0: not known); -errno. */
int pidfile_lock(const char *path, struct pidfile *ret, pid_t *ret_holder);

/* Writes this process's pid. 0 or -errno. */
int pidfile_write(const struct pidfile *p);

/* Removes the file if it is still the locked one, and gives up the lock. */
void pidfile_remove(struct pidfile *p);
