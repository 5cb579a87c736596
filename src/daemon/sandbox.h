/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the supervisor and its children give up before they look at anything that a container can
 * shape: capabilities, mounts, system calls, descriptors. None of it can be taken back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

/* For the supervisor, once mounted: keeps what mount, umount and healing need, and what its
 * children need to give theirs up. 0 or -errno. */
int sandbox_enter_supervisor(void);

/* For the worker, before any thread is made. Keeps CAP_SYS_PTRACE alone (namespace links and
 * mountinfo of other users' processes) and can gain nothing by execve(2); sees only /proc, /sys and
 * cgroups, which it cannot write; may make only the system calls of its list, unless
 * --no-seccomp; holds no descriptor but standard error, `devices` and `opener` (opener.h; negative:
 * none); cannot be traced or dumped by its peers unless --debug. 0 or -errno. */
int sandbox_enter(const struct options *options, const int *devices, size_t n, int opener);

/* For the process that opens pressure files: no capability at all, only the calls that this takes,
 * no descriptor but standard error and `kept`. 0 or -errno. */
int sandbox_enter_opener(const struct options *options, const int *kept, size_t n);

/* For the process that heals: keeps what it takes to enter mount namespaces and change them. 0 or
 * -errno. */
int sandbox_enter_healing(void);

/* The supervisor's, of a worker that ended by SIGSYS: the name of the system call, to be freed;
 * NULL when it made none that it may not, but was sent the signal. */
char *sandbox_refused_call(void);

/* Notes, in the handler of SIGSYS, which call it was. */
void sandbox_note_refused(int number);

/* Memory for that note, which outlives workers. Once, before the first worker. 0 or -errno. */
int sandbox_prepare(void);

/* --- its parts ---------------------------------------------------------------------------- */

/* A mount namespace with nothing in it but what is read, read-only. 0 or -errno, the mounts then
 * being the supervisor's. */
int sandbox_own_mounts(void);

/* The system calls, for good. 0 or -errno. */
int sandbox_filter_worker(int opener);
int sandbox_filter_opener(void);
