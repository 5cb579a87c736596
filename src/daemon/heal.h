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

#include "mounts.h"

/* Starts the process that heals, with the mount of device number `dev` at `dir`: it looks at once
 * and again some seconds later, tells the log then what it did, and ends by itself, at latest with
 * its parent. Its pid, to be reaped; or -errno. */
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

#define HEAL_JOBS 8u
#define HEAL_SILENT_MAX 32u

/* In memory that all processes of one healing share. */
struct heal_shared {
	_Atomic uint32_t binds, namespaces; /* healed */
	_Atomic uint64_t asking[HEAL_JOBS]; /* a connection's device number, while a job waits for
					       its daemon's answer */
	uint64_t silent[HEAL_SILENT_MAX];   /* connections whose daemon gave none: they live. Jobs
					       do not change it */
	unsigned n_silent;
};

/* Somebody in a mount namespace. */
struct heal_place {
	pid_t pid;
	int process; /* its directory in /proc */
	int namespace;
	ino_t number; /* of the namespace */
	bool own;     /* it is the source's */
};

/* Heals what is dead in that mount namespace, as job number `job`. The caller is in the namespace
 * afterwards, and may be held up in it: it must be a process that can be given up. 0, or the -errno
 * of the first bind that stays dead. */
int heal_namespace(const struct heal_source *source, const struct heal_place *place,
	struct heal_shared *shared, unsigned job);

/* --- texts: heal_text.c ------------------------------------------------------------------ */

#define HEAL_TYPE "fuse.lxcfs"

enum heal_origin {
	HEAL_ORIGIN_OURS,     /* made of a connection at the same DIR */
	HEAL_ORIGIN_UNKNOWN,  /* or at any other: an lxcfs that does not tell */
	HEAL_ORIGIN_NOT_OURS, /* or in no need of healing */
};

/* Whose /proc/<pid>/status it is: the first process's of a pid namespace right below ours. */
bool heal_parse_is_init(struct slice status);

dev_t heal_device_of(const struct mount *m);
/* `own`: the mount is in the source's namespace. */
enum heal_origin heal_origin_of(const struct heal_source *source, bool own, const struct mount *m);

/* "/proc/meminfo", which is below the root of the connection; "/." is that root. `size` is at least
 * three. False when the path does not fit, or is none. */
bool heal_path_of_root(const struct mount *m, char *ret, size_t size);
