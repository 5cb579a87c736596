/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/loadavg (SPEC 10): what the sampler says, in the kernel's format.
 */
#include <errno.h>
#include <string.h>

#include "load.h"

/* "0.25 ", rounded as the kernel does: half of a hundredth is added first. */
static void print_average(struct text *t, uint64_t average)
{
	const uint64_t rounded = average + LOAD_ONE / 200;
	const uint64_t hundredths = (rounded & (LOAD_ONE - 1)) * 100 >> LOAD_SHIFT;

	text_u64(t, rounded >> LOAD_SHIFT, 0);
	text_puts(t, hundredths < 10 ? ".0" : ".");
	text_u64(t, hundredths, 0);
	text_puts(t, " ");
}

/* No kernel shows less than one of each: there is whoever reads. */
static int print(struct text *t, const struct load_values *v)
{
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		print_average(t, v->averages[i]);
	text_u64(t, max_u64(v->running, 1), 0);
	text_puts(t, "/");
	text_u64(t, max_u64(v->threads, max_u64(v->running, 1)), 0);
	text_puts(t, " ");
	text_u64(t, max_u64(v->newest, 1), 0);
	text_puts(t, "\n");
	return text_error(t);
}

/* The kernel's file but for its last word: the root's load is the machine's, but a pid is one of
 * the reader's pid namespace. */
static int print_of_host(const struct view_args *a, struct text *t, const struct load_values *v)
{
	autotext kernels = { 0 };
	const char *last;
	int r = host_file(a->host, "proc/loadavg", &kernels);

	if (r < 0)
		return r;
	last = memrchr(kernels.data, ' ', kernels.len);
	if (!last)
		return -EBADMSG;
	text_add(t, kernels.data, (size_t)(last + 1 - kernels.data));
	text_u64(t, max_u64(v->newest, 1), 0);
	text_puts(t, "\n");
	return text_error(t);
}

int view_loadavg(const struct view_args *a, struct text *t)
{
	const bool no_init = a->subject->account.init_pid == 0;
	struct load_values v;
	int r;

	if (a->options->disable_loadavg || !a->load || (a->subject->is_host && no_init))
		return VIEW_KERNELS_OWN;
	r = load_get(a->load, a->subject, &v);
	if (r < 0)
		return r;
	return a->subject->is_host ? print_of_host(a, t, &v) : print(t, &v);
}
