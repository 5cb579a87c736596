/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Open handles and their texts without a mount, from worker to worker.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "fs_worker.h"
#include "shared.h"
#include "unit.h"

/* --- handles ----------------------------------------------------------------------------- */

static const struct handle_info meminfo = { .node = 20, .kind = HANDOVER_HANDLE_FILE };

static uint64_t open_one(void)
{
	uint64_t fh;

	ck_assert_int_eq(handles_open(handles, &meminfo, &box, NULL, &fh), 0);
	return fh;
}

static void store(uint64_t fh, const char *s)
{
	autotext t = { 0 };

	text_puts(&t, s);
	ck_assert_int_eq(handles_store(handles, fh, &t, NULL), 0);
}

static void assert_loads(uint64_t fh, size_t offset, const char *expected)
{
	autotext t = { 0 };

	ck_assert_int_eq(handles_load(handles, fh, offset, 4096, &t), 0);
	ck_assert_uint_eq(t.len, strlen(expected));
	ck_assert(slice_equal(slice_of(&t), expected));
}

static int load_error(uint64_t fh)
{
	autotext t = { 0 };

	return handles_load(handles, fh, 1, 10, &t);
}

START_TEST(a_later_read_gets_the_rest_of_the_same_text)
{
	uint64_t fh = open_one(), other = open_one();

	ck_assert_int_eq(load_error(fh), -ENODATA);
	store(fh, "MemTotal: 1\n");
	store(other, "MemTotal: 2\n");
	assert_loads(fh, 9, " 1\n");
	assert_loads(fh, 12, "");
	assert_loads(fh, 4096, "");
	store(fh, "");
	assert_loads(fh, 0, "");
	assert_loads(other, 9, " 2\n");
}
END_TEST

START_TEST(the_next_worker_serves_the_same_text)
{
	uint64_t fh = open_one();
	struct container *c = &box;
	struct container_identity identity;
	struct handle_info info;

	store(fh, "MemTotal: 1\n");
	next_worker();
	ck_assert(handles_is(handles, fh, &meminfo));
	assert_loads(fh, 9, " 1\n");
	ck_assert_int_eq(handles_get(handles, fh, &info, &c, &identity), 0);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(identity.init, 77);
	ck_assert_uint_eq(info.node, 20);
	ck_assert_uint_ne(open_one(), fh);
}
END_TEST

/* The reply to a READ at 0 may have reached its reader when the worker died before it noted so. */
START_TEST(a_replayed_read_gives_the_text_that_it_made_the_first_time)
{
	struct handover_slot *slot = &shared->slots[0];
	uint64_t fh = open_one(), other = open_one();
	autotext t = { 0 };

	text_puts(&t, "MemTotal: 1\n");
	store(fh, "MemTotal: 0\n");
	ck_assert(!handles_stored_by(handles, fh, slot));
	ck_assert_int_eq(handles_store(handles, fh, &t, slot), 0);
	next_worker();
	ck_assert(handles_stored_by(handles, fh, slot));
	ck_assert(!handles_stored_by(handles, fh, NULL));
	ck_assert(!handles_stored_by(handles, other, slot));
	assert_loads(fh, 0, "MemTotal: 1\n");
	/* Read again since, by somebody else who has the file. */
	store(fh, "MemTotal: 2\n");
	ck_assert(!handles_stored_by(handles, fh, slot));
	/* Answered: the next request of this slot makes a text of its own. */
	handover_slot_clear(slot);
	ck_assert(!handles_stored_by(handles, fh, slot));
	/* Killed before the handle had it. */
	atomic_store(&slot->snapshot, UINT64_C(1) << 32 | 12);
	ck_assert(!handles_stored_by(handles, other, slot));
	handover_slot_clear(slot);
}
END_TEST

