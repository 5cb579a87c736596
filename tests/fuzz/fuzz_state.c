/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The counters' states, which a worker of another version may have left: any bytes give an answer
 * in which no CPU was busy for longer than it was there.
 */
#include "cputime.h"
#include "disktime.h"
#include "fuzz.h"

static void cputime(struct slice old)
{
	struct cpumask visible;
	struct host_stat_cpu cpus[] = { { .cpu = 0 }, { .cpu = 3 } };
	struct host_stat host = { .cpus = cpus, .n_cpus = countof(cpus), .columns = 10 };
	struct cgroup_cpu_usage usage = {
		.known = true, .usage = 5000000000, .user = 3000000000, .system = 2000000000
	};
	struct cputime_sample sample = { .now_ns = 20000000000,
		.start_ns = 10000000000,
		.visible = &visible,
		.usage = &usage,
		.host = &host,
		.tasks = 1,
		.user_hz = 100 };
	autotext state = { 0 };
	struct cputime c;

	cpumask_clear(&visible);
	cpumask_set(&visible, 0);
	cpumask_set(&visible, 3);
	if (cputime_advance(old, old, &sample, &state, &c) < 0)
		return;
	FUZZ_ASSERT(c.n_cpus == 2);
	cputime_free(&c);
}

static void disktime(struct slice old)
{
	struct host_disk disk = {
		.major = 8, .head = slice_str("   8       0 sda"), .columns = 17
	};
	const struct host_diskstats host = { .disks = &disk, .n_disks = 1 };
	struct cgroup_io_device device = { .major = 8, .read_bytes = 4096, .reads = 1 };
	const struct cgroup_io io = { .devices = &device, .n = 1 };
	const struct disktime_sample sample = {
		.now_ns = 20000000000, .start_ns = 10000000000, .host = &host, .io = &io
	};
	autotext state = { 0 };
	struct disktime d;

	if (disktime_advance(old, &sample, &state, &d) == 0)
		disktime_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext old = fuzz_text(data, size);

	cputime(slice_of(&old));
	disktime(slice_of(&old));
	return 0;
}
