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

#include "cleanup.h"
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
	ck_assert_uint_eq(offsetof(struct handover, given_up), 604);
	ck_assert_uint_eq(offsetof(struct handover, draining), 608);
	ck_assert_uint_eq(offsetof(struct handover, dev), 616);
	ck_assert_uint_eq(offsetof(struct handover, backlog_at), 624);
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
	ck_assert_uint_eq(offsetof(struct handover_slot, device), 40);
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

/* Of a request that was only answered nothing is known that a later one should be told. */
START_TEST(that_work_ahead_has_failed_outlives_the_request)
{
	struct handover_slot *slot = &area->slots[0];

	atomic_store(&slot->ahead, HANDOVER_AHEAD_NOW);
	handover_slot_clear(slot);
	ck_assert_uint_eq(atomic_load(&slot->ahead), HANDOVER_AHEAD_NO);
	ck_assert(!handover_ahead_ends(slot, HANDOVER_AHEAD_FAILED));
	ck_assert_uint_eq(atomic_load(&slot->ahead), HANDOVER_AHEAD_NO);
	atomic_store(&slot->ahead, HANDOVER_AHEAD_NOW);
	ck_assert(handover_ahead_ends(slot, HANDOVER_AHEAD_FAILED));
	handover_slot_clear(slot);
	ck_assert_uint_eq(atomic_load(&slot->ahead), HANDOVER_AHEAD_FAILED);
}
END_TEST

/* But not the version. */
static void assert_dares_again(const struct handover *h)
{
	for (size_t i = 0; i < HANDOVER_SLOTS; i++)
		ck_assert_uint_eq(atomic_load(&h->slots[i].ahead), HANDOVER_AHEAD_NO);
}

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

/* --- what no worker decides -------------------------------------------------------------- */

/* Whatever it wrote there. */
static void spoil(unsigned char byte, struct handover_facts *ret)
{
	area->init.request_len = 80;
	area->init.reply_len = 80;
	area->init.reply[255] = 9;
	area->dev = 77;
	handover_facts_of(area, ret);
	memset(area, byte, offsetof(struct handover, slots));
}

static const unsigned char bytes_of_worker[] = { 0, 1, 0xff };

START_TEST(what_a_worker_wrote_in_place_of_facts_is_set_right)
{
	struct handover_facts facts;

	spoil(bytes_of_worker[_i], &facts);
	handover_state(area, &facts);
	ck_assert_mem_eq(&area->init, &facts.init, sizeof(facts.init));
	ck_assert_uint_eq(area->init.request_len, 80);
	ck_assert_uint_eq(area->init.reply[255], 9);
	ck_assert_uint_eq(area->dev, 77);
	ck_assert_uint_eq(atomic_load(&area->pass_through), 0);
	ck_assert_uint_eq(atomic_load(&area->draining), 0);
	ck_assert_uint_eq(area->size, sizeof(struct handover));
	ck_assert_uint_eq(area->backlog_at, offsetof(struct handover, backlog));
	ck_assert_uint_eq(area->backlog_size, sizeof(struct handover_backlog));
}
END_TEST

START_TEST(and_the_area_can_be_taken_over_again)
{
	struct handover_facts facts;
	struct handover *h;
	bool fresh = true;
	int fd;

	spoil(bytes_of_worker[_i], &facts);
	ck_assert_int_lt(handover_take(area_fd, &fd, &h, &fresh), 0);
	handover_state(area, &facts);
	ck_assert_int_eq(handover_take(area_fd, &fd, &h, &fresh), 0);
	ck_assert(!fresh);
	handover_free(area);
	area = h;
}
END_TEST

START_TEST(a_flag_that_was_set_stays_set)
{
	struct handover_facts facts;

	atomic_store(&area->pass_through, 1);
	spoil(0, &facts);
	ck_assert(facts.pass_through);
	handover_state(area, &facts);
	ck_assert_uint_eq(atomic_load(&area->pass_through), 1);
}
END_TEST

