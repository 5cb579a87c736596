/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The times of /proc/diskstats over several samples: what golden files, which are one read each,
 * cannot show.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "disktime.h"
#include "unit.h"

enum { READS = 0, READ_MS = 3, WRITES = 4, WRITE_MS = 7, IN_FLIGHT = 8, BUSY_MS = 9, ALL_MS = 10 };
enum { DISCARDS = 11, DISCARD_MS = 14 };

/* A machine with one disk, and a container that was started one second after boot. */
static struct {
	struct host_disk disk;
	struct host_diskstats host;
	struct cgroup_io_device device;
	struct cgroup_io io;
	struct disktime_sample sample;
	struct text state; /* as the account keeps it */
	struct disktime shown;
} b;

static void setup(void)
{
	memset(&b, 0, sizeof(b));
	b.disk = (struct host_disk){ .major = 8, .columns = 17 };
	b.host = (struct host_diskstats){ .disks = &b.disk, .n_disks = 1 };
	b.device = (struct cgroup_io_device){ .major = 8 };
	b.io = (struct cgroup_io){ &b.device, 1 };
	b.sample = (struct disktime_sample){ NS_PER_S, NS_PER_S, &b.host, &b.io };
}

static void teardown(void)
{
	disktime_free(&b.shown);
	text_free(&b.state);
}

/* One read of the file, `ms` after the last one. */
static void look(uint64_t ms)
{
	autotext state = { 0 };

	b.sample.now_ns += ms * NS_PER_MS;
	disktime_free(&b.shown);
	ck_assert_int_eq(disktime_advance(slice_of(&b.state), &b.sample, &state, &b.shown), 0);
	if (state.len == 0)
		return;
	text_reset(&b.state);
	text_add(&b.state, state.data, state.len);
}

/* What is shown in a column of the only line. */
static uint64_t shown(unsigned column)
{
	ck_assert_uint_eq(b.shown.n, 1);
	return b.shown.disks[0].values[column];
}

static void host_reads(uint64_t ios, uint64_t ms, uint64_t busy_ms)
{
	b.disk.values[READS] += ios;
	b.disk.values[READ_MS] += ms;
	b.disk.values[BUSY_MS] += busy_ms;
}

START_TEST(each_interval_counts_with_its_own_mean_time)
{
	/* 2 ms an I/O, then 10 ms: 10 × 2 + 10 × 10. */
	host_reads(100, 200, 200);
	b.device.reads = 10;
	look(10000);
	ck_assert_uint_eq(shown(READ_MS), 20);
	host_reads(50, 500, 500);
	b.device.reads = 20;
	look(10000);
	ck_assert_uint_eq(shown(READ_MS), 120);
	ck_assert_uint_eq(shown(READS), 20);
	ck_assert_uint_eq(shown(ALL_MS), 120);
	/* Others' I/O makes nothing longer. */
	host_reads(1000, 90000, 10000);
	look(10000);
	ck_assert_uint_eq(shown(READ_MS), 120);
	ck_assert_uint_eq(shown(BUSY_MS), 120);
}
END_TEST

START_TEST(classes_of_io_do_not_mix)
{
	host_reads(10, 10, 60);
	b.disk.values[WRITES] = 10;
	b.disk.values[WRITE_MS] = 30;
	b.disk.values[DISCARDS] = 10;
	b.disk.values[DISCARD_MS] = 70;
	b.device.reads = 1;
	b.device.writes = 2;
	b.device.discards = 3;
	look(60000);
	ck_assert_uint_eq(shown(READ_MS), 1);
	ck_assert_uint_eq(shown(WRITE_MS), 6);
	ck_assert_uint_eq(shown(DISCARD_MS), 21);
	ck_assert_uint_eq(shown(ALL_MS), 28);
	ck_assert_uint_eq(shown(IN_FLIGHT), 0);
}
END_TEST

START_TEST(busy_time_is_the_least_of_host_product_and_interval)
{
	/* The product, 100 × 5 ms, is the least. */
	host_reads(200, 1000, 800);
	b.device.reads = 100;
	look(2000);
	ck_assert_uint_eq(shown(BUSY_MS), 500);
	/* The host's busy time: deep queues make the product 2000. */
	host_reads(100, 2000, 300);
	b.device.reads = 200;
	look(2000);
	ck_assert_uint_eq(shown(BUSY_MS), 800);
	/* The interval: the host's counter made a leap. */
	host_reads(100, 90000, 90000);
	b.device.reads = 300;
	look(2000);
	ck_assert_uint_eq(shown(BUSY_MS), 2800);
}
END_TEST

