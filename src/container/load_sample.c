/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One sample of one container. Looks at no task where none can have changed.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load_private.h"

/* So often every task is looked at, whatever the CPU time says: others may have moved tasks. */
#define LOOK_PERIODS 12u

static int find_pid_ns(
	const struct load_config *config, const struct account_key *key, uint64_t *ret)
{
	const struct proc_id init = { key->init_pid, key->init_start };
	int r = proc_ns(config->root, init.pid, "ns/pid", ret);

	if (r == 0)
		r = proc_check(config->root, &init);
	if (r < 0 && !proc_is_none(r))
		return r;
	if (r < 0)
		*ret = LOAD_NO_PID_NS;
	return 0;
}

int load_place_init(const struct load_config *config, const struct account_key *key,
	const char *cgroup, struct load_place *ret)
{
	struct load_place p = { .key = *key };
	int r = 0;

	p.key.kind = ACCOUNT_LOAD;
	if (key->cgroup_ino != 0 && !cgroup)
		return -ENODEV;
	if (key->init_pid > 0)
		r = find_pid_ns(config, key, &p.pid_ns);
	if (r < 0)
		return r;
	if (key->cgroup_ino != 0) {
		p.cgroup = strdup(cgroup);
		if (!p.cgroup)
			return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void load_place_clear(struct load_place *p)
{
	free(p->cgroup);
	use_put(p->use);
	*p = (struct load_place){ 0 };
}

/* UINT64_MAX: unknown. */
static uint64_t usage_of(const struct load_config *config, const struct load_place *place)
{
	const struct cgroup_hierarchy *h =
		cgroup_hierarchy_of_dev(config->layout, place->key.cgroup_dev);
	uint64_t usage;

	if (!place->cgroup || !h || cgroup_usage_at(h, place->cgroup, &usage) < 0)
		return UINT64_MAX;
	return usage;
}

/* None was in state R or D, and none has run since: so none is now, for a task runs before it
 * blocks, and soon after it woke. */
static bool is_idle(const struct load_state *state, uint64_t usage, uint64_t period)
{
	return state->sampled != 0 && state->values.running + state->values.blocked == 0 &&
		usage != UINT64_MAX && usage == state->usage &&
		sat_sub(period, state->looked) < LOOK_PERIODS;
}

static int number_of(
	const struct load_config *config, const struct load_place *place, pid_t tid, uint64_t *ret)
{
	if (place->pid_ns == LOAD_NO_PID_NS)
		return -ENOENT;
	if (place->pid_ns != 0)
		return initpid_number(config->root, tid, place->pid_ns, ret);
	*ret = (uint64_t)tid;
	return 0;
}

/* Keeps the last one's number when it has ended, as the kernel does. */
static int find_newest(const struct load_config *config, const struct load_place *place,
	const struct load_count *count, struct load_state *state)
{
	for (unsigned i = 0; i < count->n_newest; i++) {
		const struct load_task *task = &count->newest[i];
		uint64_t number;
		int r;

		if (task->start < state->newest_start ||
			(task->start == state->newest_start &&
				(uint64_t)task->tid <= state->newest_tid))
			return 0;
		r = number_of(config, place, task->tid, &number);
		if (r < 0 && !proc_is_none(r))
			return r;
		if (r < 0)
			continue;
		state->values.newest = number;
		state->newest_start = task->start;
		state->newest_tid = (uint64_t)task->tid;
		return 0;
	}
	return 0;
}

int load_sample(const struct load_config *config, const struct load_place *place, uint64_t period,
	uint64_t deadline_ns, struct load_state *state)
{
	/* Before the tasks: what runs in between is seen the next time. */
	const uint64_t usage = usage_of(config, place);
	struct load_count count = { .threads = state->values.threads };
	int r;

	if (is_idle(state, usage, period)) {
		load_advance(state, &count, period);
		return 0;
	}
	if (state->sampled != 0 && place->key.init_pid > 0 &&
		proc_has_ended(config->root, place->key.init_pid, place->key.init_start))
		return -ESRCH;
	r = load_count_tasks(config, place, deadline_ns, &count);
	if (r == 0 && count.cut_off && state->sampled != 0)
		return 0;
	if (r == 0)
		r = find_newest(config, place, &count, state);
	if (r < 0)
		return r;
	load_advance(state, &count, count.cut_off ? 0 : period);
	state->looked = state->sampled;
	state->usage = usage;
	state->cost = count.cost;
	return 0;
}
