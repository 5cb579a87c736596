/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests that wait: whose turn it is, how many there may be, and what a worker that was killed at
 * any instant leaves to the next. No device takes part.
 */
#include <linux/fuse.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/daemon/backlog.h"
#include "unit.h"

#define DEVICES 4u
#define NOW 77u /* any time */

static struct handover *area;
static int area_fd;
static struct backlog *backlog;

static void setup(void)
{
	ck_assert_int_eq(handover_new(&area_fd, &area), 0);
	ck_assert_int_eq(backlog_new(area, DEVICES, &backlog), 0);
}

static void teardown(void)
{
	backlog_free(backlog);
	handover_free(area);
	close(area_fd);
}

/* A request of `length` bytes, told by `unique`, as read(2) leaves it. */
static void receive(struct handover_slot *slot, uint64_t unique, uint32_t length)
{
	const struct fuse_in_header header = { .len = length, .unique = unique };

	memset(slot->request, (int)unique, length);
	memcpy(slot->request, &header, sizeof(header));
}

static bool put(uint64_t unique, uint32_t whose)
{
	receive(&area->slots[0], unique, 80);
	return backlog_put(backlog, &area->slots[0], 0, whose, NOW);
}

static uint64_t unique_in(const struct handover_slot *slot)
{
	struct fuse_in_header header;

	memcpy(&header, slot->request, sizeof(header));
	return header.unique;
}

/* 0: nothing waits. */
static uint64_t take(void)
{
	struct handover_slot *slot = &area->slots[1];
	uint64_t unique;

	if (!backlog_take(backlog, slot))
		return 0;
	unique = unique_in(slot);
	handover_slot_clear(slot);
	return unique;
}

/* Another worker over the same area. */
static void next_worker(void)
{
	backlog_free(backlog);
	ck_assert_int_eq(backlog_new(area, DEVICES, &backlog), 0);
}

/* --- turns ------------------------------------------------------------------------------ */

START_TEST(who_came_last_is_served_next_after_one_of_a_thousand)
{
	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert(put(i, 7));
	ck_assert(put(2000, 8));
	ck_assert_uint_eq(take(), 1);
	ck_assert_uint_eq(take(), 2000);
	ck_assert_uint_eq(take(), 2);
	ck_assert(put(2001, 8));
	ck_assert_uint_eq(take(), 3);
	ck_assert_uint_eq(take(), 2001);
}
END_TEST

START_TEST(each_gets_its_turn_and_its_requests_in_their_order)
{
	unsigned seen[5] = { 0 };

	for (uint64_t i = 0; i < 50; i++)
		ck_assert(put(1 + i, (uint32_t)(i / 10)));
	for (unsigned round = 0; round < 10; round++)
		for (unsigned line = 0; line < 5; line++) {
			const uint64_t unique = take();

			ck_assert_uint_eq((unique - 1) % 10, round);
			seen[(unique - 1) / 10]++;
		}
	for (unsigned line = 0; line < 5; line++)
		ck_assert_uint_eq(seen[line], 10);
	ck_assert_uint_eq(take(), 0);
}
END_TEST

START_TEST(a_request_is_taken_as_it_was_read_and_remembers_its_device)
{
	struct handover_slot *to = &area->slots[2];
	uint8_t was[HANDOVER_REQUEST];

	for (uint32_t length = sizeof(struct fuse_in_header); length <= HANDOVER_REQUEST;
		length = length * 2 < HANDOVER_REQUEST || length == HANDOVER_REQUEST
			? length * 2
			: HANDOVER_REQUEST) {
		receive(&area->slots[0], length, length);
		memcpy(was, area->slots[0].request, length);
		ck_assert(backlog_put(backlog, &area->slots[0], 3, 1, NOW));
		ck_assert_uint_eq(handover_slot_length(&area->slots[0]), 0);
		ck_assert_uint_eq(backlog_count(backlog), 1);
		ck_assert(backlog_take(backlog, to));
		ck_assert_uint_eq(backlog_count(backlog), 0);
		ck_assert_mem_eq(to->request, was, length);
		ck_assert_uint_eq(atomic_load(&to->device), 4);
		ck_assert_uint_eq(atomic_load(&to->arrived_ns), NOW);
		handover_slot_clear(to);
		ck_assert_uint_eq(atomic_load(&to->device), 0);
	}
}
END_TEST

