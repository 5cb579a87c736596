/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The growable text. It only ever adds at the end; what the bytes mean is not its business.
 */
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_free(struct text *t)
{
	free(t->data);
	*t = (struct text){ 0 };
}

void text_reset(struct text *t)
{
	t->len = 0;
	t->failed = false;
}

bool text_reserve(struct text *t, size_t more)
{
	size_t wanted, capacity = t->capacity ? t->capacity : 1024;
	char *data;

	if (t->failed)
		return false;
	if (more <= t->capacity - t->len)
		return true;
	if (__builtin_add_overflow(t->len, more, &wanted) || wanted > SIZE_MAX / 2) {
		t->failed = true;
		return false;
	}
	while (capacity < wanted)
		capacity *= 2;
	data = realloc(t->data, capacity);
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->capacity = capacity;
	return true;
}

void text_add(struct text *t, const void *bytes, size_t n)
{
	if (n == 0 || !text_reserve(t, n))
		return;
	memcpy(t->data + t->len, bytes, n);
	t->len += n;
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_u64(struct text *t, uint64_t value, unsigned width)
{
	char digits[20];
	size_t n = 0;

	do
		digits[sizeof(digits) - ++n] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	if (width > n && text_reserve(t, width)) {
		memset(t->data + t->len, ' ', width - n);
		t->len += width - n;
	}
	text_add(t, digits + sizeof(digits) - n, n);
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !text_reserve(t, (size_t)n + 1)) {
		t->failed = true;
		return;
	}
	va_start(args, format);
	vsnprintf(t->data + t->len, (size_t)n + 1, format, args);
	va_end(args);
	t->len += (size_t)n;
}

int text_error(const struct text *t)
{
	return t->failed ? -ENOMEM : 0;
}
