/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Readers share one snapshot of the host, and use none that is too old.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/host/snapshot.h"
#include "clock.h"
#include "slow.h"
#include "unit.h"

#define S NS_PER_S
#define MS NS_PER_MS

/* A kind whose load can be held up from outside. */
static struct {
	sem_t begun, go_on;
	_Atomic unsigned loads;
	_Atomic bool hold, fail;
} slow;

static int slow_load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *s)
{
	(void)c;
	(void)now_ns;
	(void)s;
	slow.loads++;
	if (slow.hold) {
		sem_post(&slow.begun);
		sem_wait(&slow.go_on);
	}
	return slow.fail ? -EIO : 0;
}

static void slow_destroy(struct host_snapshot *s)
{
	free(s);
}

static const struct host_kind slow_kind = {
	.max_age_ns = 10 * MS,
	.size = sizeof(struct host_snapshot),
	.load = slow_load,
	.destroy = slow_destroy,
};

struct reader {
	struct host_cache *cache;
	uint64_t now_ns;
	const struct host_snapshot *got;
	int r;
	pthread_t thread;
	_Atomic bool waits, done;
};

static void note_slow(void *data)
{
	((struct reader *)data)->waits = true;
}

static void *read_snapshot(void *data)
{
	struct reader *r = data;

	slow_listen(note_slow, r);
	r->r = host_cache_get(r->cache, r->now_ns, &r->got);
	r->done = true;
	return NULL;
}

static void reader_start(struct reader *r)
{
	ck_assert_int_eq(pthread_create(&r->thread, NULL, read_snapshot, r), 0);
}

static void slow_new(struct host_cache *c)
{
	memset(&slow, 0, sizeof(slow));
	sem_init(&slow.begun, 0, 0);
	sem_init(&slow.go_on, 0, 0);
	host_cache_init(c, NULL, &slow_kind);
}

START_TEST(a_snapshot_is_shared_until_it_is_too_old)
{
	const struct host_snapshot *a, *b, *c;
	struct host_cache cache;

	slow_new(&cache);
	ck_assert_int_eq(host_cache_get(&cache, S, &a), 0);
	ck_assert_int_eq(host_cache_get(&cache, S + 10 * MS, &b), 0);
	ck_assert_ptr_eq(a, b);
	ck_assert_int_eq(host_cache_get(&cache, S - MS, &c), 0); /* asked before it was made */
	ck_assert_ptr_eq(a, c);
	host_put(c);
	ck_assert_int_eq(host_cache_get(&cache, S + 10 * MS + 1, &c), 0);
	ck_assert_ptr_ne(a, c);
	ck_assert_uint_eq(slow.loads, 2);
	host_put(a);
	host_put(b);
	host_put(c);
	host_put(NULL);
	host_cache_destroy(&cache);
}
END_TEST

START_TEST(others_use_the_old_snapshot_while_one_refreshes)
{
	const struct host_snapshot *old, *during;
	struct host_cache cache;
	struct reader refresher = { .cache = &cache, .now_ns = S + 50 * MS };

	slow_new(&cache);
	ck_assert_int_eq(host_cache_get(&cache, S, &old), 0);
	slow.hold = true;
	reader_start(&refresher);
	sem_wait(&slow.begun);
	ck_assert_int_eq(host_cache_get(&cache, S + 110 * MS, &during), 0);
	ck_assert_ptr_eq(during, old);
	sem_post(&slow.go_on);
	pthread_join(refresher.thread, NULL);
	ck_assert_ptr_ne(refresher.got, old);
	ck_assert_uint_eq(slow.loads, 2);
	host_put(old);
	host_put(during);
	host_put(refresher.got);
	host_cache_destroy(&cache);
}
END_TEST

/* Whether a refresh at `now_ns` lets others go first; `takes_us`: how long it takes. */
static bool is_announced(struct host_cache *cache, uint64_t now_ns, unsigned takes_us)
{
	struct reader r = { .cache = cache, .now_ns = now_ns };
	bool before_loading;

	slow.hold = true;
	reader_start(&r);
	sem_wait(&slow.begun);
	before_loading = r.waits;
	usleep(takes_us);
	sem_post(&slow.go_on);
	pthread_join(r.thread, NULL);
	host_put(r.got);
	return before_loading;
}