START_TEST(what_is_open_counts_for_its_container_with_every_worker)
{
	uint64_t fh = open_one();

	store(fh, "x");
	next_worker();
	ck_assert_uint_eq(atomic_load(&box.subject.use->handles), 1);
	ck_assert_uint_eq(atomic_load(&box.subject.use->pages), 1);
	ck_assert_int_eq(handles_bind(handles, fh, &box), 0);
	ck_assert_uint_eq(atomic_load(&box.subject.use->handles), 1);
	ck_assert_uint_eq(atomic_load(&box.subject.use->pages), 1);
	ck_assert_int_eq(handles_bind(handles, fh, &box), 0);
	ck_assert_uint_eq(atomic_load(&box.subject.use->handles), 1);
	handles_close(handles, fh);
	ck_assert_uint_eq(atomic_load(&box.subject.use->handles), 0);
	ck_assert_uint_eq(atomic_load(&box.subject.use->pages), 0);
}
END_TEST

START_TEST(a_trigger_and_who_polls_it_are_handed_to_the_next_worker)
{
	const struct pressure_trigger wanted = { true, 150000, 2000000 };
	uint64_t quiet = open_one(), fh = open_one(), found;
	struct handover_slot *slot = &shared->slots[0];
	struct pressure_trigger t;
	uint32_t index = 0;

	ck_assert(!handles_trigger(handles, fh, &t));
	ck_assert_int_eq(handles_arm(handles, fh, &wanted, 0, slot), 0);
	ck_assert_uint_eq(atomic_load(&slot->fh), fh);
	handles_set_poll(handles, fh, 99);
	next_worker();
	ck_assert(handles_trigger(handles, fh, &t));
	ck_assert(t.full && t.threshold_us == 150000 && t.window_us == 2000000);
	ck_assert_uint_eq(handles_get_poll(handles, fh), 99);
	ck_assert_uint_eq(handles_get_poll(handles, quiet), 0);
	ck_assert(handles_next_armed(handles, &index, &found));
	ck_assert_uint_eq(found, fh);
	ck_assert(!handles_next_armed(handles, &index, &found));
	atomic_store(&slot->fh, 0);
}
END_TEST

START_TEST(a_later_handle_has_no_trigger_of_an_earlier_one)
{
	const struct pressure_trigger wanted = { false, 150000, 2000000 };
	uint64_t fh = open_one(), later, found;
	struct pressure_trigger t;
	uint32_t index = 0;

	ck_assert_int_eq(handles_arm(handles, fh, &wanted, 20, NULL), 0);
	handles_set_poll(handles, fh, 99);
	handles_close(handles, fh);
	ck_assert_int_eq(handles_arm(handles, fh, &wanted, 20, NULL), -ESTALE);
	ck_assert(!handles_next_armed(handles, &index, &found));
	later = open_one();
	ck_assert_uint_eq((uint32_t)later, (uint32_t)fh);
	ck_assert(!handles_trigger(handles, fh, &t));
	ck_assert(!handles_trigger(handles, later, &t));
	ck_assert_uint_eq(handles_get_poll(handles, later), 0);
	ck_assert_uint_eq(handles_read_offset(handles, later, 20), 20);
}
END_TEST

START_TEST(what_was_written_does_not_move_what_is_read)
{
	const struct pressure_trigger wanted = { false, 150000, 2000000 };
	uint64_t fh = open_one();

	ck_assert_int_eq(handles_arm(handles, fh, &wanted, 20, NULL), 0);
	next_worker();
	ck_assert_uint_eq(handles_read_offset(handles, fh, 20), 0);
	ck_assert_uint_eq(handles_read_offset(handles, fh, 27), 7);
	/* pread(2) in between, at an offset that a READ behind the WRITE never has. */
	ck_assert_uint_eq(handles_read_offset(handles, fh, 7), 7);
	/* lseek(2) to the start: from now on offsets are what they seem. */
	ck_assert_uint_eq(handles_read_offset(handles, fh, 0), 0);
	ck_assert_uint_eq(handles_read_offset(handles, fh, 27), 27);
	ck_assert_uint_eq(handles_read_offset(handles, 0, 27), 27);
}
END_TEST

