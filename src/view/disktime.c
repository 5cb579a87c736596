/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The times of a container's I/O, advanced from sample to sample. Reads nothing and prints nothing.
 */
#include "disktime.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"

#define DISKTIME_VERSION 1u

/* Devices whose line is gone are remembered, for they may return; the latest to go, this many. */
#define DISKTIME_GONE 64u

/* How long an interval may wait for the host's counters (see interval_is_over()). */
#define DISKTIME_PATIENCE NS_PER_S

/* A reader may be that late with its sample; a state from further ahead is none of ours. */
#define DISKTIME_FUTURE (60 * NS_PER_S)

enum disktime_class { READ, WRITE, DISCARD, CLASSES };

/* Where a class of I/O stands among the columns (Documentation/admin-guide/iostats.rst). */
static const struct disktime_columns {
	unsigned ios, sectors, ms;
	size_t device_ios, device_bytes; /* in struct cgroup_io_device */
} columns[CLASSES] = {
	[READ] = { 0, 2, 3, offsetof(struct cgroup_io_device, reads),
		offsetof(struct cgroup_io_device, read_bytes) },
	[WRITE] = { 4, 6, 7, offsetof(struct cgroup_io_device, writes),
		offsetof(struct cgroup_io_device, write_bytes) },
	[DISCARD] = { 11, 13, 14, offsetof(struct cgroup_io_device, discards),
		offsetof(struct cgroup_io_device, discard_bytes) },
};

enum { COLUMN_BUSY_MS = 9, COLUMN_WEIGHTED_MS = 10 };

#define SECTOR 512u

/* --- the state, as it is stored ------------------------------------------------------------- */

struct disktime_head {
	uint32_t version;
	uint32_t n;
	uint64_t now_ns; /* of the last sample */
};

struct disktime_entry {
	uint32_t major, minor;
	/* The beginning of the running interval: the time, and what the counters were then. */
	uint64_t since_ns;
	uint64_t host_ios[CLASSES], host_ms[CLASSES], host_busy_ms;
	uint64_t ios[CLASSES];
	/* What is shown, but in microseconds: of many short intervals none may be lost. */
	uint64_t us[CLASSES], weighted_us, busy_us;
};

/* A state in memory; `entries` point into bytes that may lie anywhere, hence the copies. */
struct disktime_old {
	struct disktime_head head;
	const char *entries;
	size_t next; /* where the search goes on: both sides are in the host's order */
};

static struct disktime_old read_state(struct slice bytes, const struct disktime_sample *sample)
{
	struct disktime_old old = { .head = { .now_ns = sample->start_ns } };
	struct disktime_head head;

	if (bytes.n < sizeof(head))
		return old;
	memcpy(&head, bytes.p, sizeof(head));
	if (head.version != DISKTIME_VERSION ||
		bytes.n - sizeof(head) != (uint64_t)head.n * sizeof(struct disktime_entry) ||
		sat_sub(head.now_ns, sample->now_ns) > DISKTIME_FUTURE)
		return old;
	return (struct disktime_old){ .head = head, .entries = bytes.p + sizeof(head) };
}

static void old_entry(const struct disktime_old *old, size_t i, struct disktime_entry *ret)
{
	memcpy(ret, old->entries + i * sizeof(*ret), sizeof(*ret));
}

/* Another reader was faster, with a later sample: what it stored stays, and no interval ends now
 * that the next reader would know nothing of. */
static bool is_late(const struct disktime_old *old, const struct disktime_sample *sample)
{
	return old->entries && sample->now_ns < old->head.now_ns;
}

/* The entry of a device. One that is new begins its first interval at the last sample, when the
 * container had no I/O on it, or at the container's start. */
static struct disktime_entry find_entry(struct disktime_old *old, const struct host_disk *disk)
{
	struct disktime_entry e;

	for (size_t tried = 0; tried < old->head.n; tried++) {
		const size_t i = (old->next + tried) % old->head.n;

		old_entry(old, i, &e);
		if (e.major != disk->major || e.minor != disk->minor)
			continue;
		old->next = i + 1;
		/* No interval begins behind the last sample: such bytes are not ours. */
		if (e.since_ns <= old->head.now_ns)
			return e;
		break;
	}
	return (struct disktime_entry){
		.major = disk->major, .minor = disk->minor, .since_ns = old->head.now_ns
	};
}

