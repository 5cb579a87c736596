/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cgroups by mkdir(2), a pid namespace by clone(2), and nothing else.
 */
#include "smallct.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REMOVE_TRIES 1000 /* of 2 ms */

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return good;
}

void smallct_path(const struct smallct_config *c, char *path, size_t size, const char *dir, long id,
	const char *file)
{
	snprintf(path, size, "%s/%s%ld%s%s", dir, c->name, id, file ? "/" : "", file ? file : "");
}

bool smallct_make(const struct smallct_config *c, long id, long limit_kb, char *path, size_t size)
{
	char limit[32];

	for (char **dir = c->dirs; *dir; dir++) {
		smallct_path(c, path, size, *dir, id, NULL);
		if (mkdir(path, 0755) < 0)
			return false;
	}
	if (!c->limit_file)
		return true;
	smallct_path(c, path, size, c->dirs[0], id, c->limit_file);
	snprintf(limit, sizeof(limit), "%ld", limit_kb * 1024);
	return put(path, limit);
}

void smallct_remove(const struct smallct_config *c, long id)
{
	char path[4096];

	for (char **dir = c->dirs; *dir; dir++) {
		smallct_path(c, path, sizeof(path), *dir, id, NULL);
		for (int i = 0; rmdir(path) < 0 && errno == EBUSY && i < REMOVE_TRIES; i++)
			usleep(2000);
	}
}

pid_t smallct_fork(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
}

bool smallct_join(const struct smallct_config *c, long id, char *path, size_t size)
{
	for (char **dir = c->dirs; *dir; dir++) {
		smallct_path(c, path, size, *dir, id, "cgroup.procs");
		if (!put(path, "0"))
			return false;
	}
	return true;
}
