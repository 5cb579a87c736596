/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /sys/devices/system/cpu/{online,offline,present}: CPU lists with a newline (SPEC 14). Which CPUs
 * they hold is view_visible_cpus()'s business.
 */
#include "view.h"

static int print(const struct cpumask *m, struct text *t)
{
	cpumask_format(t, m);
	text_puts(t, "\n");
	return text_error(t);
}

int view_cpu_online(const struct view_args *a, struct text *t)
{
	struct cpumask visible;
	int r = view_visible_cpus(a, &visible);

	return r < 0 ? r : print(&visible, t);
}

/* To a container every CPU it may use is there, and no other is plugged in. */
int view_cpu_present(const struct view_args *a, struct text *t)
{
	return view_cpu_online(a, t);
}

int view_cpu_offline(const struct view_args *a, struct text *t)
{
	autohost const struct host_cpus *cpus = NULL;
	struct cpumask visible, offline;
	int r = view_visible_cpus(a, &visible);

	if (r == 0)
		r = host_cpus(a->host, a->now_ns, &cpus);
	if (r != 0)
		return r;
	offline = cpus->possible;
	cpumask_and_not(&offline, &visible);
	return print(&offline, t);
}
