/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Capabilities. The worker stays uid 0: files of the host with mode 0400 (slabinfo) are root's to
 * read without any capability.
 */
#include "sandbox.h"

#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "log.h"

/* No capability can come back by execve(2). Not allowed everywhere, and with no_new_privs not
 * needed: what cannot be dropped is left. */
static void drop_bounding_set(void)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		if (cap_get_bound(c) > 0 && cap_drop_bound(c) < 0)
			return;
}

static int keep_only(cap_t caps, cap_value_t kept)
{
	cap_flag_value_t permitted = CAP_CLEAR;

	cap_get_flag(caps, kept, CAP_PERMITTED, &permitted);
	if (permitted == CAP_CLEAR)
		log_error("CAP_SYS_PTRACE is not allowed here: containers of other users cannot be "
			  "told from the host: add it to the service's capabilities");
	if (cap_clear(caps) < 0)
		return -errno;
	if (permitted == CAP_SET &&
		(cap_set_flag(caps, CAP_PERMITTED, 1, &kept, CAP_SET) < 0 ||
			cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept, CAP_SET) < 0))
		return -errno;
	return cap_set_proc(caps) < 0 ? -errno : 0;
}

int sandbox_enter(bool debug)
{
	cap_t caps;
	int r;

	drop_bounding_set();
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	caps = cap_get_proc();
	if (!caps)
		return -errno;
	r = keep_only(caps, CAP_SYS_PTRACE);
	cap_free(caps);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (!debug && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}
