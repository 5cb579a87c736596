/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Triggers, which anybody in a container writes: one that is taken is within the bounds, and reads
 * back the same from what the kernel is told.
 */
#include <string.h>

#include "fuzz.h"
#include "pressure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext text = fuzz_text(data, size);
	struct pressure_trigger t, again;
	char told[PRESSURE_TRIGGER_TEXT];

	if (!pressure_trigger_parse(slice_of(&text), &t))
		return 0;
	FUZZ_ASSERT(t.threshold_us > 0 && t.threshold_us <= t.window_us);
	FUZZ_ASSERT(t.window_us >= 500000 && t.window_us <= 10000000 && t.window_us % 2000000 == 0);
	pressure_trigger_format(&t, told);
	FUZZ_ASSERT(strlen(told) + 1 < sizeof(told));
	FUZZ_ASSERT(pressure_trigger_parse(slice_str(told), &again));
	FUZZ_ASSERT(again.full == t.full && again.threshold_us == t.threshold_us &&
		again.window_us == t.window_us);
	return 0;
}
