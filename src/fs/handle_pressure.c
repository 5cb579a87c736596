/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a handle of a pressure file holds besides: its trigger, who polls, and how far WRITEs have
 * moved its offset. All of it lies in the hand-over memory; nothing is armed here.
 */
#include "handle_private.h"

#include <errno.h>

/* An earlier handle of the same index had another generation. */
static bool is_armed(const struct handover_handle *h)
{
	return atomic_load_explicit(&h->armed, memory_order_acquire) == h->generation;
}

int handles_arm(struct handles *hs, uint64_t fh, const struct pressure_trigger *trigger,
	uint32_t written, struct handover_slot *slot)
{
	autoheld h = handle_hold(hs, fh);

	if (!h.lock)
		return -ESTALE;
	h.shared->threshold_us = trigger->threshold_us;
	h.shared->window_us = trigger->window_us;
	h.shared->trigger_flags = trigger->full ? HANDOVER_TRIGGER_FULL : 0;
	/* Not again by a replay: its reader may have moved the offset since. */
	atomic_store(&h.shared->written, written);
	if (slot)
		atomic_store_explicit(&slot->fh, fh, memory_order_release);
	atomic_store_explicit(&h.shared->armed, h.shared->generation, memory_order_release);
	return 0;
}

bool handles_trigger(struct handles *hs, uint64_t fh, struct pressure_trigger *ret)
{
	autoheld h = handle_hold(hs, fh);

	if (!h.lock || !is_armed(h.shared))
		return false;
	*ret = (struct pressure_trigger){ h.shared->trigger_flags & HANDOVER_TRIGGER_FULL,
		h.shared->threshold_us, h.shared->window_us };
	return true;
}

bool handles_next_armed(struct handles *hs, uint32_t *index, uint64_t *ret_fh)
{
	const uint32_t used = atomic_load(&hs->shared->handles_used);

	while (*index < used && *index < HANDOVER_HANDLES) {
		autoheld h = handle_hold_index(hs, (*index)++);

		*ret_fh = atomic_load_explicit(&h.shared->fh, memory_order_relaxed);
		if (*ret_fh != 0 && is_armed(h.shared))
			return true;
	}
	return false;
}

void handles_set_poll(struct handles *hs, uint64_t fh, uint64_t poll)
{
	autoheld h = handle_hold(hs, fh);

	if (h.lock)
		atomic_store(&h.shared->poll, poll);
}

uint64_t handles_get_poll(struct handles *hs, uint64_t fh)
{
	autoheld h = handle_hold(hs, fh);

	return h.lock ? atomic_load(&h.shared->poll) : 0;
}

uint64_t handles_read_offset(struct handles *hs, uint64_t fh, uint64_t offset)
{
	autoheld h = handle_hold(hs, fh);
	uint32_t written;

	if (!h.lock)
		return offset;
	if (offset == 0)
		atomic_store(&h.shared->written, 0);
	written = atomic_load(&h.shared->written);
	return offset >= written ? offset - written : offset;
}