/* --- one interval --------------------------------------------------------------------------- */

/* What the counters say now, in the shape of an entry. */
static struct disktime_entry measure(const struct disktime_sample *sample,
	const struct host_disk *disk, const struct cgroup_io_device *device)
{
	struct disktime_entry now = { .since_ns = sample->now_ns,
		.host_busy_ms = disk->values[COLUMN_BUSY_MS] };

	for (unsigned c = 0; c < CLASSES; c++) {
		/* Kernels before 4.18 print no discards, and then have no time for them. */
		if (columns[c].ms >= disk->columns)
			continue;
		now.host_ios[c] = disk->values[columns[c].ios];
		now.host_ms[c] = disk->values[columns[c].ms];
		memcpy(&now.ios[c], (const char *)device + columns[c].device_ios,
			sizeof(now.ios[c]));
	}
	return now;
}

/* The kernel prints milliseconds as 32-bit numbers, so they wrap after 49 days of I/O. What went
 * back by less than half of that has begun anew instead. */
static uint64_t ms_between(uint64_t from, uint64_t to)
{
	if (to >= from)
		return to - from;
	return from <= UINT32_MAX && from - to > UINT32_MAX / 2 ? (uint32_t)(to - from) : 0;
}

/*
 * False while the host's counters do not contain what the container's do: the snapshot of the host
 * is shared and may be some milliseconds old, and of two readers the later one may have read
 * earlier. Such an interval goes on, so that none of its I/Os is lost or counted twice. What lasts
 * longer is no delay: a device was replaced, or does not count (queue/iostats is 0).
 */
static bool interval_is_over(const struct disktime_entry *e, const struct disktime_entry *now)
{
	if (now->since_ns <= e->since_ns)
		return false;
	if (now->since_ns - e->since_ns > DISKTIME_PATIENCE)
		return true;
	for (unsigned c = 0; c < CLASSES; c++)
		if (now->host_ios[c] < e->host_ios[c] || now->ios[c] < e->ios[c] ||
			(now->ios[c] > e->ios[c] && now->host_ios[c] == e->host_ios[c]))
			return false;
	return true;
}

/* The time of a class in the interval, in microseconds; none where a counter began anew. */
static uint64_t class_us(
	const struct disktime_entry *e, const struct disktime_entry *now, unsigned c)
{
	const uint64_t ios = sat_sub(now->ios[c], e->ios[c]);

	if (ios == 0 || now->host_ios[c] <= e->host_ios[c])
		return 0;
	return mul_div(mul_div(ms_between(e->host_ms[c], now->host_ms[c]), 1000, 1), ios,
		now->host_ios[c] - e->host_ios[c]);
}

/* Adds the interval that ends now, and begins the next one. */
static void add_interval(struct disktime_entry *e, const struct disktime_entry *now)
{
	const uint64_t busy_ms = ms_between(e->host_busy_ms, now->host_busy_ms);
	uint64_t all_us = 0, busy_us;

	for (unsigned c = 0; c < CLASSES; c++) {
		const uint64_t us = class_us(e, now, c);

		e->us[c] = sat_add(e->us[c], us);
		all_us = sat_add(all_us, us);
		e->host_ios[c] = now->host_ios[c];
		e->host_ms[c] = now->host_ms[c];
		e->ios[c] = now->ios[c];
	}
	busy_us = min_u64(min_u64(mul_div(busy_ms, 1000, 1), all_us),
		(now->since_ns - e->since_ns) / NS_PER_US);
	e->busy_us = sat_add(e->busy_us, busy_us);
	/* The kernel's own weighted time is the sum of the others. */
	e->weighted_us = sat_add(e->weighted_us, all_us);
	e->host_busy_ms = now->host_busy_ms;
	e->since_ns = now->since_ns;
}

/* --- the columns ---------------------------------------------------------------------------- */

