/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WRITE and POLL, which mean something for pressure files alone (SPEC 12). Neither ever waits, and
 * neither ever says ENOSYS: the kernel would not ask again for the connection's life.
 */
#include "internal.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>

/* Which pressure the file shows; false for every other file. */
static bool pressure_of(const struct fs *fs, uint64_t number, enum pressure *ret)
{
	struct node node;

	return tree_node(fs->tree, number, &node) == 0 && node.view &&
		view_pressure(node.view, ret);
}

/* --- WRITE ------------------------------------------------------------------------------- */

static bool is_open(const struct fs *fs, uint64_t fh, uint64_t number)
{
	const struct handle_info info = { .node = number, .kind = HANDOVER_HANDLE_FILE };

	return handles_is(fs->handles, fh, &info);
}

static int write_trigger(struct fs *fs, uint64_t fh, uint64_t number, struct slice text)
{
	enum pressure what;

	if (!is_open(fs, fh, number))
		return -ESTALE;
	if (!pressure_of(fs, number, &what))
		return -EACCES; /* not open for writing */
	if (!fs->triggers)
		return -EOPNOTSUPP;
	return triggers_arm(fs->triggers, fh, text, handover_my_slot());
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	int e = write_trigger(fs, fi->fh, ino, (struct slice){ buf, size });

	(void)off; /* the kernel's files take no notice of it */
	if (e < 0) {
		fuse_reply_err(req, -e);
		return;
	}
	fuse_reply_write(req, size);
}

/* --- POLL -------------------------------------------------------------------------------- */

/* libfuse keeps to itself what the kernel calls the file, and the next worker needs it. */
static uint64_t poll_name(void)
{
	const struct handover_slot *slot = handover_my_slot();
	const struct fuse_poll_in *in;

	if (!slot)
		return 0;
	in = (const struct fuse_poll_in *)(slot->request + sizeof(struct fuse_in_header));
	return in->kh;
}

static unsigned poll_pressure(struct fs *fs, uint64_t fh, bool waits)
{
	if (!fs->triggers)
		return TRIGGER_NONE;
	/* First of all, or an event could come that wakes nobody. */
	if (waits)
		handles_set_poll(fs->handles, fh, poll_name());
	return triggers_poll(fs->triggers, fh);
}

void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	struct fs *fs = fuse_req_userdata(req);
	enum pressure what;
	unsigned says = POLLIN | POLLRDNORM;

	if (pressure_of(fs, ino, &what))
		says = poll_pressure(fs, fi->fh, ph != NULL);
	if (ph)
		fuse_pollhandle_destroy(ph);
	if (fuse_reply_poll(req, says) != 0 && fs->triggers)
		triggers_poll_lost(fs->triggers, fi->fh, says);
}
