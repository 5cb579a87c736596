/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame of every unit test program: runs one Check suite and prints TAP on standard output.
 */
#pragma once

#include <check.h>
#include <stdlib.h>

/* For hangs alone. Check's own 4 seconds are what a test may take under a sanitizer on a busy
 * machine; test cases read this when they are created. */
__attribute__((constructor)) static inline void unit_allow_time(void)
{
	setenv("CK_DEFAULT_TIMEOUT", "60", 0);
}

static inline int unit_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
