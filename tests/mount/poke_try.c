/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mutations one by one, with the error's name; what may come of them is the test's business
 * (mutate.c knows that itself, and tries everything on everything).
 */
#include "poke.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd >= 0)
		close(fd);
	return fd;
}

static int try_write_only(const char *path)
{
	return try_open(path, O_WRONLY);
}

static int try_read_write(const char *path)
{
	return try_open(path, O_RDWR);
}

static int try_open_truncate(const char *path)
{
	return try_open(path, O_WRONLY | O_TRUNC);
}

static int try_truncate(const char *path)
{
	return truncate(path, 0);
}

static int try_chmod(const char *path)
{
	return chmod(path, 0777);
}

static int try_chown(const char *path)
{
	return chown(path, 1, 1);
}

static int try_utimes(const char *path)
{
	return utimensat(AT_FDCWD, path, NULL, 0);
}

static int try_setxattr(const char *path)
{
	return setxattr(path, "user.poke", "1", 1, 0);
}

static int try_removexattr(const char *path)
{
	return removexattr(path, "user.poke");
}

static int try_unlink(const char *path)
{
	return unlink(path);
}

static int try_rmdir(const char *path)
{
	return rmdir(path);
}

/* A name beside the file that does not exist. */
static const char *beside(const char *path)
{
	static char name[4096];

	snprintf(name, sizeof(name), "%s.poke", path);
	return name;
}

static int try_rename(const char *path)
{
	return rename(path, beside(path));
}

static int try_link(const char *path)
{
	return link(path, beside(path));
}

static int try_symlink(const char *path)
{
	return symlink("x", beside(path));
}

static int try_create(const char *path)
{
	return try_open(beside(path), O_WRONLY | O_CREAT | O_EXCL);
}

static int try_mkdir(const char *path)
{
	return mkdir(beside(path), 0755);
}

static int try_mknod(const char *path)
{
	return mknod(beside(path), S_IFIFO | 0644, 0);
}

static const struct mutation {
	const char *name;
	int (*run)(const char *path);
} mutations[] = {
	{ "write-only", try_write_only },
	{ "read-write", try_read_write },
	{ "open-truncate", try_open_truncate },
	{ "truncate", try_truncate },
	{ "chmod", try_chmod },
	{ "chown", try_chown },
	{ "utimes", try_utimes },
	{ "setxattr", try_setxattr },
	{ "removexattr", try_removexattr },
	{ "unlink", try_unlink },
	{ "rmdir", try_rmdir },
	{ "rename", try_rename },
	{ "link", try_link },
	{ "symlink", try_symlink },
	{ "create", try_create },
	{ "mkdir", try_mkdir },
	{ "mknod", try_mknod },
};

/* try PATH: every mutation, one "name ERROR" a line. */
int poke_try(char **args)
{
	for (size_t i = 0; i < sizeof(mutations) / sizeof(mutations[0]); i++) {
		errno = 0;
		if (mutations[i].run(args[0]) >= 0)
			printf("%s done\n", mutations[i].name);
		else
			printf("%s %s\n", mutations[i].name, strerrorname_np(errno));
	}
	return 0;
}
