/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The counters' states, which a worker of another version may have left: any bytes give an answer
 * in which no CPU was there, let alone busy, for longer than the container is old, nothing that was
 * shown goes back, and the next samples count as after a state of our own.
 *
 * Byte 0 says what the others are: 0: the state; 1: laid over one of our own, each time an offset
 * (two bytes) and a number (eight); 2: the same, and what a CPU was shown is made to fit its times,
 * for a state in which it does not counts as none.
 */
#include <string.h>

#include "../../src/view/cputime_state.h"
#include "clock.h"
#include "disktime.h"
#include "fuzz.h"

#define USER_HZ 100u
#define START_NS (10 * NS_PER_S)
#define NOW_NS (20 * NS_PER_S)
#define SLACK_NS (60 * NS_PER_S) /* no state is from further ahead */

enum { RAW, LAID_OVER, FITTED, MODES };

struct input {
	unsigned mode;
	struct slice bytes;
};

static void lay_over(struct text *own, struct slice bytes)
{
	uint16_t at;

	for (; bytes.n >= sizeof(at) + 8; bytes.p += sizeof(at) + 8, bytes.n -= sizeof(at) + 8) {
		memcpy(&at, bytes.p, sizeof(at));
		if (own->len >= 8)
			memcpy(own->data + at % (own->len - 7), bytes.p + sizeof(at), 8);
	}
}

/* --- CPU times ----------------------------------------------------------------------------- */

/* A container on two CPUs of a machine, whose usage is known of each (v1) or as a sum (v2). */
struct usage {
	uint64_t cpu_usage[4], cpu_user[4], cpu_system[4];
	struct cgroup_cpu_usage sum;
	struct host_stat_cpu host[2];
};

static void use(struct usage *u, uint64_t user, uint64_t system)
{
	u->sum.usage += user + system;
	u->sum.user += user;
	u->sum.system += system;
	u->cpu_usage[3] += user + system;
	u->cpu_user[3] += user;
	u->cpu_system[3] += system;
	u->host[1].ticks[0] += (user + system) / (NS_PER_S / USER_HZ);
}

static struct usage usage_new(bool v1)
{
	struct usage u = { .sum = { .known = true, .n_cpus = v1 ? 4 : 0 },
		.host = { { .cpu = 0 }, { .cpu = 3 } } };

	use(&u, 3 * NS_PER_S, 2 * NS_PER_S);
	return u;
}

static void look(struct usage *u, uint64_t now_ns, struct slice old, struct slice predecessor,
	struct text *state, struct cputime *ret)
{
	struct cpumask visible = { 0 };
	const struct host_stat host = { .cpus = u->host, .n_cpus = 2, .columns = 10 };
	const struct cputime_sample sample = { .now_ns = now_ns,
		.start_ns = START_NS,
		.visible = &visible,
		.usage = &u->sum,
		.host = &host,
		.tasks = 2,
		.user_hz = USER_HZ };

	cpumask_set(&visible, 0);
	cpumask_set(&visible, 3);
	u->sum.cpu_usage = u->cpu_usage;
	u->sum.cpu_user = u->cpu_user;
	u->sum.cpu_system = u->cpu_system;
	FUZZ_ASSERT(cputime_advance(old, predecessor, &sample, state, ret) == 0);
}

static uint64_t ticks_of(uint64_t ns)
{
	return mul_div(ns, USER_HZ, NS_PER_S);
}

static uint64_t sum_of(const uint64_t ticks[CPUTIME_COLUMNS])
{
	uint64_t sum = 0;

	for (unsigned c = 0; c < CPUTIME_COLUMNS; c++)
		sum = sat_add(sum, ticks[c]);
	return sum;
}

