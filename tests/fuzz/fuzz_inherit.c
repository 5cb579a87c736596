/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors that the environment names. Byte 0 chooses: words with numbers, or the service
 * manager's names (what stands before the first NUL is LISTEN_FDS). Whatever it says, none of the
 * first three descriptors is found.
 */
#include <string.h>

#include "../../src/daemon/inherit.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext t = { 0 };
	char name[INHERIT_NAME];
	struct inherited in;
	unsigned i = 0, n;
	int fd;

	if (size == 0)
		return 0;
	text_add(&t, data + 1, size - 1);
	text_add(&t, "\0", 2);
	inherit_none(&in);
	if (data[0] & 1)
		inherit_parse_words(t.data, &in);
	else
		inherit_parse_listen(t.data, t.data + strlen(t.data) + 1, &in, &n);
	while (inherit_next(&in, &i, name, &fd))
		FUZZ_ASSERT(fd >= 3 && strlen(name) < INHERIT_NAME);
	return 0;
}
