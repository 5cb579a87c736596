/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for the end of a shortage (is_shortage() in root.h), where what comes otherwise cannot be
 * mended later. The supervisor answers nothing meanwhile, so not for what its loop can try again.
 */
#pragma once

/* Tries again as long as that is the error, for two seconds: a service manager's watchdog waits
 * meanwhile, as do readers. What the last attempt said. */
int patiently(int (*attempt)(void *data), void *data);
