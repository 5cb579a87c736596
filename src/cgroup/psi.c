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

static bool parse_total(struct slice text, bool full, uint64_t *ret_us)
{
	struct slice line, word;
	const char *key = "total=";

	while (slice_line(&text, &line)) {
		if (!slice_word(&line, &word) || !slice_equal(word, full ? "full" : "some"))
			continue;
		while (slice_word(&line, &word))
			if (slice_starts(word, key))
				return slice_u64((struct slice){ word.p + strlen(key),
							 word.n - strlen(key) },
					ret_us);
	}
	return false;
}

int cgroup_pressure_total(int fd, const struct pressure_trigger *trigger, uint64_t *ret_us)
{
	char text[512];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	if (n < 0)
		return -errno;
	return parse_total((struct slice){ text, (size_t)n }, trigger->full, ret_us) ? 0 : -EBADMSG;
}

int cgroup_pressure_arm(const struct cgroup_set *s, enum pressure what,
	const struct pressure_trigger *trigger, uint64_t *ret_total_us)
{
	struct cgroup *c = unified_of(s);
	char text[PRESSURE_TRIGGER_TEXT];
	autoclose int fd = c ? cgroup_open(c, files[what], O_RDWR) : -ENOENT;
	int r;

	if (fd < 0)
		return fd;
	r = cgroup_pressure_total(fd, trigger, ret_total_us);
	if (r < 0)
		return without_file(r);
	pressure_trigger_format(trigger, text);
	if (write(fd, text, strlen(text) + 1) < 0)
		return without_file(-errno);
	return steal_fd(&fd);
}
