/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread-local listener behind slow_ahead().
 */
#include "slow.h"

#include <stddef.h>

static _Thread_local struct {
	void (*listener)(void *);
	void *data;
} mine;

void slow_ahead(void)
{
	if (mine.listener)
		mine.listener(mine.data);
}

void slow_listen(void (*listener)(void *), void *data)
{
	mine.listener = listener;
	mine.data = data;
}
