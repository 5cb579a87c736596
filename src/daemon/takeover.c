/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks at every descriptor before it is believed: a store may hold what another version, another
 * boot or another service left there.
 */
#include "takeover.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "log.h"
#include "notify.h"
#include "patience.h"
#include "root.h"

#define FUSE_DEVICE makedev(10, 229) /* Documentation/admin-guide/devices.txt */

/* 1; 0: it is something else, or none; or -errno of a shortage, which tells nothing. */
static int is_device(int fd)
{
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return is_shortage(-errno) ? -errno : 0;
	return S_ISCHR(st.st_mode) && st.st_rdev == FUSE_DEVICE;
}

/* Threads are numbered without a gap: 0 where there is one. Or -errno of a shortage. */
static int count_clones(const struct inherited *in)
{
	int n = 0, r = 0;

	while (n < (int)HANDOVER_SLOTS && (r = is_device(in->clones[n])) > 0)
		n++;
	if (r < 0)
		return r;
	for (unsigned i = (unsigned)n; i < HANDOVER_SLOTS; i++)
		if (in->clones[i] >= 0)
			return 0;
	return n;
}

static void borrow(const struct inherited *in, unsigned n, struct connection *ret)
{
	*ret = (struct connection){ .device = in->device, .n = n };
	memcpy(ret->clones, in->clones, n * sizeof(ret->clones[0]));
}

static int refuse(struct text *why, const char *reason)
{
	text_puts(why, reason);
	return -EPROTO;
}

static int cannot_look(struct text *why, const char *what, int r)
{
	text_printf(why, "%s cannot be looked at: %s", what, strerror(-r));
	return r;
}

/* `ret`: borrowed, without the device number. */
static int check_connection(const struct inherited *in, struct connection *ret, struct text *why)
{
	int n, r;

	if (in->memory < 0 || in->device < 0)
		return refuse(why, "the connection or its memory is missing");
	r = is_device(in->device);
	n = r > 0 ? count_clones(in) : r;
	if (n < 0)
		return cannot_look(why, "the connection", n);
	if (n == 0)
		return refuse(why, "what should be the connection is something else");
	borrow(in, (unsigned)n, ret);
	return connection_is_dead(ret) ? refuse(why, "the connection is dead") : 0;
}

static int check_memory(const struct inherited *in, struct text *why)
{
	struct handover_init init;
	int r = handover_peek_init(in->memory, &init);

	if (is_shortage(r))
		return cannot_look(why, "its memory", r);
	if (r < 0)
		return refuse(why, "what should be its memory is something else");
	return connection_fits(&init, why);
}

static int check(const struct inherited *in, struct connection *ret, struct text *why)
{
	int r = check_connection(in, ret, why);

	return r < 0 ? r : check_memory(in, why);
}

int takeover_check(const struct inherited *in, struct text *why)
{
	struct connection c;

	return check(in, &c, why);
}

/* One that is being taken over, and how far that has come. */
struct taking {
	enum inherit_origin origin;
	struct inherited *in;
	const struct options *options;
	struct connection connection;
	int memory;
	struct handover *handover; /* NULL: nothing is ours yet */
	struct text why;
};

/* Connection and memory are ours then, and no more in `in`. */
static int take(struct taking *t)
{
	struct inherited *in = t->in;
	struct connection c;
	bool fresh = false;
	int r = check(in, &c, &t->why);

	if (r < 0)
		return r;
	r = handover_take(in->memory, &t->memory, &t->handover, &fresh);
	if (r < 0) {
		text_printf(&t->why, "its memory cannot be used: %s", strerror(-r));
		return r;
	}
	if (fresh)
		log_info("the memory handed over has another layout: counters start anew, and "
			 "files that are half read give EIO");
	t->connection = c;
	t->connection.dev = (dev_t)t->handover->dev;
	in->memory = in->device = -1;
	memset(in->clones, 0xff, sizeof(in->clones));
	return 0;
}

static int attach(struct taking *t)
{
	int r = connection_attach(&t->connection, t->in->mount, t->options);

	if (r == -EBADF)
		text_puts(&t->why, "its mount is missing or of another connection");
	else if (r < 0)
		text_printf(&t->why, "its mount cannot be put back at %s: %s", t->options->dir,
			strerror(-r));
	return r;
}

/* What an earlier attempt has done is not done again. */
static int attempt(void *data)
{
	struct taking *t = data;
	int r;

	text_reset(&t->why);
	r = t->handover ? 0 : take(t);
	return r == 0 && t->origin == INHERIT_MANAGER ? attach(t) : r;
}

int takeover(enum inherit_origin origin, struct inherited *in, const struct options *options,
	struct connection *ret, int *ret_memory, struct handover **ret_handover)
{
	const char *whose =
		origin == INHERIT_BEFORE ? "the version before" : "the service manager's store";
	struct taking t = { .origin = origin,
		.in = in,
		.options = options,
		.connection = CONNECTION_NONE,
		.memory = -1 };
	/* Without this connection containers' files are dead for good. */
	const int r = patiently(attempt, &t);

	inherit_close(in);
	if (r == 0) {
		log_info("version " LXCFS_VERSION " goes on with the connection from %s", whose);
		*ret = t.connection;
		*ret_memory = t.memory;
		*ret_handover = t.handover;
	} else {
		log_error("cannot go on with what comes from %s: %.*s: starting afresh", whose,
			(int)t.why.len, t.why.data);
		connection_close(&t.connection);
		handover_free(t.handover);
		cleanup_close(&t.memory);
	}
	text_free(&t.why);
	return r;
}

void takeover_offer(const struct connection *c, int memory, struct inherited *ret)
{
	inherit_none(ret);
	ret->memory = memory;
	ret->device = c->device;
	memcpy(ret->clones, c->clones, c->n * sizeof(c->clones[0]));
}

struct leaving {
	const struct connection *connection;
	const char *dir;
	struct inherited *left;
};

static int keep_mount(void *data)
{
	struct leaving *l = data;
	int r = connection_clone_mount(l->connection, l->dir);

	l->left->mount = r < 0 ? -1 : r;
	return r < 0 ? r : 0;
}

static int put_into_store(void *data)
{
	const struct leaving *l = data;

	return notify_store(l->left);
}

void takeover_leave(const struct connection *c, int memory, const char *dir)
{
	struct inherited left;
	struct leaving leaving = { c, dir, &left };
	int r;

	takeover_offer(c, memory, &left);
	r = patiently(keep_mount, &leaving);
	if (r == -ENOENT)
		return;
	/* First of all: what is at DIR afterwards must never be without somebody who answers. */
	if (r == 0) {
		connection_detach_patiently(c, dir);
		r = patiently(put_into_store, &leaving);
	}
	if (r < 0)
		log_error("cannot leave the connection to the service manager: %s: the next start "
			  "begins afresh",
			strerror(-r));
	cleanup_close(&left.mount);
}
