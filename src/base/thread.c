/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting a thread. What it does is its starter's.
 */
#include "thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *data)
{
	char own_name[16] = "";
	sigset_t all, before;
	int r;

	/* A thread inherits its maker's name. Another one's is written through /proc, which the
	 * worker may not. */
	pthread_getname_np(pthread_self(), own_name, sizeof(own_name));
	pthread_setname_np(pthread_self(), name);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret, NULL, run, data);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setname_np(pthread_self(), own_name);
	return -r;
}
