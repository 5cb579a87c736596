/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each of many reads said, kept in files: a process for each would take longer than the reads.
 */
#include "poke.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "DIRECTORY/proc.meminfo.3.KIND" */
static void keep(const char *directory, const char *file, long round, const char *kind,
	const char *bytes, size_t length)
{
	char name[256], path[512];
	int fd;

	snprintf(name, sizeof(name), "%s", file);
	for (char *slash = name; (slash = strchr(slash, '/'));)
		*slash = '.';
	snprintf(path, sizeof(path), "%s/%s.%ld.%s", directory, name, round, kind);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, bytes, length) != (ssize_t)length)
		die(path);
	close(fd);
}

static void read_and_keep(const char *directory, const char *file, long round)
{
	char path[256];
	size_t length = 0;
	ssize_t n = -1;
	int fd, error;

	snprintf(path, sizeof(path), "/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, content + length, MOST - length)) > 0)
		length += (size_t)n;
	error = errno;
	if (fd >= 0)
		close(fd);
	keep(directory, file, round, "out", content, length);
	if (n < 0)
		keep(directory, file, round, "failed", strerror(error), strlen(strerror(error)));
}

/* each DIRECTORY ROUNDS FILES: reads each of the FILES (one word, blanks between them, paths below
 * "/") so often; NAME.ROUND.out is what it said, NAME.ROUND.failed the error that ended it. */
int poke_each(char **args)
{
	const long rounds = atol(args[1]);

	for (long round = 0; round < rounds; round++) {
		char files[4096], *rest = files, *file;

		snprintf(files, sizeof(files), "%s", args[2]);
		while ((file = strsep(&rest, " ")))
			if (*file)
				read_and_keep(args[0], file, round);
	}
	return 0;
}
