/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a request to who is to wait for it: the container of the handle that it names, else that of
 * the thread that made it. Looks at a few bytes of the request and carries nothing out.
 */
#include "internal.h"

#include <linux/fuse.h>
#include <string.h>

/* Their arguments begin with the handle. */
static bool names_handle(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_WRITE:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_POLL:
	case FUSE_LSEEK:
	case FUSE_IOCTL:
	case FUSE_FALLOCATE:
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
		return true;
	default:
		return false;
	}
}

uint32_t fs_sharer(struct fs *fs, const uint8_t *request, size_t length)
{
	struct fuse_in_header header;
	uint64_t fh;
	uint32_t sharer;

	memcpy(&header, request, sizeof(header));
	if (names_handle(header.opcode) && length >= sizeof(header) + sizeof(fh)) {
		memcpy(&fh, request + sizeof(header), sizeof(fh));
		if (handles_sharer(fs->handles, fh, &sharer))
			return sharer;
	}
	return container_sharer_of(fs->config.containers, (pid_t)header.pid);
}
