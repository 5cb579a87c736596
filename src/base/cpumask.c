/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sets of CPU ids and their list format. No idea of which CPUs a machine has.
 */
#include "cpumask.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"

void cpumask_clear(struct cpumask *m)
{
	memset(m, 0, sizeof(*m));
}

void cpumask_set(struct cpumask *m, unsigned cpu)
{
	if (cpu < CPUMASK_MAX)
		m->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

bool cpumask_has(const struct cpumask *m, unsigned cpu)
{
	return cpu < CPUMASK_MAX && (m->bits[cpu / 64] >> (cpu % 64) & 1);
}

unsigned cpumask_count(const struct cpumask *m)
{
	unsigned n = 0;

	for (size_t i = 0; i < countof(m->bits); i++)
		n += (unsigned)__builtin_popcountll(m->bits[i]);
	return n;
}

bool cpumask_empty(const struct cpumask *m)
{
	return cpumask_next(m, 0) == CPUMASK_MAX;
}

bool cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void cpumask_and(struct cpumask *m, const struct cpumask *with)
{
	for (size_t i = 0; i < countof(m->bits); i++)
		m->bits[i] &= with->bits[i];
}

void cpumask_and_not(struct cpumask *m, const struct cpumask *without)
{
	for (size_t i = 0; i < countof(m->bits); i++)
		m->bits[i] &= ~without->bits[i];
}

void cpumask_first(struct cpumask *m, unsigned n)
{
	for (size_t i = 0; i < countof(m->bits); i++) {
		unsigned here = (unsigned)__builtin_popcountll(m->bits[i]);

		for (; here > n; here--)
			m->bits[i] &= ~(UINT64_C(1) << (63 - __builtin_clzll(m->bits[i])));
		n -= here;
	}
}

unsigned cpumask_next(const struct cpumask *m, unsigned from)
{
	for (unsigned i = from / 64; i < countof(m->bits); i++) {
		uint64_t bits = m->bits[i];

		if (i == from / 64)
			bits &= ~UINT64_C(0) << (from % 64);
		if (bits)
			return i * 64 + (unsigned)__builtin_ctzll(bits);
	}
	return CPUMASK_MAX;
}

/* "3" or "0-3" into [first, last]. The kernel's stride form ("0-7:2/4") is written by nobody. */
static bool parse_range(struct slice part, uint64_t *ret_first, uint64_t *ret_last)
{
	struct slice first;

	if (!slice_cut(&part, '-', &first) || !slice_u64(first, ret_first))
		return false;
	*ret_last = *ret_first;
	if (first.p + first.n == part.p) /* no dash */
		return true;
	return slice_u64(part, ret_last);
}

int cpumask_parse(struct slice list, struct cpumask *ret)
{
	struct slice part;

	cpumask_clear(ret);
	if (slice_ends(list, "\n"))
		list.n--;
	while (slice_cut(&list, ',', &part)) {
		uint64_t first, last;

		if (!parse_range(slice_trim(part), &first, &last) || first > last ||
			last >= CPUMASK_MAX) {
			cpumask_clear(ret);
			return -EINVAL;
		}
		for (uint64_t cpu = first; cpu <= last; cpu++)
			cpumask_set(ret, (unsigned)cpu);
	}
	return 0;
}

void cpumask_format(struct text *t, const struct cpumask *m)
{
	unsigned last;

	for (unsigned cpu = cpumask_next(m, 0); cpu < CPUMASK_MAX;
		cpu = cpumask_next(m, last + 1)) {
		if (cpu != cpumask_next(m, 0))
			text_puts(t, ",");
		for (last = cpu; cpumask_has(m, last + 1); last++)
			;
		text_u64(t, cpu, 0);
		if (last > cpu) {
			text_puts(t, "-");
			text_u64(t, last, 0);
		}
	}
}
