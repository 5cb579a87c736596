/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the kernel's text formats. Everything here takes text and never opens anything, never
 * allocates, accepts any bytes at all, and saturates numbers instead of wrapping them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "text.h"

/* A piece of somebody else's text; not NUL-terminated, lives as long as that text. */
struct slice {
	const char *p;
	size_t n;
};

struct slice slice_of(const struct text *t);
struct slice slice_str(const char *s);

/* Most differ in their first byte, and then how long `str` is need not be known. */
static inline bool slice_equal(struct slice s, const char *str)
{
	if (s.n == 0)
		return *str == '\0';
	return *s.p == *str && strlen(str) == s.n && memcmp(str, s.p, s.n) == 0;
}

bool slice_same(struct slice a, struct slice b);
bool slice_starts(struct slice s, const char *prefix);
bool slice_ends(struct slice s, const char *suffix);
/* Without blanks and tabs on either side. */
struct slice slice_trim(struct slice s);

/* Cuts the next line (without its newline) off `rest`. False at the end of the text. */
bool slice_line(struct slice *rest, struct slice *ret_line);
/* Cuts the next word, ended by blanks or tabs, off `rest`. False when none is left. */
bool slice_word(struct slice *rest, struct slice *ret_word);
/* Cuts what stands before the next `separator` off `rest`, and the separator with it; the last
 * part has none. False when `rest` is empty. */
bool slice_cut(struct slice *rest, char separator, struct slice *ret_part);
/* Cuts the next word off `rest` and reads it as a number. False when it is none. */
bool slice_next_u64(struct slice *rest, uint64_t *ret);

/* The whole slice as an unsigned decimal number, saturating at UINT64_MAX; false on anything
 * else, the empty slice and a sign included. */
bool slice_u64(struct slice s, uint64_t *ret);

/* The first `n` words of a line as numbers; how many there were. */
size_t parse_columns(struct slice line, uint64_t *ret, size_t n);

/* One row of a table that says where the value of a "key value" line belongs. */
struct field {
	const char *key;
	size_t key_length;
	size_t offset; /* of a uint64_t in the structure that parse_fields() fills */
};

#define FIELD(key, structure, member)                                                              \
	{                                                                                          \
		(key), sizeof(key) - 1, offsetof(structure, member)                                \
	}

/* Fills `ret` from lines "key value" (memory.stat, cpu.stat, meminfo's "key: value kB": a colon
 * behind the key is not part of it). Lines without a row and rows without a line change nothing.
 * How many rows were filled. */
size_t parse_fields(struct slice text, const struct field *fields, size_t n, void *ret);

/* The value behind the word `key` in lines "key value". False when there is none. */
bool parse_key(struct slice text, const char *key, uint64_t *ret);

/* Undoes the kernel's octal escapes (\040 and friends, proc_pid_mountinfo(5)) into `ret`, at most
 * `size` bytes with the closing NUL. False when it does not fit. */
bool parse_unescape(struct slice s, char *ret, size_t size);

/* a + b and a - b that stop at the ends of the range. */
static inline uint64_t sat_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t sat_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* a × b / c in 128 bits, saturating; 0 when c is 0. */
static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 r;

	if (c == 0)
		return 0;
	r = (unsigned __int128)a * b / c;
	return r > UINT64_MAX ? UINT64_MAX : (uint64_t)r;
}
