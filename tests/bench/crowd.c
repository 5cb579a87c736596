/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many containers that live at the same time, or many processes of one container, each of which
 * reads when it is told to: what a first read costs, and what a read costs when they take turns.
 * Prints plain numbers.
 *
 * usage: crowd COUNT PROCESSES ROUNDS SETTLE FILE DIR...
 * COUNT containers with a cgroup below each DIR, a cgroup namespace of their own, and PROCESSES
 * that read. All read once; SETTLE seconds later they take turns, ROUNDS times, and as many reads
 * of the first one alone come after each round. Prints "first-median first-p99 turn-median turn-p99
 * one-median one-p99" in ns, then waits for the end of standard input (so that somebody may look at
 * the daemon), and takes all away.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../mount/smallct.h"
#include "timing.h"

struct reader {
	int ask[2], answer[2];
};

static struct smallct_config config = { .name = "crowd" };

static _Noreturn void be_reader(const struct reader *r, const char *file)
{
	char byte;

	close(r->ask[1]);
	while (read(r->ask[0], &byte, 1) == 1) {
		uint64_t ns = timing_cycle(file);

		if (write(r->answer[1], &ns, sizeof(ns)) != sizeof(ns))
			break;
	}
	_exit(EXIT_SUCCESS);
}

/* Its init reads, too. */
static _Noreturn void be_container(long id, const struct reader *readers, long n, const char *file)
{
	char path[4096];

	if (!smallct_join(&config, id, path, sizeof(path)) || unshare(CLONE_NEWCGROUP) < 0)
		_exit(EXIT_FAILURE);
	for (long i = 1; i < n; i++) {
		const pid_t pid = fork();

		if (pid < 0)
			_exit(EXIT_FAILURE); /* and all of them with their init: nobody waits for
						one */
		if (pid == 0)
			be_reader(&readers[i], file);
	}
	be_reader(&readers[0], file);
}

/* Returns its init. */
static pid_t start_container(long id, struct reader *readers, long n, const char *file)
{
	char path[4096];
	pid_t pid;

	if (!smallct_make(&config, id, 0, path, sizeof(path)))
		return -1;
	for (long i = 0; i < n; i++)
		if (pipe2(readers[i].ask, O_CLOEXEC) < 0 || pipe2(readers[i].answer, O_CLOEXEC) < 0)
			return -1;
	pid = smallct_fork();
	if (pid == 0)
		be_container(id, readers, n, file);
	for (long i = 0; i < n; i++) {
		close(readers[i].ask[0]);
		close(readers[i].answer[1]);
	}
	return pid;
}

/* 0: it is dead. */
static uint64_t ask_reader(const struct reader *r)
{
	uint64_t ns;

	if (write(r->ask[1], "", 1) != 1 || read(r->answer[0], &ns, sizeof(ns)) != sizeof(ns))
		return 0;
	return ns;
}

static bool ask_all(const struct reader *readers, long n, uint64_t *ns)
{
	for (long i = 0; i < n; i++) {
		ns[i] = ask_reader(&readers[i]);
		if (ns[i] == 0)
			return false;
	}
	return true;
}

static bool ask_one(const struct reader *readers, long n, uint64_t *ns)
{
	for (long i = 0; i < n; i++) {
		ns[i] = ask_reader(&readers[0]);
		if (ns[i] == 0)
			return false;
	}
	return true;
}

static bool measure(const struct reader *readers, long n, long rounds, unsigned settle,
	uint64_t *ns, uint64_t *ones)
{
	if (!ask_all(readers, n, ns))
		return false;
	timing_print(ns, (size_t)n);
	putchar(' ');
	sleep(settle);
	for (long r = 0; r < rounds; r++)
		if (!ask_all(readers, n, ns + r * n) || !ask_one(readers, n, ones + r * n))
			return false;
	timing_print(ns, (size_t)(rounds * n));
	putchar(' ');
	timing_print(ones, (size_t)(rounds * n));
	putchar('\n');
	return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
	const bool told = argc > 6;
	const long count = told ? atol(argv[1]) : 0, each = told ? atol(argv[2]) : 0;
	const long n = count * each, rounds = told ? atol(argv[3]) : 0;
	struct reader *readers = calloc((size_t)n + 1, sizeof(*readers));
	pid_t *inits = calloc((size_t)count + 1, sizeof(*inits));
	uint64_t *ns = calloc((size_t)(n * (rounds + 1)) + 1, sizeof(*ns));
	uint64_t *ones = calloc((size_t)(n * rounds) + 1, sizeof(*ones));
	bool good = n > 0 && rounds > 0 && readers && inits && ns && ones;
	long made = 0;
	char byte;

	if (!good) {
		fprintf(stderr, "usage: crowd COUNT PROCESSES ROUNDS SETTLE FILE DIR...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	config.dirs = argv + 6;
	while (good && made < count) {
		inits[made] = start_container(made, &readers[made * each], each, argv[5]);
		good = inits[made++] > 0;
	}
	good = good && measure(readers, n, rounds, (unsigned)atol(argv[4]), ns, ones);
	if (!good)
		fprintf(stderr, "crowd: %ld of %ld containers: %s\n", made, count, strerror(errno));
	while (good && read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	for (long i = 0; i < made; i++) {
		if (inits[i] > 0) {
			kill(inits[i], SIGKILL);
			waitpid(inits[i], NULL, 0);
		}
		smallct_remove(&config, i);
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
