/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scope-bound release of memory and descriptors, in place of goto ladders.
 * A function that hands such a variable on to its caller says so with steal_ptr() or steal_fd().
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define autofree __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))

#define steal_ptr(p)                                                                               \
	__extension__({                                                                            \
		__auto_type _stolen = *(p);                                                        \
		*(p) = NULL;                                                                       \
		_stolen;                                                                           \
	})

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#define countof(array) (sizeof(array) / sizeof((array)[0]))
