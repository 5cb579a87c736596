/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame of every unit test program: runs one Check suite and prints TAP on standard output.
 */
#pragma once

#include <check.h>

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
