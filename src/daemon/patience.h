/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for the end of a shortage (is_shortage() in root.h), where what comes otherwise cannot be
 * mended later. Not for what can be tried again in the supervisor's loop, which answers meanwhile.
 */
#pragma once

/* Tries again as long as that is the error, for two seconds: a service manager's watchdog waits
 * meanwhile, as do readers. What the last attempt said. */
int patiently(int (*attempt)(void *data), void *data);
