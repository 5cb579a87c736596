/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RELEASE and RELEASEDIR, which the kernel sends once, whatever the answer is. Each may be a replay
 * of one that a dead worker had answered: an unknown handle is none to be released.
 */
#include "internal.h"

#include <linux/fuse.h>
#include <string.h>

static void release(struct fs *fs, uint64_t fh)
{
	if (fs->triggers)
		triggers_close(fs->triggers, fh);
	handles_close(fs->handles, fh);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	release(fuse_req_userdata(req), fi->fh);
	fuse_reply_err(req, 0);
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
