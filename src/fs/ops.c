/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of operations, those on nodes, and the refusals. No operation is left out: libfuse
 * answers ENOSYS for one that is missing, and the kernel latches that for the connection's life.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "sysdir.h"

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	/* What was negotiated with the kernel is the supervisor's answer, not this session's. */
	(void)userdata;
	(void)conn;
}

static void op_destroy(void *userdata)
{
	(void)userdata; /* belongs to the worker */
}

/* --- nodes ------------------------------------------------------------------------------- */

/* A name that is not there is told by ENOENT and not by an entry without a number: the kernel
 * would keep that one. */
static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fuse_req_userdata(req);
	struct fuse_entry_param entry;
	int e = attr_lookup(fs, parent, slice_str(name), &entry);

	if (e == 0 && S_ISREG(entry.attr.st_mode))
		splice_replying(fs, entry.ino);
	if (e < 0)
		fuse_reply_err(req, -e);
	else
		fuse_reply_entry(req, &entry);
}

/* Numbers are kept for ever, so how often the kernel looked them up is of no interest. */
static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	(void)ino;
	(void)nlookup;
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

/* Only lseek(2) to SEEK_END asks through a handle. The files of /proc refuse it as well, and the
 * kernel would count from a size that means nothing (splice.c). */
static int check_seek(const struct fs *fs, const struct node *node, const struct fuse_file_info *fi)
{
	return fi && node->type == DT_REG && splice_guarded(fs) ? -EINVAL : 0;
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node node;
	struct stat attr;
	double timeout;
	int e = tree_node(fs->tree, ino, &node);

	if (e == 0)
		e = check_seek(fs, &node, fi);
	if (e == 0)
		e = attr_node(fs, &node, &attr, &timeout);
	if (e == 0 && node.type == DT_REG)
		splice_replying(fs, ino);
	if (e != 0)
		fuse_reply_err(req, -e);
	else
		fuse_reply_attr(req, &attr, timeout);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fuse_req_userdata(req);
	char target[PATH_MAX];
	struct node node;
	int e = tree_node(fs->tree, ino, &node);

	if (e == 0)
		e = sysdir_readlink(fs->config.root, &node, target, sizeof(target));
	if (e < 0)
		fuse_reply_err(req, -e);
	else
		fuse_reply_readlink(req, target);
}

/* Nothing to fill up and nothing free, as proc and sysfs say of themselves. */
static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = TREE_NAME };

	(void)ino;
	fuse_reply_statfs(req, &st);
}

static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	(void)ino;
	(void)mask; /* default_permissions: the kernel has decided */
	fuse_reply_err(req, 0);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	(void)ino;
	if (size == 0)
		fuse_reply_xattr(req, 0);
	else
		fuse_reply_buf(req, NULL, 0);
}

/* --- handles ----------------------------------------------------------------------------- */

/* Nothing was written, so nothing is to be flushed or synced. */
static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	op_flush(req, ino, fi);
}

static void op_retrieve_reply(
	fuse_req_t req, void *cookie, fuse_ino_t ino, off_t offset, struct fuse_bufvec *bufv)
{
	(void)cookie;
	(void)ino;
	(void)offset;
	(void)bufv; /* nothing is ever retrieved */
	fuse_reply_none(req);
}

/* --- refusals ---------------------------------------------------------------------------- */

/* The signatures are libfuse's, and a refusal looks at no argument. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define REFUSE(op, error, ...)                                                                     \
	static void op(fuse_req_t req, fuse_ino_t ino, __VA_ARGS__)                                \
	{                                                                                          \
		fuse_reply_err(req, error);                                                        \
	}

REFUSE(op_setattr, EROFS, struct stat *attr, int to_set, struct fuse_file_info *fi)
REFUSE(op_mknod, EROFS, const char *name, mode_t mode, dev_t rdev)
REFUSE(op_mkdir, EROFS, const char *name, mode_t mode)
REFUSE(op_remove, EROFS, const char *name) /* unlink, rmdir */
REFUSE(op_rename, EROFS, const char *name, fuse_ino_t to, const char *to_name, unsigned int flags)
REFUSE(op_link, EROFS, fuse_ino_t to, const char *to_name)
REFUSE(op_create, EROFS, const char *name, mode_t mode, struct fuse_file_info *fi)
REFUSE(op_setxattr, EROFS, const char *name, const char *value, size_t size, int flags)
REFUSE(op_removexattr, EROFS, const char *name)
REFUSE(op_fallocate, EROFS, int mode, off_t off, off_t length, struct fuse_file_info *fi)
REFUSE(op_copy_file_range, EROFS, off_t off, struct fuse_file_info *fi, fuse_ino_t to, off_t to_off,
	struct fuse_file_info *to_fi, size_t len, int flags)

REFUSE(op_getxattr, ENODATA, const char *name, size_t size)
REFUSE(op_ioctl, ENOTTY, unsigned int cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
	const void *in, size_t in_size, size_t out_size)
/* SEEK_DATA and SEEK_HOLE alone come here, and /proc's own files answer so. */
REFUSE(op_lseek, EINVAL, off_t off, int whence, struct fuse_file_info *fi)
REFUSE(op_bmap, EINVAL, size_t blocksize, uint64_t block)
/* Never asked: without FUSE_POSIX_LOCKS and FUSE_FLOCK_LOCKS the kernel keeps locks to itself. */
REFUSE(op_getlk, ENOLCK, struct fuse_file_info *fi, struct flock *lock)
REFUSE(op_setlk, ENOLCK, struct fuse_file_info *fi, struct flock *lock, int sleep)
REFUSE(op_flock, ENOLCK, struct fuse_file_info *fi, int operation)

static void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EROFS);
}

#pragma GCC diagnostic pop

const struct fuse_lowlevel_ops fs_operations = {
	.init = op_init,
	.destroy = op_destroy,
	.lookup = op_lookup,
	.forget = op_forget,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_remove,
	.rmdir = op_remove,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.releasedir = op_release,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.access = op_access,
	.create = op_create,
	.getlk = op_getlk,
	.setlk = op_setlk,
	.bmap = op_bmap,
	.ioctl = op_ioctl,
	.poll = op_poll,
	.retrieve_reply = op_retrieve_reply,
	.forget_multi = op_forget_multi,
	.flock = op_flock,
	.fallocate = op_fallocate,
	.readdirplus = op_readdirplus,
	.copy_file_range = op_copy_file_range,
	.lseek = op_lseek,
	/* write_buf is another way to be handed what .write gets. */
};
