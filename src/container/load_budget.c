/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A leaky bucket for each outermost container: the time it takes to pay back what its readers'
 * looks have cost is all that is kept of it. Reads no clock.
 */
#include "load_private.h"

#include "parse.h"
#include "use.h"

static uint64_t left_of(uint64_t paid_ns, uint64_t now)
{
	return sat_sub(LOAD_BURST_NS, mul_div(sat_sub(paid_ns, now), LOAD_PAID_NS, NS_PER_S));
}

uint64_t load_budget_left(const struct use *use, uint64_t now)
{
	return left_of(use ? atomic_load(&use->loads_paid_ns) : 0, now);
}

static uint64_t time_to_pay(uint64_t cpu_ns)
{
	return mul_div(cpu_ns, NS_PER_S, LOAD_PAID_NS);
}

void load_budget_charge(struct use *use, uint64_t now, uint64_t cpu_ns)
{
	uint64_t paid_ns;

	if (!use)
		return;
	paid_ns = atomic_load(&use->loads_paid_ns);
	while (!atomic_compare_exchange_weak(
		&use->loads_paid_ns, &paid_ns, sat_add(max_u64(paid_ns, now), time_to_pay(cpu_ns))))
		;
}

static uint64_t share_of(uint64_t left_ns, uint64_t wanted_ns)
{
	return wanted_ns > left_ns ? 0 : max_u64(wanted_ns, left_ns / 2);
}

uint64_t load_budget_take(struct use *use, uint64_t now, uint64_t wanted_ns)
{
	uint64_t paid_ns, share_ns;

	if (!use)
		return share_of(LOAD_BURST_NS, wanted_ns);
	paid_ns = atomic_load(&use->loads_paid_ns);
	do
		share_ns = share_of(left_of(paid_ns, now), wanted_ns);
	while (!atomic_compare_exchange_weak(
		&use->loads_paid_ns, &paid_ns, max_u64(paid_ns, now) + time_to_pay(share_ns)));
	return share_ns;
}

void load_budget_settle(struct use *use, uint64_t now, uint64_t taken_ns, uint64_t used_ns)
{
	if (use && used_ns < taken_ns)
		atomic_fetch_sub(&use->loads_paid_ns, time_to_pay(taken_ns - used_ns));
	else
		load_budget_charge(use, now, used_ns - taken_ns);
}
