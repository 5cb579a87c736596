/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whoever is about to do something slow (build a container's record, refresh a snapshot of the
 * host, wait for a lock that such a one holds) says so here first. A worker thread uses the call
 * to let another thread wait on the device in its place; elsewhere it does nothing.
 */
#pragma once

#include <stdbool.h>

#include "clock.h"

/* Tells the calling thread's listener, if it has one. Cheap; may be called any number of times. 0;
 * -EAGAIN, and nobody is told, where the thread refuses: what is reached from there gives up. */
int slow_ahead(void);

/* What the calling thread does next nobody waits for, so it is not worth anything slow. */
void slow_refuse(bool refuse);

/* What took longer than this last time is announced, what did not is not: not much more than it
 * takes to wake another thread up. */
#define SLOW_NS (100 * NS_PER_US)

/* Sets the calling thread's listener; NULL takes it away. */
void slow_listen(void (*listener)(void *), void *data);
