/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/<pid>/cgroup and /proc/<pid>/mountinfo, which a container's user can arrange: every path
 * that is found is an absolute one.
 */
#include "cgroup.h"
#include "fuzz.h"

static void check(const struct cgroup_paths *paths)
{
	for (size_t i = 0; i < CGROUP_HIERARCHIES; i++)
		FUZZ_ASSERT(!paths->path[i] || paths->path[i][0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char memory[] = "memory", cpu[] = "cpu,cpuacct", named[] = "name=systemd",
		    none[] = "", top[] = "/";
	const struct cgroup_layout layout = {
		.n = 4,
		.hierarchy = {
			{ .controllers = CGROUP_BIT(CGROUP_MEMORY), .name = memory, .mount_root = top },
			{ .controllers = CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUACCT),
				.name = cpu,
				.mount_root = top },
			{ .name = named, .mount_root = top },
			{ .unified = true, .name = none, .mount_root = top },
		},
		.unified = 3,
	};
	autotext text = fuzz_text(data, size);
	struct cgroup_paths paths = { 0 };

	if (cgroup_paths_parse(&layout, slice_of(&text), &paths) == 0) {
		check(&paths);
		cgroup_paths_free(&paths);
	}
	if (cgroup_mount_roots_parse(&layout, slice_of(&text), &paths) == 0) {
		check(&paths);
		cgroup_paths_free(&paths);
	}
	return 0;
}
