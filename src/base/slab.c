/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chains of pages in shared memory. The links may have been written by a worker that died or went
 * wrong: every walk is bounded by the length in the reference and every index is checked, so bad
 * links can lead to wrong bytes (then -EBADMSG) but never outside the area or round for ever.
 */
#include "slab.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"

/* A reference: index of the first page + 1 above, length in bytes below. */
#define REF_SHIFT 32
/* First page of a chain without pages; no index reaches it, for slab_new() refuses so many. */
#define REF_NO_PAGE UINT32_MAX
#define LINK_END 0u /* a link: index of the next page + 1 */

/* Free pages that may hold memory before they are given back, and how many then stay warm. */
#define WARM_MAX 2048u
#define WARM_KEEP 256u
/* Pages that are out of use at a time while the kernel takes their memory. */
#define COLD_RUN 512u

struct slab {
	uint8_t *pages;
	uint32_t *links;
	uint32_t n;
	uint32_t used;
	uint32_t warm;  /* free pages that are not known to be without memory */
	uint32_t first; /* no page below it is free */
	bool adopted;   /* pages that seem free are */
	pthread_mutex_t lock;
	uint64_t *taken; /* bits */
	uint64_t *cold;  /* free pages whose memory the kernel has */
};

static bool bit(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void bit_set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void bit_clear(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

int slab_new(void *pages, uint32_t *links, uint32_t n, struct slab **ret)
{
	const size_t words = (size_t)n / 64 + 1;
	autofree struct slab *s = calloc(1, sizeof(*s));
	autofree uint64_t *taken = calloc(words, sizeof(*taken));
	autofree uint64_t *cold = calloc(words, sizeof(*cold));

	if (!s || !taken || !cold || n >= REF_NO_PAGE - 1)
		return -ENOMEM;
	*s = (struct slab){ .pages = pages, .links = links, .n = n, .warm = n };
	s->taken = steal_ptr(&taken);
	s->cold = steal_ptr(&cold);
	pthread_mutex_init(&s->lock, NULL);
	*ret = steal_ptr(&s);
	return 0;
}

void slab_free(struct slab *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->taken);
	free(s->cold);
	free(s);
}

static uint64_t ref_make(uint32_t first_link, uint32_t length)
{
	return (uint64_t)first_link << REF_SHIFT | length;
}

static uint32_t ref_first_link(uint64_t ref)
{
	return (uint32_t)(ref >> REF_SHIFT);
}

size_t slab_length(uint64_t ref)
{
	return (uint32_t)ref;
}

/* Where a chain is being walked. */
struct walk {
	uint32_t link; /* the next page, + 1 */
	uint32_t left; /* pages still to come */
};

static struct walk walk_of(uint64_t ref)
{
	return (struct walk){ ref_first_link(ref), slab_pages(slab_length(ref)) };
}

/* Steps to the next page. False at the end, and where the chain leads outside (then left > 0). */
static bool walk_next(const struct slab *s, struct walk *w, uint32_t *ret_page)
{
	if (w->left == 0 || w->link == LINK_END || w->link > s->n)
		return false;
	*ret_page = w->link - 1;
	w->link = s->links[*ret_page];
	w->left--;
	return true;
}

static void page_take(struct slab *s, uint32_t page)
{
	bit_set(s->taken, page);
	s->used++;
	if (bit(s->cold, page))
		bit_clear(s->cold, page);
	else
		s->warm--;
}

static void page_put(struct slab *s, uint32_t page)
{
	bit_clear(s->taken, page);
	s->used--;
	s->warm++;
	if (page < s->first)
		s->first = page;
}

/* The lowest free page: low ones are reused soonest, so that high ones grow cold together. There
 * must be one. */
static uint32_t page_lowest_free(struct slab *s)
{
	while (s->taken[s->first / 64] == UINT64_MAX)
		s->first = (s->first / 64 + 1) * 64;
	s->first = s->first / 64 * 64 + (uint32_t)__builtin_ctzll(~s->taken[s->first / 64]);
	return s->first;
}

/* Frees the pages of a chain, the first `limit` at most. */
static void chain_put(struct slab *s, uint64_t ref, uint32_t limit)
{
	struct walk w = walk_of(ref);
	uint32_t page;

	while (limit-- > 0 && walk_next(s, &w, &page))
		if (bit(s->taken, page))
			page_put(s, page);
}

/* True when all pages of the chain were free and now are taken; else nothing has changed. */
static bool chain_take(struct slab *s, uint64_t ref)
{
	struct walk w = walk_of(ref);
	uint32_t page, n = 0;

	while (walk_next(s, &w, &page)) {
		if (bit(s->taken, page))
			break;
		page_take(s, page);
		n++;
	}
	if (n == slab_pages(slab_length(ref)) && w.link == LINK_END)
		return true;
	chain_put(s, ref, n);
	return false;
}

int slab_adopt(struct slab *s, uint64_t ref)
{
	bool good;

	if (ref_first_link(ref) == REF_NO_PAGE)
		return slab_length(ref) == 0 ? 0 : -EBADMSG;
	if (ref_first_link(ref) == LINK_END || slab_length(ref) == 0)
		return -EBADMSG;
	pthread_mutex_lock(&s->lock);
	good = chain_take(s, ref);
	pthread_mutex_unlock(&s->lock);
	return good ? 0 : -EBADMSG;
}

void slab_adopted(struct slab *s)
{
	pthread_mutex_lock(&s->lock);
	s->adopted = true;
	pthread_mutex_unlock(&s->lock);
}

/* Links `count` free pages; the first of them, + 1. LINK_END when there are too few. */
static uint32_t chain_new(struct slab *s, uint32_t count)
{
	uint32_t first = LINK_END;
	uint32_t *end = &first;

	if (s->n - s->used < count)
		return LINK_END;
	for (; count > 0; count--) {
		const uint32_t page = page_lowest_free(s);

		page_take(s, page);
		*end = page + 1;
		end = &s->links[page];
	}
	*end = LINK_END;
	return first;
}

int slab_store(struct slab *s, const void *bytes, size_t n, uint64_t *ret_ref)
{
	const uint8_t *from = bytes;
	uint32_t first, page;
	struct walk w;

	if (n == 0) {
		*ret_ref = ref_make(REF_NO_PAGE, 0);
		return 0;
	}
	if (n > UINT32_MAX)
		return -ENOSPC;
	pthread_mutex_lock(&s->lock);
	first = chain_new(s, slab_pages(n));
	pthread_mutex_unlock(&s->lock);
	if (first == LINK_END)
		return -ENOSPC;
	*ret_ref = ref_make(first, (uint32_t)n);
	w = walk_of(*ret_ref);
	while (walk_next(s, &w, &page)) {
		const size_t part = n < SLAB_PAGE ? n : SLAB_PAGE;

		memcpy(s->pages + (size_t)page * SLAB_PAGE, from, part);
		from += part;
		n -= part;
	}
	return 0;
}

int slab_load(const struct slab *s, uint64_t ref, size_t offset, size_t n, struct text *t)
{
	const size_t length = slab_length(ref), before = t->len;
	struct walk w = walk_of(ref);
	uint32_t page;

	if (slab_pages(length) > s->n)
		return -EBADMSG; /* before room is made for bytes that cannot be there */
	if (offset >= length)
		return 0;
	n = n < length - offset ? n : length - offset;
	if (!text_reserve(t, n))
		return -ENOMEM;
	while (n > 0 && walk_next(s, &w, &page)) {
		size_t part = SLAB_PAGE;

		if (offset >= SLAB_PAGE) {
			offset -= SLAB_PAGE;
			continue;
		}
		part = n < part - offset ? n : part - offset;
		text_add(t, s->pages + (size_t)page * SLAB_PAGE + offset, part);
		offset = 0;
		n -= part;
	}
	if (n > 0) {
		t->len = before;
		return -EBADMSG;
	}
	return 0;
}

static bool page_warm(const struct slab *s, uint32_t page)
{
	return !bit(s->taken, page) && !bit(s->cold, page);
}

/* The highest run of warm pages below `*end`, taken out of use. Its length; `*end`: its start. */
static uint32_t warm_run_take(struct slab *s, uint32_t *end)
{
	uint32_t n = 0;

	while (*end > 0 && !page_warm(s, *end - 1))
		--*end;
	while (*end > 0 && n < COLD_RUN && s->warm > WARM_KEEP && page_warm(s, *end - 1)) {
		page_take(s, --*end);
		n++;
	}
	return n;
}

/* The run comes back into use, its memory being the kernel's. */
static void cold_run_put(struct slab *s, uint32_t start, uint32_t n)
{
	for (uint32_t page = start; page < start + n; page++) {
		page_put(s, page);
		bit_set(s->cold, page);
		s->warm--;
	}
}

/* Runs are out of use while the kernel frees them, so nobody waits for it with the lock held. */
static void give_back(struct slab *s)
{
	uint32_t n, end = s->n;

	while (s->warm > WARM_KEEP && (n = warm_run_take(s, &end)) > 0) {
		pthread_mutex_unlock(&s->lock);
		/* Memory that cannot be punched (not shared, as in tests) just stays. */
		madvise(s->pages + (size_t)end * SLAB_PAGE, (size_t)n * SLAB_PAGE, MADV_REMOVE);
		pthread_mutex_lock(&s->lock);
		cold_run_put(s, end, n);
	}
}

void slab_release(struct slab *s, uint64_t ref)
{
	if (ref == SLAB_NONE || ref_first_link(ref) == REF_NO_PAGE)
		return;
	pthread_mutex_lock(&s->lock);
	chain_put(s, ref, UINT32_MAX);
	if (s->warm > WARM_MAX && s->adopted)
		give_back(s);
	pthread_mutex_unlock(&s->lock);
}

uint32_t slab_used(const struct slab *s)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&s->lock;
	uint32_t used;

	pthread_mutex_lock(lock);
	used = s->used;
	pthread_mutex_unlock(lock);
	return used;
}
