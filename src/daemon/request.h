/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of a request without carrying it out: for the log, and for who waits for it. Must
 * not lock or change anything: it is asked of requests that another thread holds.
 */
#pragma once

#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs.h"
#include "handover.h"
#include "parse.h"

#define REQUEST_WORDS 1400u /* a path and a name, and what is around them */

/* Of the request in the slot. */
static inline const struct fuse_in_header *request_header(const struct handover_slot *slot)
{
	return (const struct fuse_in_header *)slot->request;
}

/* False for those that the kernel sends and forgets. */
bool request_wants_reply(uint32_t opcode);

/* "opcode 15, /proc/stat, from pid 7" of the request of `length` bytes; what its first four say is
 * not looked at. Names are printable. */
void request_describe(
	const struct fs *fs, const uint8_t *request, size_t length, char ret[REQUEST_WORDS]);

/* True when the thread has been sent SIGKILL and only waits for its request to be answered. */
bool request_is_of_killed(pid_t tid);
/* The same of its /proc/<tid>/status: SIGKILL is pending. */
bool request_parse_killed(struct slice status);
