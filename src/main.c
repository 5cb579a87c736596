/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses the command line and does what it asks for.
 */
#include <stdio.h>

#include "inspect.h"
#include "options.h"
#include "runtime.h"
#include "supervisor.h"
#include "view.h"

/* What this machine has no file for is not served. Where it cannot be asked, that is none. */
static int list_files(void)
{
	struct root root = ROOT_NONE;

	root_open("/", &root);
	for (size_t i = 0; i < view_count; i++)
		if (view_registry[i].kind == VIEW_FILE && host_has(&root, view_registry[i].path))
			puts(view_registry[i].path);
	root_close(&root);
	return 0;
}

int main(int argc, char **argv)
{
	static struct options options;
	int r = options_parse(argc, argv, &options, stderr);

	/* A hook that fails is a container that does not start. */
	if (r != 0)
		return options.action == OPTIONS_OCI_HOOK ? 0 : r;
	switch (options.action) {
	case OPTIONS_HELP:
		options_usage(stdout);
		return 0;
	case OPTIONS_VERSION:
		puts(LXCFS_VERSION);
		return 0;
	case OPTIONS_LIST_FILES:
		return list_files();
	case OPTIONS_INSPECT:
		return inspect_run(&options);
	case OPTIONS_SELF_CHECK:
		return supervisor_self_check();
	case OPTIONS_CDI:
		return runtime_cdi(&options);
	case OPTIONS_OCI_HOOK:
		return runtime_oci_hook(&options);
	case OPTIONS_OCI_ADD_HOOK:
		return runtime_oci_add_hook(&options);
	case OPTIONS_SERVE:
		break;
	}
	return supervisor_run(&options, argv);
}
