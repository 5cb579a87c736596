/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many containers that live at the same time, each of which reads when it is told to: what a first
 * read costs, and what a read costs when the containers take turns. Prints plain numbers.
 *
 * usage: crowd COUNT ROUNDS SETTLE FILE DIR...
 * COUNT containers with a cgroup below each DIR and a cgroup namespace of their own. All read once;
 * SETTLE seconds later they take turns, ROUNDS times, and as many reads of the first one alone come
 * after each round. Prints "first-median first-p99 turn-median turn-p99 one-median one-p99" in ns,
 * then waits for the end of standard input (so that somebody may look at the daemon), and takes all
 * away.
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

struct member {
	pid_t pid;
	int ask, answer;
};

static struct smallct_config config = { .name = "crowd" };

static _Noreturn void be_member(long id, const char *file, int ask, int answer)
{
	char path[4096], byte;

	if (!smallct_join(&config, id, path, sizeof(path)) || unshare(CLONE_NEWCGROUP) < 0)
		_exit(EXIT_FAILURE);
	while (read(ask, &byte, 1) == 1) {
		uint64_t ns = timing_cycle(file);

		if (write(answer, &ns, sizeof(ns)) != sizeof(ns))
			break;
	}
	_exit(EXIT_SUCCESS);
}

static bool start_member(struct member *m, long id, const char *file)
{
	char path[4096];
	int ask[2], answer[2];

	if (!smallct_make(&config, id, 0, path, sizeof(path)) || pipe2(ask, O_CLOEXEC) < 0 ||
		pipe2(answer, O_CLOEXEC) < 0)
		return false;
	m->pid = smallct_fork();
	if (m->pid == 0) {
		close(ask[1]);
		be_member(id, file, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	m->ask = ask[1];
	m->answer = answer[0];
	return m->pid > 0;
}

/* 0: it is dead. */
static uint64_t ask_member(const struct member *m)
{
	uint64_t ns;

	if (write(m->ask, "", 1) != 1 || read(m->answer, &ns, sizeof(ns)) != sizeof(ns))
		return 0;
	return ns;
}

static bool ask_all(const struct member *members, long n, uint64_t *ns)
{
	for (long i = 0; i < n; i++) {
		ns[i] = ask_member(&members[i]);
		if (ns[i] == 0)
			return false;
	}
	return true;
}

static bool ask_one(const struct member *members, long n, uint64_t *ns)
{
	for (long i = 0; i < n; i++) {
		ns[i] = ask_member(&members[0]);
		if (ns[i] == 0)
			return false;
	}
	return true;
}

static bool measure(const struct member *members, long n, long rounds, unsigned settle,
	uint64_t *ns, uint64_t *ones)
{
	if (!ask_all(members, n, ns))
		return false;
	timing_print(ns, (size_t)n);
	putchar(' ');
	sleep(settle);
	for (long r = 0; r < rounds; r++)
		if (!ask_all(members, n, ns + r * n) || !ask_one(members, n, ones + r * n))
			return false;
	timing_print(ns, (size_t)(rounds * n));
	putchar(' ');
	timing_print(ones, (size_t)(rounds * n));
	putchar('\n');
	return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
	const long count = argc > 5 ? atol(argv[1]) : 0, rounds = argc > 5 ? atol(argv[2]) : 0;
	struct member *members = calloc((size_t)count + 1, sizeof(*members));
	uint64_t *ns = calloc((size_t)(count * (rounds + 1)) + 1, sizeof(*ns));
	uint64_t *ones = calloc((size_t)(count * rounds) + 1, sizeof(*ones));
	bool good = count > 0 && rounds > 0 && members && ns && ones;
	long made = 0;
	char byte;

	if (!good) {
		fprintf(stderr, "usage: crowd COUNT ROUNDS SETTLE FILE DIR...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	config.dirs = argv + 5;
	while (good && made < count) {
		good = start_member(&members[made], made, argv[4]);
		made++;
	}
	good = good && measure(members, count, rounds, (unsigned)atol(argv[3]), ns, ones);
	if (!good)
		fprintf(stderr, "crowd: %ld of %ld containers: %s\n", made, count, strerror(errno));
	while (good && read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	for (long i = 0; i < made; i++) {
		if (members[i].pid > 0) {
			kill(members[i].pid, SIGKILL);
			waitpid(members[i].pid, NULL, 0);
		}
		smallct_remove(&config, i);
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