/* Merges, I/Os in flight and flushes stay 0: a cgroup does not count them. */
static void fill_columns(const struct disktime_entry *e, const struct cgroup_io_device *device,
	struct disktime_disk *ret)
{
	for (unsigned c = 0; c < CLASSES; c++) {
		uint64_t ios, bytes;

		memcpy(&ios, (const char *)device + columns[c].device_ios, sizeof(ios));
		memcpy(&bytes, (const char *)device + columns[c].device_bytes, sizeof(bytes));
		ret->values[columns[c].ios] = ios;
		ret->values[columns[c].sectors] = bytes / SECTOR;
		ret->values[columns[c].ms] = e->us[c] / 1000;
	}
	ret->values[COLUMN_BUSY_MS] = e->busy_us / 1000;
	ret->values[COLUMN_WEIGHTED_MS] = e->weighted_us / 1000;
}

/* Goes on behind the last one, as does every search here: where a machine has thousands of devices
 * their orders agree. */
static const struct cgroup_io_device *find_device(
	const struct cgroup_io *io, const struct host_disk *disk, size_t *next)
{
	for (size_t tried = 0; tried < io->n; tried++) {
		const struct cgroup_io_device *device = &io->devices[(*next + tried) % io->n];

		if (device->major != disk->major || device->minor != disk->minor)
			continue;
		*next = (size_t)(device - io->devices) + 1;
		return device;
	}
	return NULL;
}

static void advance_disks(struct disktime_old *old, const struct disktime_sample *sample,
	struct text *state, struct disktime *d)
{
	size_t next = 0;

	for (size_t i = 0; i < sample->host->n_disks && d->n < sample->io->n; i++) {
		const struct host_disk *disk = &sample->host->disks[i];
		const struct cgroup_io_device *device = find_device(sample->io, disk, &next);
		struct disktime_entry e, now;

		if (!device)
			continue;
		e = find_entry(old, disk);
		now = measure(sample, disk, device);
		if (!is_late(old, sample) && interval_is_over(&e, &now))
			add_interval(&e, &now);
		d->disks[d->n] = (struct disktime_disk){ .host = disk };
		fill_columns(&e, device, &d->disks[d->n++]);
		text_add(state, &e, sizeof(e));
	}
}

static bool is_shown(const struct disktime *d, const struct disktime_entry *e, size_t *next)
{
	for (size_t tried = 0; tried < d->n; tried++) {
		const size_t i = (*next + tried) % d->n;
		const struct host_disk *disk = d->disks[i].host;

		if (disk->major != e->major || disk->minor != e->minor)
			continue;
		*next = i + 1;
		return true;
	}
	return false;
}

/* What went last stands first in the old state, behind what was there. How many were kept. */
static uint32_t keep_gone(
	const struct disktime_old *old, const struct disktime *d, struct text *state)
{
	uint32_t kept = 0;
	size_t next = 0;

	for (size_t i = 0; i < old->head.n && kept < DISKTIME_GONE; i++) {
		struct disktime_entry e;

		old_entry(old, i, &e);
		if (is_shown(d, &e, &next))
			continue;
		text_add(state, &e, sizeof(e));
		kept++;
	}
	return kept;
}

int disktime_advance(struct slice old_bytes, const struct disktime_sample *sample,
	struct text *state, struct disktime *ret)
{
	struct disktime_old old = read_state(old_bytes, sample);
	struct disktime_head head = { DISKTIME_VERSION, 0, sample->now_ns };
	const size_t before = state->len;
	struct disktime d = { calloc(sample->io->n + 1, sizeof(*d.disks)), 0 };

	if (!d.disks)
		return -ENOMEM;
	text_add(state, &head, sizeof(head));
	advance_disks(&old, sample, state, &d);
	head.n = (uint32_t)d.n + keep_gone(&old, &d, state);
	if (text_error(state) < 0) {
		disktime_free(&d);
		return -ENOMEM;
	}
	memcpy(state->data + before, &head, sizeof(head));
	if (is_late(&old, sample))
		state->len = before;
	*ret = d;
	return 0;
}

void disktime_free(struct disktime *d)
{
	free(d->disks);
	*d = (struct disktime){ 0 };
}
