/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which entries of the registry a runtime binds. The only place that knows runc's own list.
 */
#include <string.h>

#include "cleanup.h"
#include "runtime.h"

bool runtime_binds(const struct view *v)
{
	static const char proc[] = "proc/";

	if (v->kind == VIEW_CPU_DIR)
		return true;
	return strncmp(v->path, proc, sizeof(proc) - 1) == 0 &&
		!strchr(v->path + sizeof(proc) - 1, '/');
}

bool runtime_runc_takes(const struct view *v)
{
	/* runc 1.1, checkProcMount(): whatever else is below /proc it refuses to mount on. */
	static const char *const names[] = { "proc/cpuinfo", "proc/diskstats", "proc/meminfo",
		"proc/stat", "proc/swaps", "proc/uptime", "proc/loadavg", "proc/slabinfo" };

	if (v->kind == VIEW_CPU_DIR)
		return true;
	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(v->path, names[i]) == 0)
			return true;
	return false;
}