START_TEST(many_short_intervals_lose_nothing)
{
	/* Each I/O takes 1/3 ms, every fourth is the container's: 900 × 1/3 ms, within 1 ms. */
	for (unsigned i = 1; i <= 900; i++) {
		b.disk.values[READS] = 4 * i;
		b.disk.values[READ_MS] = 4 * i / 3;
		b.device.reads = i;
		look(2);
	}
	ck_assert_uint_ge(shown(READ_MS), 299);
	ck_assert_uint_le(shown(READ_MS), 300);
}
END_TEST

START_TEST(io_that_the_hosts_snapshot_lags_behind_is_counted_later)
{
	host_reads(10, 20, 20);
	b.device.reads = 10;
	look(5000);
	ck_assert_uint_eq(shown(READ_MS), 20);
	b.device.reads = 20;
	look(5);
	ck_assert_uint_eq(shown(READS), 20);
	ck_assert_uint_eq(shown(READ_MS), 20);
	host_reads(10, 40, 5);
	look(5);
	ck_assert_uint_eq(shown(READ_MS), 60);
	/* All of the 10 ms count as the interval, not only the last 5. */
	ck_assert_uint_eq(shown(BUSY_MS), 25);
}
END_TEST

START_TEST(of_two_racing_readers_the_one_behind_counts_nothing_twice)
{
	host_reads(100, 200, 200);
	b.device.reads = 100;
	look(5000);
	ck_assert_uint_eq(shown(READ_MS), 200);
	/* The later one has read both sides before the other did. */
	b.disk.values[READS] -= 10;
	b.disk.values[READ_MS] -= 20;
	b.device.reads -= 10;
	look(1);
	ck_assert_uint_eq(shown(READ_MS), 200);
	/* Or only the container's, */
	host_reads(10, 20, 20);
	look(1);
	ck_assert_uint_eq(shown(READ_MS), 200);
	/* or only the host's. */
	b.disk.values[READS] -= 10;
	b.disk.values[READ_MS] -= 20;
	b.device.reads += 10;
	look(1);
	ck_assert_uint_eq(shown(READ_MS), 200);
	/* 20 I/Os and 100 ms since the first look, and half of them the container's. */
	host_reads(30, 120, 120);
	b.device.reads += 10;
	look(1);
	ck_assert_uint_eq(shown(READ_MS), 250);
}
END_TEST

START_TEST(discards_that_an_old_kernel_does_not_time_hold_nothing_up)
{
	b.disk.columns = 11;
	host_reads(10, 20, 20);
	b.device.reads = 10;
	look(5000);
	host_reads(10, 20, 20);
	b.device.reads = 20;
	b.device.discards = 5;
	look(100);
	ck_assert_uint_eq(shown(READ_MS), 40);
}
END_TEST

START_TEST(a_device_that_keeps_no_statistics_holds_nothing_up)
{
	b.device.reads = 1;
	b.device.discards = 5;
	look(5000);
	ck_assert_uint_eq(shown(READ_MS), 0);
	host_reads(1, 7, 7);
	b.device.reads = 2;
	look(5000);
	ck_assert_uint_eq(shown(READ_MS), 7);
}
END_TEST

START_TEST(a_late_reader_changes_nothing)
{
	autotext before = { 0 };
	host_reads(10, 20, 20);
	b.device.reads = 10;
	look(5000);
	host_reads(10, 100, 100);
	b.device.reads = 20;
	look(5000);
	ck_assert_uint_eq(shown(READ_MS), 120);
	/* Its sample is the one before. */
	b.disk.values[READS] -= 10;
	b.disk.values[READ_MS] -= 100;
	b.device.reads = 10;
	b.sample.now_ns -= 5000 * NS_PER_MS;
	text_add(&before, b.state.data, b.state.len);
	look(0);
	ck_assert(slice_same(slice_of(&before), slice_of(&b.state)));
	ck_assert_uint_eq(shown(READ_MS), 120);
	/* And the one after it does not count the same I/Os twice. */
	host_reads(10, 100, 100);
	b.device.reads = 20;
	look(10000);
	ck_assert_uint_eq(shown(READ_MS), 120);
}
END_TEST

/* What it has seen end is no end for those after it: 1 I/O of 100 ms then, but 9 short ones more.
 */
START_TEST(a_late_reader_shows_no_time_that_the_next_one_does_not)
{
	host_reads(10, 20, 20);
	b.device.reads = 10;
	look(5000);
	/* A read that the host's snapshot lacks keeps the interval open; later than the next. */
	b.device.reads = 11;
	look(10);
	ck_assert_uint_eq(shown(READ_MS), 20);
	b.sample.now_ns -= 5 * NS_PER_MS;
	host_reads(1, 100, 100);
	look(0);
	ck_assert_uint_eq(shown(READ_MS), 20);
	host_reads(9, 0, 0);
	look(10);
	ck_assert_uint_eq(shown(READ_MS), 30);
}
END_TEST

