/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each of many reads said, kept in files: a process for each would take longer than the reads.
 */
#include "poke.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* What is asked about a path: the answer is `content`, of `*length` bytes; 0 or errno. */

static int read_file(const char *path, size_t *length)
{
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;

	while (fd >= 0 && (n = read(fd, content + *length, MOST - *length)) > 0)
		*length += (size_t)n;
	error = n < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return error;
}

static int list(const char *path, size_t *length)
{
	struct dirent **names;
	const int n = scandir(path, &names, NULL, alphasort);

	if (n < 0)
		return errno;
	for (int i = 0; i < n; i++) {
		*length += (size_t)snprintf(content + *length, MOST - *length, "%s %u\n",
			names[i]->d_name, names[i]->d_type);
		free(names[i]);
	}
	free(names);
	return 0;
}

/* Those that stay as they are, which the kernel may not say out of its cache. */
static int attributes(const char *path, size_t *length)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS,
		    &st) < 0)
		return errno;
	*length = (size_t)snprintf(content, MOST, "%o %u %u %u %llu %llu\n", st.stx_mode,
		st.stx_nlink, st.stx_uid, st.stx_gid, (unsigned long long)st.stx_ino,
		(unsigned long long)st.stx_size);
	return 0;
}

/* Making what is there already is where the kernel looks a name up that it knows. */
static int look_up(const char *path, size_t *length)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return errno;
	*length = (size_t)snprintf(content, MOST, "there\n");
	return 0;
}

static const struct question {
	const char *word;
	int (*ask)(const char *path, size_t *length);
} questions[] = {
	{ "ls:", list },
	{ "stat:", attributes },
	{ "look:", look_up },
	{ "", read_file },
};

static const struct question *question_of(const char *file)
{
	const struct question *q = questions;

	while (strncmp(file, q->word, strlen(q->word)) != 0)
		q++;
	return q;
}

static void ask_and_keep(const char *directory, const char *file, long round)
{
	const struct question *q = question_of(file);
	char path[256];
	size_t length = 0;
	int error;

	snprintf(path, sizeof(path), "/%s", file + strlen(q->word));
	error = q->ask(path, &length);
	keep(directory, file, round, "out", content, length);
	if (error)
		keep(directory, file, round, "failed", strerror(error), strlen(strerror(error)));
}

/* each DIRECTORY ROUNDS FILES: reads each of the FILES (one word, blanks between them, paths below
 * "/") so often, or lists it, or asks for its attributes, or looks it up (ls:PATH, stat:PATH,
 * look:PATH); NAME.ROUND.out is what it said, NAME.ROUND.failed the error that ended it. */
int poke_each(char **args)
{
	const long rounds = atol(args[1]);

	for (long round = 0; round < rounds; round++) {
		char files[4096], *rest = files, *file;

		snprintf(files, sizeof(files), "%s", args[2]);
		while ((file = strsep(&rest, " ")))
			if (*file)
				ask_and_keep(args[0], file, round);
	}
	return 0;
}
