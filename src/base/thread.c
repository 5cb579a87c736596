/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting a thread. What it does is its starter's.
 */
#include "thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *data)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret, NULL, run, data);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_setname_np(*ret, name);
	return -r;
}
