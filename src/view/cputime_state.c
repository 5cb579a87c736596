/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading cputime's bytes, with every check that makes them safe to go on with.
 */
#include "cputime_state.h"

#include <string.h>

#include "clock.h"

#define MAGIC UINT32_C(0x63707574) /* "cput" */
#define VERSION 2u

/* No credit that waits is larger: those of 8192 CPUs, a second each, with much to spare. */
#define CARRY_MAX (UINT64_C(1) << 60)

/* A printed column is never further than that from its exact time, in ticks. */
#define DRIFT_MAX 16

/* A reader may be that late with its sample; a state from further ahead is none of ours. */
#define FUTURE_NS (60 * NS_PER_S)

struct cputime_state_head cputime_state_empty(unsigned user_hz)
{
	return (struct cputime_state_head){
		.magic = MAGIC, .version = VERSION, .user_hz = user_hz
	};
}

void cputime_state_cpu(const struct cputime_state *s, size_t i, struct cputime_state_cpu *ret)
{
	memcpy(ret, s->cpus + i * sizeof(*ret), sizeof(*ret));
}

static bool owed_good(const struct cputime_state_head *h)
{
	for (unsigned c = 0; c < CPUTIME_BUSY; c++)
		if (h->owed[c] > CPUTIME_OWED_MAX || h->owed[c] < -CPUTIME_OWED_MAX)
			return false;
	return true;
}

static bool head_good(
	const struct cputime_state_head *h, size_t n, unsigned user_hz, uint64_t now_ns)
{
	return h->magic == MAGIC && h->version == VERSION && h->user_hz == user_hz &&
		h->n_cpus <= CPUMASK_MAX &&
		n == sizeof(*h) + h->n_cpus * sizeof(struct cputime_state_cpu) &&
		h->start_ns <= h->now_ns && sat_sub(h->now_ns, now_ns) <= FUTURE_NS &&
		cputime_busy_sum(&h->carry) <= CARRY_MAX && owed_good(h);
}

static bool column_good(uint64_t ns, uint64_t ticks, unsigned user_hz)
{
	const __int128 drift = (__int128)ns * user_hz - (__int128)ticks * (__int128)NS_PER_S;
	const __int128 bound = (__int128)DRIFT_MAX * (__int128)NS_PER_S;

	return drift <= bound && drift >= -bound;
}

/* No CPU was there for longer than the container, nor busy for longer than it was there. */
static bool cpu_good(const struct cputime_state_cpu *cpu, const struct cputime_state_head *head)
{
	const unsigned user_hz = head->user_hz;
	const uint64_t busy_ns = cputime_busy_sum(&cpu->busy);

	if (cpu->cpu >= CPUMASK_MAX || busy_ns > cpu->time_ns ||
		cpu->time_ns > head->now_ns - head->start_ns ||
		cputime_busy_sum(&cpu->carry) > CARRY_MAX)
		return false;
	for (unsigned c = 0; c < CPUTIME_BUSY; c++)
		if (!column_good(cpu->busy.ns[c], cpu->ticks[c], user_hz))
			return false;
	return sat_add(cputime_busy_ticks(cpu), cpu->ticks[CPUTIME_IDLE]) ==
		mul_div(cpu->time_ns, user_hz, NS_PER_S);
}

static bool cpus_good(const struct cputime_state *s)
{
	unsigned above = 0;

	for (size_t i = 0; i < s->head.n_cpus; i++) {
		struct cputime_state_cpu cpu;

		cputime_state_cpu(s, i, &cpu);
		if (cpu.cpu < above || !cpu_good(&cpu, &s->head))
			return false;
		above = cpu.cpu + 1;
	}
	return true;
}

bool cputime_state_read(
	struct slice bytes, unsigned user_hz, uint64_t now_ns, struct cputime_state *ret)
{
	struct cputime_state s;

	*ret = (struct cputime_state){ 0 };
	if (bytes.n < sizeof(s.head))
		return false;
	memcpy(&s.head, bytes.p, sizeof(s.head));
	s.cpus = bytes.p + sizeof(s.head);
	if (!head_good(&s.head, bytes.n, user_hz, now_ns) || !cpus_good(&s))
		return false;
	*ret = s;
	return true;
}

bool cputime_state_next(
	const struct cputime_state *s, size_t *next, unsigned cpu, struct cputime_state_cpu *ret)
{
	for (; *next < s->head.n_cpus; ++*next) {
		struct cputime_state_cpu found;

		cputime_state_cpu(s, *next, &found);
		if (found.cpu < cpu)
			continue;
		if (found.cpu > cpu)
			break;
		*ret = found;
		++*next;
		return true;
	}
	return false;
}

unsigned cputime_state_visible(const struct cputime_state *s)
{
	struct cputime_state_cpu cpu;
	unsigned n = 0;

	for (size_t i = 0; i < s->head.n_cpus; i++) {
		cputime_state_cpu(s, i, &cpu);
		n += cpu.visible != 0;
	}
	return n;
}
