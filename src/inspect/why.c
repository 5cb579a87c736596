/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why a file says what it does, in sentences that an admin can act on. Looks at gathered facts and
 * at nothing else.
 */
#include "private.h"

#include <limits.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"

#define say(t, ...)                                                                                \
	do {                                                                                       \
		text_printf((t), __VA_ARGS__);                                                     \
		text_puts((t), "\n");                                                              \
	} while (0)

typedef unsigned long long ull; /* what printf(3) calls it */

const char *inspect_rule(enum container_rule rule)
{
	static const char *const says[] = {
		[CONTAINER_RULE_NONE] = "none: it is in no cgroup of its own there",
		[CONTAINER_RULE_MOUNT] = "mount: the root of the cgroup mount that it sees",
		[CONTAINER_RULE_INIT] = "init: the cgroup of its container's init",
		[CONTAINER_RULE_OWN] = "own: the cgroup that the process itself is in",
	};

	return says[rule];
}

const char *inspect_limit_name(enum cgroup_limit_kind kind)
{
	static const char *const names[CGROUP_LIMITS] = {
		[CGROUP_LIMIT_MEMORY] = "memory",
		[CGROUP_LIMIT_SWAP] = "swap",
		[CGROUP_LIMIT_CPUSET] = "cpuset",
		[CGROUP_LIMIT_QUOTA] = "quota",
	};

	return names[kind];
}

const struct inspect_bind *inspect_bind_of(const struct inspection *in, const char *path)
{
	static const struct inspect_bind none;

	for (size_t i = 0; in->binds && i < view_count; i++)
		if (strcmp(view_registry[i].path, path) == 0)
			return &in->binds[i];
	return &none;
}

bool inspect_quota_counts(const struct inspection *in)
{
	const struct inspect_bind *b = inspect_bind_of(in, "proc/cpuinfo");

	if (b->bound && b->tree != INSPECT_TREE_DEFAULT)
		return b->tree == INSPECT_TREE_QUOTA;
	return in->options->enable_cfs;
}

const struct cpumask *inspect_visible(const struct inspection *in)
{
	if (in->daemon.pass_through)
		return &in->online;
	return inspect_quota_counts(in) ? &in->by_quota : &in->by_cpuset;
}

/* The files' values are the kernel's own. */
static bool no_memory_view(const struct inspection *in)
{
	return in->is_host || !in->has_memory || in->daemon.pass_through;
}

uint64_t inspect_memory_kb(const struct inspection *in)
{
	if (no_memory_view(in))
		return in->host_memory_kb;
	return min_u64(in->memory.limit / 1024, in->host_memory_kb);
}

uint64_t inspect_swap_kb(const struct inspection *in)
{
	return no_memory_view(in) ? in->host_swap_kb : in->swap.total / 1024;
}

/* --- what comes before any limit ---------------------------------------------------------------
 */

static void why_unbound(const struct inspection *in, const char *path, struct text *t)
{
	const struct inspect_bind *b = inspect_bind_of(in, path);

	if (!b->bound)
		say(t,
			"No file of lxcfs lies over its /%s: the process reads the kernel's own. "
			"What "
			"follows is what it would be shown if DIR/%s were bound over it.",
			path, path);
	else if (b->stale)
		say(t,
			"The lxcfs file over its /%s is not the running daemon's: bound from "
			"another "
			"daemon, or left by one that has ended. Restart the container.",
			path);
}

/* What is around a cgroup namespace is spelled "/..". Beside it no container is found. */
static void why_outside(const struct inspection *in, struct text *t)
{
	for (size_t i = 0; i < in->n_cgroups; i++) {
		const char *path = in->cgroups[i].path;

		if (!path || !cgroup_path_goes_up(path))
			continue;
		say(t,
			"Its cgroup %s is outside the cgroup namespace of this command, so no "
			"limit "
			"of it can be read: look from the host's.",
			path);
		return;
	}
}

/* True when there is nothing more to say. */
static bool why_kernels(const struct inspection *in, const char *path, struct text *t)
{
	why_unbound(in, path, t);
	why_outside(in, t);
	if (in->daemon.pass_through)
		say(t,
			"Somebody sent the daemon SIGUSR2: every file is the kernel's own until "
			"another one (kill -USR2 %d).",
			(int)in->daemon.pid);
	else if (in->is_host)
		say(t,
			"It is in the root cgroup of every hierarchy, which is to say it is the "
			"machine and no container: its files are the kernel's own. Put it into a "
			"cgroup to have it shown limits.");
	return in->daemon.pass_through || in->is_host;
}

/* --- CPUs --------------------------------------------------------------------------------------
 */

static void why_cpuset(const struct inspection *in, struct text *t)
{
	const struct inspect_level *l = in->limits[CGROUP_LIMIT_CPUSET].decides;
	autotext online = { 0 };

	cpumask_format(&online, &in->online);
	t->failed |= text_error(&online) < 0;
	if (!(in->available & CGROUP_BIT(CGROUP_CPUSET)))
		say(t, "No cpuset restricts it: this machine has no cpuset controller.");
	else if (in->limits[CGROUP_LIMIT_CPUSET].n == 0)
		say(t,
			"No cpuset restricts it: it is in the root cgroup of the hierarchy that "
			"has the cpuset controller.");
	else if (!l)
		say(t,
			"No cpuset restricts it: the controller is not enabled for its cgroup, nor "
			"for one above it.");
	else if (cpumask_equal(&in->by_cpuset, &in->online))
		say(t, "No cpuset restricts it: %s of %s is %s, which is every CPU that is online.",
			l->file, l->path, l->says);
	else
		say(t, "The cpuset decides: %s of %s is %s. The machine has %.*s online.", l->file,
			l->path, l->says, (int)online.len, online.data);
}

