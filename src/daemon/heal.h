/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Binds in running containers outlive the connection they were made of: every open then says
 * "Transport endpoint is not connected". Healing puts the files of the living connection in their
 * places, in every mount namespace that some process is in. It goes by what the kernel says of the
 * mounts and needs no memory of what was there before, so the binds of a daemon that was killed,
 * stopped or aborted are healed alike, and those of a version that does not tell its DIR. Left
 * alone are those of another DIR, and those of a connection that lives, whoever answers it.
 *
 * All of it happens in processes apart from the supervisor, since paths of a container may lead
 * through file systems that do not answer.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Starts the process that heals, with the mount of device number `dev` at `dir`: it looks at once
 * and again some seconds later, tells the log what it did, and ends by itself, at latest with its
 * parent. Its pid, to be reaped; or -errno. */
pid_t heal_start(const char *dir, dev_t dev);

/* --- one namespace: heal.c hands it to heal_namespace.c --------------------------------- */

/* What is put in the place of dead binds. */
struct heal_source {
	int proc;          /* our own /proc */
	int dir;           /* the root of the living mount */
	int namespace;     /* the mount namespace that `dir` is in */
	dev_t dev;         /* the living mount's */
	uint32_t max_read; /* of all mounts of that DIR: connection_max_read() */
};

/* In memory that all processes of one healing share. */
struct heal_counts {
	_Atomic uint32_t binds, namespaces;
};

/* Heals what is dead in the mount namespace behind the descriptor `namespace`; `process` is the
 * directory in /proc of somebody in it, `own`: it is the source's. The caller is in that namespace
 * afterwards, and may be held up in it: it must be a process that can be given up. 0, or the -errno
 * of the first bind that stays dead. */
int heal_namespace(const struct heal_source *source, int process, int namespace, bool own,
	struct heal_counts *counts);
