/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Slices of the kernel's text formats. Must accept any bytes: a fuzzer feeds it.
 */
#include "parse.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void slice_skip(struct slice *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

struct slice slice_of(const struct text *t)
{
	return (struct slice){ t->data, t->len };
}

struct slice slice_str(const char *s)
{
	return (struct slice){ s, strlen(s) };
}

bool slice_same(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_starts(struct slice s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

bool slice_ends(struct slice s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.n >= n && (n == 0 || memcmp(s.p + s.n - n, suffix, n) == 0);
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		slice_skip(&s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool slice_cut(struct slice *rest, char separator, struct slice *ret_part)
{
	const char *at;

	if (rest->n == 0)
		return false;
	at = memchr(rest->p, separator, rest->n);
	*ret_part = (struct slice){ rest->p, at ? (size_t)(at - rest->p) : rest->n };
	slice_skip(rest, at ? ret_part->n + 1 : rest->n);
	return true;
}

bool slice_line(struct slice *rest, struct slice *ret_line)
{
	return slice_cut(rest, '\n', ret_line);
}

bool slice_word(struct slice *rest, struct slice *ret_word)
{
	size_t n = 0;

	while (rest->n > 0 && is_blank(rest->p[0]))
		slice_skip(rest, 1);
	if (rest->n == 0)
		return false;
	while (n < rest->n && !is_blank(rest->p[n]))
		n++;
	*ret_word = (struct slice){ rest->p, n };
	slice_skip(rest, n);
	return true;
}

bool slice_next_u64(struct slice *rest, uint64_t *ret)
{
	struct slice word;

	return slice_word(rest, &word) && slice_u64(word, ret);
}

bool slice_u64(struct slice s, uint64_t *ret)
{
	uint64_t value = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(s.p[i] - '0');

		if (s.p[i] < '0' || digit > 9)
			return false;
		if (__builtin_mul_overflow(value, UINT64_C(10), &value))
			value = UINT64_MAX;
		value = sat_add(value, digit);
	}
	*ret = value;
	return true;
}

size_t parse_columns(struct slice line, uint64_t *ret, size_t n)
{
	size_t filled = 0;

	while (filled < n && slice_next_u64(&line, &ret[filled]))
		filled++;
	return filled;
}

/* Cuts the key off a line "key value" or "key: value". */
static bool cut_key(struct slice *line, struct slice *ret_key)
{
	if (!slice_word(line, ret_key))
		return false;
	if (slice_ends(*ret_key, ":"))
		ret_key->n--;
	return true;
}

size_t parse_fields(struct slice text, const struct field *fields, size_t n, void *ret)
{
	struct slice line, key;
	size_t filled = 0, next = 0;

	while (slice_line(&text, &line)) {
		uint64_t value;

		if (!cut_key(&line, &key))
			continue;
		/* Tables are in the kernel's order, so the search starts where the last one ended.
		 */
		for (size_t tried = 0; tried < n; tried++) {
			size_t i = (next + tried) % n;

			if (key.n != fields[i].key_length ||
				memcmp(key.p, fields[i].key, key.n) != 0)
				continue;
			if (slice_next_u64(&line, &value)) {
				memcpy((char *)ret + fields[i].offset, &value, sizeof(value));
				filled++;
			}
			next = i + 1;
			break;
		}
	}
	return filled;
}

bool parse_key(struct slice text, const char *key, uint64_t *ret)
{
	struct slice line, word;

	while (slice_line(&text, &line))
		if (cut_key(&line, &word) && slice_equal(word, key))
			return slice_next_u64(&line, ret);
	return false;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

bool parse_unescape(struct slice s, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++, n++) {
		char c = s.p[i];

		if (n + 1 >= size)
			return false;
		if (c == '\\' && s.n - i > 3 && is_octal(s.p[i + 1]) && is_octal(s.p[i + 2]) &&
			is_octal(s.p[i + 3])) {
			c = (char)((s.p[i + 1] - '0') * 64 + (s.p[i + 2] - '0') * 8 +
				(s.p[i + 3] - '0'));
			i += 3;
		}
		ret[n] = c;
	}
	if (n >= size)
		return false;
	ret[n] = '\0';
	return true;
}
