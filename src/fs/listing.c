/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An entry is its number (8 bytes), type (1), length of the name (1) and the name, without padding.
 */
#include "listing.h"

#include <string.h>

#define HEAD 10u

void listing_add(struct text *t, uint64_t number, unsigned type, struct slice name)
{
	const uint8_t tail[2] = { (uint8_t)type, (uint8_t)name.n };

	if (name.n == 0 || name.n > UINT8_MAX)
		return;
	text_add(t, &number, sizeof(number));
	text_add(t, tail, sizeof(tail));
	text_add(t, name.p, name.n);
}

bool listing_next(struct slice *rest, struct listing_entry *ret)
{
	size_t length;

	if (rest->n < HEAD)
		return false;
	length = (uint8_t)rest->p[9];
	if (length == 0 || rest->n - HEAD < length)
		return false;
	memcpy(&ret->number, rest->p, sizeof(ret->number));
	ret->type = (uint8_t)rest->p[8];
	ret->name = (struct slice){ rest->p + HEAD, length };
	rest->p += HEAD + length;
	rest->n -= HEAD + length;
	return true;
}
