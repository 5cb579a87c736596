/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole worker on the machine of fs_worker.c, of two containers: requests go its way through
 * libfuse and the operations, without a mount.
 */
#pragma once

#include "fs_worker.h"
#include "internal.h"

/* Bytes of a file, without the word before them that says whose it is. */
#define REQUESTS_TEXT 6000u
/* The file of each container, in the registry of fs_worker.c. */
#define REQUESTS_PRESSURE 24u

/* Who asks as `other.init` is of the other container than `box`. */
extern struct container other;

/* The worker; it may keep one trigger. */
extern struct fs *fs;
extern struct slab *pages; /* its snapshots */

extern uint64_t kernels_file; /* the number of one that is passed through */

/* Takes over what is in the hand-over memory. 0 or -errno; ends in either case. */
int worker_starts(void);
void worker_ends(void);

/* How requests come. */
extern struct coming {
	pid_t asker;
	bool in_line; /* had to wait */
	bool idle;    /* nobody else does, so that texts are made ahead */
} coming;

/* The last answer. */
extern struct reply {
	bool came;
	int error; /* 0 or -errno */
	size_t n;
	union {
		char bytes[2 * REQUESTS_TEXT];
		uint64_t fh;
		uint32_t events;
	};
} reply;

/* What a worker does with a request of `n` bytes behind its header. 0 or -errno; -ENOMEM when there
 * was no answer. */
int serve(uint32_t opcode, uint64_t node, const void *in, size_t n);

/* Texts that were made so far, not found ready. */
extern unsigned rendered;

/* Descriptors that the kernel tells events of (epoll(7)), all of them triggers'. */
unsigned descriptors_watched(void);

/* Makes the kernel forget the size of a file (splice.c), and whether it was told one since. */
void size_forget(uint64_t node);
bool size_known(void);

/* Fixtures: the machine with a first worker; the same with its session. */
void requests_machine_setup(void);
void requests_machine_teardown(void);
void requests_setup(void);
void requests_teardown(void);

/* For a worker without such a session: the kernel's end of its device... */
int requests_device(void);
/* ... and fs_attach() to it, after which its thread may not lose it. */
int requests_attach(void);
