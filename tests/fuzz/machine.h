/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machines of files for the targets that need whole ones: captured trees put together in a
 * temporary directory, whose files an input may replace. Must not read anything of the real one.
 */
#pragma once

#include <stddef.h>

#include "parse.h"
#include "root.h"
#include "text.h"

/* A process of every machine, in this cgroup of each hierarchy. */
#define MACHINE_PID 100
#define MACHINE_CGROUP "/ct/a"

/* In an order that inputs know: a new one goes to the end. */
enum machine_kind {
	MACHINE_V2,
	MACHINE_HYBRID, /* every controller on v1, the unified hierarchy beside them */
	MACHINE_V1,     /* older: cpu with cpuacct, without usage_all, memsw and effective CPUs */
	MACHINES,
};

struct machine;

/* Makes it, once; it is removed when the program ends. Ends the program on errors. */
struct machine *machine_get(enum machine_kind kind);

const struct root *machine_root(const struct machine *m);
/* What /proc/PID/cgroup says of the process. */
struct slice machine_cgroups(const struct machine *m);

/* Files that may be replaced: their number, which one has that name ("proc/stat"; the number of
 * files: none), and which are a cgroup's that a container sees numbers of and no text. */
size_t machine_files(const struct machine *m);
size_t machine_find(const struct machine *m, struct slice name);
bool machine_is_parsed(const struct machine *m, size_t i);

void machine_replace(struct machine *m, size_t i, const void *bytes, size_t n);
void machine_restore(struct machine *m, size_t i);
