/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread-local listener behind slow_ahead().
 */
#include "slow.h"

#include <errno.h>
#include <stddef.h>

static _Thread_local struct {
	void (*listener)(void *);
	void *data;
	bool refuses;
} mine;

int slow_ahead(void)
{
	if (mine.refuses)
		return -EAGAIN;
	if (mine.listener)
		mine.listener(mine.data);
	return 0;
}

void slow_refuse(bool refuse)
{
	mine.refuses = refuse;
}

void slow_listen(void (*listener)(void *), void *data)
{
	mine.listener = listener;
	mine.data = data;
}