/* What is printed is well-formed by itself. */
static void check_shown(const struct cputime *c, uint64_t now_ns)
{
	uint64_t sum[CPUTIME_COLUMNS] = { 0 };

	FUZZ_ASSERT(c->n_cpus == 2 && c->cpus[0].cpu == 0 && c->cpus[1].cpu == 3);
	FUZZ_ASSERT(c->start_ns <= c->now_ns && c->now_ns >= now_ns);
	FUZZ_ASSERT(c->now_ns <= now_ns + SLACK_NS && c->processes >= 2);
	for (size_t i = 0; i < c->n_cpus; i++) {
		FUZZ_ASSERT(sum_of(c->cpus[i].ticks) <= ticks_of(c->now_ns - c->start_ns));
		for (unsigned k = 0; k < CPUTIME_COLUMNS; k++)
			sum[k] = sat_add(sum[k], c->cpus[i].ticks[k]);
	}
	for (unsigned k = 0; k < CPUTIME_COLUMNS; k++)
		FUZZ_ASSERT(c->total[k] >= sum[k]);
}

/* Against a state that was taken for one. */
static void check_goes_on(const struct cputime_state *old, const struct cputime *c)
{
	uint64_t total[CPUTIME_COLUMNS] = { 0 };
	const uint64_t dt_ns = c->now_ns - old->head.now_ns;
	struct cputime_state_cpu cpu;

	FUZZ_ASSERT(c->now_ns >= old->head.now_ns && c->start_ns == old->head.start_ns);
	FUZZ_ASSERT(c->processes >= old->head.processes);
	for (size_t i = 0; i < old->head.n_cpus; i++) {
		cputime_state_cpu(old, i, &cpu);
		for (unsigned k = 0; k < CPUTIME_COLUMNS; k++)
			total[k] = sat_add(total[k], cpu.ticks[k]);
		for (size_t n = 0; n < c->n_cpus; n++) {
			if (c->cpus[n].cpu != cpu.cpu)
				continue;
			for (unsigned k = 0; k < CPUTIME_COLUMNS; k++)
				FUZZ_ASSERT(c->cpus[n].ticks[k] >= cpu.ticks[k]);
			FUZZ_ASSERT(sum_of(c->cpus[n].ticks) <=
				sum_of(cpu.ticks) + ticks_of(dt_ns) + 1);
		}
	}
	for (unsigned k = 0; k < CPUTIME_COLUMNS; k++)
		FUZZ_ASSERT(c->total[k] >= total[k]);
}

/* At first sight: the container's whole life, and no more of it busy than the cgroup says, but for
 * what is rounded. */
static void check_begins(const struct usage *u, const struct cputime *c, uint64_t now_ns)
{
	FUZZ_ASSERT(c->start_ns == START_NS && c->now_ns == now_ns);
	for (size_t i = 0; i < c->n_cpus; i++)
		FUZZ_ASSERT(sum_of(c->cpus[i].ticks) == ticks_of(now_ns - START_NS));
	FUZZ_ASSERT(
		sum_of(c->total) - c->total[CPUTIME_IDLE] <= ticks_of(u->sum.usage) + c->n_cpus);
}

/* One sample behind `old`, whose state takes its place. */
static void step(struct usage *u, uint64_t now_ns, struct slice predecessor, struct text *old)
{
	struct cputime_state before;
	struct text state = { 0 };
	struct cputime c;

	look(u, now_ns, slice_of(old), predecessor, &state, &c);
	check_shown(&c, now_ns);
	if (cputime_state_read(slice_of(old), USER_HZ, now_ns, &before))
		check_goes_on(&before, &c);
	else
		check_begins(u, &c, now_ns);
	cputime_free(&c);
	text_free(old);
	*old = state;
}

/* Two looks of our own, between which both CPUs were busy. */
static struct text own_state(bool v1)
{
	struct usage u = usage_new(v1);
	struct text state = { 0 };

