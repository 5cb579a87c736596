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
 * and again some seconds later, tells the log what it did, and ends by itself at latest with its
 * parent. Its pid, to be reaped; or -errno. */
pid_t heal_start(const char *dir, dev_t dev);

/* --- one namespace: heal.c hands it to heal_namespace.c --------------------------------- */

#define HEAL_CONNECTIONS 256u

/* Whether a connection lives is asked once, by one process, since a daemon that is stuck may keep
 * whoever asks. */
struct heal_connection {
	_Atomic uint64_t dev; /* 0: a free place */
	_Atomic uint64_t state;
};

/* Memory of all the processes of one healing. */
struct heal_shared {
	_Atomic uint32_t healed, failed; /* binds */
	_Atomic uint32_t namespaces;     /* in which some were healed */
	_Atomic int failed_pid;          /* somebody who sees a bind that failed; 0: none */
	_Atomic int failed_error;        /* an errno */
	struct heal_connection connections[HEAL_CONNECTIONS];
};

struct heal_target {
	int process; /* its directory in /proc */
	pid_t pid;
	bool own;             /* its mount namespace is the daemon's */
	struct mounts mounts; /* as that process sees them */
	const char *dir;      /* where the living mount is, in the daemon's namespace */
	dev_t dev;            /* the living mount's */
	uint32_t max_read;    /* of all mounts of that DIR */
};

/* The mount may be a bind that needs healing: nobody was asked yet. */
bool heal_may_need(const struct heal_target *t, const struct mount *m);

/* Heals what is dead of `t->mounts`. The calling process is in that namespace afterwards, and may
 * be held up in it: it must be one that can be given up. */
void heal_namespace(const struct heal_target *t, struct heal_shared *shared);

/* Notes a bind that stays dead. */
void heal_failed(struct heal_shared *shared, pid_t pid, int error);
