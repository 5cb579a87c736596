/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A growable piece of text: what a file of the kernel said, or what one of ours is about to say.
 * An allocation that fails is remembered and told once, by text_error(), so that renderers read
 * as plain lists of lines; a text in error must never be served.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data; /* not NUL-terminated */
	size_t len;
	size_t capacity;
	bool failed;
};

#define autotext __attribute__((cleanup(text_free))) struct text

/* Releases the memory; the text is empty and usable afterwards. */
void text_free(struct text *t);

/* Empties the text and forgets an earlier error; the memory is kept for the next use. */
void text_reset(struct text *t);

/* Makes room for `more` bytes behind `len`. False (and the text in error) without memory. */
bool text_reserve(struct text *t, size_t more);

void text_add(struct text *t, const void *bytes, size_t n);
void text_puts(struct text *t, const char *s);

/* Appends `value` in decimal, right-aligned with blanks in `width` columns (0: no padding). */
void text_u64(struct text *t, uint64_t value, unsigned width);

/* For what is printed rarely; the hot path has the functions above. */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A byte of what others may have named, without what a terminal might obey. */
static inline char text_printable(char c)
{
	return (char)(c >= ' ' && c <= '~' ? c : '?');
}

/* 0, or -ENOMEM when something that was added is missing. */
int text_error(const struct text *t);
