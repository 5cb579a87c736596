/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that must not die: holds the connection and everything a worker needs to take over,
 * answers nothing but the first INIT, and restarts workers. No libfuse, no threads.
 */
#pragma once

#include "options.h"

/* Mounts, serves until told to stop, unmounts. The exit status of the program, every failure
 * having been told in one line. */
int supervisor_run(const struct options *options);
