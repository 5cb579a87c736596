/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mountinfo, as a container's user arranges it: every text of a mount lies in what was parsed,
 * and what is visible was mounted on something.
 */
#include "fuzz.h"
#include "mounts.h"

static bool lies_in(struct slice part, struct slice whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext text = fuzz_text(data, size);
	const struct slice whole = slice_of(&text);
	struct mounts mounts;

	if (mounts_parse(whole, NULL, &mounts) < 0)
		return 0;
	for (size_t i = 0; i < mounts.n; i++) {
		const struct mount *m = &mounts.list[i];

		FUZZ_ASSERT(lies_in(m->root, whole) && lies_in(m->point, whole));
		FUZZ_ASSERT(lies_in(m->type, whole) && lies_in(m->options, whole));
		FUZZ_ASSERT(m->point.n > 0 && m->point.p[0] == '/');
	}
	mounts_free(&mounts);
	return 0;
}
