/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A reader of the benchmarks. Prints plain numbers; what they mean is the script's business.
 *
 *   cycle alternate BLOCKS CYCLES FILE...   each file in turn, BLOCKS times CYCLES of it; a line
 *                                           "median p99 ratio p99-ratio" for each: ns, ns, and the
 *                                           medians of its blocks' medians and p99s, each divided
 *                                           by that of the first file's block next to it: a CPU's
 *                                           speed changes within a run
 *   cycle count CYCLES FILE                 so many, and nothing said
 *   cycle many READERS SECONDS FILE         at once; prints cycles a second
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "timing.h"

#define FILES_MAX 16
#define WARM 50 /* cycles before a block that do not count */

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Leaves each block sorted. */
static double ratio(uint64_t *ns, uint64_t *base, size_t blocks, size_t n, unsigned percent)
{
	double *each = calloc(blocks, sizeof(*each)), median;

	if (!each)
		return 0;
	for (size_t b = 0; b < blocks; b++)
		each[b] = (double)timing_percentile(ns + b * n, n, percent) /
			(double)timing_percentile(base + b * n, n, percent);
	qsort(each, blocks, sizeof(*each), by_value);
	median = each[blocks / 2];
	free(each);
	return median;
}

static int alternate(int argc, char **argv)
{
	const size_t blocks = strtoul(argv[0], NULL, 10), n = strtoul(argv[1], NULL, 10);
	const int files = argc - 2;
	uint64_t *ns[FILES_MAX];
	double ratios[FILES_MAX], p99_ratios[FILES_MAX];

	if (files > FILES_MAX || blocks == 0 || n == 0)
		return EXIT_FAILURE;
	for (int f = 0; f < files; f++)
		if (!(ns[f] = calloc(blocks * n, sizeof(*ns[f]))))
			return EXIT_FAILURE;
	for (size_t b = 0; b < blocks; b++)
		for (int f = 0; f < files; f++) {
			for (int i = 0; i < WARM; i++)
				timing_cycle(argv[2 + f]);
			for (size_t i = 0; i < n; i++)
				ns[f][b * n + i] = timing_cycle(argv[2 + f]);
		}
	for (int f = files - 1; f >= 0; f--) {
		ratios[f] = ratio(ns[f], ns[0], blocks, n, 50);
		p99_ratios[f] = ratio(ns[f], ns[0], blocks, n, 99);
	}
	for (int f = 0; f < files; f++) {
		timing_print(ns[f], blocks * n);
		printf(" %.2f %.2f\n", ratios[f], p99_ratios[f]);
		free(ns[f]);
	}
	return EXIT_SUCCESS;
}

static int count(int argc, char **argv)
{
	(void)argc;
	for (unsigned long n = strtoul(argv[0], NULL, 10); n > 0; n--)
		timing_cycle(argv[1]);
	return EXIT_SUCCESS;
}

/* One of many: cycles until the time is over, and tells how many. */
static _Noreturn void read_until(uint64_t end, const char *file, int out)
{
	uint64_t n = 0;

	while (clock_monotonic_ns() < end) {
		timing_cycle(file);
		n++;
	}
	_exit(write(out, &n, sizeof(n)) == sizeof(n) ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int many(int argc, char **argv)
{
	const unsigned long readers = strtoul(argv[0], NULL, 10);
	const uint64_t length = (uint64_t)(strtod(argv[1], NULL) * NS_PER_S);
	const uint64_t end = clock_monotonic_ns() + length;
	unsigned long done = 0;
	uint64_t n, sum = 0;
	int pipes[2];

	(void)argc;
	if (length == 0 || pipe(pipes) < 0)
		return EXIT_FAILURE;
	for (unsigned long i = 0; i < readers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return EXIT_FAILURE;
		if (pid == 0)
			read_until(end, argv[2], pipes[1]);
	}
	close(pipes[1]);
	while (read(pipes[0], &n, sizeof(n)) == sizeof(n)) {
		sum += n;
		done++;
	}
	while (wait(NULL) > 0)
		continue;
	printf("%llu\n", (unsigned long long)(sum * NS_PER_S / length));
	return done == readers ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct {
	const char *name;
	int least;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "alternate", 3, alternate },
	{ "count", 2, count },
	{ "many", 3, many },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 >= commands[i].least)
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "usage: cycle COMMAND ARGUMENT...: its source tells\n");
	return 2;
}
