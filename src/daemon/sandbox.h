/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the worker and the process that heals give up before they look at anything that a container
 * can shape.
 */
#pragma once

#include <stdbool.h>

/* Keeps CAP_SYS_PTRACE alone (namespace links and mountinfo of other users' processes), can gain
 * nothing by execve(2), and cannot be traced or dumped by its peers unless `debug`. Before any
 * thread is made. 0 or -errno. */
int sandbox_enter(bool debug);

/* The same for the process that heals: keeps what it takes to enter mount namespaces and change
 * them. 0 or -errno. */
int sandbox_enter_healing(void);
