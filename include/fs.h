/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The FUSE side: node numbers, operations, open handles. It finds who asks, asks the view, slices
 * the answer, and computes nothing itself.
 */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "container.h"
#include "handover.h"
#include "host.h"
#include "options.h"
#include "root.h"
#include "view.h"

/* Everything an operation may use; all borrowed. */
struct fs_config {
	const struct options *options;
	const struct root *root;
	struct host *host;
	const struct cgroup_layout *layout;
	struct container_cache *containers;
	struct account_store *accounts;
	struct uses *uses; /* NULL: what is taken over is charged to nobody */
	struct load *load; /* NULL: --disable-loadavg */
	struct slab *slab;
	struct handover *handover;
	unsigned max_triggers; /* a descriptor each */
};

struct fs;

/* Takes over the handles and nodes of `handover`. 0 or -errno. */
int fs_new(const struct fs_config *config, struct fs **ret);
void fs_free(struct fs *fs);

/* Tells the session that notifications are sent through, before the first request, and starts the
 * thread that sends them (--enable-psi-poll). Without a session, sendfile(2) of a file says "empty"
 * on Linux 6.5 and later. 0 or -errno. */
int fs_attach(struct fs *fs, struct fuse_session *session);

/* What a node number stands for, as a path below DIR. 0; -ESTALE; -ENAMETOOLONG. */
int fs_path(const struct fs *fs, uint64_t number, char *ret, size_t size);

/* Closes what a RELEASE names, if `request` is one. To be called before the session sees it, which
 * without memory answers the kernel and tells nobody; the operation itself closes nothing. */
void fs_release(struct fs *fs, const void *request, size_t length);

/* Closes what the OPEN in the slot has opened, if it is one and nobody is told of it. */
void fs_abandon(struct fs *fs, const struct handover_slot *slot);

/* Makes the text that the reader whose OPEN was in the slot is likely to ask for next, if that is
 * quick. To be called when it was answered, on a thread that refuses what is slow (slow.h) and
 * gets that READ. False when there was nothing to do. */
bool fs_work_ahead(struct fs *fs, const struct handover_slot *slot);

/* Who of those that share the worker waits for a request of `length` bytes, at least its header:
 * the same number for everybody in one outermost container, as far as that is known without a
 * look-up. May cost a system call. */
uint32_t fs_sharer(struct fs *fs, const uint8_t *request, size_t length);

/* Every operation, none left out: what libfuse has no function for it answers with ENOSYS, and the
 * kernel latches that for the connection's life. The session's userdata is the struct fs. */
extern const struct fuse_lowlevel_ops fs_operations;
