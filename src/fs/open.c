/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * OPEN, READ, READDIR. Each may be a replay of a request that a dead worker did not
 * answer, or had answered already: none of them may count on being the first.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>

#include "cleanup.h"
#include "listing.h"

/* READs are at most max_pages long; a READDIR asks for as much as its caller has room. */
#define READDIR_MAX (1u << 20)

/* --- opening ----------------------------------------------------------------------------- */

/* SPEC 5. */
static uint32_t compat_flag(const struct fs *fs, const struct node *node, pid_t tid)
{
	if (!HOST_HAS_COMPAT32 || tid == 0 || strcmp(node->path, "proc/cpuinfo") != 0)
		return 0;
	return host_caller_is_compat32(fs->config.root, tid) ? HANDOVER_COMPAT32 : 0;
}

/* True when what is read depends on who opened it. */
static bool per_container(const struct node *node)
{
	return node->view && node->view->kind != VIEW_DIR;
}

/* A caller outside the daemon's pid namespace may still walk through what is the same for all. */
static int container_for(struct fs *fs, const struct node *node, pid_t tid, struct container **ret)
{
	if (tid == 0 && !per_container(node)) {
		*ret = container_host(fs->config.containers);
		return 0;
	}
	return container_open(fs->config.containers, tid, ret);
}

/* `replayed`: the handle this very request made in a worker that died, or 0. */
static int handle_for(struct fs *fs, const struct handle_info *info, struct container *c,
	uint64_t replayed, uint64_t *ret_fh)
{
	if (!handles_is(fs->handles, replayed, info))
		return handles_open(fs->handles, info, c, handover_my_slot(), ret_fh);
	*ret_fh = replayed;
	return handles_bind(fs->handles, replayed, c);
}

static int open_kind(struct fs *fs, uint64_t number, enum handover_handle_kind kind, pid_t tid,
	uint64_t replayed, uint64_t *ret_fh)
{
	struct handle_info info = { .node = number, .kind = kind };
	struct container *c;
	struct node node;
	int e = tree_node(fs->tree, number, &node);

	if (e < 0)
		return e;
	if (node.type != (kind == HANDOVER_HANDLE_DIR ? DT_DIR : DT_REG))
		return kind == HANDOVER_HANDLE_DIR ? -ENOTDIR : -EINVAL;
	info.flags = compat_flag(fs, &node, tid);
	e = container_for(fs, &node, tid, &c);
	if (e < 0)
		return e;
	e = handle_for(fs, &info, c, replayed, ret_fh);
	container_unref(c);
	return e;
}

/* Another thread has told a killed reader EINTR. */
static bool answered_for_us(const struct handover_slot *slot)
{
	const struct fuse_in_header *header = (const struct fuse_in_header *)slot->request;

	return atomic_load(&slot->answered) == header->unique;
}

/*
 * A reply that fails leaves nobody who could RELEASE the handle, and an error that gets through
 * neither. But when a handle comes from the dead worker, ENOENT says that its reply was delivered:
 * the kernel waits for the answer to a request that was read, so nobody but ourselves takes one
 * away.
 */
static bool handle_is_held(
	int opened, int sent, const struct handover_slot *slot, bool from_dead_worker)
{
	if (from_dead_worker && sent == -ENOENT)
		return !answered_for_us(slot);
	return opened == 0 && sent == 0;
}

static void open_reply(
	fuse_req_t req, struct fuse_file_info *fi, uint64_t number, enum handover_handle_kind kind)
{
	struct fs *fs = fuse_req_userdata(req);
	struct handover_slot *slot = handover_my_slot();
	const uint64_t replayed = slot ? atomic_load(&slot->fh) : 0;
	uint64_t fh = replayed;
	int opened = open_kind(fs, number, kind, fuse_req_ctx(req)->pid, replayed, &fh);
	int sent;

	fi->fh = fh;
	sent = opened < 0 ? fuse_reply_err(req, -opened) : fuse_reply_open(req, fi);
	if (!handle_is_held(opened, sent, slot, slot && fh == replayed))
		handles_close(fs->handles, fh);
}

/* O_TRUNC comes along where the kernel leaves truncating to OPEN. Pressure files take it as the
 * kernel's do, which have nothing to truncate. */
