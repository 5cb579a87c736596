/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cgroups in words, for the log and for --inspect. Nothing on a request's way calls this.
 */
#include "cgroup.h"

const char *cgroup_controller_name(enum cgroup_controller controller)
{
	static const char *const names[CGROUP_CONTROLLERS] = {
		[CGROUP_CPU] = "cpu",
		[CGROUP_CPUACCT] = "cpuacct",
		[CGROUP_CPUSET] = "cpuset",
		[CGROUP_MEMORY] = "memory",
		[CGROUP_IO] = "io",
		[CGROUP_HUGETLB] = "hugetlb",
		[CGROUP_PIDS] = "pids",
	};

	return names[controller];
}

static void add_names(unsigned bits, struct text *t)
{
	const char *separator = "";

	for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
		if (!(bits & CGROUP_BIT(c)))
			continue;
		text_puts(t, separator);
		text_puts(t, cgroup_controller_name(c));
		separator = ", ";
	}
	if (bits == 0)
		text_puts(t, "no controller");
}

/* The controllers that hierarchies of one version serve. */
static unsigned served_by(const struct cgroup_layout *l, bool unified)
{
	unsigned bits = 0;

	for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
		if (l->serves[c] >= 0 && l->hierarchy[l->serves[c]].unified == unified)
			bits |= CGROUP_BIT(c);
	return bits;
}

void cgroup_layout_describe(const struct cgroup_layout *l, struct text *t)
{
	const unsigned v1 = served_by(l, false);
	const unsigned missing = (CGROUP_BIT(CGROUP_CONTROLLERS) - 1) & ~l->available;

	if (l->n == 0) {
		text_puts(t, "no cgroup hierarchy at all");
		return;
	}
	text_puts(t, "cgroup ");
	if (v1 || l->unified < 0) {
		text_puts(t, "v1 (");
		add_names(v1, t);
		text_puts(t, l->unified < 0 ? ")" : "), ");
	}
	if (l->unified >= 0) {
		text_puts(t, "v2 (");
		add_names(served_by(l, true), t);
		text_puts(t, ")");
	}
	if (missing) {
		text_puts(t, "; missing: ");
		add_names(missing, t);
	}
}
