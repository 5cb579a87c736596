/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeps sendfile(2) and splice(2) from saying "empty". Since Linux 6.5 both read a FUSE file
 * through the page cache, direct_io or not, and stop at the inode's size: with st_size 0 that is
 * at once, and `busybox cat` prints nothing. The page cache is one for all containers, so it must
 * never hold a text either. What remains is to make them fail: their callers then use read(2).
 *
 * So the kernel's inode gets a size that is not 0 at the first OPEN, and READs for the page cache
 * are refused. stat(2) still says 0: a NOTIFY_STORE between a GETATTR and its reply makes the
 * kernel hand the reply to the caller but leave its inode alone, since the reply is then the older
 * news, and marks the size (not the mode, which each open checks) as to be asked for again.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "root.h"
#include "slow.h"

/* In the middle of a page, which therefore does not count as filled, and far from what anybody
 * reads. */
#define FAR ((off_t)(UINT64_C(1) << 40) + 1)

/* A bit for each number there can be, in pages that are not touched before it is used. */
#define WORD_BITS 64u
#define WORDS ((HANDOVER_NODE_BASE + HANDOVER_NODES) / WORD_BITS)

static bool kernel_splices_pages(void)
{
	unsigned major, minor;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
		(major > 6 || (major == 6 && minor >= 5));
}

int splice_init(struct fs *fs)
{
	if (!kernel_splices_pages())
		return 0;
	fs->sized = calloc(WORDS, sizeof(*fs->sized));
	return fs->sized ? 0 : -ENOMEM;
}

bool splice_guarded(const struct fs *fs)
{
	return fs->sized && fs->session;
}

static _Atomic uint64_t *word_of(struct fs *fs, uint64_t number, uint64_t *ret_bit)
{
	*ret_bit = UINT64_C(1) << (number % WORD_BITS);
	return &fs->sized[number / WORD_BITS % WORDS];
}

/* -ENOENT: the kernel has no such inode. */
static int store(struct fs *fs, uint64_t number, off_t offset, size_t n)
{
	char byte = 0;
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(n);

	bytes.buf[0].mem = &byte;
	return fuse_lowlevel_notify_store(fs->session, number, offset, &bytes, 0);
}

/* The byte needs the lock of its page, which a reader of that page may hold until another thread
 * has refused the READ; and that page, for want of which the file would be empty. */
int splice_opening(struct fs *fs, uint64_t number)
{
	_Atomic uint64_t *word;
	uint64_t bit;
	int r;

	if (!splice_guarded(fs))
		return 0;
	word = word_of(fs, number, &bit);
	if (atomic_load(word) & bit)
		return 0;
	slow_ahead();
	r = store(fs, number, FAR, 1);
	if (r == 0)
		atomic_fetch_or(word, bit);
	return is_shortage(r) ? r : 0;
}

/* No byte, no page, no lock; but behind the size that OPEN made, else nothing would happen. */
void splice_replying(struct fs *fs, uint64_t number)
{
	_Atomic uint64_t *word;
	uint64_t bit;

	if (!splice_guarded(fs) || store(fs, number, FAR + 2, 0) == 0)
		return;
	/* A new inode is about to be made. */
	word = word_of(fs, number, &bit);
	atomic_fetch_and(word, ~bit);
}
