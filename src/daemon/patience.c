/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The same few attempts for everybody. Logs nothing, for what is attempted is not known here.
 */
#include "patience.h"

#include "clock.h"
#include "root.h"

#define STEPS 20
#define STEP_NS (100 * NS_PER_MS)

int patiently(int (*attempt)(void *data), void *data)
{
	int r = attempt(data);

	for (int i = 0; i < STEPS && is_shortage(r); i++) {
		pause_ns(STEP_NS);
		r = attempt(data);
	}
	return r;
}
