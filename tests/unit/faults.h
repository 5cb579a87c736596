/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes memory, descriptors and reads fail one by one, for programs that are linked with faults.c
 * (and its --wrap list in meson.build, which puts it between the daemon's code and the C library).
 * Counts what that code holds meanwhile. Never fails a call of the test's own that is not armed.
 */
#pragma once

#include <stdbool.h>

enum fault_call {
	FAULT_MEMORY, /* malloc(3) and all that return what free(3) takes, or that the kernel or the
			 C library needs memory for itself */
	FAULT_OPEN,   /* whatever makes a descriptor */
	FAULT_READ,   /* what reads a file, a link, a directory's or file's attributes, or asks the
			 kernel for a number */
};

struct fault {
	enum fault_call call;
	int error;
	bool lasting; /* all calls from the nth on, as when the machine is out of it */
};

/* What is failed in turns: every error that code may meet anywhere. */
extern const struct fault faults[];
extern const unsigned n_faults;

/* From now on the nth such call, counted from 1, fails; `f` (which is not copied) NULL: none. */
void fault_arm(const struct fault *f, unsigned nth);
/* No more failures; true if there was one. */
bool fault_disarm(void);

/* Blocks that the daemon's code has asked for and not freed, and all open descriptors. */
long fault_blocks(void);
unsigned fault_descriptors(void);