/* What workers count goes on. */
START_TEST(what_workers_decide_is_left_to_them)
{
	struct handover_facts facts;

	handover_facts_of(area, &facts);
	atomic_store(&area->generation, 5);
	atomic_store(&area->given_up, 4);
	atomic_store(&area->nodes_used, 3);
	atomic_store(&area->names_used, 2);
	atomic_store(&area->handles_used, 1);
	handover_state(area, &facts);
	ck_assert_uint_eq(atomic_load(&area->generation), 5);
	ck_assert_uint_eq(atomic_load(&area->given_up), 4);
	ck_assert_uint_eq(atomic_load(&area->nodes_used), 3);
	ck_assert_uint_eq(atomic_load(&area->names_used), 2);
	ck_assert_uint_eq(atomic_load(&area->handles_used), 1);
}
END_TEST

/* --- taken over ------------------------------------------------------------------------- */

/* Something in every section. */
static void use(struct handover *h)
{
	const uint32_t length = 48;

	h->init.request_len = 80;
	h->init.reply[255] = 9;
	h->dev = 77;
	atomic_store(&h->generation, 5);
	atomic_store(&h->pass_through, 1);
	memcpy(h->slots[15].request, &length, sizeof(length));
	atomic_store(&h->slots[15].crashes, 1);
	atomic_store(&h->slots[2].ahead, HANDOVER_AHEAD_FAILED);
	atomic_store(&h->nodes_used, 2);
	h->nodes[1].name_len = 3;
	atomic_store(&h->names_used, 3);
	memcpy(h->names, "abc", 3);
	atomic_store(&h->handles_used, 2);
	atomic_store(&h->handles[1].fh, 11);
	atomic_store(&h->handles[1].snapshot, UINT64_C(1) << 32 | 10);
	atomic_store(&h->accounts[0].state, 7);
	h->pages[0][0] = 1;
}

static void assert_frozen_is_kept(const struct handover *h)
{
	ck_assert_uint_eq(h->init.request_len, 80);
	ck_assert_uint_eq(h->init.reply[255], 9);
	ck_assert_uint_eq(h->dev, 77);
	ck_assert_uint_eq(atomic_load(&h->generation), 5);
	ck_assert_uint_eq(atomic_load(&h->pass_through), 1);
	ck_assert_uint_eq(handover_slot_length(&h->slots[15]), 48);
	ck_assert_uint_eq(atomic_load(&h->slots[15].crashes), 1);
	ck_assert_uint_eq(h->nodes[1].name_len, 3);
	ck_assert_mem_eq(h->names, "abc", 3);
	ck_assert_uint_eq(atomic_load(&h->handles[1].fh), 11);
}

START_TEST(an_area_of_our_layout_is_taken_as_it_is)
{
	struct handover *h;
	bool fresh = true;
	int fd;

	use(area);
	atomic_store(&area->slots[2].ahead, HANDOVER_AHEAD_TOLD);
	handover_free(area);
	ck_assert_int_eq(handover_take(area_fd, &fd, &h, &fresh), 0);
	ck_assert(!fresh);
	assert_dares_again(h);
	ck_assert_int_eq(fd, area_fd);
	assert_frozen_is_kept(h);
	ck_assert_uint_eq(atomic_load(&h->accounts[0].state), 7);
	ck_assert_uint_eq(atomic_load(&h->handles[1].snapshot), UINT64_C(1) << 32 | 10);
	area = h;
}
END_TEST

static void take_another_layout(void)
{
	struct handover *h;
	struct slab *slab;
	bool fresh = false;
	int fd;

	handover_free(area);
	ck_assert_int_eq(handover_take(area_fd, &fd, &h, &fresh), 0);
	ck_assert(fresh);
	assert_dares_again(h);
	ck_assert_int_eq(fcntl(area_fd, F_GETFD), -1);
	ck_assert_uint_eq(h->version, HANDOVER_VERSION);
	ck_assert_uint_eq(h->size, sizeof(struct handover));
	assert_frozen_is_kept(h);
	ck_assert_uint_eq(atomic_load(&h->accounts[0].state), 0);
	ck_assert_uint_eq(h->pages[0][0], 0);
	/* not taken for a text of zeros */
	ck_assert_int_eq(slab_new(h->pages, h->links, HANDOVER_PAGES, &slab), 0);
	ck_assert_int_lt(slab_adopt(slab, atomic_load(&h->handles[1].snapshot)), 0);
	slab_free(slab);
	area = h;
	area_fd = fd;
}

