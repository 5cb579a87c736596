/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of the store of handles: how one is found and locked. Each is guarded by one of a few
 * locks, which is never held while the kernel is read; the free indexes have a lock of their own,
 * taken inside those.
 */
#pragma once

#include <pthread.h>

#include "handle.h"

#define HANDLE_STRIPES 64u
#define HANDLE_WORD_BITS 64u

/* What this process alone knows of a handle. */
struct binding {
	struct container *container; /* NULL: not bound, as after a takeover */
	struct use *use;             /* counts this handle and its pages; NULL: nobody does */
	uint32_t pages;              /* of the snapshot */
};

struct handles {
	struct handover *shared;
	struct slab *slab;
	struct uses *uses;
	struct binding *bindings; /* HANDOVER_HANDLES of them, touched where used */
	pthread_mutex_t stripes[HANDLE_STRIPES];
	pthread_mutex_t free_lock;
	uint64_t taken[HANDOVER_HANDLES / HANDLE_WORD_BITS];
	unsigned open;
};

/* A handle found and locked. */
struct held {
	struct handover_handle *shared;
	struct binding *binding;
	pthread_mutex_t *lock;
};

/* Any number may come from the kernel's side; `lock` stays NULL for those that are not open. */
struct held handle_hold(struct handles *hs, uint64_t fh);
/* The handle at a place of the table, open or not. */
struct held handle_hold_index(struct handles *hs, uint32_t index);
void handle_release(struct held *h);

#define autoheld __attribute__((cleanup(handle_release))) struct held
