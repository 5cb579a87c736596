/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pressure triggers are armed by writing to a cgroup's file, and the worker may open nothing for
 * writing. So a process beside it does that, and nothing else: it opens *.pressure files of the
 * unified hierarchy and hands the descriptors over.
 */
#pragma once

#include "options.h"

/* Starts it, before the caller gives up its privileges. It ends when the caller does. A socket to
 * ask through, -ENOENT where there is no unified hierarchy, -errno. */
int opener_start(const struct options *options);

/* Asks it for the file at `path`, relative to the hierarchy's mount point. A descriptor or -errno.
 * `data`: points to the socket. A cgroup_open_fn. */
int opener_ask(void *data, const char *path);