static bool may_open(const struct fs *fs, uint64_t number, int flags)
{
	enum pressure what;
	struct node node;

	if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC))
		return true;
	return tree_node(fs->tree, number, &node) == 0 && node.view &&
		view_pressure(node.view, &what);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int r = may_open(fuse_req_userdata(req), ino, fi->flags) ? 0 : -EACCES;

	if (r == 0)
		r = splice_opening(fuse_req_userdata(req), ino);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->direct_io = 1; /* st_size is 0, and each reader has a text of its own */
	fi->noflush = 1;
	fi->keep_cache = 0;
	fi->nonseekable = 0;
	open_reply(req, fi, ino, HANDOVER_HANDLE_FILE);
}

/* What is opened for writing is polled, mostly. */
bool fs_work_ahead(struct fs *fs, const struct handover_slot *slot)
{
	const uint64_t fh = atomic_load_explicit(&slot->fh, memory_order_relaxed);
	struct {
		struct fuse_in_header header;
		struct fuse_open_in in;
	} r;
	struct scratch *s;
	struct node node;

	memcpy(&r, slot->request, sizeof(r));
	if (r.header.opcode != FUSE_OPEN || (r.in.flags & O_ACCMODE) != O_RDONLY ||
		tree_node(fs->tree, r.header.nodeid, &node) < 0 || !node.view)
		return false;
	s = fs_scratch(fs);
	return s && content_ahead(fs, fh, &node, s);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	open_reply(req, fi, ino, HANDOVER_HANDLE_DIR);
}

/* --- reading ----------------------------------------------------------------------------- */

/* A piece of a text that is wanted. */
struct range {
	size_t offset, n;
};

static struct slice slice_range(const struct text *t, struct range r)
{
	if (r.offset >= t->len)
		return (struct slice){ t->data, 0 };
	return (struct slice){ t->data + r.offset, min_u64(r.n, t->len - r.offset) };
}

typedef int (*content_fn)(struct fs *fs, uint64_t fh, const struct node *node, struct scratch *s);

/*
 * The bytes of a handle's snapshot: made now by `content` when the read starts at 0 and is not a
 * replay of one that made it, and also when there is none yet (pread(2) at 100 comes first). `ret`
 * points into `s->content`.
 */
static int snapshot_range(struct fs *fs, uint64_t fh, uint64_t number, struct range r,
	content_fn content, struct scratch *s, struct slice *ret)
{
	struct text *t = &s->content;
	struct node node;
	const bool made = r.offset > 0 || handles_stored_by(fs->handles, fh, handover_my_slot());
	int e = made ? handles_load(fs->handles, fh, r.offset, r.n, t) : -ENODATA;

	if (e == 0) {
		*ret = slice_of(t);
		return 0;
	}
	if (e != -ENODATA)
		return e;
	e = tree_node(fs->tree, number, &node);
	if (e == 0)
		e = content(fs, fh, &node, s);
	if (e == 0)
		*ret = slice_range(t, r);
	return e;
}

/* The kernel's number for a handle of another kind or node is nothing to be served. */
static int check_handle(struct fs *fs, uint64_t fh, uint64_t number, enum handover_handle_kind kind)
{
	const struct handle_info info = { .node = number, .kind = kind };

	return handles_is(fs->handles, fh, &info) ? 0 : -ESTALE;
}

/* What reads without a lock owner is no process but the page cache, which all containers share. */
static bool for_page_cache(const struct fs *fs, const struct fuse_file_info *fi)
{
	return splice_guarded(fs) && fi->lock_owner == 0;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct scratch *s = fs_scratch(fs);
	struct slice piece;
	int e = s ? check_handle(fs, fi->fh, ino, HANDOVER_HANDLE_FILE) : -ENOMEM;

	if (e == 0 && (off < 0 || for_page_cache(fs, fi)))
		e = -EINVAL;
	if (e == 0 && fs->triggers)
		off = (off_t)handles_read_offset(fs->handles, fi->fh, (uint64_t)off);
	if (e == 0)
		e = snapshot_range(fs, fi->fh, ino,
			(struct range){ min_u64((uint64_t)off, SIZE_MAX), size }, content_file, s,
			&piece);
	if (e != 0)
		fuse_reply_err(req, -e);
	else
		fuse_reply_buf(req, piece.p, piece.n);
}