static void why_counts(const struct inspection *in, struct text *t)
{
	const struct inspect_bind *b = inspect_bind_of(in, "proc/cpuinfo");

	if (b->bound && b->tree == INSPECT_TREE_QUOTA)
		say(t, "It counts, for its files are bound from DIR/quota.");
	else if (b->bound && b->tree == INSPECT_TREE_CPUSET)
		say(t, "It does not count, for its files are bound from DIR/cpuset.");
	else if (in->options->enable_cfs)
		say(t, "It counts, for the daemon was started with --enable-cfs.");
	else
		say(t,
			"It does not count: quotas count only with --enable-cfs, or for files "
			"bound "
			"from DIR/quota.");
}

static void why_quota(const struct inspection *in, struct text *t)
{
	const struct inspect_level *l = in->limits[CGROUP_LIMIT_QUOTA].decides;

	if (!l) {
		say(t, "No CPU quota limits it.");
		return;
	}
	say(t,
		"A quota limits its time: %s of %s is worth %u CPU%s, rounded up (quota and period "
		"in us: %s).",
		l->file, l->path, in->quota, in->quota == 1 ? "" : "s", l->says);
	why_counts(in, t);
}

void inspect_why_cpus(const struct inspection *in, struct text *t)
{
	if (why_kernels(in, "proc/cpuinfo", t))
		return;
	why_cpuset(in, t);
	why_quota(in, t);
	if (in->quota != UINT_MAX || !cpumask_equal(&in->by_cpuset, &in->online))
		say(t,
			"nproc and other callers of sched_getaffinity(2) do not read files: they "
			"follow the cpuset alone.");
}

/* --- memory and swap ---------------------------------------------------------------------------
 */

static void why_no_controller(
	const struct inspection *in, enum cgroup_controller controller, struct text *t)
{
	const char *name = cgroup_controller_name(controller);

	if (!(in->available & CGROUP_BIT(controller)))
		say(t, "This machine has no %s controller, so the file is the kernel's own.", name);
	else
		say(t,
			"It is in the root cgroup of the hierarchy that has the %s controller, or "
			"the "
			"controller is not enabled for it: so the file is the kernel's own.",
			name);
}

void inspect_why_memory(const struct inspection *in, struct text *t)
{
	const struct inspect_level *l = in->limits[CGROUP_LIMIT_MEMORY].decides;

	if (why_kernels(in, "proc/meminfo", t))
		return;
	if (!in->has_memory)
		why_no_controller(in, CGROUP_MEMORY, t);
	else if (!l)
		say(t,
			"Nothing limits its memory, in its own cgroup or above it: MemTotal is the "
			"machine's. Its usage is its own.");
	else if (in->memory.limit == CGROUP_NO_LIMIT)
		say(t,
			"%s of %s is %s, which is not below the machine's memory: MemTotal is the "
			"machine's. Its usage is its own.",
			l->file, l->path, l->says);
	else
		say(t,
			"The limit decides: %s of %s is %s, the least of its cgroup and those "
			"above.",
			l->file, l->path, l->says);
	if (in->has_memory)
		say(t,
			"Programs that ask sysinfo(2) instead of reading files (busybox's free) "
			"are "
			"told the machine's memory.");
}

void inspect_why_swap(const struct inspection *in, struct text *t)
{
	const struct inspect_level *l = in->limits[CGROUP_LIMIT_SWAP].decides;

	if (why_kernels(in, "proc/swaps", t))
		return;
	if (!in->has_memory)
		why_no_controller(in, CGROUP_MEMORY, t);
	else if (in->options->disable_swap)
		say(t, "None is shown, for the daemon was started with --disable-swap.");
	else if (in->host_swap_kb == 0)
		say(t, "The machine has no swap.");
	else if (in->swap.total / 1024 == in->host_swap_kb)
		say(t, "Nothing limits its swap below the machine's.");
	else if (l)
		say(t, "The limit decides: %s of %s is %s.", l->file, l->path, l->says);
	else
		say(t, "The kernel does not count its swap, or may not swap anything of it.");
}

/* --- age ----------------------------------------------------------------------------------------
 */

void inspect_why_uptime(const struct inspection *in, struct text *t)
{
	why_unbound(in, "proc/uptime", t);
	if (in->daemon.pass_through)
		say(t, "The machine's is shown, because of SIGUSR2.");
	else if (in->options->disable_uptime)
		say(t, "The machine's is shown, for the daemon was started with --disable-uptime.");
	else if (in->init)
		say(t, "It counts from the start of its pid namespace's init, process %d.",
			(int)in->init);
	else if (in->is_host)
		say(t, "It is the machine's.");
	else
		say(t,
			"Its pid namespace is the machine's, so it has no init of its own: it "
			"counts "
			"from the oldest process in its cgroup when that was first looked at.");
	if (in->boottime_offset_s)
		say(t, "Its time namespace's boottime differs by %lld s.",
			(long long)in->boottime_offset_s);
}