	step(&u, NOW_NS - 2 * NS_PER_S, (struct slice){ "", 0 }, &state);
	use(&u, NS_PER_S, NS_PER_S / 2);
	step(&u, NOW_NS - NS_PER_S / 3, (struct slice){ "", 0 }, &state);
	return state;
}

static void fit(struct text *state)
{
	const size_t head = sizeof(struct cputime_state_head);
	struct cputime_state_cpu cpu;

	for (size_t at = head; at + sizeof(cpu) <= state->len; at += sizeof(cpu)) {
		uint64_t busy = 0;

		memcpy(&cpu, state->data + at, sizeof(cpu));
		for (unsigned c = 0; c < CPUTIME_BUSY; c++) {
			cpu.ticks[c] = ticks_of(cpu.busy.ns[c]);
			busy = sat_add(busy, cpu.ticks[c]);
		}
		cpu.ticks[CPUTIME_IDLE] = sat_sub(ticks_of(cpu.time_ns), busy);
		memcpy(state->data + at, &cpu, sizeof(cpu));
	}
}

static void cputime(const struct input *in, bool v1)
{
	autotext state = { 0 }, anew = { 0 };
	struct usage u = usage_new(v1);

	if (in->mode == RAW) {
		state = fuzz_text((const uint8_t *)in->bytes.p, in->bytes.n);
	} else {
		state = own_state(v1);
		use(&u, NS_PER_S, NS_PER_S / 2);
		lay_over(&state, in->bytes);
	}
	if (in->mode == FITTED)
		fit(&state);
	/* An earlier init's. What begins with it is a state of our own, and stays one. */
	step(&u, NOW_NS, slice_of(&state), &anew);
	step(&u, NOW_NS, (struct slice){ "", 0 }, &state);
	for (unsigned i = 1; i <= 3; i++) {
		struct cputime_state good;

		use(&u, NS_PER_S / 2, NS_PER_S / 7);
		step(&u, NOW_NS + i * NS_PER_S, (struct slice){ "", 0 }, &anew);
		FUZZ_ASSERT(
			cputime_state_read(slice_of(&anew), USER_HZ, NOW_NS + i * NS_PER_S, &good));
		step(&u, NOW_NS + i * NS_PER_S, (struct slice){ "", 0 }, &state);
	}
}

/* --- times of I/O -------------------------------------------------------------------------- */

enum { READS, READ_SECTORS = 2, READ_MS, WRITES, WRITE_MS = 7, BUSY_MS = 9, ALL_MS };

/* One disk, and a container that does some of its I/O. */
struct disk {
	struct host_disk host;
	struct cgroup_io_device device;
};

/* 5 reads of 2 ms each, of which 4 are the container's. */
static void do_io(struct disk *d)
{
	d->host.values[READS] += 5;
	d->host.values[READ_MS] += 10;
	d->host.values[BUSY_MS] += 7;
	d->device.reads += 4;
	d->device.read_bytes += UINT64_C(4) * 512;
}

/* False where the old state stays, for it is of a later sample. */
static bool look_at_disk(struct disk *d, uint64_t now_ns, struct text *state, struct disktime *ret)
{
	const struct host_diskstats host = { .disks = &d->host, .n_disks = 1 };
	const struct cgroup_io io = { .devices = &d->device, .n = 1 };
	const struct disktime_sample sample = {
		.now_ns = now_ns, .start_ns = START_NS, .host = &host, .io = &io
	};
	struct text next = { 0 };

	FUZZ_ASSERT(disktime_advance(slice_of(state), &sample, &next, ret) == 0);
	if (next.len == 0) {
		text_free(&next);
		return false;
	}
	text_free(state);
	*state = next;
	return true;
}

static void check_disk(const struct disk *d, const struct disktime *t)
{
	static const unsigned zeros[] = { 1, 5, 6, WRITES, 8, 11, 12, 13, 15, 16 };

	FUZZ_ASSERT(t->n == 1 && t->disks[0].host == &d->host);
	FUZZ_ASSERT(t->disks[0].values[READS] == d->device.reads);
	FUZZ_ASSERT(t->disks[0].values[READ_SECTORS] == d->device.read_bytes / 512);
	for (size_t i = 0; i < countof(zeros); i++)
		FUZZ_ASSERT(t->disks[0].values[zeros[i]] == 0);
}