START_TEST(of_another_version_only_the_frozen_sections_are_kept)
{
	use(area);
	area->version = HANDOVER_VERSION + 1;
	take_another_layout();
}
END_TEST

START_TEST(of_another_size_too)
{
	struct handover *h = area;
	const size_t more = sizeof(*h) + SLAB_PAGE;
	int fd = memfd_create("larger", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	use(area);
	ck_assert_int_eq(ftruncate(fd, (off_t)more), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	area->header_size = area->size = more;
	ck_assert_int_gt(pwrite(fd, area, offsetof(struct handover, links), 0), 0);
	close(area_fd);
	area_fd = fd;
	take_another_layout();
}
END_TEST

static void assert_not_taken(int error)
{
	struct handover_init init;
	struct handover *h;
	bool fresh;
	int fd;

	ck_assert_int_eq(handover_take(area_fd, &fd, &h, &fresh), error);
	if (error == -EINVAL)
		ck_assert_int_eq(handover_peek_init(area_fd, &init), error);
	ck_assert_int_ne(fcntl(area_fd, F_GETFD), -1);
}

START_TEST(what_is_no_area_is_not_taken)
{
	int area_of_ours = area_fd;

	area->boot_id[0] ^= 1;
	assert_not_taken(-ESTALE);
	area->magic ^= 1;
	assert_not_taken(-EINVAL);
	/* whose bytes may go away under us */
	area_fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(area_fd, sizeof(struct handover)), 0);
	area->magic ^= 1;
	ck_assert_int_eq(pwrite(area_fd, area, 4096, 0), 4096);
	assert_not_taken(-EINVAL);
	ck_assert_int_eq(ftruncate(area_fd, 65536), 0);
	ck_assert_int_eq(fcntl(area_fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_not_taken(-EINVAL);
	close(area_fd);
	area_fd = open("/dev/null", O_RDWR);
	assert_not_taken(-EINVAL);
	close(area_fd);
	area_fd = area_of_ours;
}
END_TEST

START_TEST(init_can_be_looked_at_from_outside)
{
	struct handover_init init;
	bool pass_through = false;

	use(area);
	area->version = HANDOVER_VERSION + 1;
	ck_assert_int_eq(handover_peek_init(area_fd, &init), 0);
	ck_assert_mem_eq(&init, &area->init, sizeof(init));
	ck_assert_int_eq(handover_peek_pass_through(area_fd, &pass_through), 0);
	ck_assert(pass_through);
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
	tcase_add_test(c, that_work_ahead_has_failed_outlives_the_request);
	tcase_add_test(c, a_fresh_connection_inherits_no_request_and_no_handle);
	tcase_add_test(c, a_number_of_handles_that_cannot_be_right_is_bounded);
	tcase_add_loop_test(c, what_a_worker_wrote_in_place_of_facts_is_set_right, 0,
		(int)countof(bytes_of_worker));
	tcase_add_loop_test(
		c, and_the_area_can_be_taken_over_again, 0, (int)countof(bytes_of_worker));
	tcase_add_test(c, a_flag_that_was_set_stays_set);
	tcase_add_test(c, what_workers_decide_is_left_to_them);
	tcase_add_test(c, an_area_of_our_layout_is_taken_as_it_is);
	tcase_add_test(c, of_another_version_only_the_frozen_sections_are_kept);
	tcase_add_test(c, of_another_size_too);
	tcase_add_test(c, what_is_no_area_is_not_taken);
	tcase_add_test(c, init_can_be_looked_at_from_outside);
	tcase_add_test(c, a_slot_belongs_to_one_thread);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
