/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The yardstick of the benchmarks: the least that a file system on libfuse can do. libfuse's own
 * multithreaded loop, one file of 1,500 constant bytes, nothing cached, nothing flushed. Must not
 * be made quicker or slower: figures of different days are ratios to it.
 *
 * usage: null [FUSE-OPTIONS] DIR
 */
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_INO 2u
#define FILE_NAME "file"

static char content[1500];

static void fill_attr(fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){ .st_ino = ino };
	st->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0555 : S_IFREG | 0444;
	st->st_nlink = 1;
}

static void null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = {
		.ino = FILE_INO, .attr_timeout = 3600, .entry_timeout = 3600
	};

	if (parent != FUSE_ROOT_ID || strcmp(name, FILE_NAME) != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill_attr(FILE_INO, &e.attr);
	fuse_reply_entry(req, &e);
}

static void null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	fill_attr(ino, &st);
	fuse_reply_attr(req, &st, 3600);
}

static void null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->direct_io = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void null_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	size_t left = (size_t)off < sizeof(content) ? sizeof(content) - (size_t)off : 0;

	(void)ino;
	(void)fi;
	fuse_reply_buf(req, content + (sizeof(content) - left), left < size ? left : size);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = null_lookup,
	.getattr = null_getattr,
	.open = null_open,
	.read = null_read,
};

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct fuse_cmdline_opts opts;
	struct fuse_session *session;
	int r;

	memset(content, 'x', sizeof(content));
	content[sizeof(content) - 1] = '\n';
	if (fuse_parse_cmdline(&args, &opts) != 0 || !opts.mountpoint || !config)
		return EXIT_FAILURE;
	session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (!session || fuse_set_signal_handlers(session) != 0 ||
		fuse_session_mount(session, opts.mountpoint) != 0)
		return EXIT_FAILURE;
	r = fuse_session_loop_mt(session, config);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
