/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place that decides whether a container is shown a rendered file or the kernel's bytes.
 * No renderer reads a file of the kernel on its own.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "log.h"
#include "view.h"

/* The sticky bit of a view in a subject's `virtualised`. A test pins that files are below 64. */
static uint64_t sticky_bit(const struct view *v)
{
	return UINT64_C(1) << (v->node % 64);
}

static bool was_virtualised(const struct view *v, const struct subject *s)
{
	return s->virtualised && (atomic_load(s->virtualised) & sticky_bit(v));
}

static void set_virtualised(const struct view *v, const struct subject *s)
{
	/* Almost always set already: no write to a cache line that all readers share. */
	if (s->virtualised && !was_virtualised(v, s))
		atomic_fetch_or(s->virtualised, sticky_bit(v));
}

/* SPEC 2.4 and 3: what never is the container's own, whatever its renderer would say. */
static bool passes_through(const struct view *v, const struct view_args *a)
{
	if (v->follows_init)
		return false;
	if (a->subject->is_host)
		return true;
	return v->needs != VIEW_NEEDS_NONE && !(a->layout->available & v->needs);
}

static int log_failure(const struct view *v, int r)
{
	/* ENODEV is the caller's: it looks for the container again. EAGAIN says that it would have
	 * been slow, to one who wanted nothing slow (slow.h). */
	if (r < 0 && r != -ENODEV && r != -EAGAIN)
		log_limited(v->path, "/%s cannot be read: %s", v->path, strerror(-r));
	return r;
}

/* -EIO for a container that had values of its own. */
static int may_see_host(const struct view *v, const struct view_args *a)
{
	if (!was_virtualised(v, a->subject))
		return 0;
	log_limited("virtualised",
		"/%s: a container lost the cgroup its values came from; it gets EIO, for the "
		"host's values would be wrong. Put the controller back for its cgroup, or "
		"restart the container",
		v->path);
	return -EIO;
}

static int kernels_own(const struct view *v, const struct view_args *a, struct text *t)
{
	int r = may_see_host(v, a);

	return r < 0 ? r : log_failure(v, host_file(a->host, v->path, t));
}

int view_render(const struct view *v, const struct view_args *a, struct text *t)
{
	const size_t before = t->len;
	int r;

	if (!v->render)
		return -EISDIR;
	/* Asked for by the admin, so no container is deceived: never EIO. */
	if (a->pass_through)
		return log_failure(v, host_file(a->host, v->path, t));
	if (passes_through(v, a))
		return kernels_own(v, a, t);
	r = v->render(a, t);
	if (r == VIEW_KERNELS_OWN) {
		t->len = before;
		return kernels_own(v, a, t);
	}
	if (r >= 0 && text_error(t) < 0)
		r = text_error(t);
	if (r == VIEW_OF_HOST)
		return may_see_host(v, a);
	if (r == 0)
		set_virtualised(v, a->subject);
	return log_failure(v, r);
}
