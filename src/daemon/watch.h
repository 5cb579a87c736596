/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What becomes of a request that kills or holds the thread that serves it: it is counted, so that
 * the next worker knows. A reader in state D waits for its answer even when it is killed, so a
 * worker that is stuck is worse than a dead one.
 */
#pragma once

#include "handover.h"

/* Seconds a request, or work ahead of one, may take before the worker is given up. A reader that is
 * killed meanwhile does not wait as long. */
#define WATCH_LIMIT_S 2
#define WATCH_LIMIT_PATIENT_S 10 /* under a debugger or a sanitizer */

/* A slot counted so often is not tried again. */
#define WATCH_CRASHES_MAX 2

/* Counts fatal signals of worker threads against their slots. Once, before the threads. */
void watch_install(void);

/* Gives the calling thread, the n-th of the worker, a stack on which that can be done, and notes
 * who it is. */
void watch_thread(unsigned n);

/* A request lies in `slot`, or its thread works ahead. handover_slot_clear() ends it. */
void watch_begin(struct handover_slot *slot);

struct loop;

/* Watches the slots of the first `n` threads, asleep while none is busy. Whoever does not ask for
 * what a slow source holds up waits some milliseconds at most. */
_Noreturn void watch_run(
	struct handover *handover, struct loop *loop, unsigned n, unsigned limit_s);
