/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Capabilities and descriptors, and the order in which all is given up. The worker stays uid 0:
 * files of the host with mode 0400 (slabinfo) are root's to read without any capability.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "root.h"

/* What the x32 ABI adds to its numbers; its architecture is x86-64's. */
#define X32_BIT 0x40000000

struct sandbox_notes *sandbox_notes;
enum sandbox_child sandbox_self = SANDBOX_WORKER;

int sandbox_prepare(void)
{
	void *page;

	if (sandbox_notes)
		return 0;
	page = mmap(NULL, sizeof(*sandbox_notes), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	sandbox_notes = page;
	return 0;
}

/* --- calls that were refused -------------------------------------------------------------- */

/* The end of the sentence: whose numbers these are, when they are not the daemon's own. */
static void name_abi(uint32_t arch, char *ret, size_t size)
{
	if (arch == seccomp_arch_native())
		ret[0] = '\0';
	else if (arch == SCMP_ARCH_X86 || arch == SCMP_ARCH_X32)
		snprintf(ret, size, " of the %s ABI", arch == SCMP_ARCH_X86 ? "i386" : "x32");
	else
		snprintf(ret, size, " of the architecture %#x", arch);
}

char *sandbox_refused_call(enum sandbox_child child)
{
	const uint64_t noted =
		sandbox_notes ? atomic_exchange(&sandbox_notes->refused[child], 0) : 0;
	uint32_t arch = (uint32_t)(noted >> 32);
	int number = (int)(uint32_t)noted;
	autofree char *name = NULL;
	char abi[40], *words;
	int n;

	if (noted == 0)
		return NULL;
	if (arch == SCMP_ARCH_X86_64 && number >= 0 && (number & X32_BIT)) {
		arch = SCMP_ARCH_X32;
		number &= ~X32_BIT;
	}
	/* Below 0 libseccomp has names of its own. */
	if (number >= 0)
		name = seccomp_syscall_resolve_num_arch(arch, number);
	name_abi(arch, abi, sizeof(abi));
	n = name ? asprintf(&words, "%s%s", name, abi)
		 : asprintf(&words, "number %d%s", number, abi);
	return n < 0 ? NULL : words;
}

/* --- what this machine does not allow ------------------------------------------------------ */

enum { TOLD_MOUNTS = 1, TOLD_FILTER = 2, TOLD_CAPABILITY = 4 };

/* Once for all workers: the next one finds the same machine. */
static bool is_first_told(unsigned what)
{
	return !sandbox_notes || !(atomic_fetch_or(&sandbox_notes->told, what) & what);
}

/* --- capabilities ----------------------------------------------------------------------- */

/* No capability can come back by execve(2). Not allowed everywhere, and with no_new_privs not
 * needed: what cannot be dropped is left. */
static void drop_bounding_set(const cap_value_t *kept, size_t n)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++) {
		bool keep = false;

		for (size_t i = 0; i < n; i++)
			keep |= kept[i] == c;
		if (!keep && cap_get_bound(c) > 0 && cap_drop_bound(c) < 0)
			return;
	}
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

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	caps = cap_get_proc();
	if (!caps)
		return -errno;
	r = keep_only(caps, kept, n);
	cap_free(caps);
	return r;
}

int sandbox_enter_supervisor(void)
{
	/* Mounting, and giving a worker mounts of its own; namespaces of other users' processes,
	 * entering them, and directories there that only their owners may pass; emptying the
	 * children's bounding sets. */
	static const cap_value_t kept[] = { CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_CHROOT,
		CAP_DAC_READ_SEARCH, CAP_SETPCAP };

	/* What an upgrade's execve(2) may give back, too. */
	drop_bounding_set(kept, countof(kept));
	return give_up_but(kept, countof(kept));
}

