/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One container on one machine: time passes and CPUs are used by hand, and every look at it is
 * checked for what holds always.
 */
#include "cputime_machine.h"

#include <check.h>
#include <string.h>

#include "cputime_state.h"

struct cputime_machine w;

void set_cpus(const char *list)
{
	ck_assert_int_eq(cpumask_parse(slice_str(list), &w.visible), 0);
}

void cputime_machine_v2(void)
{
	memset(&w, 0, sizeof(w));
	w.host.cpus = w.host_cpus;
	w.host.n_cpus = CPUS;
	w.host.columns = HOST_STAT_COLUMNS;
	for (unsigned i = 0; i < CPUS; i++)
		w.host_cpus[i].cpu = i;
	w.usage.known = true;
	w.usage.cpu_usage = w.cpu_usage;
	w.usage.cpu_user = w.cpu_user;
	w.usage.cpu_system = w.cpu_system;
	w.now_ns = w.start_ns = 1000 * S;
	set_cpus("0-1");
}

void cputime_machine_free(void)
{
	cputime_free(&w.shown);
	text_free(&w.state);
	text_free(&w.predecessor);
}

void cputime_machine_v1(void)
{
	cputime_machine_v2();
	w.usage.n_cpus = CPUS;
}

/* Those that are not shown stand in the state alone. */
static void read_ticks(struct slice bytes)
{
	struct cputime_state state;

	ck_assert(cputime_state_read(bytes, 100, w.now_ns, &state));
	for (size_t i = 0; i < state.head.n_cpus; i++) {
		struct cputime_state_cpu cpu;

		cputime_state_cpu(&state, i, &cpu);
		for (unsigned c = 0; c < CPUTIME_COLUMNS; c++) {
			ck_assert_uint_ge(cpu.ticks[c], w.ticks[cpu.cpu][c]);
			w.ticks[cpu.cpu][c] = cpu.ticks[c];
		}
	}
}

/* Columns of all CPUs and the sum: they agree, and none goes back. */
static void check_shown(const struct cputime *now)
{
	uint64_t sum[CPUTIME_COLUMNS] = { 0 };

	ck_assert_uint_eq(now->n_cpus, cpumask_count(&w.visible));
	for (size_t i = 0; i < now->n_cpus; i++) {
		ck_assert(cpumask_has(&w.visible, now->cpus[i].cpu));
		ck_assert(i == 0 || now->cpus[i].cpu > now->cpus[i - 1].cpu);
		ck_assert_mem_eq(
			now->cpus[i].ticks, w.ticks[now->cpus[i].cpu], sizeof(now->cpus[i].ticks));
	}
	for (unsigned c = 0; c < CPUTIME_COLUMNS; c++) {
		for (unsigned i = 0; i < CPUS; i++)
			sum[c] += w.ticks[i][c];
		ck_assert_uint_eq(now->total[c], sum[c]);
	}
	ck_assert_uint_ge(now->processes, w.shown.processes);
}

void look(void)
{
	const struct cputime_sample sample = { w.now_ns, w.start_ns, &w.visible, &w.usage, &w.host,
		w.tasks, 100 };
	struct text state = { 0 };
	struct cputime now;

	ck_assert_int_eq(cputime_advance(slice_of(&w.state), slice_of(&w.predecessor), &sample,
				 &state, &now),
		0);
	read_ticks(slice_of(&state));
	check_shown(&now);
	text_free(&w.state);
	w.state = state;
	cputime_free(&w.shown);
	w.shown = now;
}

/* Another init in the same cgroup: it has the present state as its predecessor's. */
void succeed(uint64_t start_ns)
{
	text_free(&w.predecessor);
	w.predecessor = w.state;
	w.state = (struct text){ 0 };
	w.start_ns = start_ns;
	memset(w.ticks, 0, sizeof(w.ticks));
	w.shown.processes = 0;
}

void pass(uint64_t ns)
{
	w.now_ns += ns;
}

/* v2: the cgroup gains `user` and `system`. */
void use(uint64_t user, uint64_t system)
{
	w.usage.usage += user + system;
	w.usage.user += user;
	w.usage.system += system;
}

/* v1: the same on one CPU, with its tick-sampled counters right for once. */
void use_on(unsigned cpu, uint64_t user, uint64_t system)
{
	use(user, system);
	w.cpu_usage[cpu] += user + system;
	w.cpu_user[cpu] += user;
	w.cpu_system[cpu] += system;
}

void host_busy(unsigned cpu, uint64_t ticks)
{
	w.host_cpus[cpu].ticks[0] += ticks;
}

/* The columns of a CPU; of all with -1. */
void shows(int cpu, uint64_t user, uint64_t nice, uint64_t system, uint64_t idle)
{
	const uint64_t expected[] = { user, nice, system, idle };
	const uint64_t *ticks = cpu < 0 ? w.shown.total : w.ticks[cpu];

	for (unsigned c = 0; c < CPUTIME_COLUMNS; c++)
		ck_assert_msg(ticks[c] == expected[c],
			"cpu%d: %lu %lu %lu %lu instead of %lu %lu %lu %lu", cpu,
			(unsigned long)ticks[0], (unsigned long)ticks[1], (unsigned long)ticks[2],
			(unsigned long)ticks[3], (unsigned long)user, (unsigned long)nice,
			(unsigned long)system, (unsigned long)idle);
}
