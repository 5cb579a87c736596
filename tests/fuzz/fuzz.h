/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the fuzz targets share: any bytes as a text of their own, so that a sanitizer sees a read
 * past the end. A target must not keep anything between two inputs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "parse.h"
#include "text.h"

/* libFuzzer's entry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As long as the bytes and the NULs that end them: not by text_add(), which leaves room behind. As
 * of an empty file that was read, the text of none is somewhere. */
static inline struct text fuzz_string(const uint8_t *data, size_t size, size_t nuls)
{
	struct text t = { 0 };

	t.data = calloc(1, size + nuls);
	if (t.data) {
		if (size > 0)
			memcpy(t.data, data, size);
		t.len = t.capacity = size + nuls;
	}
	return t;
}

static inline struct text fuzz_text(const uint8_t *data, size_t size)
{
	return fuzz_string(data, size, 0);
}

/* Stops the fuzzer where an output is not what it must be for every input. */
#define FUZZ_ASSERT(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			__builtin_trap();                                                          \
		}                                                                                  \
	} while (0)
