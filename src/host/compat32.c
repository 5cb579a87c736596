/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files whose text the kernel makes differ for 32-bit callers: it looks at the personality of
 * whoever reads (arch/arm64/kernel/cpuinfo.c, c_show()).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

#include "cleanup.h"
#include "formats.h"
#include "snapshot.h"

#define QUERY 0xffffffffu

static bool is_linux32(unsigned long persona)
{
	return (persona & PER_MASK) == PER_LINUX32;
}

bool host_personality_is_compat32(struct slice text)
{
	char hex[32] = "";

	if (text.n == 0 || text.n >= sizeof(hex))
		return false;
	memcpy(hex, text.p, text.n);
	return is_linux32(strtoul(hex, NULL, 16));
}

bool host_caller_is_compat32(const struct root *root, pid_t tid)
{
	char path[64];
	autotext t = { 0 };

	snprintf(path, sizeof(path), "%d/personality", tid);
	return read_file_at(root->proc, path, &t) == 0 &&
		host_personality_is_compat32(slice_of(&t));
}

/* A personality is a thread's own, so no thread is needed for that but the one that reads. A
 * kernel that refuses it has no 32-bit callers either. */
int host_read_compat32(int fd, struct text *t)
{
	const int before = personality(QUERY);
	/* The worker may not set that flag (daemon/sandbox_filter.c). */
	const unsigned long own = (unsigned long)before & ~(unsigned long)READ_IMPLIES_EXEC;
	int r;

	if (before >= 0)
		personality((own & ~(unsigned long)PER_MASK) | PER_LINUX32);
	r = read_fd(fd, t);
	if (before >= 0)
		personality(own);
	return r;
}
