/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection to the kernel's FUSE: the mount at DIR, and the device that answers for it. It
 * lives as long as its superblock, that is, also while only containers' binds of it are left.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "handover.h"
#include "options.h"
#include "text.h"

struct connection {
	int device;                 /* the one that was mounted; -1: no connection */
	int clones[HANDOVER_SLOTS]; /* of it: a request read through one is answered through it, and
				       aborted when its last descriptor is closed */
	unsigned n;                 /* clones, one for each thread of a worker */
	dev_t dev;                  /* of the superblock: tells our mount from another one at DIR */
};

#define CONNECTION_NONE ((struct connection){ .device = -1 })

/* Checks that DIR can be mounted on, and detaches what a killed daemon left dead there. 0, or
 * -errno after a line in the log. */
int connection_prepare(const char *dir);

/* Tells mounts of one DIR from those of another as long as somebody holds one, also when their
 * daemon is gone: a max_read that is too great to have any effect, which mountinfo shows. 0, or
 * -errno of a shortage. */
int connection_max_read(const char *dir, uint32_t *ret);
#define CONNECTION_MAX_READ_LEAST (1u << 30)

/* Mounts, answers INIT, notes both messages in `init` and makes the clones. 0, or -errno after a
 * line in the log (of a shortage a line a minute), nothing being left at DIR. */
int connection_open(
	const struct options *options, struct handover_init *init, struct connection *ret);

/* Whether this version can serve what was agreed upon in `init`. 0; -EPROTO, `why` then telling
 * what it cannot. */
int connection_fits(const struct handover_init *init, struct text *why);

/* The kernel has ended it: unmounted everywhere, or aborted. */
bool connection_is_dead(const struct connection *c);

/* 1: what is on top at `dir` is this connection's mount, dead or alive; 0; or -errno of a shortage,
 * which tells nothing. */
int connection_is_at(const struct connection *c, const char *dir);

/* Takes it away from `dir`, if it is there, however many use it. 0, or -errno after a line in the
 * log; the second waits for the end of a shortage, for whoever cannot try again later. */
int connection_detach(const struct connection *c, const char *dir);
int connection_detach_patiently(const struct connection *c, const char *dir);

/* A mount of it that is nowhere, as long as its descriptor lives, made from that at `dir`; -ENOENT
 * when it is not there, or another -errno. */
int connection_clone_mount(const struct connection *c, const char *dir);

/* Puts such a mount at the directory of the options, which must be free, with the flags that they
 * tell. 0 or -errno; -EBADF when it is not of this connection. */
int connection_attach(const struct connection *c, int mount, const struct options *options);

/* Closes every descriptor; that aborts what is still in use. */
void connection_close(struct connection *c);
