/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Amounts of busy time in their three columns, and the ticks that are printed for them. Nothing is
 * lost or made up: what is taken here is there in the same column afterwards.
 */
#include "clock.h"
#include "cleanup.h"
#include "cputime_state.h"

uint64_t cputime_busy_sum(const struct cputime_busy *b)
{
	return sat_add(sat_add(b->ns[CPUTIME_USER], b->ns[CPUTIME_NICE]), b->ns[CPUTIME_SYSTEM]);
}

uint64_t cputime_busy_ticks(const struct cputime_state_cpu *cpu)
{
	return sat_add(sat_add(cpu->ticks[CPUTIME_USER], cpu->ticks[CPUTIME_NICE]),
		cpu->ticks[CPUTIME_SYSTEM]);
}

void cputime_busy_add(struct cputime_busy *to, struct cputime_busy more)
{
	for (unsigned c = 0; c < CPUTIME_BUSY; c++)
		to->ns[c] = sat_add(to->ns[c], more.ns[c]);
}

static uint64_t shifted_sum(const struct cputime_busy *parts, unsigned shift)
{
	uint64_t sum = 0;

	for (unsigned c = 0; c < CPUTIME_BUSY; c++)
		sum += parts->ns[c] >> shift;
	return sum;
}

struct cputime_busy cputime_busy_split(uint64_t amount, const struct cputime_busy *parts)
{
	/* Parts whose sum is beyond 64 bits keep their proportion. */
	const unsigned shift = cputime_busy_sum(parts) == UINT64_MAX ? 2 : 0;
	const uint64_t sum = shifted_sum(parts, shift);
	struct cputime_busy r = { 0 };
	unsigned largest = CPUTIME_USER;
	uint64_t given = 0;

	for (unsigned c = 0; c < CPUTIME_BUSY; c++) {
		r.ns[c] = mul_div(amount, parts->ns[c] >> shift, sum);
		given += r.ns[c];
		if (parts->ns[c] > parts->ns[largest])
			largest = c;
	}
	r.ns[largest] += amount - given;
	return r;
}

struct cputime_busy cputime_busy_take(struct cputime_busy *from, uint64_t amount)
{
	struct cputime_busy r = *from;
	uint64_t over = 0;

	if (amount < cputime_busy_sum(from))
		r = cputime_busy_split(amount, from);
	/* The remainder of the split may be more than its column has; the others have it. */
	for (unsigned turn = 0; turn < 2; turn++)
		for (unsigned c = 0; c < CPUTIME_BUSY; c++) {
			const uint64_t wanted = r.ns[c] + over;

			r.ns[c] = min_u64(wanted, from->ns[c]);
			over = wanted - r.ns[c];
		}
	for (unsigned c = 0; c < CPUTIME_BUSY; c++)
		from->ns[c] -= r.ns[c];
	return r;
}

/* Times in units of 1 / (user_hz × 10⁹) s: exact for every user_hz. */
typedef __int128 fine;

static fine fine_deficit(uint64_t ns, uint64_t ticks, unsigned user_hz)
{
	return (fine)ns * user_hz - (fine)ticks * (fine)NS_PER_S;
}

/* Hands out ticks to columns, always to the one that lags most behind its exact time. A column
 * with nothing owed gets none as long as others are owed more. */
static void hand_out(uint64_t ticks, fine *deficit, uint64_t *columns, size_t n)
{
	while (ticks > 0) {
		size_t most = 0;
		uint64_t part;

		for (size_t i = 1; i < n; i++)
			if (deficit[i] > deficit[most])
				most = i;
		part = 1;
		if (deficit[most] > (fine)NS_PER_S)
			part = min_u64(ticks, (uint64_t)(deficit[most] / (fine)NS_PER_S));
		columns[most] += part;
		deficit[most] -= (fine)part * (fine)NS_PER_S;
		ticks -= part;
	}
}

/* First between busy and idle, then among the busy columns: so the sum that people look at most is
 * the most exact one. */
void cputime_tick(struct cputime_state_cpu *cpu, unsigned user_hz)
{
	const uint64_t busy_ns = cputime_busy_sum(&cpu->busy), busy = cputime_busy_ticks(cpu);
	const uint64_t all = mul_div(cpu->time_ns, user_hz, NS_PER_S);
	fine both[] = { fine_deficit(busy_ns, busy, user_hz),
		fine_deficit(cpu->time_ns - busy_ns, cpu->ticks[CPUTIME_IDLE], user_hz) };
	fine each[CPUTIME_BUSY];
	uint64_t given[countof(both)] = { 0 };

	hand_out(all - busy - cpu->ticks[CPUTIME_IDLE], both, given, countof(both));
	for (unsigned c = 0; c < CPUTIME_BUSY; c++)
		each[c] = fine_deficit(cpu->busy.ns[c], cpu->ticks[c], user_hz);
	hand_out(given[0], each, cpu->ticks, CPUTIME_BUSY);
	cpu->ticks[CPUTIME_IDLE] += given[1];
}