START_TEST(nothing_waits_at_first)
{
	ck_assert_uint_eq(backlog_count(backlog), 0);
	ck_assert(!backlog_take(backlog, &area->slots[1]));
	ck_assert_uint_eq(handover_slot_length(&area->slots[1]), 0);
	ck_assert(!handover_is_busy(area, HANDOVER_SLOTS));
}
END_TEST

/* --- bounds ----------------------------------------------------------------------------- */

static void fill(uint32_t length, unsigned most)
{
	unsigned n = 0;

	for (;; n++) {
		receive(&area->slots[0], n + 1, length);
		if (!backlog_put(backlog, &area->slots[0], 0, n, NOW))
			break;
	}
	ck_assert_uint_eq(n, most);
	/* what finds no room is not lost */
	ck_assert_uint_eq(handover_slot_length(&area->slots[0]), length);
	handover_slot_clear(&area->slots[0]);
	while (take() != 0)
		n--;
	ck_assert_uint_eq(n, 0);
}

START_TEST(what_finds_no_room_stays_with_its_thread)
{
	fill(64, HANDOVER_WAITING_SMALL);
	fill(4096, HANDOVER_WAITING_LARGE);
	fill(64, HANDOVER_WAITING_SMALL);
}
END_TEST

START_TEST(what_cannot_be_a_request_is_not_put_in_line)
{
	receive(&area->slots[0], 1, 39);
	ck_assert(!backlog_put(backlog, &area->slots[0], 0, 1, NOW));
	area->slots[0].request[2] = 0xff;
	ck_assert(!backlog_put(backlog, &area->slots[0], 0, 1, NOW));
}
END_TEST

START_TEST(only_what_is_used_at_once_costs_memory)
{
	for (uint64_t i = 1; i < 100000; i++) {
		ck_assert(put(i, 1));
		ck_assert_uint_eq(take(), i);
	}
	ck_assert_uint_eq(atomic_load(&area->backlog.used_small), 1);
	ck_assert_uint_eq(atomic_load(&area->backlog.used_large), 0);
}
END_TEST

/* --- from worker to worker -------------------------------------------------------------- */

START_TEST(the_next_worker_serves_what_a_killed_one_left)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		for (uint64_t i = 1; i <= 100; i++)
			put(i, 1);
		for (uint64_t i = 1; i <= 10; i++)
			take();
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(handover_is_busy(area, DEVICES));
	next_worker();
	ck_assert_uint_eq(backlog_count(backlog), 90);
	for (uint64_t i = 11; i <= 100; i++)
		ck_assert_uint_eq(take(), i);
	ck_assert(!handover_is_busy(area, DEVICES));
	/* and has room for as many as before */
	for (uint64_t i = 1; i <= 100; i++)
		ck_assert(put(i, 1));
	ck_assert_uint_eq(atomic_load(&area->backlog.used_small), 100);
}
END_TEST

/* Killed in backlog_put() behind the copy. */
START_TEST(a_request_that_is_still_in_its_slot_is_not_served_twice)
{
	put(5, 1);
	receive(&area->slots[0], 5, 80);
	next_worker();
	ck_assert_uint_eq(backlog_count(backlog), 0);
	ck_assert_uint_eq(handover_slot_length(&area->slots[0]), 80);
	handover_slot_clear(&area->slots[0]);
	ck_assert(!handover_is_busy(area, DEVICES));
}
END_TEST

/* Killed in backlog_take() behind the copy. */
START_TEST(nor_is_one_that_is_in_its_new_slot_already)
{
	struct handover_slot *to = &area->slots[1];

	put(5, 1);
	ck_assert(backlog_take(backlog, to));
	handover_request_put(handover_waiting(area, 0), to->request, 80);
	next_worker();
	ck_assert_uint_eq(backlog_count(backlog), 0);
	ck_assert_uint_eq(unique_in(to), 5);
	ck_assert_uint_eq(atomic_load(&to->device), 1);
}
END_TEST