/* The same once more, `dt_ns` after `*now_ns`: nothing goes back, and the disk was not busy for
 * longer than an interval may be, if the last look has ended one. */
static bool next_look_at_disk(struct disk *d, uint64_t *now_ns, uint64_t dt_ns, bool bounded,
	struct text *state, struct disktime *last)
{
	const uint64_t *before = last->disks[0].values;
	const uint64_t *now;
	struct disktime t;
	bool stored;

	do_io(d);
	*now_ns += dt_ns;
	stored = look_at_disk(d, *now_ns, state, &t);
	check_disk(d, &t);
	now = t.disks[0].values;
	for (unsigned i = 0; i < HOST_DISK_COLUMNS; i++)
		FUZZ_ASSERT(now[i] >= before[i]);
	/* One that was not over then is at most a second older. */
	FUZZ_ASSERT(
		!bounded || now[BUSY_MS] - before[BUSY_MS] <= (dt_ns + NS_PER_S) / NS_PER_MS + 1);
	disktime_free(last);
	*last = t;
	return stored;
}

/* Whatever the state was, from the second interval on it is ours: 4 reads of 2 ms. A column that
 * can grow no more stays. */
static void check_gain(const struct disktime *t, const struct disktime *last)
{
	static const struct {
		unsigned column, ms;
	} gains[] = { { READ_MS, 8 }, { BUSY_MS, 7 }, { ALL_MS, 8 } };

	for (size_t i = 0; i < countof(gains); i++) {
		const uint64_t now = t->disks[0].values[gains[i].column];
		const uint64_t before = last->disks[0].values[gains[i].column];

		FUZZ_ASSERT(now - before == gains[i].ms || now == UINT64_MAX / 1000);
	}
}

static void copy_of(const struct disktime *t, struct disktime_disk *disk, struct disktime *ret)
{
	*disk = t->disks[0];
	*ret = (struct disktime){ disk, 1 };
}

static void disktime(const struct input *in)
{
	struct disk d = {
		.host = { .major = 8, .head = slice_str("   8       0 sda"), .columns = 17 },
		.device = { .major = 8 }
	};
	struct disktime_disk disk;
	struct disktime t, last;
	uint64_t now_ns = NOW_NS;
	autotext state = { 0 };
	bool bounded;

	do_io(&d);
	if (in->mode == RAW) {
		state = fuzz_text((const uint8_t *)in->bytes.p, in->bytes.n);
	} else {
		look_at_disk(&d, NOW_NS - 2 * NS_PER_S, &state, &t);
		disktime_free(&t);
		do_io(&d);
		lay_over(&state, in->bytes);
	}
	bounded = look_at_disk(&d, now_ns, &state, &t);
	check_disk(&d, &t);
	bounded = next_look_at_disk(&d, &now_ns, NS_PER_S, bounded, &state, &t);
	/* Past all that a state may be ahead, and then some. */
	bounded = next_look_at_disk(&d, &now_ns, SLACK_NS + 2 * NS_PER_S, bounded, &state, &t);
	FUZZ_ASSERT(bounded);
	copy_of(&t, &disk, &last);
	next_look_at_disk(&d, &now_ns, NS_PER_S, bounded, &state, &t);
	check_gain(&t, &last);
	disktime_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;
	autotext bytes = { 0 };

	if (size == 0)
		return 0;
	bytes = fuzz_text(data + 1, size - 1);
	in = (struct input){ data[0] % MODES, slice_of(&bytes) };
	cputime(&in, false);
	cputime(&in, true);
	disktime(&in);
	return 0;
}
