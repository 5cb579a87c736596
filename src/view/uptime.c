/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/uptime (SPEC 7): how old the container is, and how long its CPUs were idle. The second
 * comes from the counters of /proc/stat, the first even where nothing else is known.
 */
#include <errno.h>

#include "clock.h"
#include "cpuaccount.h"

/* Nanoseconds as seconds with two decimals, the rest cut off as the kernel does. */
static void print_seconds(struct text *t, uint64_t ns)
{
	const uint64_t hundredths = ns / (NS_PER_S / 100);

	text_u64(t, hundredths / 100, 0);
	text_puts(t, hundredths % 100 < 10 ? ".0" : ".");
	text_u64(t, hundredths % 100, 0);
}

static int print(struct text *t, uint64_t age_ns, uint64_t idle_ns)
{
	print_seconds(t, age_ns);
	text_puts(t, " ");
	print_seconds(t, idle_ns);
	text_puts(t, "\n");
	return text_error(t);
}

/* "91.71" in nanoseconds; digits behind the second decimal are not the kernel's. */
static bool parse_seconds(struct slice s, uint64_t *ret_ns)
{
	struct slice whole;
	uint64_t seconds, hundredths;

	if (!slice_cut(&s, '.', &whole) || !slice_u64(whole, &seconds) || s.n != 2 ||
		!slice_u64(s, &hundredths))
		return false;
	*ret_ns = sat_add(mul_div(seconds, NS_PER_S, 1), hundredths * (NS_PER_S / 100));
	return true;
}

/* The second field: idle time of all CPUs. */
static bool parse_idle(const struct text *kernels, uint64_t *ret_ns)
{
	struct slice rest = slice_of(kernels), line, word;

	return slice_line(&rest, &line) && slice_word(&line, &word) && slice_word(&line, &word) &&
		parse_seconds(word, ret_ns);
}

/* Where the container's CPUs are the host's: its idle time, but none from before init. */
static int print_of_host(const struct view_args *a, struct text *t)
{
	const uint64_t age_ns = sat_sub(a->now_ns, a->subject->start_ns);
	autotext kernels = { 0 };
	struct cpumask cpus;
	uint64_t idle_ns;
	int r = host_file(a->host, "proc/uptime", &kernels);

	if (r == 0)
		r = view_visible_cpus(a, &cpus);
	if (r < 0)
		return r;
	if (!parse_idle(&kernels, &idle_ns))
		return -EBADMSG;
	return print(t, age_ns, min_u64(idle_ns, mul_div(age_ns, cpumask_count(&cpus), 1)));
}

int view_uptime(const struct view_args *a, struct text *t)
{
	autohost const struct host_stat *host = NULL;
	__attribute__((cleanup(cputime_free))) struct cputime times = { 0 };
	int r;

	if (a->options->disable_uptime)
		return VIEW_KERNELS_OWN;
	if (a->subject->is_host)
		return print_of_host(a, t);
	r = host_stat(a->host, a->now_ns, &host);
	if (r == 0)
		r = cpuaccount_advance(a, host, 0, &times);
	if (r < 0)
		return r;
	return print(t, sat_sub(times.now_ns, times.start_ns),
		mul_div(times.total[CPUTIME_IDLE], NS_PER_S, a->user_hz));
}