/* Killed in backlog_put() before the copy was whole: it is in its slot. */
START_TEST(half_a_request_is_none)
{
	memset(handover_waiting(area, 0) + 4, 0xff, 76);
	atomic_store(&area->backlog.used_small, 1);
	next_worker();
	ck_assert_uint_eq(backlog_count(backlog), 0);
	ck_assert(put(1, 1));
	ck_assert_uint_eq(atomic_load(&area->backlog.used_small), 1);
}
END_TEST

START_TEST(what_cannot_be_answered_is_dropped)
{
	const uint32_t length = 8;

	receive(&area->slots[0], 1, 80);
	ck_assert(backlog_put(backlog, &area->slots[0], DEVICES, 1, NOW));
	ck_assert(put(2, 1));
	memcpy(handover_waiting(area, 1), &length, sizeof(length));
	next_worker();
	ck_assert_uint_eq(backlog_count(backlog), 0);
	atomic_store(&area->backlog.used_small, UINT32_MAX);
	atomic_store(&area->backlog.used_large, UINT32_MAX);
	next_worker();
	ck_assert_uint_eq(backlog_count(backlog), 0);
}
END_TEST

START_TEST(a_fresh_connection_inherits_nothing_that_waits)
{
	put(1, 1);
	receive(&area->slots[0], 2, 5000);
	ck_assert(backlog_put(backlog, &area->slots[0], 0, 1, NOW));
	handover_forget_connection(area);
	ck_assert(!handover_is_busy(area, DEVICES));
	next_worker();
	ck_assert_uint_eq(backlog_count(backlog), 0);
}
END_TEST

static void take_over(void)
{
	struct handover *h;
	bool fresh;

	backlog_free(backlog);
	handover_free(area);
	ck_assert_int_eq(handover_take(area_fd, &area_fd, &h, &fresh), 0);
	area = h;
	ck_assert(fresh);
	ck_assert_int_eq(backlog_new(area, DEVICES, &backlog), 0);
}

START_TEST(another_version_takes_over_what_waits)
{
	put(1, 1);
	put(2, 1);
	receive(&area->slots[0], 3, 5000);
	ck_assert(backlog_put(backlog, &area->slots[0], 2, 1, NOW));
	area->version++;
	take_over();
	ck_assert_uint_eq(take(), 1);
	ck_assert_uint_eq(take(), 2);
	ck_assert_uint_eq(take(), 3);
	ck_assert_uint_eq(area->backlog_at, offsetof(struct handover, backlog));
}
END_TEST

START_TEST(but_not_in_a_form_that_it_does_not_know)
{
	put(1, 1);
	area->version++;
	area->backlog_size--;
	take_over();
	ck_assert_uint_eq(backlog_count(backlog), 0);
	ck_assert_uint_eq(area->backlog_size, sizeof(struct handover_backlog));
	ck_assert(put(1, 1));
	ck_assert_uint_eq(take(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backlog");
	TCase *c = tcase_create("requests");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, who_came_last_is_served_next_after_one_of_a_thousand);
	tcase_add_test(c, each_gets_its_turn_and_its_requests_in_their_order);
	tcase_add_test(c, a_request_is_taken_as_it_was_read_and_remembers_its_device);
	tcase_add_test(c, nothing_waits_at_first);
	tcase_add_test(c, what_finds_no_room_stays_with_its_thread);
	tcase_add_test(c, what_cannot_be_a_request_is_not_put_in_line);
	tcase_add_test(c, only_what_is_used_at_once_costs_memory);
	tcase_add_test(c, the_next_worker_serves_what_a_killed_one_left);
	tcase_add_test(c, a_request_that_is_still_in_its_slot_is_not_served_twice);
	tcase_add_test(c, nor_is_one_that_is_in_its_new_slot_already);
	tcase_add_test(c, half_a_request_is_none);
	tcase_add_test(c, what_cannot_be_answered_is_dropped);
	tcase_add_test(c, a_fresh_connection_inherits_nothing_that_waits);
	tcase_add_test(c, another_version_takes_over_what_waits);
	tcase_add_test(c, but_not_in_a_form_that_it_does_not_know);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
