/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes memory, descriptors and reads fail one by one, for programs that are linked with faults.c
 * (and its --wrap list in meson.build, which puts it between the daemon's code and the C library).
 * Counts what that code holds meanwhile. Never fails a call of the test's own that is not armed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum fault_call {
	FAULT_MEMORY, /* malloc(3) and all that return what free(3) takes, or that the kernel or the
			 C library needs memory for itself: processes, maps, messages, what is
			 written */
	FAULT_OPEN,   /* whatever makes a descriptor, or receives one */
	FAULT_READ,   /* what reads a file, a link, a directory's or file's attributes, or asks the
			 kernel for a number or a file's driver for a change */
};

struct fault {
	enum fault_call call;
	int error;
	bool lasting; /* all calls from the nth on, as when the machine is out of it */
};

/* What is failed in turns: every error that code may meet anywhere. */
extern const struct fault faults[];
extern const unsigned n_faults;

/* From now on the nth such call, counted from 1, fails; `f` (which is not copied) NULL: none. Those
 * of children that are forked meanwhile count as well, and they learn of the end. */
void fault_arm(const struct fault *f, unsigned nth);
/* No more failures; true if there was one. */
bool fault_disarm(void);

/* More such calls than anything makes. */
#define FAILURES_MAX 5000u

/* One go at `what` with such a failure; false when it makes no more than nth - 1 of these calls. */
typedef bool fault_attempt(const void *what, const struct fault *f, unsigned nth);

/* Each failure in turns (but none of the errno `without`, 0 for no exception) at the first call,
 * the second, and so on to the last. Asserts that nothing more is held afterwards, and that each
 * kind of call is made when `all`. */
void faults_exhaust(fault_attempt *attempt, const void *what, int without, bool all);

/* Asserts that each failure but `without` meets a call of one of the `n` attempts, at `what` with
 * `size` bytes for each: else the calls go past what fails them, and every attempt is right. */
void faults_reach(fault_attempt *attempt, const void *what, size_t n, size_t size, int without);

/* Blocks that the daemon's code has asked for and not freed, and all open descriptors. */
long fault_blocks(void);
unsigned fault_descriptors(void);

/* For another file that stands in front of calls: such a call is to fail, and errno says how; so
 * many more blocks are held. */
bool fault_fails(enum fault_call call);
void fault_hold(long more);