START_TEST(a_replayed_release_never_meets_a_later_handle)
{
	uint64_t fh = open_one(), later;

	handles_close(handles, fh);
	later = open_one();
	ck_assert_uint_eq((uint32_t)later, (uint32_t)fh);
	handles_close(handles, fh);
	ck_assert(handles_is(handles, later, &meminfo));
	ck_assert_int_eq(load_error(fh), -ESTALE);
	handles_close(handles, later);
	next_worker();
	ck_assert_uint_ne(open_one(), later);
}
END_TEST

START_TEST(closing_gives_back_all_that_was_used)
{
	const uint32_t before = slab_used(slab);
	uint64_t fh = open_one();

	store(fh, "text");
	store(fh, "newer text");
	ck_assert_uint_eq(atomic_load(&box.subject.use->pages), 1);
	ck_assert_uint_eq(slab_used(slab), before + 1);
	handles_close(handles, fh);
	ck_assert_uint_eq(slab_used(slab), before);
	ck_assert_uint_eq(atomic_load(&box.subject.use->pages), 0);
	ck_assert_uint_eq(handles_count(handles), 0);
	ck_assert_int_eq(references, 0);
	next_worker();
	ck_assert_uint_eq(handles_count(handles), 0);
}
END_TEST

START_TEST(a_lost_snapshot_is_an_error_until_it_is_read_afresh)
{
	uint64_t fh = open_one();

	store(fh, "text");
	atomic_store(&shared->handles[(uint32_t)fh - 1].snapshot, UINT64_MAX - 1);
	next_worker();
	ck_assert_int_eq(load_error(fh), -EIO);
	next_worker(); /* the last one knew of it, but is no more */
	ck_assert_int_eq(load_error(fh), -EIO);
	store(fh, "text");
	assert_loads(fh, 1, "ext");
	next_worker();
	assert_loads(fh, 1, "ext");
}
END_TEST

START_TEST(handles_that_cannot_be_right_are_dropped)
{
	uint64_t fh = open_one(), kind = open_one();

	shared->handles[(uint32_t)fh - 1].generation++;
	shared->handles[(uint32_t)kind - 1].kind = 9;
	next_worker();
	ck_assert_int_eq(load_error(fh), -ESTALE);
	ck_assert_int_eq(load_error(kind), -ESTALE);
	ck_assert_uint_eq(handles_count(handles), 0);
	ck_assert_int_eq(load_error(0), -ESTALE);
	ck_assert_int_eq(load_error(UINT64_MAX), -ESTALE);
	ck_assert_int_eq(load_error(HANDOVER_HANDLES + 1), -ESTALE);
	atomic_store(&shared->handles_used, UINT32_MAX);
	next_worker();
}
END_TEST

START_TEST(a_slot_knows_the_handle_before_it_is_there)
{
	struct handover_slot *slot = &shared->slots[0];
	const struct handle_info other = { .node = 20, .kind = HANDOVER_HANDLE_DIR };
	uint64_t fh;

	ck_assert_int_eq(handles_open(handles, &meminfo, &box, slot, &fh), 0);
	ck_assert_uint_eq(atomic_load(&slot->fh), fh);
	next_worker();
	ck_assert(handles_is(handles, atomic_load(&slot->fh), &meminfo));
	ck_assert(!handles_is(handles, fh, &other));
	/* Killed between the two stores: nothing of that name is open. */
	atomic_store(&shared->handles[(uint32_t)fh - 1].fh, 0);
	next_worker();
	ck_assert(!handles_is(handles, atomic_load(&slot->fh), &meminfo));
	ck_assert_int_eq(handles_open(handles, &meminfo, &box, slot, &fh), 0);
	ck_assert(handles_is(handles, atomic_load(&slot->fh), &meminfo));
}
END_TEST

START_TEST(one_container_cannot_take_all_handles)
{
	struct container other = { .subject.use = &(struct use){ .refs = 1 } };
	uint64_t first = open_one(), fh;

	for (unsigned i = 1; i < HANDLES_PER_CONTAINER; i++)
		open_one();
	ck_assert_int_eq(handles_open(handles, &meminfo, &box, NULL, &fh), -ENFILE);
	ck_assert_int_eq(handles_open(handles, &meminfo, &other, NULL, &fh), 0);
	handles_close(handles, fh);
	handles_close(handles, first);
	ck_assert_uint_eq(open_one(), first + (UINT64_C(1) << 32));
}
END_TEST

