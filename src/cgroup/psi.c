/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pressure of a container's own cgroup on the unified hierarchy, which the kernel counts there
 * whether controllers are enabled or not. An ancestor's is other containers' as well, so none is
 * ever asked (SPEC 2.5).
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

static const enum cgroup_file files[PRESSURES] = {
	[PRESSURE_CPU] = FILE_PRESSURE_CPU,
	[PRESSURE_MEMORY] = FILE_PRESSURE_MEMORY,
	[PRESSURE_IO] = FILE_PRESSURE_IO,
	[PRESSURE_IRQ] = FILE_PRESSURE_IRQ,
};

static struct cgroup *unified_of(const struct cgroup_set *s)
{
	const int i = s->tree->layout->unified;

	return i < 0 ? NULL : s->in[i];
}

/* A kernel that was told not to count (psi=0) has either no such file or one that says so. */
static int without_file(int r)
{
	return r == -EOPNOTSUPP ? -ENOENT : r;
}

int cgroup_pressure(const struct cgroup_set *s, enum pressure what, struct text *t)
{
	struct cgroup *c = unified_of(s);
	struct slice text;
	int r = c ? cgroup_read(c, files[what], &text) : -ENOENT;

	if (r < 0)
		return without_file(r);
	if (text.n == 0)
		return cgroup_bad_text(c, files[what]);
	text_add(t, text.p, text.n);
	return text_error(t);
}

int cgroup_pressure_arm(
	const struct cgroup_set *s, enum pressure what, const struct pressure_trigger *trigger)
{
	struct cgroup *c = unified_of(s);
	char text[PRESSURE_TRIGGER_TEXT];
	autoclose int fd = c ? cgroup_open(c, files[what], O_RDWR) : -ENOENT;

	if (fd < 0)
		return fd;
	pressure_trigger_format(trigger, text);
	if (write(fd, text, strlen(text) + 1) < 0)
		return without_file(-errno);
	return steal_fd(&fd);
}
