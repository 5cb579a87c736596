/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of fs/ share: the state behind a session and the ways from a node or handle to
 * its attributes and content.
 */
#pragma once

#include <pthread.h>
#include <sys/stat.h>

#include "ahead.h"
#include "fs.h"
#include "handle.h"
#include "shared.h"
#include "tree.h"
#include "trigger.h"

struct fs {
	struct fs_config config;
	struct tree *tree;
	struct handles *handles;
	struct stat *registered; /* attributes of the registry's entries, in its order, once for
				    each policy */
	pthread_key_t scratch;
	unsigned user_hz, page_size;
	struct triggers *triggers;    /* NULL: not wanted (--enable-psi-poll) */
	struct fuse_session *session; /* for notifications; NULL before fs_attach() */
	_Atomic uint64_t *sized;      /* splice.c: bits; NULL where it has nothing to do */
	/* Texts that readers were told, by all threads. The last member: it is written all the
	 * time. */
	_Atomic uint64_t told;
};

/* --- fs.c -------------------------------------------------------------------------------- */

/* A thread's own buffers, kept from one request to the next and freed with the thread. */
struct scratch {
	struct text content; /* what a file says, or a listing */
	struct text reply;   /* what a READDIR answers with */
	struct shared_text shared;
	struct ahead ahead;
};

/* Both empty; NULL without memory. */
struct scratch *fs_scratch(struct fs *fs);

/* --- attr.c ------------------------------------------------------------------------------ */

/* Reads the modes of the registry's entries from the host. 0 or -errno. */
int attr_init(struct fs *fs);

/* Attributes say the same to every caller. `ret_timeout`: for how many seconds the
 * kernel may keep them. 0 or -errno. */
int attr_node(struct fs *fs, const struct node *node, struct stat *ret, double *ret_timeout);

/* What a LOOKUP of `name` answers. -ENOENT; -ENOTDIR; -errno. */
int attr_lookup(struct fs *fs, uint64_t parent, struct slice name, struct fuse_entry_param *ret);

/* --- splice.c ---------------------------------------------------------------------------- */

/* 0 or -ENOMEM. */
int splice_init(struct fs *fs);

/* True when READs for the page cache (which have no lock owner) are to be refused. */
bool splice_guarded(const struct fs *fs);

/* Before the reply to an OPEN of a file. 0, or -errno of a shortage: it must not be opened then. */
int splice_opening(struct fs *fs, uint64_t number);

/* Before any reply that holds a file's attributes. */
void splice_replying(struct fs *fs, uint64_t number);

/* --- bound.c ----------------------------------------------------------------------------- */

/* Does something for the container of a handle; -ENODEV when a cgroup of it vanished. */
typedef int (*bound_fn)(
	struct fs *fs, struct container *c, const struct handle_info *info, void *data);

/* Calls `use`, and on -ENODEV once more with the container found again; a second one is -EIO (SPEC
 * 2.7). -ESTALE when the handle is not open, or was handed over and its container cannot be proven.
 */
int bound_use(struct fs *fs, uint64_t fh, bound_fn use, void *data);

/* --- content.c --------------------------------------------------------------------------- */

/* Renders the file of a handle afresh for the container it is bound to and keeps the text as the
 * handle's snapshot, in `s->content`. 0 or -errno, the text then not being usable. */
int content_file(struct fs *fs, uint64_t fh, const struct node *node, struct scratch *s);

/* Makes the text for the READ that is to be expected of a handle that was opened just now. False
 * where that does not pay. Fails in silence: the READ says what is wrong. */
bool content_ahead(struct fs *fs, uint64_t fh, const struct node *node, struct scratch *s);

/* The same for a directory: entries of listing.h. */
int content_dir(struct fs *fs, uint64_t fh, const struct node *node, struct scratch *s);

/* --- open.c: the operations on handles ---------------------------------------------------- */

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
/* WRITE and POLL: of use for pressure files alone. */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi);
void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph);
/* RELEASE and RELEASEDIR. */
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
