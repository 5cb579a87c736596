/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the kernel's files are read from. In service that is the machine itself; a test hands in
 * a captured tree with proc/ and sys/ below one directory. Nothing in the core library opens a
 * path that does not start from here.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define autodir __attribute__((cleanup(cleanup_closedir))) DIR

static inline void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

struct root {
	int top;  /* "/" or the captured tree: mount points are opened below it */
	int proc; /* its proc */
	int sys;  /* its sys */
};

#define ROOT_NONE ((struct root){ -1, -1, -1 })

/* Opens `path`, `path`/proc and `path`/sys. 0 or -errno. */
int root_open(const char *path, struct root *ret);
void root_close(struct root *root);

/* An error (-errno) that tells of the machine and nothing of the file: whoever went on as if there
 * were no such file would show a container what is not its own. */
static inline bool is_shortage(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EIO;
}

/* Opens a directory to be listed; a symbolic link is none. NULL with errno. */
DIR *open_dir_at(int dirfd, const char *path);

/* Appends the whole file: reads until the kernel says it is the end, since iterating files
 * (cpuinfo, diskstats, mountinfo) return short reads in the middle. 0 or -errno, the text then
 * being as it was. */
int read_file_at(int dirfd, const char *path, struct text *t);

/* The same, from offset 0 of a descriptor that stays open. */
int read_fd(int fd, struct text *t);

/* The same for files that are produced in one piece (cgroup files, /proc/stat, /proc/meminfo):
 * there a read that is shorter than the room is the end, which saves the second system call. The
 * text is of one moment even while other threads read the same descriptor. */
int read_fd_once(int fd, struct text *t);

/* As read_file_at(), but gives up after `max` bytes with -EFBIG, or with -ETIME when the calling
 * thread has had `cpu_ns` of a CPU for it (0: no such bound). */
int read_file_bounded(int dirfd, const char *path, size_t max, uint64_t cpu_ns, struct text *t);
