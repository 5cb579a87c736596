/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line (lxcfs(8)), parsed once and constant afterwards.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

enum options_action {
	OPTIONS_SERVE,
	OPTIONS_SELF_CHECK, /* for a running daemon alone: with the command line it serves by */
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_LIST_FILES,
	OPTIONS_INSPECT,
	OPTIONS_CDI,
	OPTIONS_OCI_HOOK,
	OPTIONS_OCI_ADD_HOOK,
};

struct options {
	enum options_action action;
	pid_t inspect;           /* with OPTIONS_INSPECT: which process */
	bool json;               /* then: for machines */
	const char *bundle;      /* with OPTIONS_OCI_ADD_HOOK: the directory of config.json */
	const char *dir;         /* where to mount, as given; for runtimes: where it is mounted */
	const char *pidfile;     /* never NULL after options_parse() */
	const char *runtime_dir; /* never NULL after options_parse() */
	bool debug;
	bool enable_cfs;     /* the CPU count follows the quota */
	bool disable_swap;   /* SwapTotal and SwapFree are 0 */
	bool disable_uptime; /* the kernel's /proc/uptime passes through */
	bool disable_loadavg;
	bool disable_zswap;
	bool enable_psi_poll;
	bool disable_polling;
	bool no_seccomp;           /* the worker may make every system call */
	unsigned long mount_flags; /* MS_RDONLY, MS_NOATIME from -o */
	char mount_data[1024];     /* "context=..." words from -o for mount(2), each with a leading
				      comma */
	char own_path[4096];       /* owns the default of `pidfile` */
};

/* Fills `ret` from the command line. 0, with a line on `errors` for each option that has no effect
 * any more; or the exit status (2) after one that names what was wrong and how to mend it. Strings
 * point into argv or into `ret`. */
int options_parse(int argc, char **argv, struct options *ret, FILE *errors);

/* One line an option, from the same table that parses them. */
void options_usage(FILE *out);
