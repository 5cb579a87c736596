/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lxcfs --inspect PID: what a process is shown, and why, for people whom a value surprised. Asks
 * the same rules and getters that a running daemon asks, but by itself: none need run.
 */
#pragma once

#include "options.h"

/* Prints to standard output. The exit status; after 1 there is one line on standard error. */
int inspect_run(const struct options *options);