START_TEST(nor_with_a_new_worker)
{
	struct container other = { .subject.use = &(struct use){ .refs = 1 } };
	uint64_t first = open_one(), fh;

	for (unsigned i = 1; i < HANDLES_PER_CONTAINER; i++)
		open_one();
	next_worker();
	ck_assert_int_eq(handles_open(handles, &meminfo, &box, NULL, &fh), -ENFILE);
	ck_assert_int_eq(handles_open(handles, &meminfo, &other, NULL, &fh), 0);
	handles_close(handles, fh);
	/* Never bound again here, and given back all the same. */
	handles_close(handles, first);
	ck_assert_int_eq(handles_open(handles, &meminfo, &box, NULL, &fh), 0);
	ck_assert_int_eq(handles_open(handles, &meminfo, &box, NULL, &fh), -ENFILE);
}
END_TEST

START_TEST(what_an_earlier_version_left_is_counted_once_it_is_read)
{
	uint64_t fh = open_one();

	shared->handles[(uint32_t)fh - 1].owner = 0;
	next_worker();
	ck_assert_uint_eq(atomic_load(&box.subject.use->handles), 0);
	ck_assert_int_eq(handles_bind(handles, fh, &box), 0);
	ck_assert_uint_eq(atomic_load(&box.subject.use->handles), 1);
	ck_assert_uint_eq(shared->handles[(uint32_t)fh - 1].owner, box.subject.use->owner);
}
END_TEST

START_TEST(one_container_cannot_take_all_pages)
{
	struct container other = { .subject.use = &(struct use){ .refs = 1 } };
	uint64_t a = open_one(), b = open_one(), c;
	autotext half = { 0 };

	ck_assert(text_reserve(&half, HANDLES_PAGES_PER_CONTAINER / 2 * SLAB_PAGE + 1));
	half.len = HANDLES_PAGES_PER_CONTAINER / 2 * SLAB_PAGE + 1;
	memset(half.data, 'x', half.len);
	store(b, "old");
	ck_assert_int_eq(handles_store(handles, a, &half, NULL), 0);
	ck_assert_int_eq(handles_store(handles, b, &half, NULL), -ENFILE);
	assert_loads(b, 1, "ld");
	ck_assert_int_eq(handles_open(handles, &meminfo, &other, NULL, &c), 0);
	ck_assert_int_eq(handles_store(handles, c, &half, NULL), 0);
	handles_close(handles, c);
	handles_close(handles, a);
	ck_assert_int_eq(handles_store(handles, b, &half, NULL), 0);
}
END_TEST

START_TEST(all_handles_open_is_an_error_and_not_a_loss)
{
	static struct container host; /* teardown looks at it again */
	uint64_t fh, last = 0;

	for (unsigned i = 0; i < HANDOVER_HANDLES; i++)
		ck_assert_int_eq(handles_open(handles, &meminfo, &host, NULL, &last), 0);
	ck_assert_int_eq(handles_open(handles, &meminfo, &box, NULL, &fh), -ENFILE);
	ck_assert_uint_eq(atomic_load(&box.subject.use->handles), 0);
	handles_close(handles, last);
	ck_assert_int_eq(handles_open(handles, &meminfo, &box, NULL, &fh), 0);
}
END_TEST

/* --- one text for many ------------------------------------------------------------------- */

static struct shared_text last;
static const struct shared_key its_key = { .record = 1, .node = 2 };

/* What a request that came at `arrived_ns` is told; `now` is what it would be told else. */
static void assert_told(
	uint64_t arrived_ns, const struct shared_key *key, const char *now, const char *told)
{
	struct handover_slot *slot = &shared->slots[0];
	autotext text = { 0 };

	handover_set_my_slot(slot);
	atomic_store(&slot->arrived_ns, arrived_ns);
	if (!shared_find(&last, key, &text)) {
		text_puts(&text, now);
		shared_keep(&last, &text);
	}
	ck_assert(slice_equal(slice_of(&text), told));
	handover_set_my_slot(NULL);
}

