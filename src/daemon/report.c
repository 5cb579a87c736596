/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks once, at the first worker's start, at what no request can mend. Changes nothing.
 */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "parse.h"

/* Linux 6.15: after so many seconds without an answer the kernel aborts the whole connection, for
 * good, though a worker that hangs is replaced after two. */
static void report_timeout(const struct root *root, const char *name, struct text *t)
{
	autofree char *path = NULL;
	autotext file = { 0 };
	struct slice rest, line;
	uint64_t seconds;

	if (asprintf(&path, "sys/fs/fuse/%s", name) < 0) {
		path = NULL;
		return;
	}
	if (read_file_at(root->proc, path, &file) < 0)
		return;
	rest = slice_of(&file);
	if (!slice_line(&rest, &line) || !slice_u64(line, &seconds) || seconds == 0)
		return;
	text_printf(t,
		"fs.fuse.%s is %llu: the kernel ends the whole mount when one request takes so "
		"many seconds, as it may when the machine is suspended or starved; sysctl -w "
		"fs.fuse.%s=0 before lxcfs is started\n",
		name, (unsigned long long)seconds, name);
}

/* Of the root's own processes the one that is always there, and of no profile of ours. */
static void report_denial(const struct root *root, struct text *t)
{
	char link[64];

	if (readlinkat(root->proc, "1/ns/pid", link, sizeof(link)) >= 0 ||
		(errno != EACCES && errno != EPERM))
		return;
	text_puts(t,
		"the namespaces of process 1 may not be looked at: whoever is kept from us like it "
		"gets errors; that takes CAP_SYS_PTRACE and, where AppArmor confines the daemon, "
		"\"ptrace (read),\" in its profile\n");
}

void report_lines(const struct root *root, const struct cgroup_layout *layout, bool sees_everybody,
	struct text *t)
{
	text_puts(t, "serving from ");
	cgroup_layout_describe(layout, t);
	text_puts(t, "\n");
	if (!sees_everybody)
		text_puts(t,
			"not in the host's pid namespace: who opens a file from outside ours gets "
			"an "
			"error; run the daemon with the host's pid namespace to serve them too\n");
	report_denial(root, t);
	report_timeout(root, "default_request_timeout", t);
	report_timeout(root, "max_request_timeout", t);
}

void report_log(const struct root *root, const struct cgroup_layout *layout, bool sees_everybody)
{
	autotext t = { 0 };
	struct slice rest, line;

	report_lines(root, layout, sees_everybody, &t);
	if (text_error(&t) < 0)
		return;
	rest = slice_of(&t);
	while (slice_line(&rest, &line))
		log_info("%.*s", (int)line.n, line.p);
}
