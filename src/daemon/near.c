/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Long waits in a row are an occasion for a try, until short ones in a row tell that the right
 * thread was found.
 */
#include "near.h"

static void note_short(struct near *s)
{
	s->far = 0;
	if (s->found == NEAR_FOUND || ++s->found < NEAR_FOUND)
		return;
	s->tries = s->rest = s->rests = 0;
	s->apart = false;
}

static void have_rest(struct near *s)
{
	const unsigned rests = s->rests ? s->rests * 2u : NEAR_REST;

	s->rest = s->rests = (uint8_t)(rests < NEAR_REST_MAX ? rests : NEAR_REST_MAX);
	s->tries = 0;
}

static bool note_long(struct near *s)
{
	s->found = 0;
	if (++s->far < NEAR_FAR)
		return false;
	s->far = 0;
	s->apart = true;
	if (s->rest > 0) {
		s->rest--;
		return false;
	}
	if (++s->tries == NEAR_TRIES)
		have_rest(s);
	return true;
}

bool near_waited(struct near *s, uint64_t took_ns)
{
	if (took_ns > NEAR_IDLE_NS)
		return false;
	/* While apart asking may have spared the wake-up, which brings nobody nearer. */
	if (took_ns > (s->apart ? NEAR_NS : NEAR_FAR_NS))
		return note_long(s);
	if (took_ns < NEAR_NS)
		note_short(s);
	else
		s->far = s->found = 0;
	return false;
}
