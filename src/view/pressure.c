/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/pressure/{cpu,memory,io,irq} (SPEC 12): what the kernel says of the container's own cgroup;
 * where it says nothing, the lines that this kernel prints, with zeros. Never an ancestor's or the
 * host's values.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "view.h"

/* "avg10=1.23" or "total=456"; a word without a value ("some") stays. */
static void print_word_of_zero(struct text *t, struct slice word)
{
	const char *equals = memchr(word.p, '=', word.n);
	const size_t name = equals ? (size_t)(equals + 1 - word.p) : word.n;

	text_add(t, word.p, name);
	if (equals)
		text_puts(t, memchr(word.p, '.', word.n) ? "0.00" : "0");
}

static void print_zeros(struct text *t, struct slice kernels)
{
	struct slice line, word;

	while (slice_line(&kernels, &line)) {
		for (const char *blank = ""; slice_word(&line, &word); blank = " ") {
			text_puts(t, blank);
			print_word_of_zero(t, word);
		}
		text_puts(t, "\n");
	}
}

static int print_pressure(const struct view_args *a, enum pressure what, struct text *t)
{
	autohost const struct host_pressure *host = NULL;
	int r = cgroup_pressure(a->subject->cgroups, what, t);

	if (r != -ENOENT)
		return r;
	r = host_pressure(a->host, a->now_ns, what, &host);
	if (r < 0)
		return r;
	print_zeros(t, slice_of(&host->text));
	return 0;
}

int view_pressure_cpu(const struct view_args *a, struct text *t)
{
	return print_pressure(a, PRESSURE_CPU, t);
}

int view_pressure_memory(const struct view_args *a, struct text *t)
{
	return print_pressure(a, PRESSURE_MEMORY, t);
}

int view_pressure_io(const struct view_args *a, struct text *t)
{
	return print_pressure(a, PRESSURE_IO, t);
}

int view_pressure_irq(const struct view_args *a, struct text *t)
{
	return print_pressure(a, PRESSURE_IRQ, t);
}

static const struct {
	int (*render)(const struct view_args *a, struct text *t);
	enum pressure what;
} files[] = {
	{ view_pressure_cpu, PRESSURE_CPU },
	{ view_pressure_memory, PRESSURE_MEMORY },
	{ view_pressure_io, PRESSURE_IO },
	{ view_pressure_irq, PRESSURE_IRQ },
};

bool view_pressure(const struct view *v, enum pressure *ret)
{
	for (size_t i = 0; v->render && i < countof(files); i++) {
		if (files[i].render != v->render)
			continue;
		*ret = files[i].what;
		return true;
	}
	return false;
}
