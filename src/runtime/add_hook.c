/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lxcfs --oci-add-hook: for whoever starts containers through a runtime that knows no directory of
 * hooks (Docker). The bundle is its caller's own; a config.json is replaced whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "runtime.h"

#define CONFIG "config.json"
#define NEW_CONFIG CONFIG ".lxcfs"
#define MAX_CONFIG (16 << 20)

static int write_all(int fd, const struct text *t)
{
	size_t done = 0;

	while (done < t->len) {
		ssize_t n = write(fd, t->data + done, t->len - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* With the owner and mode that the old one had. */
static int replace(int bundle, const struct text *t)
{
	autoclose int fd = -1;
	struct stat old;
	int r;

	if (fstatat(bundle, CONFIG, &old, 0) < 0)
		return -errno;
	unlinkat(bundle, NEW_CONFIG, 0);
	fd = openat(bundle, NEW_CONFIG, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, t);
	if (r == 0 &&
		(fchown(fd, old.st_uid, old.st_gid) < 0 || fchmod(fd, old.st_mode & 07777) < 0))
		r = -errno;
	if (r == 0 && fsync(fd) < 0) /* some tell of a full disk only then */
		r = -errno;
	if (r == 0 && renameat(bundle, NEW_CONFIG, bundle, CONFIG) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(bundle, NEW_CONFIG, 0);
	return r;
}

static int own_path(char *ret, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", ret, size - 1);

	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return 0;
}

static int add_hook(const char *path, const char *dir)
{
	autoclose int bundle = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autotext old = { 0 }, new = { 0 };
	char program[4096];
	int r;

	if (bundle < 0)
		return -errno;
	r = own_path(program, sizeof(program));
	if (r == 0)
		r = read_file_bounded(bundle, CONFIG, MAX_CONFIG, 0, &old);
	if (r == 0)
		r = oci_config_add_hook(slice_of(&old), program, dir, &new);
	return r < 0 ? r : r == 1 ? 0 : replace(bundle, &new);
}

int runtime_oci_add_hook(const struct options *options)
{
	int r = add_hook(options->bundle, options->dir);

	if (r == 0)
		return 0;
	fprintf(stderr, "lxcfs: cannot add the hook to %s/" CONFIG ": %s: %s\n", options->bundle,
		strerror(-r),
		r == -EINVAL ? "it is not what the OCI runtime specification calls a configuration"
			     : "is it a bundle, and may this user write it?");
	return 1;
}