/* --- reading directories ----------------------------------------------------------------- */

/* Attributes for READDIRPLUS; number 0 tells the kernel to look the name up itself. */
static void entry_plus(
	struct fs *fs, const struct listing_entry *entry, struct fuse_entry_param *ret)
{
	struct node node;

	*ret = (struct fuse_entry_param){ .attr = { .st_ino = entry->number } };
	ret->attr.st_mode = DTTOIF(entry->type);
	if (slice_equal(entry->name, ".") || slice_equal(entry->name, ".."))
		return;
	if (tree_node(fs->tree, entry->number, &node) < 0 ||
		attr_node(fs, &node, &ret->attr, &ret->attr_timeout) < 0)
		return;
	if (entry->type == DT_REG)
		splice_replying(fs, entry->number);
	ret->ino = entry->number;
	ret->entry_timeout = ret->attr_timeout;
}

/* What a READDIR's reply is being built from. */
struct dir_reply {
	fuse_req_t req;
	struct text *out; /* has room for `size` bytes */
	size_t size;
	bool plus;
};

/* False when there is no room for it. `next`: the offset of the entry behind it. */
static bool add_entry(
	struct fs *fs, struct dir_reply *r, const struct listing_entry *entry, off_t next)
{
	char name[TREE_NAME + 1];
	char *at = r->out->data + r->out->len;
	const size_t room = r->size - r->out->len;
	struct fuse_entry_param e;
	size_t n;

	memcpy(name, entry->name.p, entry->name.n);
	name[entry->name.n] = '\0';
	if (r->plus) {
		entry_plus(fs, entry, &e);
		n = fuse_add_direntry_plus(r->req, at, room, name, &e, next);
	} else {
		e.attr = (struct stat){ .st_ino = entry->number, .st_mode = DTTOIF(entry->type) };
		n = fuse_add_direntry(r->req, at, room, name, &e.attr, next);
	}
	if (n > room)
		return false;
	r->out->len += n;
	return true;
}

/* Offsets count entries: whatever number a caller seeks to, what it gets is a whole entry. */
static int fill_reply(struct fs *fs, struct dir_reply *r, struct slice listing, off_t off)
{
	struct listing_entry entry;
	off_t position = 0;

	while (listing_next(&listing, &entry)) {
		if (position++ < off)
			continue;
		if (add_entry(fs, r, &entry, position))
			continue;
		return r->out->len > 0 ? 0 : -EINVAL; /* as getdents(2) on too small a buffer */
	}
	return 0;
}

static int dir_listing(struct fs *fs, uint64_t fh, uint64_t number, off_t off, struct scratch *s)
{
	struct slice all;
	int e;

	if (off == 0)
		return snapshot_range(
			fs, fh, number, (struct range){ 0, SIZE_MAX }, content_dir, s, &all);
	e = handles_load(fs->handles, fh, 0, SIZE_MAX, &s->content);
	if (e == -ENODATA)
		e = dir_listing(fs, fh, number, 0, s);
	return e;
}

static void readdir_reply(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi, bool plus)
{
	struct fs *fs = fuse_req_userdata(req);
	struct scratch *s = fs_scratch(fs);
	struct dir_reply r = { .req = req, .size = min_u64(size, READDIR_MAX), .plus = plus };
	int e = s ? check_handle(fs, fi->fh, ino, HANDOVER_HANDLE_DIR) : -ENOMEM;

	if (e == 0 && !text_reserve(&s->reply, r.size))
		e = -ENOMEM;
	if (e == 0)
		e = dir_listing(fs, fi->fh, ino, off, s);
	if (e == 0) {
		r.out = &s->reply;
		e = fill_reply(fs, &r, slice_of(&s->content), off);
	}
	if (e < 0)
		fuse_reply_err(req, -e);
	else
		fuse_reply_buf(req, s->reply.data, s->reply.len);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	readdir_reply(req, ino, size, off, fi, false);
}

void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	readdir_reply(req, ino, size, off, fi, true);
}
