/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sends a reply, and then its request is done with: handover.h tells when the slot is cleared.
 */
#include "reply.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "log.h"
#include "request.h"

/* Newer than <linux/fuse.h> of the oldest supported systems. */
#define OPCODE_STATX 52u

/* Less than a thread may be at a request, which is what the watch looks at. */
#define TRIES 50u
#define TRY_AGAIN_MS 10

static _Thread_local struct replies *mine;
static _Thread_local int init_error;

void replies_of_this_thread(struct replies *r)
{
	mine = r;
}

/* The kernel takes a reply only through the clone that the request was read through. */
static int device_of_request(const struct replies *r)
{
	const uint32_t device = atomic_load_explicit(&r->slot->device, memory_order_relaxed);

	return device == 0 || device > r->n ? r->device : r->devices[device - 1];
}

bool reply_error(const struct replies *r, uint64_t unique, int error)
{
	const struct fuse_out_header out = {
		.len = sizeof(out), .error = -error, .unique = unique
	};

	/* Whoever is not told waits for ever, and a shortage passes. */
	for (unsigned i = 0; i < TRIES; i++) {
		if (write(device_of_request(r), &out, sizeof(out)) >= 0)
			return true;
		if (errno != ENOMEM)
			break;
		poll(NULL, 0, TRY_AGAIN_MS);
		errno = ENOMEM;
	}
	/* The request is in the slot, where the next worker finds it. */
	if (errno == ENOMEM) {
		log_limited("reply memory",
			"a reader cannot be answered for want of memory: starting another worker");
		_exit(EXIT_FAILURE);
	}
	/* ENOENT: it was answered before. Nothing else could be done about another failure. */
	if (errno != ENOENT)
		log_limited("error reply", "an error could not be told to a reader: %s",
			strerror(errno));
	return false;
}

/* ENOENT: the reply was there before, as after a takeover. Whatever else keeps a reply from the
 * kernel must not leave the reader waiting for ever. */
static void reply_failed(struct replies *r, int error)
{
	if (error == ENOENT)
		return;
	log_limited("reply", "a reply was refused by the kernel: %s: its reader gets EIO",
		strerror(error));
	reply_error(r, request_header(r->slot)->unique, EIO);
}

/* The kernel takes ENOSYS for "never ask me again", for the connection's life, in which a newer
 * worker may know the answer. Not so STATX: without it GETATTR says all that we have to say. */
static void soften_error(const struct replies *r, struct fuse_out_header *out)
{
	if (out->error == -ENOSYS && request_header(r->slot)->opcode != OPCODE_STATX)
		out->error = -EOPNOTSUPP;
}

static size_t total_length(const struct iovec *iov, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

/* The kernel pins the page of each piece, which takes longer than to copy what fits on one. */
static ssize_t send_reply(struct replies *r, const struct iovec *iov, int count)
{
	const int fd = device_of_request(r);
	const size_t length = total_length(iov, count);
	size_t n = 0;

	if (length > REPLY_PAGE)
		return writev(fd, iov, count);
	for (int i = 0; i < count; i++) {
		memcpy(r->page + n, iov[i].iov_base, iov[i].iov_len);
		n += iov[i].iov_len;
	}
	return write(fd, r->page, n);
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fuse_out_header *out = iov[0].iov_base;
	ssize_t n;

	(void)userdata;
	if (!mine && out->unique == 0) /* a notification */
		return writev(fd, iov, count);
	if (!mine) { /* the answer to INIT, which the kernel has since long */
		init_error = -out->error;
		return (ssize_t)total_length(iov, count);
	}
	/* Nothing of ours: it is no answer to what lies in the slot. */
	if (out->unique != request_header(mine->slot)->unique)
		return send_reply(mine, iov, count);
	soften_error(mine, out);
	n = send_reply(mine, iov, count);
	if (n < 0) {
		int error = errno;

		reply_failed(mine, error);
		errno = error;
	}
	handover_slot_done(mine->slot);
	return n;
}

int reply_init_error(void)
{
	return init_error;
}

/* libfuse wants one, but we read ourselves. */
static ssize_t read_nothing(int fd, void *buffer, size_t size, void *userdata)
{
	(void)fd;
	(void)buffer;
	(void)size;
	(void)userdata;
	errno = EIO;
	return -1;
}

const struct fuse_custom_io reply_io = { .writev = write_reply, .read = read_nothing };
