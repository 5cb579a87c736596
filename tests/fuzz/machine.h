/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine of files for the targets that need a whole one: captured trees put together in a
 * temporary directory, whose files an input may replace. Must not read anything of the real one.
 */
#pragma once

#include <stddef.h>

#include "root.h"
#include "text.h"

/* A process of the machine, in the cgroup below. */
#define MACHINE_PID 100
#define MACHINE_CGROUP "/ct/a"

/* Makes it, once; it is removed when the program ends. Ends the program on errors. */
const struct root *machine_root(void);

/* Files that may be replaced: their number, and which are a cgroup's that a container sees numbers
 * of and no text. */
size_t machine_files(void);
bool machine_is_parsed(size_t i);

void machine_replace(size_t i, const void *bytes, size_t n);
void machine_restore(size_t i);
