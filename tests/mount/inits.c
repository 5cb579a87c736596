/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 *   inits COUNT READY PATH...
 *
 * Makes so many pid namespaces, whose inits read each file once and stay until the program is
 * killed. Then there is a file READY. Must not know what they should be shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "inits: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_once(const char *path)
{
	char buffer[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, buffer, sizeof(buffer)) < 0)
		die(path);
	close(fd);
}

static _Noreturn void be_init(char **paths, int done)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (; *paths; paths++)
		read_once(*paths);
	if (write(done, "", 1) != 1)
		die("pipe");
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int done[2];
	char byte;

	if (argc < 4 || pipe2(done, O_CLOEXEC) < 0)
		die("usage: inits COUNT READY PATH...");
	for (int i = atoi(argv[1]); i > 0; i--) {
		const long pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

		if (pid < 0)
			die("clone");
		if (pid == 0)
			be_init(argv + 3, done[1]);
		/* One after the other: the machine has other things to do. */
		if (read(done[0], &byte, 1) != 1)
			die("an init ended");
	}
	close(open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	for (;;)
		pause();
}