START_TEST(who_waited_while_a_text_was_begun_is_told_the_same)
{
	assert_told(1, &its_key, "first", "first");
	assert_told(1, &its_key, "second", "first");
	assert_told(1, &its_key, "third", "first");
	shared_free(&last);
}
END_TEST

START_TEST(nobody_is_told_what_was_begun_before_he_asked)
{
	assert_told(clock_monotonic_ns(), &its_key, "first", "first");
	assert_told(clock_monotonic_ns(), &its_key, "second", "second");
	assert_told(UINT64_MAX, &its_key, "third", "third");
	/* who did not wait: nothing is kept for it, nor of it */
	assert_told(0, &its_key, "fourth", "fourth");
	assert_told(1, &its_key, "fifth", "fifth");
	shared_free(&last);
}
END_TEST

START_TEST(nobody_is_told_what_another_asked)
{
	static const struct shared_key others[] = { { 2, 2, 0, false }, { 1, 3, 0, false },
		{ 1, 2, 1, false }, { 1, 2, 0, true } };

	for (size_t i = 0; i < countof(others); i++) {
		assert_told(1, &its_key, "one", "one");
		assert_told(1, &others[i], "other", "other");
		assert_told(1, &its_key, "again", "again");
		shared_free(&last);
		last = (struct shared_text){ 0 };
	}
}
END_TEST

START_TEST(a_text_that_came_to_nothing_is_not_shared)
{
	autotext none = { 0 };

	assert_told(1, &its_key, "first", "first");
	assert_told(UINT64_MAX, &its_key, "second", "second");
	handover_set_my_slot(&shared->slots[0]);
	atomic_store(&shared->slots[0].arrived_ns, UINT64_MAX);
	ck_assert(!shared_find(&last, &its_key, &none));
	assert_told(1, &its_key, "third", "third");
	shared_free(&last);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handle");
	TCase *open = tcase_create("handles");
	TCase *one = tcase_create("one text");

	tcase_add_checked_fixture(open, fs_worker_setup, fs_worker_teardown);
	tcase_add_test(open, a_later_read_gets_the_rest_of_the_same_text);
	tcase_add_test(open, the_next_worker_serves_the_same_text);
	tcase_add_test(open, a_replayed_read_gives_the_text_that_it_made_the_first_time);
	tcase_add_test(open, what_is_open_counts_for_its_container_with_every_worker);
	tcase_add_test(open, what_an_earlier_version_left_is_counted_once_it_is_read);
	tcase_add_test(open, a_trigger_and_who_polls_it_are_handed_to_the_next_worker);
	tcase_add_test(open, a_later_handle_has_no_trigger_of_an_earlier_one);
	tcase_add_test(open, what_was_written_does_not_move_what_is_read);
	tcase_add_test(open, a_replayed_release_never_meets_a_later_handle);
	tcase_add_test(open, closing_gives_back_all_that_was_used);
	tcase_add_test(open, a_lost_snapshot_is_an_error_until_it_is_read_afresh);
	tcase_add_test(open, handles_that_cannot_be_right_are_dropped);
	tcase_add_test(open, a_slot_knows_the_handle_before_it_is_there);
	tcase_add_test(open, one_container_cannot_take_all_handles);
	tcase_add_test(open, nor_with_a_new_worker);
	tcase_add_test(open, one_container_cannot_take_all_pages);
	tcase_add_test(open, all_handles_open_is_an_error_and_not_a_loss);
	suite_add_tcase(s, open);
	tcase_add_checked_fixture(one, fs_worker_setup, fs_worker_teardown);
	tcase_add_test(one, who_waited_while_a_text_was_begun_is_told_the_same);
	tcase_add_test(one, nobody_is_told_what_was_begun_before_he_asked);
	tcase_add_test(one, nobody_is_told_what_another_asked);
	tcase_add_test(one, a_text_that_came_to_nothing_is_not_shared);
	suite_add_tcase(s, one);
	return unit_run(s);
}
