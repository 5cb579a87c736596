/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread keeps its last text alone: those in line for another one are served soon after.
 */
#include "shared.h"

#include "clock.h"
#include "handover.h"

void shared_free(struct shared_text *s)
{
	text_free(&s->text);
}

bool shared_key_is(const struct shared_key *a, const struct shared_key *b)
{
	return a->record == b->record && a->node == b->node && a->flags == b->flags &&
		a->pass_through == b->pass_through;
}

/* 0: it did not wait. */
static uint64_t arrival(void)
{
	const struct handover_slot *slot = handover_my_slot();

	return slot ? atomic_load_explicit(&slot->arrived_ns, memory_order_relaxed) : 0;
}

bool shared_find(struct shared_text *s, const struct shared_key *key, struct text *ret)
{
	const uint64_t arrived_ns = arrival();

	if (arrived_ns != 0 && arrived_ns < s->began_ns && shared_key_is(&s->key, key)) {
		text_add(ret, s->text.data, s->text.len);
		return true;
	}
	/* Of the one that is made now, if it comes about. */
	s->began_ns = 0;
	s->key = *key;
	s->begins_ns = arrived_ns != 0 ? clock_monotonic_ns() : 0;
	return false;
}

void shared_keep(struct shared_text *s, const struct text *t)
{
	if (s->begins_ns == 0 || t->len > SHARED_MAX)
		return;
	text_reset(&s->text);
	text_add(&s->text, t->data, t->len);
	if (text_error(&s->text) == 0)
		s->began_ns = s->begins_ns;
}
