/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the fuzz targets share: any bytes as a text of their own, so that a sanitizer sees a read
 * past the end. A target must not keep anything between two inputs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cleanup.h"
#include "parse.h"
#include "text.h"

/* libFuzzer's entry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct text fuzz_text(const uint8_t *data, size_t size)
{
	struct text t = { 0 };

	text_add(&t, data, size);
	return t;
}

/* Stops the fuzzer where an output is not what it must be for every input. */
#define FUZZ_ASSERT(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			__builtin_trap();                                                          \
		}                                                                                  \
	} while (0)