static int give_up_for_good(const cap_value_t *kept, size_t n)
{
	int r;

	drop_bounding_set(NULL, 0);
	r = give_up_but(kept, n);
	if (r < 0)
		return r;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int enter_worker_capabilities(void)
{
	static const cap_value_t kept[] = {
		CAP_SYS_PTRACE,
#ifdef __aarch64__
		CAP_DAC_READ_SEARCH, /* /proc/<pid>/personality, of mode 0400 */
#endif
	};

	if (!is_permitted(CAP_SYS_PTRACE) && is_first_told(TOLD_CAPABILITY))
		log_error("CAP_SYS_PTRACE is not allowed here: containers of other users cannot be "
			  "told from the host: add it to the service's capabilities");
	return give_up_for_good(kept, countof(kept));
}

int sandbox_enter_healing(void)
{
	/* Namespace links of other users' processes; entering a mount namespace and changing it;
	 * directories there that only their owners may pass. */
	static const cap_value_t kept[] = { CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_CHROOT,
		CAP_DAC_READ_SEARCH };
	int r = give_up_for_good(kept, countof(kept));

	if (r < 0)
		return r;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* --- descriptors ------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* What the daemon was started with is not the worker's: neither its standard input and output nor
 * what its starter forgot to close. The log is standard error. */
static int keep_descriptors(const int *kept, size_t n, int another)
{
	autofree int *sorted = calloc(n + 1, sizeof(*sorted));
	unsigned from = STDERR_FILENO + 1;
	/* Opens nowhere, reads and writes nothing: only that the numbers are taken. */
	int nothing = open("/", O_PATH | O_CLOEXEC);

	if (!sorted)
		return -ENOMEM;
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++)
		sorted[i] = kept[i];
	if (another >= 0)
		sorted[n++] = another;
	qsort(sorted, n, sizeof(*sorted), compare);
	for (size_t i = 0; i < n; i++) {
		if ((unsigned)sorted[i] > from)
			close_range(from, (unsigned)sorted[i] - 1, 0);
		from = (unsigned)sorted[i] + 1;
	}
	return close_range(from, ~0U, 0) < 0 ? -errno : 0;
}

/* --- all together ----------------------------------------------------------------------- */

/* Else it says EFAULT, having looked for the filter (seccomp(2)). */
static bool kernel_has_filters(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == 0 || errno != EINVAL;
}

/* A kernel without filters is its owner's choice; one that cannot be made where there are filters
 * is a fault. */
static int tell_no_filter(int r)
{
	if (r == 0 || kernel_has_filters())
		return r;
	if (is_first_told(TOLD_FILTER))
		log_error("this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER): the worker "
			  "may make every system call");
	return 0;
}

static bool filters(const struct options *options)
{
	if (!options->no_seccomp)
		return true;
	if (is_first_told(TOLD_FILTER))
		log_info("--no-seccomp: the worker may make every system call");
	return false;
}

static int hide(const struct options *options)
{
	return !options->debug && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int sandbox_enter(const struct options *options, const int *devices, size_t n, int opener)
{
	int r = sandbox_own_mounts();

	/* That passes: the next worker can have them. */
	if (is_shortage(r))
		return r;
	if (r < 0 && is_first_told(TOLD_MOUNTS))
		log_error(
			"the worker cannot have mounts of its own: %s: it sees the host's: allow "
			"the service unshare(2), mount(2) and pivot_root(2); Linux 5.12 is needed",
			strerror(-r));
	r = keep_descriptors(devices, n, opener);
	if (r == 0)
		r = enter_worker_capabilities();
	if (r == 0)
		r = hide(options);
	return r == 0 && filters(options) ? tell_no_filter(sandbox_filter_worker(opener)) : r;
}

int sandbox_enter_opener(const struct options *options, const int *kept, size_t n)
{
	int r = keep_descriptors(kept, n, -1);

	sandbox_self = SANDBOX_OPENER;
	if (r == 0)
		r = give_up_for_good(NULL, 0);
	if (r == 0)
		r = hide(options);
	return r == 0 && filters(options) ? tell_no_filter(sandbox_filter_opener()) : r;
}
