/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that must not die: holds the connection and everything a worker needs to take over,
 * answers nothing but the first INIT, and restarts workers. No libfuse, no threads.
 */
#pragma once

#include "options.h"

/* Mounts, or goes on with what a process before it left, serves until told to stop, unmounts.
 * `argv` is what the program is started with again in an upgrade. The exit status of the program,
 * every failure having been told in one line. */
int supervisor_run(const struct options *options, char **argv);

/* Whether this program could take the place of the one that started it so and handed over its
 * descriptors: a line on standard output for that one, and the exit status. */
int supervisor_self_check(void);
