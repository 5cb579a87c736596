/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker that has taken over a hand-over area, and what fuzz_handover.c does with each part of
 * it. All assert that the part is whole, whatever the area says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../../src/daemon/backlog.h"
#include "../../src/fs/internal.h"
#include "container.h"
#include "handover.h"
#include "handover_area.h"
#include "load.h"
#include "slab.h"
#include "use.h"

/* That are looked at one by one. */
#define HANDLES 64u

/* Of byte 1, above the devices. */
#define WITH_TRIGGERS 0x10u
#define WITH_ANOTHER 0x20u

struct worker {
	struct handover *h;
	unsigned options, devices;
	struct slab *slab;
	struct account_store *accounts;
	struct load *load;
	struct fs fs;
	struct backlog *backlog;
};

/* The machine's, which stay. */
extern struct uses *uses;
extern struct container_cache *containers;
extern struct container *whose; /* everybody's handles */

static inline uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t handles_used(const struct handover *h)
{
	return least(atomic_load(&h->handles_used), HANDOVER_HANDLES);
}

static inline uint32_t pages_of(uint64_t ref)
{
	return ref == SLAB_LOST ? 0 : slab_pages(slab_length(ref));
}

struct open_handle {
	uint64_t fh;
	int loads; /* what a READ is told */
	struct text text;
};

/* The whole text of each, to be freed. Returns how many. */
unsigned load_handles(struct worker *w, struct open_handle ret[HANDLES]);
/* Whatever others have done, its reader gets the rest of that very text. */
void check_handle(struct worker *w, const struct open_handle *o);
/* New ones beside those that were handed over, with more text than there are holes between. */
void use_handles(struct worker *w, const struct open_handle *old, unsigned n);
void close_handles(struct worker *w, struct open_handle *old, unsigned n);

/* All of what each says it has, and then what is written. */
void use_accounts(struct worker *w);

/* Each page that is in use is some reference's, and only one's. */
void check_pages(struct worker *w);
/* What is charged to an owner is what it has. */
void check_uses(struct worker *w);

/* Names of sysfs, and room for another. */
void check_nodes(struct worker *w);

/* Those under way and those in line. */
void use_requests(struct worker *w);
/* INIT: both messages are written before their lengths are. */
void replay_init(struct handover_init *init);
