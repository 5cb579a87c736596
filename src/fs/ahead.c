/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Texts change hands by their buffers, not by their bytes.
 */
#include "ahead.h"

void ahead_free(struct ahead *a)
{
	text_free(&a->text);
}

static void swap(struct text *a, struct text *b)
{
	const struct text t = *a;

	*a = *b;
	*b = t;
}

static void was_in_vain(struct ahead *a)
{
	const unsigned rests = a->rests ? a->rests * 2 : AHEAD_REST;

	a->rest = a->rests = rests < AHEAD_REST_MAX ? rests : AHEAD_REST_MAX;
	a->made.fh = 0;
}

bool ahead_due(struct ahead *a)
{
	if (a->made.fh != 0)
		was_in_vain(a);
	if (a->rest == 0)
		return true;
	a->rest--;
	return false;
}

void ahead_keep(struct ahead *a, const struct ahead_question *made, uint64_t now_ns, struct text *t)
{
	if (now_ns > made->at_ns + AHEAD_MAKING_NS) {
		was_in_vain(a);
		return;
	}
	a->made = *made;
	a->ready_ns = now_ns;
	swap(&a->text, t);
}

bool ahead_has(const struct ahead *a, uint64_t fh)
{
	return a->made.fh == fh && fh != 0;
}

bool ahead_take(struct ahead *a, const struct ahead_question *asked, struct text *ret)
{
	if (asked->told != a->made.told || asked->at_ns > a->ready_ns + AHEAD_NS ||
		!shared_key_is(&a->made.key, &asked->key)) {
		was_in_vain(a);
		return false;
	}
	a->made.fh = 0;
	a->rests = 0;
	swap(&a->text, ret);
	return true;
}
