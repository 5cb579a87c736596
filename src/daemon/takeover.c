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
#include "clock.h"
#include "log.h"
#include "notify.h"
#include "root.h"

#define FUSE_DEVICE makedev(10, 229) /* Documentation/admin-guide/devices.txt */

/* A service manager's watchdog waits meanwhile, as do readers: two seconds. */
#define PATIENCE_STEPS 20
#define PATIENCE_STEP_NS (100 * NS_PER_MS)

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

/* Connection and memory are ours then, and no more in `in`. */
static int take(struct inherited *in, struct connection *ret, int *ret_memory,
	struct handover **ret_handover, struct text *why)
{
	struct connection c;
	bool fresh = false;
	int r = check(in, &c, why);

	if (r < 0)
		return r;
	r = handover_take(in->memory, ret_memory, ret_handover, &fresh);
	if (r < 0) {
		text_printf(why, "its memory cannot be used: %s", strerror(-r));
		return r;
	}
	if (fresh)
		log_info("the memory handed over has another layout: counters start anew, and "
			 "files that are half read give EIO");
	*ret = c;
	ret->dev = (dev_t)(*ret_handover)->dev;
	in->memory = in->device = -1;
	memset(in->clones, 0xff, sizeof(in->clones));
	return 0;
}

/* A shortage may pass, and containers' files are dead for good without this connection. */
static int take_patiently(struct inherited *in, struct connection *ret, int *ret_memory,
	struct handover **ret_handover, struct text *why)
{
	int r = take(in, ret, ret_memory, ret_handover, why);

	for (int i = 0; i < PATIENCE_STEPS && is_shortage(r); i++) {
		pause_ns(PATIENCE_STEP_NS);
		text_reset(why);
		r = take(in, ret, ret_memory, ret_handover, why);
	}
	return r;
}

static int attach(const struct inherited *in, const struct connection *c,
	const struct options *options, struct text *why)
{
	int r = connection_attach(c, in->mount, options);

	if (r == -EBADF)
		text_puts(why, "its mount is missing or of another connection");
	else if (r < 0)
		text_printf(
			why, "its mount cannot be put back at %s: %s", options->dir, strerror(-r));
	return r;
}

int takeover(enum inherit_origin origin, struct inherited *in, const struct options *options,
	struct connection *ret, int *ret_memory, struct handover **ret_handover)
{
	const char *whose =
		origin == INHERIT_BEFORE ? "the version before" : "the service manager's store";
	struct connection c = CONNECTION_NONE;
	struct handover *handover = NULL;
	autoclose int memory = -1;
	autotext why = { 0 };
	int r = take_patiently(in, &c, &memory, &handover, &why);

	if (r == 0 && origin == INHERIT_MANAGER)
		r = attach(in, &c, options, &why);
	inherit_close(in);
	if (r < 0) {
		log_error("cannot go on with what comes from %s: %.*s: starting afresh", whose,
			(int)why.len, why.data);
		connection_close(&c);
		handover_free(handover);
		return r;
	}
	log_info("version " LXCFS_VERSION " goes on with the connection from %s", whose);
	*ret = c;
	*ret_memory = steal_fd(&memory);
	*ret_handover = handover;
	return 0;
}

void takeover_offer(const struct connection *c, int memory, struct inherited *ret)
{
	inherit_none(ret);
	ret->memory = memory;
	ret->device = c->device;
	memcpy(ret->clones, c->clones, c->n * sizeof(c->clones[0]));
}

void takeover_leave(const struct connection *c, int memory, const char *dir)
{
	struct inherited left;
	int r;

	takeover_offer(c, memory, &left);
	left.mount = connection_clone_mount(c, dir);
	if (left.mount < 0)
		return;
	/* First of all: what is at DIR afterwards must never be without somebody who answers. */
	connection_detach(c, dir);
	r = notify_store(&left);
	if (r < 0)
		log_error("cannot leave the connection to the service manager: %s: the next start "
			  "begins afresh",
			strerror(-r));
	close(left.mount);
}
