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

/* Of what else there is to see of it a shortage alone is an error: else it has just ended, or may
 * not be looked at so closely. */
static int shortage(int r)
{
	return is_shortage(r) ? r : 0;
}

/* Sets `ret` when it is in another one, as far as can be told. */
static int compare_namespaces(const struct root *root, pid_t pid, const char *name, bool *ret)
{
	char path[64], own[64];
	struct stat theirs, ours;

	snprintf(path, sizeof(path), "%d/ns/%s", (int)pid, name);
	snprintf(own, sizeof(own), "self/ns/%s", name);
	if (fstatat(root->proc, path, &theirs, 0) < 0 || fstatat(root->proc, own, &ours, 0) < 0) {
		*ret = true;
		return shortage(-errno);
	}
	*ret |= theirs.st_ino != ours.st_ino;
	return 0;
}

/* 1: that is the one. */
static int peek(int dirfd, const char *name, bool *ret)
{
	char target[64];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	autoclose int fd = -1;
	int r;

	if (n < 0)
		return shortage(-errno);
	target[n] = '\0';
	if (!slice_starts(slice_str(target), "/memfd:" HANDOVER_NAME))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : handover_peek_pass_through(fd, ret);
	return r == 0 ? 1 : shortage(r);
}

/* The hand-over memory is found among its descriptors. */
static int find_pass_through(const struct root *root, struct inspect_daemon *d)
{
	char path[64];
	autodir *dir = NULL;
	struct dirent *entry;
	int r = 0;

	snprintf(path, sizeof(path), "%d/fd", (int)d->pid);
	dir = open_dir_at(root->proc, path);
	if (!dir)
		return shortage(-errno);
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		r = peek(dirfd(dir), entry->d_name, &d->pass_through);
	if (r == 0)
		r = shortage(-errno);
	return r < 0 ? r : 0;
}

/* Its superblock's device number, where DIR is an absolute path. */
static int find_mount(const struct root *root, struct inspect_daemon *d)
{
	autotext mountinfo = { 0 };
	struct mounts mounts;
	int r = d->options.dir ? read_of(root, d->pid, "mountinfo", &mountinfo) : -ENOENT;

	if (r == 0)
		r = mounts_parse(slice_of(&mountinfo), NULL, &mounts);
	if (r < 0)
		return shortage(r);
	for (size_t i = 0; i < mounts.n; i++) {
		const struct mount *m = &mounts.list[i];

		if (!m->visible || !slice_equal(m->point, d->options.dir))
			continue;
		d->major = m->major;
		d->minor = m->minor;
	}
	mounts_free(&mounts);
	return 0;
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
	if (r == 0)
		r = find_pass_through(root, ret);
	if (r == 0)
		r = compare_namespaces(root, ret->pid, "pid", &ret->elsewhere);
	if (r == 0)
		r = compare_namespaces(root, ret->pid, "cgroup", &ret->elsewhere);
	return r == 0 ? find_mount(root, ret) : r;
}

void inspect_daemon_free(struct inspect_daemon *d)
{
	text_free(&d->command);
}