START_TEST(a_refresh_is_announced_unless_the_last_one_was_quick)
{
	struct host_cache cache;

	slow_new(&cache);
	ck_assert(is_announced(&cache, S, 1000)); /* nothing is known yet */
	ck_assert(!cache.quick);
	ck_assert(is_announced(&cache, 2 * S, 0));
	cache.quick = true; /* which it was, unless this machine is busy */
	ck_assert(!is_announced(&cache, 3 * S, 1000));
	ck_assert(is_announced(&cache, 4 * S, 0));
	host_cache_destroy(&cache);
}
END_TEST

/* Neither a refresh that may be slow nor the wait for another's. */
START_TEST(who_refuses_what_is_slow_gets_only_what_is_there)
{
	const struct host_snapshot *s;
	struct host_cache cache;
	struct reader refresher = { .cache = &cache, .now_ns = 3 * S };

	slow_new(&cache);
	slow_refuse(true);
	ck_assert_int_eq(host_cache_get(&cache, S, &s), -EAGAIN);
	ck_assert_uint_eq(slow.loads, 0);
	cache.quick = true;
	ck_assert_int_eq(host_cache_get(&cache, S, &s), 0);
	host_put(s);
	slow.hold = true;
	reader_start(&refresher);
	sem_wait(&slow.begun);
	ck_assert_int_eq(host_cache_get(&cache, 3 * S, &s), -EAGAIN);
	ck_assert_int_eq(host_cache_get(&cache, S + 5 * MS, &s), 0);
	host_put(s);
	sem_post(&slow.go_on);
	pthread_join(refresher.thread, NULL);
	/* it has claimed nothing that others would wait for */
	slow.hold = false;
	cache.quick = false;
	ck_assert_int_eq(host_cache_get(&cache, 5 * S, &s), -EAGAIN);
	slow_refuse(false);
	ck_assert_int_eq(host_cache_get(&cache, 5 * S, &s), 0);
	host_put(s);
	host_put(refresher.got);
	host_cache_destroy(&cache);
}
END_TEST

START_TEST(nobody_uses_a_snapshot_over_its_grace)
{
	const struct host_snapshot *old;
	struct host_cache cache;
	struct reader refresher = { .cache = &cache, .now_ns = S + 111 * MS };
	struct reader waiter = { .cache = &cache, .now_ns = S + 111 * MS };

	slow_new(&cache);
	ck_assert_int_eq(host_cache_get(&cache, S, &old), 0);
	slow.hold = true;
	reader_start(&refresher);
	sem_wait(&slow.begun);
	reader_start(&waiter);
	while (!waiter.waits) /* told before it waits */
		usleep(1000);
	usleep(20000);
	ck_assert(!waiter.done);
	sem_post(&slow.go_on);
	pthread_join(refresher.thread, NULL);
	pthread_join(waiter.thread, NULL);
	ck_assert_ptr_eq(waiter.got, refresher.got);
	ck_assert_uint_eq(slow.loads, 2);
	host_put(old);
	host_put(waiter.got);
	host_put(refresher.got);
	host_cache_destroy(&cache);
}
END_TEST

START_TEST(a_failed_refresh_is_told_and_tried_again)
{
	const struct host_snapshot *s = NULL;
	struct host_cache cache;

	slow_new(&cache);
	slow.fail = true;
	ck_assert_int_eq(host_cache_get(&cache, S, &s), -EIO);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(host_cache_get(&cache, S, &s), -EIO);
	slow.fail = false;
	ck_assert_int_eq(host_cache_get(&cache, S, &s), 0);
	ck_assert_uint_eq(slow.loads, 3);
	host_put(s);
	host_cache_destroy(&cache);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("host cache");
	TCase *c = tcase_create("cache");

	tcase_add_test(c, a_snapshot_is_shared_until_it_is_too_old);
	tcase_add_test(c, others_use_the_old_snapshot_while_one_refreshes);
	tcase_add_test(c, a_refresh_is_announced_unless_the_last_one_was_quick);
	tcase_add_test(c, who_refuses_what_is_slow_gets_only_what_is_there);
	tcase_add_test(c, nobody_uses_a_snapshot_over_its_grace);
	tcase_add_test(c, a_failed_refresh_is_told_and_tried_again);
	suite_add_tcase(s, c);
	return unit_run(s);
}
