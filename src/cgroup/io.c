/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a container's own cgroup has read and written, device by device.
 */
#include "tree.h"

#include <errno.h>
#include <limits.h>

#include "cleanup.h"

bool cgroup_io_number(struct slice word, unsigned *ret_major, unsigned *ret_minor)
{
	struct slice major;
	uint64_t a, b;

	if (!slice_cut(&word, ':', &major) || !slice_u64(major, &a) || !slice_u64(word, &b) ||
		a > UINT_MAX || b > UINT_MAX)
		return false;
	*ret_major = (unsigned)a;
	*ret_minor = (unsigned)b;
	return true;
}

struct cgroup_io_device *cgroup_io_device(struct cgroup_io *io, unsigned major, unsigned minor)
{
	/* Both versions' files are sorted by device, so the last is mostly the right one. */
	for (size_t i = io->n; i-- > 0;)
		if (io->devices[i].major == major && io->devices[i].minor == minor)
			return &io->devices[i];
	if ((io->n & (io->n - 1)) == 0) { /* full: capacity is the next power of two */
		size_t capacity = io->n ? 2 * io->n : 1;
		struct cgroup_io_device *more = reallocarray(io->devices, capacity, sizeof(*more));

		if (!more)
			return NULL;
		io->devices = more;
	}
	io->devices[io->n] = (struct cgroup_io_device){ .major = major, .minor = minor };
	return &io->devices[io->n++];
}

static bool is_idle(const struct cgroup_io_device *d)
{
	return (d->read_bytes | d->write_bytes | d->discard_bytes | d->reads | d->writes |
		       d->discards) == 0;
}

static void drop_idle(struct cgroup_io *io)
{
	size_t kept = 0;

	for (size_t i = 0; i < io->n; i++)
		if (!is_idle(&io->devices[i]))
			io->devices[kept++] = io->devices[i];
	io->n = kept;
}

int cgroup_io(const struct cgroup_set *s, struct cgroup_io *ret)
{
	struct cgroup *c = cgroup_serving(s, CGROUP_IO);
	struct cgroup_io io = { 0 };
	int r = c ? cgroup_version(c)->io(c, &io) : 0;

	if (r < 0 && r != -ENOENT) {
		cgroup_io_free(&io);
		return r;
	}
	drop_idle(&io);
	*ret = io;
	return 0;
}

void cgroup_io_free(struct cgroup_io *io)
{
	free(io->devices);
	*io = (struct cgroup_io){ 0 };
}
