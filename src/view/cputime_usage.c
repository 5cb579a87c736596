/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the cgroup's counters to credits of busy time: how much each has gained since the last
 * sample, and how that divides into user, nice and system. Which counters may go back, and what
 * that means, is known here alone.
 */
#include "clock.h"
#include "cputime_advance.h"

/* Of two readers the later may bring the earlier counters; what went back further was set to 0 by
 * the admin (cpuacct.usage can be written) and counts from there. */
#define RACE_NS NS_PER_S

enum cputime_source cputime_source_of(const struct cgroup_cpu_usage *u)
{
	if (!u->known)
		return CPUTIME_SOURCE_NONE;
	return u->n_cpus > 0 ? CPUTIME_SOURCE_CPUS : CPUTIME_SOURCE_SUM;
}

static bool was_reset(uint64_t last, uint64_t now)
{
	return sat_sub(last, now) > RACE_NS;
}

/* The increase of a counter, which is then brought up to date; one that went back a little is held
 * to what it was. */
static uint64_t counter_gain(uint64_t *last, uint64_t now)
{
	const uint64_t gain = sat_sub(now, *last);

	if (now > *last || was_reset(*last, now))
		*last = now;
	return gain;
}

/* The cgroup's columns. Niced time is part of the kernel's user time. */
static struct cputime_busy columns_of(const struct cgroup_cpu_usage *u)
{
	const uint64_t nice = min_u64(u->nice, u->user);

	return (struct cputime_busy){ {
		[CPUTIME_USER] = u->user - nice,
		[CPUTIME_NICE] = nice,
		[CPUTIME_SYSTEM] = u->system,
	} };
}

/* In which proportion usage divides: as what the columns have gained. Those are sampled by ticks
 * and readers may come faster: an interval without any goes by the last one that had some. */
static struct cputime_busy split_by(struct cputime_busy *last, struct cputime_busy gain)
{
	if (cputime_busy_sum(&gain) > 0)
		*last = gain;
	return *last;
}

static struct cputime_busy columns_split(struct advance *a)
{
	struct cputime_busy gain = columns_of(a->sample->usage);

	for (unsigned c = 0; c < CPUTIME_BUSY; c++)
		gain.ns[c] = counter_gain(&a->head.last.ns[c], gain.ns[c]);
	return split_by(&a->head.split, gain);
}

static int64_t clamp_owed(__int128 owed)
{
	if (owed > CPUTIME_OWED_MAX)
		return CPUTIME_OWED_MAX;
	return owed < -CPUTIME_OWED_MAX ? -CPUTIME_OWED_MAX : (int64_t)owed;
}

/*
 * The kernel scales user_usec and system_usec to the exact usage, but samples nice_usec by ticks:
 * so user without nice can go back, by as much as nice ran ahead. What is shown cannot, nor may
 * the sum be more than the usage. So the columns are owed what they gain, each interval's usage
 * goes to those that are owed something, and all is paid when user has caught up.
 */
static struct cputime_busy columns_owed(struct advance *a)
{
	const struct cputime_busy now = columns_of(a->sample->usage);
	struct cputime_busy parts = { 0 };

	for (unsigned c = 0; c < CPUTIME_BUSY; c++) {
		int64_t *owed = &a->head.owed[c];

		*owed = clamp_owed((__int128)*owed + now.ns[c] - a->head.last.ns[c]);
		parts.ns[c] = *owed > 0 ? (uint64_t)*owed : 0;
	}
	a->head.last = now;
	return parts;
}

/* v2: exact usage of the cgroup, on nobody knows which CPU. */
static void credit_sum(struct advance *a, bool begins)
{
	const uint64_t now = a->sample->usage->usage;
	const bool anew = begins || was_reset(a->head.usage, now);
	const uint64_t gain = counter_gain(&a->head.usage, now);
	const struct cputime_busy parts = columns_owed(a);
	const struct cputime_busy paid = cputime_busy_split(anew ? 0 : gain, &parts);

	cputime_busy_add(&a->head.carry, paid);
	/* The counters of an earlier life were not exact, and nothing is owed from it. */
	for (unsigned c = 0; c < CPUTIME_BUSY; c++)
		a->head.owed[c] =
			a->first || anew ? 0 : clamp_owed((__int128)a->head.owed[c] - paid.ns[c]);
}

/* v1: exact usage of a CPU, split as its own counters are, else as the cgroup's. */
static void credit_lane(struct lane *l, const struct cgroup_cpu_usage *u,
	const struct cputime_busy *columns, bool begins)
{
	const unsigned cpu = l->kept.cpu;
	struct cputime_busy parts = { 0 };
	uint64_t gain;

	if (cpu >= u->n_cpus)
		return;
	gain = counter_gain(&l->kept.usage, u->cpu_usage[cpu]);
	parts.ns[CPUTIME_USER] = counter_gain(&l->kept.user, u->cpu_user[cpu]);
	parts.ns[CPUTIME_SYSTEM] = counter_gain(&l->kept.system, u->cpu_system[cpu]);
	parts = split_by(&l->kept.split, parts);
	if (cputime_busy_sum(&parts) == 0)
		parts = *columns;
	cputime_busy_add(&l->kept.carry, cputime_busy_split(begins ? 0 : gain, &parts));
}

static void credit_lanes(struct advance *a, bool begins)
{
	const struct cputime_busy columns = columns_split(a);

	for (size_t i = 0; i < a->n; i++)
		credit_lane(&a->lanes[i], a->sample->usage, &columns, begins);
}

/* Another source than last time has other counters: they begin now. One that is away keeps its. */
void cputime_credit(struct advance *a)
{
	const enum cputime_source source = cputime_source_of(a->sample->usage);
	const bool begins = a->head.source != (uint32_t)source;

	if (source == CPUTIME_SOURCE_NONE)
		return;
	a->head.source = source;
	if (source == CPUTIME_SOURCE_SUM)
		credit_sum(a, begins);
	else
		credit_lanes(a, begins);
}
