/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When a leader looks for a queue, and what it takes for one.
 */
#include "../../src/daemon/queue.h"
#include "unit.h"

/* Requests that were there already, until it is time to look. */
static unsigned find(struct queue *q)
{
	unsigned n = 0;

	do
		queue_found(q);
	while (++n < 1000 && !queue_look_due(q));
	return n;
}

START_TEST(where_nothing_queues_looks_grow_rare)
{
	struct queue q;

	queue_begin(&q);
	ck_assert_uint_eq(find(&q), 5);
	ck_assert(!queue_looked(&q, false, false));
	ck_assert_uint_eq(find(&q), 15);
	ck_assert(!queue_looked(&q, false, false));
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(find(&q), 45);
		ck_assert(!queue_looked(&q, false, false));
	}
}
END_TEST

/* Of four requests of his one has the next behind it: that is no queue, so it must not be that one
 * each time. */
START_TEST(a_single_reader_is_no_queue)
{
	for (unsigned first = 0; first < 4; first++) {
		unsigned request = first;
		struct queue q;

		queue_begin(&q);
		for (int i = 0; i < 1000; i++) {
			request += find(&q);
			ck_assert(!queue_looked(&q, request % 4 == 0, false));
		}
	}
}
END_TEST

START_TEST(two_looks_in_a_row_that_find_more_call_another_leader)
{
	struct queue q;

	queue_begin(&q);
	find(&q);
	ck_assert(!queue_looked(&q, true, false));
	ck_assert_uint_eq(find(&q), 5);
	ck_assert(queue_looked(&q, true, false));
	/* The next one takes two again. */
	ck_assert_uint_eq(find(&q), 5);
	ck_assert(!queue_looked(&q, true, true));
	ck_assert_uint_eq(find(&q), 5);
	ck_assert(queue_looked(&q, true, true));
}
END_TEST

START_TEST(the_look_after_a_sign_comes_soon)
{
	struct queue q;

	queue_begin(&q);
	for (int i = 0; i < 5; i++) {
		find(&q);
		queue_looked(&q, false, false);
	}
	find(&q);
	queue_looked(&q, true, false);
	ck_assert_uint_eq(find(&q), 5);
}
END_TEST

START_TEST(a_look_in_vain_between_two_others_begins_anew)
{
	struct queue q;

	queue_begin(&q);
	for (int i = 0; i < 100; i++) {
		find(&q);
		ck_assert(!queue_looked(&q, i % 2 == 0, false));
	}
}
END_TEST

START_TEST(during_a_queue_looks_do_not_grow_rare)
{
	struct queue q;

	queue_begin(&q);
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(find(&q), 5);
		ck_assert(!queue_looked(&q, false, true));
	}
}
END_TEST

START_TEST(after_a_wait_looks_are_frequent_again)
{
	struct queue q;

	queue_begin(&q);
	for (int i = 0; i < 5; i++) {
		find(&q);
		queue_looked(&q, false, false);
	}
	queue_waited(&q);
	ck_assert_uint_eq(find(&q), 5);
}
END_TEST

START_TEST(signs_before_a_wait_do_not_count)
{
	struct queue q;

	queue_begin(&q);
	find(&q);
	ck_assert(!queue_looked(&q, true, false));
	queue_waited(&q);
	find(&q);
	ck_assert(!queue_looked(&q, true, false));
}
END_TEST

/* Several leaders, of whom none may be added: a look stays due as long as nobody looks. */
START_TEST(a_look_is_not_forgotten_however_long_it_is_put_off)
{
	struct queue q;

	queue_begin(&q);
	for (int i = 0; i < 100000; i++)
		queue_found(&q);
	ck_assert(queue_look_due(&q));
}
END_TEST

START_TEST(four_waits_in_a_row_are_the_end_of_a_queue)
{
	struct queue q;

	queue_begin(&q);
	for (int i = 0; i < 3; i++)
		queue_waited(&q);
	queue_found(&q);
	for (int i = 0; i < 3; i++)
		queue_waited(&q);
	ck_assert(!queue_is_over(&q));
	queue_waited(&q);
	ck_assert(queue_is_over(&q));
	queue_begin(&q);
	ck_assert(!queue_is_over(&q));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue");
	TCase *c = tcase_create("queue");

	tcase_add_test(c, where_nothing_queues_looks_grow_rare);
	tcase_add_test(c, a_single_reader_is_no_queue);
	tcase_add_test(c, two_looks_in_a_row_that_find_more_call_another_leader);
	tcase_add_test(c, the_look_after_a_sign_comes_soon);
	tcase_add_test(c, a_look_in_vain_between_two_others_begins_anew);
	tcase_add_test(c, during_a_queue_looks_do_not_grow_rare);
	tcase_add_test(c, after_a_wait_looks_are_frequent_again);
	tcase_add_test(c, signs_before_a_wait_do_not_count);
	tcase_add_test(c, a_look_is_not_forgotten_however_long_it_is_put_off);
	tcase_add_test(c, four_waits_in_a_row_are_the_end_of_a_queue);
	suite_add_tcase(s, c);
	return unit_run(s);
}