START_TEST(times_stand_still_while_the_hosts_counters_begin_anew)
{
	host_reads(1000, 5000, 4000);
	b.device.reads = 100;
	look(60000);
	ck_assert_uint_eq(shown(READ_MS), 500);
	ck_assert_uint_eq(shown(BUSY_MS), 500);
	memset(b.disk.values, 0, sizeof(b.disk.values));
	host_reads(10, 20, 20);
	b.device.reads = 105;
	look(5000);
	ck_assert_uint_eq(shown(READ_MS), 500);
	ck_assert_uint_eq(shown(BUSY_MS), 500);
	host_reads(10, 30, 30);
	b.device.reads = 110;
	look(5000);
	ck_assert_uint_eq(shown(READ_MS), 515);
	ck_assert_uint_eq(shown(BUSY_MS), 515);
}
END_TEST

START_TEST(the_kernels_32_bit_milliseconds_may_wrap)
{
	host_reads(UINT32_MAX, UINT32_MAX - 9, 0);
	b.device.reads = 1;
	look(60000);
	ck_assert_uint_eq(shown(READ_MS), 0);
	b.disk.values[READS] += 10;
	b.disk.values[READ_MS] = 40; /* 50 ms later */
	b.device.reads = 11;
	look(60000);
	ck_assert_uint_eq(shown(READ_MS), 50);
	/* Not a wrap: too little is missing. */
	b.disk.values[READS] += 10;
	b.disk.values[READ_MS] = 30;
	b.device.reads = 21;
	look(60000);
	ck_assert_uint_eq(shown(READ_MS), 50);
}
END_TEST

START_TEST(a_device_that_vanishes_and_returns_goes_on_from_its_times)
{
	host_reads(100, 300, 300);
	b.device.reads = 100;
	look(10000);
	ck_assert_uint_eq(shown(READ_MS), 300);
	b.host.n_disks = 0;
	look(10000);
	ck_assert_uint_eq(b.shown.n, 0);
	b.host.n_disks = 1;
	memset(b.disk.values, 0, sizeof(b.disk.values));
	b.device.reads = 0;
	host_reads(1, 1, 1);
	b.device.reads = 1;
	look(10000);
	ck_assert_uint_eq(shown(READS), 1);
	ck_assert_uint_eq(shown(READ_MS), 300);
	host_reads(9, 18, 18);
	b.device.reads = 10;
	look(10000);
	ck_assert_uint_eq(shown(READ_MS), 318);
	ck_assert_uint_eq(shown(BUSY_MS), 318);
}
END_TEST

START_TEST(devices_that_come_and_go_do_not_grow_the_state_for_ever)
{
	size_t most = 0;

	for (unsigned minor = 0; minor < 1000; minor++) {
		b.disk.minor = b.device.minor = minor;
		host_reads(1, 1, 1);
		b.device.reads++;
		look(2000);
		if (minor == 200)
			most = b.state.len;
	}
	ck_assert_uint_eq(b.state.len, most);
}
END_TEST

