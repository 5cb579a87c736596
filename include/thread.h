/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of the worker that answer no requests.
 */
#pragma once

#include <pthread.h>

/* Starts a thread that no signal is delivered to: those are for the threads that know what to do
 * with them. `name`: at most 15 characters, for ps and top. 0 or -errno. */
int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *data);
