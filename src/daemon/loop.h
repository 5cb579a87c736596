/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads that take requests from the device and hand them to the session.
 */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fs.h"
#include "handover.h"
#include "request.h"

/* Shows `session` the INIT that the supervisor has answered, as if it had just come. -EPROTO when
 * it cannot be right. */
int loop_replay_init(struct fuse_session *session, const struct handover_init *init);

struct loop;

struct loop_config {
	struct fuse_session *session;
	struct fs *fs; /* the session's */
	struct handover *handover;
	const int *devices;
	unsigned n;   /* devices */
	bool no_spin; /* a thread sleeps as soon as there is nothing: spin.h */
};

/* Starts a thread for each device; each first answers what its slot still holds. */
int loop_start(const struct loop_config *config, struct loop **ret);

/* The i-th thread is late with its request: if it is the leader, another one becomes it. */
void loop_pass_turn(struct loop *loop, unsigned i);

/* What the i-th thread is at, for the log. */
void loop_describe(const struct loop *loop, unsigned i, char ret[REQUEST_WORDS]);

/* Answers the request `unique` that the i-th thread is stuck with in its place; no later worker
 * tries it again. Harmless when the thread was quicker. */
void loop_answer_for(struct loop *loop, unsigned i, uint64_t unique, int error);