START_TEST(several_devices_keep_their_own_times_in_the_hosts_order)
{
	struct host_disk disks[3] = { { .major = 8, .minor = 0, .columns = 15 },
		{ .major = 7, .minor = 0, .columns = 15 },
		{ .major = 8, .minor = 16, .columns = 15 } };
	struct cgroup_io_device devices[] = { { .major = 8, .minor = 16, .writes = 2 },
		{ .major = 8, .minor = 0, .writes = 1 }, { .major = 9, .minor = 9, .writes = 9 } };
	b.host = (struct host_diskstats){ .disks = disks, .n_disks = 3 };
	b.io = (struct cgroup_io){ devices, 3 };
	for (unsigned i = 0; i < 3; i++) {
		disks[i].values[WRITES] = 10;
		disks[i].values[WRITE_MS] = 10 * (i + 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		look(5000);
		ck_assert_uint_eq(b.shown.n, 2);
		ck_assert_ptr_eq(b.shown.disks[0].host, &disks[0]);
		ck_assert_uint_eq(b.shown.disks[0].values[WRITE_MS], 1);
		ck_assert_ptr_eq(b.shown.disks[1].host, &disks[2]);
		ck_assert_uint_eq(b.shown.disks[1].values[WRITE_MS], 6);
	}
}
END_TEST

START_TEST(huge_counters_saturate)
{
	host_reads(1, UINT64_MAX, UINT64_MAX);
	b.device.reads = UINT64_MAX;
	b.device.read_bytes = UINT64_MAX;
	look(5000);
	ck_assert_uint_eq(shown(READS), UINT64_MAX);
	ck_assert_uint_eq(shown(2), UINT64_MAX / 512);
	ck_assert_uint_eq(shown(READ_MS), UINT64_MAX / 1000);
	ck_assert_uint_eq(shown(ALL_MS), UINT64_MAX / 1000);
	ck_assert_uint_eq(shown(BUSY_MS), 5000);
}
END_TEST

/* Looks at the state with one byte wrong, or cut with what is cut off still behind it. */
static void look_at_damaged(const struct text *good, size_t wrong, size_t n)
{
	text_reset(&b.state);
	text_add(&b.state, good->data, good->len);
	if (wrong < good->len)
		b.state.data[wrong] = (char)~b.state.data[wrong];
	b.state.len = n;
	look(0);
}

START_TEST(bytes_that_are_no_state_count_as_none)
{
	const size_t version_and_number = 8;
	autotext good = { 0 };
	size_t n;

	/* 3 ms an I/O, then 9 ms: 100 × 3 + 50 × 9, or 150 × 6 for who knows no intervals. */
	host_reads(100, 300, 300);
	b.device.reads = 100;
	look(10000);
	host_reads(100, 900, 900);
	b.device.reads = 150;
	look(10000);
	text_add(&good, b.state.data, b.state.len);
	n = good.len;
	look_at_damaged(&good, n, n);
	ck_assert_uint_eq(shown(READ_MS), 750);
	for (size_t cut = 0; cut < n; cut++) {
		look_at_damaged(&good, n, cut);
		ck_assert_uint_eq(shown(READ_MS), 900);
		ck_assert_uint_eq(b.state.len, n);
	}
	for (size_t i = 0; i < n; i++) {
		look_at_damaged(&good, i, n);
		ck_assert_uint_eq(shown(READS), 150);
		if (i < version_and_number)
			ck_assert_uint_eq(shown(READ_MS), 900);
		look(2000);
		/* At most the garbage is kept as a device that is gone. */
		ck_assert_uint_le(b.state.len, 2 * n);
	}
}
END_TEST

/* Whatever of a state lies in the future, the times start anew and go on from then. */
START_TEST(a_state_from_the_future_does_not_stop_the_times)
{
	/* The time of the state, and that of its first device. */
	const size_t offset = _i == 0 ? 8 : 24;
	const uint64_t future = UINT64_MAX - 1;

	host_reads(100, 300, 300);
	b.device.reads = 100;
	look(10000);
	memcpy(b.state.data + offset, &future, sizeof(future));
	host_reads(100, 300, 300);
	b.device.reads = 200;
	look(10000);
	ck_assert_uint_eq(shown(READ_MS), 600);
	host_reads(100, 500, 500);
	b.device.reads = 250;
	look(10000);
	ck_assert_uint_eq(shown(READ_MS), 850);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disktime");
	TCase *c = tcase_create("disktime");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, each_interval_counts_with_its_own_mean_time);
	tcase_add_test(c, classes_of_io_do_not_mix);
	tcase_add_test(c, busy_time_is_the_least_of_host_product_and_interval);
	tcase_add_test(c, many_short_intervals_lose_nothing);
	tcase_add_test(c, io_that_the_hosts_snapshot_lags_behind_is_counted_later);
	tcase_add_test(c, of_two_racing_readers_the_one_behind_counts_nothing_twice);
	tcase_add_test(c, discards_that_an_old_kernel_does_not_time_hold_nothing_up);
	tcase_add_test(c, a_device_that_keeps_no_statistics_holds_nothing_up);
	tcase_add_test(c, a_late_reader_changes_nothing);
	tcase_add_test(c, a_late_reader_shows_no_time_that_the_next_one_does_not);
	tcase_add_test(c, times_stand_still_while_the_hosts_counters_begin_anew);
	tcase_add_test(c, the_kernels_32_bit_milliseconds_may_wrap);
	tcase_add_test(c, a_device_that_vanishes_and_returns_goes_on_from_its_times);
	tcase_add_test(c, devices_that_come_and_go_do_not_grow_the_state_for_ever);
	tcase_add_test(c, several_devices_keep_their_own_times_in_the_hosts_order);
	tcase_add_test(c, huge_counters_saturate);
	tcase_add_test(c, bytes_that_are_no_state_count_as_none);
	tcase_add_loop_test(c, a_state_from_the_future_does_not_stop_the_times, 0, 2);
	suite_add_tcase(s, c);
	return unit_run(s);
}
