/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors that one process leaves to the next, each under a name: from the version before an
 * upgrade, or by way of the service manager's store (sd_listen_fds(3)).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "handover.h"

/* Names begin with it. Its number changes when what is handed over does: who does not know it finds
 * nothing, and starts afresh. */
#define INHERIT_PREFIX "lxcfs1-"
#define INHERIT_NAME 32u /* bytes, with the closing NUL */

/* "NAME=NUMBER NAME=NUMBER ...", across execve(2). */
#define INHERIT_VARIABLE "LXCFS_HANDOVER"

/* Each is -1 when it is not there. */
struct inherited {
	int memory;  /* struct handover */
	int device;  /* /dev/fuse: that of mount(2) */
	int mount;   /* a detached clone of the mount at DIR; across execve(2) it stays there */
	int pidfile; /* locked; across execve(2) alone */
	int clones[HANDOVER_SLOTS];
};

void inherit_none(struct inherited *ret);

enum inherit_origin {
	INHERIT_NOTHING,
	INHERIT_BEFORE, /* this process was another version until execve(2) */
	INHERIT_MANAGER,
};

/* What this process was given; nobody else finds it again. Closes what has no name that we know.
 * The number of those: `ret_strangers`. */
enum inherit_origin inherit_take(struct inherited *ret, unsigned *ret_strangers);

/* Whoever was started without some of the first three has /dev/null there: a descriptor of ours
 * must not be in their place when the next version writes to them. */
void inherit_standard_files(void);

void inherit_close(struct inherited *in);

/* The next one that is there, `*i` being 0 at first. False after the last. */
bool inherit_next(const struct inherited *in, unsigned *i, char name[INHERIT_NAME], int *ret_fd);

/* Makes execve(2) hand them over, or not. 0 or -errno. */
int inherit_leave(const struct inherited *in);
void inherit_keep(const struct inherited *in);

/* The two parsers; descriptors are not looked at. How many there are without a known name, or
 * under a name that was there before. `ret` must be inherit_none(). */
unsigned inherit_parse_words(const char *text, struct inherited *ret);
/* sd_listen_fds(3): LISTEN_FDS and LISTEN_FDNAMES (NULL: not set). `*ret_n` numbers from 3 on. */
unsigned inherit_parse_listen(
	const char *fds, const char *names, struct inherited *ret, unsigned *ret_n);
