/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RELEASE and RELEASEDIR, which the kernel sends once, whatever the answer is. Each may be a replay
 * of one that a dead worker had answered: an unknown handle is none to be released.
 */
#include "internal.h"

#include <linux/fuse.h>
#include <string.h>

/* Nobody waits for a RELEASE: what the next OPEN would have to do soon is done here. */
static void release(struct fs *fs, uint64_t fh)
{
	struct container *c = NULL;

	if (fs->triggers)
		triggers_close(fs->triggers, fh);
	if (handles_get(fs->handles, fh, NULL, &c, NULL) < 0)
		return;
	handles_close(fs->handles, fh);
	if (c)
		container_look_early(c);
	container_unref(c);
}

/* fs_release() has been called. */
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

void fs_abandon(struct fs *fs, const struct handover_slot *slot)
{
	const struct fuse_in_header *header = (const struct fuse_in_header *)slot->request;

	if (header->opcode == FUSE_OPEN || header->opcode == FUSE_OPENDIR)
		handles_close(fs->handles, atomic_load(&slot->fh));
}

void fs_release(struct fs *fs, const void *request, size_t length)
{
	struct {
		struct fuse_in_header header;
		struct fuse_release_in in;
	} r;

	if (length < sizeof(r))
		return;
	memcpy(&r, request, sizeof(r));
	if (r.header.opcode == FUSE_RELEASE || r.header.opcode == FUSE_RELEASEDIR)
		release(fs, r.in.fh);
}
