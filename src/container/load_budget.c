/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A leaky bucket for each outermost container: the time it takes to pay back what its readers'
 * looks have cost is all that is kept of it. Reads no clock.
 */
#include "load_private.h"

#include "parse.h"
#include "use.h"

uint64_t load_budget_left(const struct use *use, uint64_t now)
{
	const uint64_t owing_ns = use ? sat_sub(atomic_load(&use->loads_paid_ns), now) : 0;

	return sat_sub(LOAD_BURST_NS, mul_div(owing_ns, LOAD_PAID_NS, NS_PER_S));
}

void load_budget_charge(struct use *use, uint64_t now, uint64_t cpu_ns)
{
	const uint64_t more_ns = mul_div(cpu_ns, NS_PER_S, LOAD_PAID_NS);
	uint64_t paid_ns;

	if (!use)
		return;
	paid_ns = atomic_load(&use->loads_paid_ns);
	while (!atomic_compare_exchange_weak(
		&use->loads_paid_ns, &paid_ns, sat_add(max_u64(paid_ns, now), more_ns)))
		;
}
