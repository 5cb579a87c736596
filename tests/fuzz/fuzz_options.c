/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: NUL separates the words. Every outcome is an exit status, and a directory is
 * named wherever there is something to serve.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "options.h"

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *nowhere;
	static struct options options;
	char name[] = "lxcfs";
	char *argv[WORDS_MAX + 2] = { name };
	autotext words = fuzz_string(data, size, 1);
	int argc = 1, r;

	if (!nowhere && !(nowhere = fopen("/dev/null", "w")))
		return 0;
	for (size_t at = 0; at < words.len && argc <= WORDS_MAX; at += strlen(words.data + at) + 1)
		argv[argc++] = words.data + at;
	r = options_parse(argc, argv, &options, nowhere);
	FUZZ_ASSERT(r == 0 || r == 2);
	FUZZ_ASSERT(r == 2 || options.action != OPTIONS_SERVE || options.dir);
	return 0;
}
