/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fills cgroups with sleeping processes, which end with it. Must cost as little as it can, for
 * there are ten thousand of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "sleepers: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *dir, unsigned long cgroup)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%lu/cgroup.procs", dir, cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
}

static _Noreturn void sleep_for_good(unsigned seconds)
{
	for (;;) {
		if (seconds > 0)
			sleep(seconds);
		else
			pause();
	}
}

static void start_one(unsigned seconds)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sleep_for_good(seconds);
}

/*
 * sleepers CGROUPS COUNT SECONDS DIRECTORY...: so many processes in each of the cgroups 0, 1, ...
 * below the DIRECTORY of each hierarchy, one of which wakes up that often (0: none). A line when
 * all are there.
 */
int main(int argc, char **argv)
{
	unsigned long count;
	unsigned seconds;

	if (argc < 5) {
		fprintf(stderr, "usage: sleepers CGROUPS COUNT SECONDS DIRECTORY...\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	seconds = (unsigned)strtoul(argv[3], NULL, 10);
	for (unsigned long i = strtoul(argv[1], NULL, 10); i-- > 0;) {
		for (char **dir = argv + 4; *dir; dir++)
			enter(*dir, i);
		/* It is the last of the last cgroup itself. */
		for (unsigned long n = 0; n < count - (i == 0); n++)
			start_one(n == 0 ? seconds : 0);
	}
	puts("all sleep");
	fflush(stdout);
	sleep_for_good(0);
}
