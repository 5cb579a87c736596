/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon that runs, as far as it changes what files say: its command line, whether SIGUSR2
 * switched it, where it is mounted. Only looks at it; takes no lock, sends no signal.
 */
#include "private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "handover.h"
#include "mounts.h"
#include "../daemon/pidfile.h"

static int read_of(const struct root *root, pid_t pid, const char *name, struct text *t)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	return read_file_at(root->proc, path, t);
}

/* Cuts the words apart. 0: not a command line that can be ours. */
static int split(struct inspect_daemon *d)
{
	struct slice rest = { d->command.data, d->command.len }, word;
	int argc = 0;

	text_add(&d->command, "", 1);
	if (text_error(&d->command) < 0)
		return 0;
	rest = (struct slice){ d->command.data, d->command.len - 1 };
	while (argc < (int)countof(d->argv) - 1 && slice_cut(&rest, '\0', &word))
		d->argv[argc++] = d->command.data + (word.p - d->command.data);
	return rest.n == 0 ? argc : 0;
}

/* What cannot be understood is told as such: the command line of another version. */
static int parse(struct inspect_daemon *d)
{
	FILE *nowhere = fopen("/dev/null", "w");
	char *argv[countof(d->argv)];
	int argc = split(d), r;

	if (!nowhere)
		return -errno;
	memcpy(argv, d->argv, sizeof(argv)); /* getopt_long(3) puts them into another order */
	r = argc > 0 ? options_parse(argc, argv, &d->options, nowhere) : 2;
	fclose(nowhere);
	return r == 0 ? 0 : -EINVAL;
}

static bool same_ns(const struct root *root, pid_t pid, const char *name)
{
	char path[64];
	struct stat theirs, ours;

	snprintf(path, sizeof(path), "%d/ns/%s", (int)pid, name);
	if (fstatat(root->proc, path, &theirs, 0) < 0)
		return false;
	snprintf(path, sizeof(path), "self/ns/%s", name);
	return fstatat(root->proc, path, &ours, 0) == 0 && theirs.st_ino == ours.st_ino;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The hand-over memory is found among its descriptors. */
static bool read_pass_through(const struct root *root, pid_t pid)
{
	char path[64], target[64];
	autoclose int dirfd = -1;
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	struct dirent *entry;
	bool on = false;

	snprintf(path, sizeof(path), "%d/fd", (int)pid);
	dirfd = openat(root->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = dirfd < 0 ? NULL : fdopendir(dup(dirfd));
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd, entry->d_name, target, sizeof(target) - 1);
		autoclose int fd = -1;

		target[n > 0 ? n : 0] = '\0';
		if (!slice_starts(slice_str(target), "/memfd:" HANDOVER_NAME))
			continue;
		fd = openat(dirfd, entry->d_name, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && handover_peek_pass_through(fd, &on) == 0)
			break;
	}
	return on;
}

/* Its superblock's device number, where DIR is an absolute path. */
static void find_mount(const struct root *root, struct inspect_daemon *d)
{
	autotext mountinfo = { 0 };
	struct mounts mounts;

	if (!d->options.dir || read_of(root, d->pid, "mountinfo", &mountinfo) < 0 ||
		mounts_parse(slice_of(&mountinfo), NULL, &mounts) < 0)
		return;
	for (size_t i = 0; i < mounts.n; i++) {
		const struct mount *m = &mounts.list[i];

		if (!m->visible || !slice_equal(m->point, d->options.dir))
			continue;
		d->major = m->major;
		d->minor = m->minor;
	}
	mounts_free(&mounts);
}

int inspect_find_daemon(
	const struct root *root, const struct options *options, struct inspect_daemon *ret)
{
	int r = pidfile_holder(root, options->pidfile, &ret->pid);

	if (r < 0 || ret->pid == 0)
		return r;
	r = read_of(root, ret->pid, "cmdline", &ret->command);
	if (r == 0)
		r = parse(ret);
	if (r < 0)
		return r;
	ret->pass_through = read_pass_through(root, ret->pid);
	ret->elsewhere = !same_ns(root, ret->pid, "pid") || !same_ns(root, ret->pid, "cgroup");
	find_mount(root, ret);
	return 0;
}

void inspect_daemon_free(struct inspect_daemon *d)
{
	text_free(&d->command);
}
