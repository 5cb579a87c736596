/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The area that generations of workers share: its frozen layout, and what a slot tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handover.h"
#include "unit.h"

static struct handover *area;
static int area_fd;

static void setup(void)
{
	ck_assert_int_eq(handover_new(&area_fd, &area), 0);
}

static void teardown(void)
{
	handover_free(area);
	close(area_fd);
}

/* A worker of another version maps the same bytes. */
START_TEST(the_frozen_layout_has_not_moved)
{
	ck_assert_uint_eq(offsetof(struct handover, magic), 0);
	ck_assert_uint_eq(offsetof(struct handover, version), 8);
	ck_assert_uint_eq(offsetof(struct handover, header_size), 12);
	ck_assert_uint_eq(offsetof(struct handover, size), 16);
	ck_assert_uint_eq(offsetof(struct handover, init), 80);
	ck_assert_uint_eq(offsetof(struct handover, pass_through), 600);
	ck_assert_uint_eq(offsetof(struct handover, slots), 4096);
	ck_assert_uint_eq(offsetof(struct handover, nodes), 4096 + 16 * 20480);
	ck_assert_uint_eq(
		offsetof(struct handover, names), offsetof(struct handover, nodes) + 262144 * 16);
	ck_assert_uint_eq(
		offsetof(struct handover, handles), offsetof(struct handover, names) + (8 << 20));
	ck_assert_uint_eq(offsetof(struct handover, accounts),
		offsetof(struct handover, handles) + 65536 * 128);
	ck_assert_uint_eq(offsetof(struct handover_slot, crashes), 4);
	ck_assert_uint_eq(offsetof(struct handover_slot, since_ns), 8);
	ck_assert_uint_eq(offsetof(struct handover_slot, fh), 16);
	ck_assert_uint_eq(offsetof(struct handover_slot, snapshot), 24);
	ck_assert_uint_eq(offsetof(struct handover_slot, answered), 32);
	ck_assert_uint_eq(offsetof(struct handover_slot, request), 4096);
	ck_assert_uint_eq(offsetof(struct handover_handle, snapshot), 16);
	ck_assert_uint_eq(offsetof(struct handover_handle, identity), 24);
	ck_assert_uint_eq(offsetof(struct handover_handle, kind), 56);
	ck_assert_uint_eq(offsetof(struct handover_init, request), 8);
	ck_assert_uint_eq(offsetof(struct handover_init, reply), 264);
}
END_TEST

START_TEST(a_new_area_is_named_and_empty)
{
	ck_assert_uint_eq(area->magic, HANDOVER_MAGIC);
	ck_assert_uint_eq(area->version, HANDOVER_VERSION);
	ck_assert_uint_eq(area->size, sizeof(struct handover));
	ck_assert_uint_eq(area->header_size, sizeof(struct handover));
	ck_assert_uint_ge(strlen(area->boot_id), 36);
	ck_assert_uint_eq(area->init.request_len, 0);
	for (size_t i = 0; i < HANDOVER_SLOTS; i++)
		ck_assert_uint_eq(handover_slot_length(&area->slots[i]), 0);
}
END_TEST

START_TEST(nobody_can_resize_the_area_under_its_users)
{
	ck_assert_int_eq(ftruncate(area_fd, 4096), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(ftruncate(area_fd, (off_t)sizeof(struct handover) + 4096), -1);
	ck_assert_int_eq(fcntl(area_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
END_TEST

START_TEST(only_what_is_touched_costs_memory)
{
	struct stat st;

	ck_assert_int_eq(fstat(area_fd, &st), 0);
	ck_assert_int_lt(st.st_blocks * 512, 64 << 10);
}
END_TEST

START_TEST(what_a_killed_process_wrote_is_still_there)
{
	const uint32_t length = 48;
	struct handover_slot *slot = &area->slots[3];
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		memcpy(slot->request, &length, sizeof(length));
		atomic_store(&slot->crashes, 2);
		kill(getpid(), SIGKILL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert_uint_eq(handover_slot_length(slot), 48);
	ck_assert_uint_eq(atomic_load(&slot->crashes), 2);
}
END_TEST

START_TEST(an_answered_request_keeps_its_handle_until_the_next_read)
{
	struct handover_slot *slot = &area->slots[0];

	memset(slot->request, 0xff, 40);
	atomic_store(&slot->fh, 7);
	atomic_store(&slot->crashes, 1);
	handover_slot_done(slot);
	ck_assert_uint_eq(handover_slot_length(slot), 0);
	ck_assert_uint_eq(slot->request[4], 0xff);
	ck_assert_uint_eq(atomic_load(&slot->fh), 7);
	handover_slot_clear(slot);
	ck_assert_uint_eq(atomic_load(&slot->fh), 0);
	ck_assert_uint_eq(atomic_load(&slot->crashes), 0);
	ck_assert_uint_eq(atomic_load(&slot->since_ns), 0);
}
END_TEST

START_TEST(a_fresh_connection_inherits_no_request_and_no_handle)
{
	area->init.request_len = area->init.reply_len = 80;
	memset(area->slots[15].request, 1, 40);
	atomic_store(&area->slots[15].answered, 7);
	atomic_store(&area->handles[0].fh, 1);
	atomic_store(&area->handles[100].fh, 101);
	atomic_store(&area->handles_used, 101);
	atomic_store(&area->nodes_used, 5);
	handover_forget_connection(area);
	ck_assert_uint_eq(area->init.request_len, 0);
	ck_assert_uint_eq(area->init.reply_len, 0);
	ck_assert_uint_eq(handover_slot_length(&area->slots[15]), 0);
	ck_assert_uint_eq(atomic_load(&area->slots[15].answered), 0);
	ck_assert_uint_eq(atomic_load(&area->handles[0].fh), 0);
	ck_assert_uint_eq(atomic_load(&area->handles[100].fh), 0);
	ck_assert_uint_eq(atomic_load(&area->nodes_used), 5);
}
END_TEST

START_TEST(a_number_of_handles_that_cannot_be_right_is_bounded)
{
	atomic_store(&area->handles_used, UINT32_MAX);
	handover_forget_connection(area);
}
END_TEST

static void *slot_of_new_thread(void *unused)
{
	(void)unused;
	return handover_my_slot();
}

START_TEST(a_slot_belongs_to_one_thread)
{
	pthread_t thread;
	void *its = area;

	handover_set_my_slot(&area->slots[1]);
	ck_assert_ptr_eq(handover_my_slot(), &area->slots[1]);
	ck_assert_int_eq(pthread_create(&thread, NULL, slot_of_new_thread, NULL), 0);
	pthread_join(thread, &its);
	ck_assert_ptr_null(its);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handover");
	TCase *c = tcase_create("area");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, the_frozen_layout_has_not_moved);
	tcase_add_test(c, a_new_area_is_named_and_empty);
	tcase_add_test(c, nobody_can_resize_the_area_under_its_users);
	tcase_add_test(c, only_what_is_touched_costs_memory);
	tcase_add_test(c, what_a_killed_process_wrote_is_still_there);
	tcase_add_test(c, an_answered_request_keeps_its_handle_until_the_next_read);
	tcase_add_test(c, a_fresh_connection_inherits_no_request_and_no_handle);
	tcase_add_test(c, a_number_of_handles_that_cannot_be_right_is_bounded);
	tcase_add_test(c, a_slot_belongs_to_one_thread);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
