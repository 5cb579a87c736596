/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the supervisor and its children give up before they look at anything that a container can
 * shape: capabilities, mounts, system calls, descriptors. None of it can be taken back.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Who has a filter. */
enum sandbox_child { SANDBOX_WORKER, SANDBOX_OPENER, SANDBOX_CHILDREN };

/* The supervisor's: the system call that the last such process made and may not, in words
 * ("ptrace", "getpid of the i386 ABI"), to be freed; NULL when it made none since this was asked
 * last. */
char *sandbox_refused_call(enum sandbox_child child);

/* What one worker tells the supervisor, or the next one: memory that outlives workers. */
struct sandbox_notes {
	/* A system call: its number, and above it the AUDIT_ARCH_* whose number it is; 0: none. In
	 * one word, so that two threads' do not mix. */
	_Atomic uint64_t refused[SANDBOX_CHILDREN];
	_Atomic unsigned told; /* the log has what this machine does not allow us to give up */
};
extern struct sandbox_notes *sandbox_notes;
extern enum sandbox_child sandbox_self;

/* Makes the notes, before the first worker; nothing to do the second time. 0 or -errno. */
int sandbox_prepare(void);

/* Notes, in the handler of SIGSYS, which call it was. */
static inline void sandbox_note_refused(unsigned arch, int number)
{
	if (sandbox_notes)
		atomic_store(&sandbox_notes->refused[sandbox_self],
			(uint64_t)arch << 32 | (uint32_t)number);
}

/* --- its parts ---------------------------------------------------------------------------- */

/* A mount namespace with nothing in it but what is read, read-only. 0 or -errno, the mounts then
 * being the supervisor's. */
int sandbox_own_mounts(void);

/* The system calls, for good. 0 or -errno. */
int sandbox_filter_worker(int opener);
int sandbox_filter_opener(void);
