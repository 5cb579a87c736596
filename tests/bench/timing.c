/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the benchmarks' programs share.
 */
#include "timing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* The kernel pins every page of it for each read: one like those of programs that read such files.
 */
static char buffer[16u << 10];

static _Noreturn void die(const char *file)
{
	fprintf(stderr, "%s: %s\n", file, errno ? strerror(errno) : "empty");
	_exit(EXIT_FAILURE);
}

uint64_t timing_cycle(const char *file)
{
	const uint64_t began = clock_monotonic_ns();
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n, length = 0;

	if (fd < 0)
		die(file);
	errno = 0;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		length += n;
	if (n < 0 || length == 0)
		die(file);
	close(fd);
	return clock_monotonic_ns() - began;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t timing_percentile(uint64_t *ns, size_t n, unsigned percent)
{
	qsort(ns, n, sizeof(*ns), by_size);
	return ns[n * percent / 100];
}

void timing_print(uint64_t *ns, size_t n)
{
	const uint64_t median = timing_percentile(ns, n, 50);

	printf("%llu %llu", (unsigned long long)median,
		(unsigned long long)timing_percentile(ns, n, 99));
}
