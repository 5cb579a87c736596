/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Capabilities. The worker stays uid 0: files of the host with mode 0400 (slabinfo) are root's to
 * read without any capability.
 */
#include "sandbox.h"

#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "cleanup.h"
#include "log.h"

/* No capability can come back by execve(2). Not allowed everywhere, and with no_new_privs not
 * needed: what cannot be dropped is left. */
static void drop_bounding_set(void)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		if (cap_get_bound(c) > 0 && cap_drop_bound(c) < 0)
			return;
}

/* Does without those that are not allowed here. */
static int keep_only(cap_t caps, const cap_value_t *kept, size_t n)
{
	cap_flag_value_t permitted[CAP_LAST_CAP + 1] = { CAP_CLEAR };

	for (size_t i = 0; i < n; i++)
		cap_get_flag(caps, kept[i], CAP_PERMITTED, &permitted[i]);
	if (cap_clear(caps) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++)
		if (permitted[i] == CAP_SET &&
			(cap_set_flag(caps, CAP_PERMITTED, 1, &kept[i], CAP_SET) < 0 ||
				cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept[i], CAP_SET) < 0))
			return -errno;
	return cap_set_proc(caps) < 0 ? -errno : 0;
}

static bool is_permitted(cap_value_t cap)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t permitted = CAP_CLEAR;

	if (caps)
		cap_get_flag(caps, cap, CAP_PERMITTED, &permitted);
	cap_free(caps);
	return permitted == CAP_SET;
}

static int give_up_but(const cap_value_t *kept, size_t n)
{
	cap_t caps;
	int r;

	drop_bounding_set();
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	caps = cap_get_proc();
	if (!caps)
		return -errno;
	r = keep_only(caps, kept, n);
	cap_free(caps);
	if (r < 0)
		return r;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int sandbox_enter(bool debug)
{
	static const cap_value_t kept[] = { CAP_SYS_PTRACE };
	int r;

	if (!is_permitted(CAP_SYS_PTRACE))
		log_error("CAP_SYS_PTRACE is not allowed here: containers of other users cannot be "
			  "told from the host: add it to the service's capabilities");
	r = give_up_but(kept, countof(kept));
	if (r < 0)
		return r;
	if (!debug && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int sandbox_enter_healing(void)
{
	/* Namespace links of other users' processes; entering a mount namespace and changing it;
	 * directories there that only their owners may pass. */
	static const cap_value_t kept[] = { CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_CHROOT,
		CAP_DAC_READ_SEARCH };
	int r = give_up_but(kept, countof(kept));

	if (r < 0)
		return r;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}
