/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command: gathers, prints, and says in one line what went wrong.
 */
#include "inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

static const char *what_mends(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
		return "it takes root with CAP_SYS_PTRACE";
	case -EIO:
		return "is its cgroup outside the cgroup namespace of this command? Look from the "
		       "host's";
	default:
		return "try again";
	}
}

static int tell(const struct options *options, int error)
{
	const int pid = (int)options->inspect;

	if (error == -ESRCH)
		fprintf(stderr, "lxcfs: there is no process %d: see ps\n", pid);
	else if (error == -EINVAL)
		fprintf(stderr,
			"lxcfs: cannot understand the command line of the daemon that holds %s: is "
			"it another version? Name another --pidfile\n",
			options->pidfile);
	else
		fprintf(stderr, "lxcfs: cannot look at process %d: %s: %s\n", pid, strerror(-error),
			what_mends(error));
	return 1;
}

/* Others may make cgroups, and call them what they like. */
static void make_printable(struct text *t)
{
	for (size_t i = 0; i < t->len; i++)
		if (t->data[i] != '\n')
			t->data[i] = text_printable(t->data[i]);
}

static int print(const struct options *options, const struct inspection *in)
{
	autotext t = { 0 };
	int r = 0;

	if (options->json) {
		r = inspect_json(in, &t);
	} else {
		inspect_print(in, &t);
		make_printable(&t);
	}
	if (r == 0)
		r = text_error(&t);
	if (r < 0)
		return tell(options, r);
	if (fwrite(t.data, 1, t.len, stdout) != t.len || fflush(stdout) == EOF) {
		fprintf(stderr, "lxcfs: cannot write: %m: is the disk full?\n");
		return 1;
	}
	return 0;
}

int inspect_run(const struct options *options)
{
	/* Not on the stack: it holds two lists of CPUs and a whole set of options. */
	static struct inspection in;
	struct root root;
	int r;

	if (geteuid() != 0) {
		fputs("lxcfs: a plain user may not look at the namespaces of others: inspect as "
		      "root\n",
			stderr);
		return 1;
	}
	r = root_open("/", &root);
	if (r < 0)
		return tell(options, r);
	r = inspect_gather(&root, options, options->inspect, &in);
	r = r < 0 ? tell(options, r) : print(options, &in);
	inspect_free(&in);
	root_close(&root);
	return r;
}
