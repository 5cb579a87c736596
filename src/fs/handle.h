/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Open handles. What the kernel and a later worker need lies in the hand-over memory; the reference
 * on the container is this process's own, and a handle that was taken over has none until somebody
 * binds it again. Knows nothing of FUSE and never renders.
 */
#pragma once

#include "container.h"
#include "handover.h"
#include "pressure.h"
#include "slab.h"
#include "text.h"

#define HANDLES_PER_CONTAINER 4096u
#define HANDLES_PAGES_PER_CONTAINER (HANDOVER_PAGES / 8)

struct handles;

/* What is fixed when a handle is made. */
struct handle_info {
	uint64_t node;
	enum handover_handle_kind kind;
	uint32_t flags; /* HANDOVER_COMPAT32 */
};

/* Borrows all, takes over the open handles of `h`, each charged to its owner in `uses` (NULL: to
 * nobody). A snapshot that cannot be right is dropped: its handle must be read from the start
 * again. 0; -ENOMEM: the next one can take them over. */
int handles_new(struct handover *h, struct slab *slab, struct uses *uses, struct handles **ret);
/* The handles stay open: they belong to the kernel. */
void handles_free(struct handles *hs);

/* Opens a handle bound to `c`, taking a reference of its own. `slot` (may be NULL) learns the
 * handle before it exists. 0; -ENFILE when the container has too many, or the table is full. */
int handles_open(struct handles *hs, const struct handle_info *info, struct container *c,
	struct handover_slot *slot, uint64_t *ret_fh);

/* True when `fh` is open and is what `info` says: what a replayed OPEN finds. */
bool handles_is(struct handles *hs, uint64_t fh, const struct handle_info *info);

/* Unknown handles are fine: a RELEASE may be replayed. */
void handles_close(struct handles *hs, uint64_t fh);

/* 0, or -ESTALE when no such handle is open. `ret_container` gets a reference, or NULL when the
 * handle is not bound in this process; `ret_identity` then says to what. Either may be NULL. */
int handles_get(struct handles *hs, uint64_t fh, struct handle_info *ret_info,
	struct container **ret_container, struct container_identity *ret_identity);

/* Who the handle's container is to others (container_sharer()); false when that is not known. */
bool handles_sharer(struct handles *hs, uint64_t fh, uint32_t *ret);

/* Binds the handle to `c` from now on, taking a reference of its own. -ESTALE. */
int handles_bind(struct handles *hs, uint64_t fh, struct container *c);

/* Makes `t` what later reads are served from; `slot` (may be NULL) learns of it before. 0; -ESTALE;
 * -ENFILE when the container's snapshots, or everybody's, take too much; the old snapshot stays
 * then. */
int handles_store(
	struct handles *hs, uint64_t fh, const struct text *t, struct handover_slot *slot);

/* True when the snapshot was made by the very request in `slot` (NULL: never), which is replayed
 * then: its reader may have a piece of that text already. */
bool handles_stored_by(struct handles *hs, uint64_t fh, const struct handover_slot *slot);

/* Appends up to `n` bytes of the snapshot from `offset` on (none behind its end). 0; -ENODATA when
 * there is none yet; -EIO when it was lost in a takeover; -ESTALE; -ENOMEM. */
int handles_load(struct handles *hs, uint64_t fh, size_t offset, size_t n, struct text *t);

/* The place of an open handle in a table of HANDOVER_HANDLES. */
static inline uint32_t handles_index(uint64_t fh)
{
	return (uint32_t)fh - 1;
}

/* --- of pressure files --- */

/* Remembers what is armed, for this worker and the next, and by how much the WRITE moves the file's
 * offset on. `slot` (may be NULL) learns the handle before. -ESTALE. */
int handles_arm(struct handles *hs, uint64_t fh, const struct pressure_trigger *trigger,
	uint32_t written, struct handover_slot *slot);

/* What is armed; false without. */
bool handles_trigger(struct handles *hs, uint64_t fh, struct pressure_trigger *ret);

/* The next handle with a trigger, from *index (0 at first) on; false at the end. For takeovers. */
bool handles_next_armed(struct handles *hs, uint32_t *index, uint64_t *ret_fh);

/* Somebody polls, and is to be woken under this name. */
void handles_set_poll(struct handles *hs, uint64_t fh, uint64_t poll);
/* 0: nobody polls. */
uint64_t handles_get_poll(struct handles *hs, uint64_t fh);

/*
 * The kernel moves a file's offset on by what is written, which for its own pressure files it does
 * not: a READ behind it means the text's start. Until somebody reads at 0, who has used lseek(2) or
 * pread(2).
 */
uint64_t handles_read_offset(struct handles *hs, uint64_t fh, uint64_t offset);

/* Handles open, for tests. */
unsigned handles_count(struct handles *hs);
