/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes that outlive a worker: snapshots of open handles, CPU counters. They lie in chains of pages
 * of a memory area that all generations of workers share. A chain is named by a 64-bit reference
 * that its owner publishes with one atomic store, so a worker killed at any instant leaves either
 * the old bytes or the new ones. Which pages are free is known only privately, and found out anew
 * by each worker from the references that are still in use.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define SLAB_PAGE 4096u
#define SLAB_NONE UINT64_C(0) /* a reference to nothing: no pages, no bytes */
#define SLAB_LOST UINT64_MAX  /* to what was there and is no more: slab_adopt() refuses it */

struct slab;

/* How many a chain of so many bytes has. */
static inline uint32_t slab_pages(size_t length)
{
	return (uint32_t)(((uint64_t)length + SLAB_PAGE - 1) / SLAB_PAGE);
}

/* `pages`: n × SLAB_PAGE bytes; `links`: n numbers; both in the shared area and zeroed when new.
 * All pages count as free until adopted: a worker adopts everything before it stores or releases
 * anything. 0 or -ENOMEM. */
int slab_new(void *pages, uint32_t *links, uint32_t n, struct slab **ret);
void slab_free(struct slab *s);

/* After a takeover: the pages of `ref` are in use. -EBADMSG when the reference or its chain cannot
 * be right (out of range, cyclic, too short, a page in two chains): the owner then forgets it. */
int slab_adopt(struct slab *s, uint64_t ref);

/* Everything has been adopted: what is free now is free for good, and its memory may go back to the
 * kernel. Before, a release only frees its own pages. */
void slab_adopted(struct slab *s);

/* Copies bytes into free pages. 0 bytes give a reference that is not SLAB_NONE. -ENOSPC when the
 * area is full. */
int slab_store(struct slab *s, const void *bytes, size_t n, uint64_t *ret_ref);

size_t slab_length(uint64_t ref);

/* Appends up to `n` bytes from `offset` on; fewer at the end. -ENOMEM, -EBADMSG when the chain is
 * broken; `t` is then as it was. */
int slab_load(const struct slab *s, uint64_t ref, size_t offset, size_t n, struct text *t);

/* The pages are free again; memory of many free pages is given back to the kernel. */
void slab_release(struct slab *s, uint64_t ref);

/* Pages in use, for tests and limits. */
uint32_t slab_used(const struct slab *s);
