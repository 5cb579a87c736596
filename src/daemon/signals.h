/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The signals of the supervisor, which it reads from a descriptor, and what its worker has in their
 * place. What they mean is not known here.
 */
#pragma once

#include <signal.h>

/* Blocks those that are waited for. `ret_fd`: a signalfd(2) of them, which does not block;
 * `ret_mask`: what a worker, or what is checked before an upgrade, shall have blocked. 0 or -errno,
 * after which it can be called again. */
int signals_open(int *ret_fd, sigset_t *ret_mask);

/* In the worker, after fork(2). */
void signals_of_worker(const sigset_t *mask);
