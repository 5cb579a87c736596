/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container whose samples are made by hand, for the tests of section 6's accounting.
 */
#pragma once

#include "cleanup.h"
#include "clock.h"
#include "cputime_state.h"

#define S NS_PER_S
#define MS NS_PER_MS
#define CPUS 512u
#define TICK (10 * MS)

/* The container's machine, and what it was shown last. */
struct cputime_machine {
	struct cpumask visible;
	struct cgroup_cpu_usage usage;
	struct host_stat host;
	struct host_stat_cpu host_cpus[CPUS];
	uint64_t cpu_usage[CPUS], cpu_user[CPUS], cpu_system[CPUS];
	uint64_t now_ns, start_ns, tasks;
	struct text state, predecessor;
	struct cputime shown;
	/* The last values of each CPU, shown or not, to compare with. */
	uint64_t ticks[CPUS][CPUTIME_COLUMNS];
};

extern struct cputime_machine w;

/* Fixtures: usage of each CPU is known on v1 alone. */
void cputime_machine_v1(void);
void cputime_machine_v2(void);
void cputime_machine_free(void);

void set_cpus(const char *list);
void pass(uint64_t ns);
/* v2: the cgroup gains `user` and `system`. */
void use(uint64_t user, uint64_t system);
/* v1: the same on one CPU, with its tick-sampled counters right for once. */
void use_on(unsigned cpu, uint64_t user, uint64_t system);
void host_busy(unsigned cpu, uint64_t ticks);
/* Another init in the same cgroup: it has the present state as its predecessor's. */
void succeed(uint64_t start_ns);

/* Takes a sample and checks that nothing goes back and that the sum is the sum. */
void look(void);
/* The columns of a CPU; of all with -1. */
void shows(int cpu, uint64_t user, uint64_t nice, uint64_t system, uint64_t idle);
