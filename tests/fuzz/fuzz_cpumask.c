/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU lists: what is read is written so that it reads back the same.
 */
#include "cpumask.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext list = fuzz_text(data, size);
	autotext written = { 0 };
	struct cpumask mask, again;

	if (cpumask_parse(slice_of(&list), &mask) < 0) {
		FUZZ_ASSERT(cpumask_count(&mask) == 0);
		return 0;
	}
	cpumask_format(&written, &mask);
	FUZZ_ASSERT(cpumask_parse(slice_of(&written), &again) == 0);
	FUZZ_ASSERT(cpumask_equal(&mask, &again));
	return 0;
}
