/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The page slab: bytes come back as they were stored, survive a change of worker, and no links in
 * shared memory, however wrong, lead a reader outside or round for ever.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "slab.h"
#include "unit.h"

#define PAGES 64u
#define MANY 8192u

static uint8_t *pages;
static uint32_t links[MANY];
static struct slab *slab;

static void setup_pages(uint32_t n)
{
	pages = mmap(NULL, (size_t)n * SLAB_PAGE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(pages, MAP_FAILED);
	memset(links, 0, sizeof(links));
	ck_assert_int_eq(slab_new(pages, links, n, &slab), 0);
	slab_adopted(slab);
}

static void setup(void)
{
	setup_pages(PAGES);
}

static void setup_many(void)
{
	setup_pages(MANY);
}

/* Another worker comes: what is private is gone, what is shared stays. */
static void next_worker(void)
{
	slab_free(slab);
	ck_assert_int_eq(slab_new(pages, links, PAGES, &slab), 0);
}

static void fill(uint8_t *bytes, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

static uint64_t store(size_t n, unsigned seed)
{
	autofree uint8_t *bytes = malloc(n + 1);
	uint64_t ref = SLAB_NONE;

	fill(bytes, n, seed);
	ck_assert_int_eq(slab_store(slab, bytes, n, &ref), 0);
	ck_assert_uint_ne(ref, SLAB_NONE);
	ck_assert_uint_eq(slab_length(ref), n);
	return ref;
}

static void assert_stored(uint64_t ref, size_t n, unsigned seed)
{
	autofree uint8_t *bytes = malloc(n + 1);
	autotext t = { 0 };

	fill(bytes, n, seed);
	ck_assert_int_eq(slab_load(slab, ref, 0, n + 100, &t), 0);
	ck_assert_uint_eq(t.len, n);
	ck_assert_mem_eq(t.data ? t.data : "", bytes, n);
}

START_TEST(bytes_come_back_whole_at_every_length)
{
	static const size_t lengths[] = { 0, 1, 4095, 4096, 4097, 8192, 100000 };

	for (unsigned i = 0; i < countof(lengths); i++) {
		const uint64_t ref = store(lengths[i], i);

		assert_stored(ref, lengths[i], i);
		slab_release(slab, ref);
		ck_assert_uint_eq(slab_used(slab), 0);
	}
}
END_TEST

START_TEST(parts_are_loaded_across_pages_and_stop_at_the_end)
{
	const uint64_t ref = store(10000, 3);
	uint8_t bytes[10000];

	fill(bytes, sizeof(bytes), 3);
	for (size_t offset = 0; offset <= 10000; offset += 997) {
		autotext t = { 0 };
		const size_t n = 10000 - offset < 5000 ? 10000 - offset : 5000;

		text_puts(&t, "kept");
		ck_assert_int_eq(slab_load(slab, ref, offset, 5000, &t), 0);
		ck_assert_uint_eq(t.len, 4 + n);
		ck_assert_mem_eq(t.data, "kept", 4);
		ck_assert_mem_eq(t.data + 4, bytes + offset, n);
	}
	{
		autotext t = { 0 };

		ck_assert_int_eq(slab_load(slab, ref, SIZE_MAX, SIZE_MAX, &t), 0);
		ck_assert_int_eq(slab_load(slab, ref, 10000, 1, &t), 0);
		ck_assert_uint_eq(t.len, 0);
	}
}
END_TEST

START_TEST(a_full_area_says_so_and_serves_again_after_a_release)
{
	const uint64_t all = store((size_t)PAGES * SLAB_PAGE, 1);
	uint64_t ref = 77;

	ck_assert_int_eq(slab_store(slab, "x", 1, &ref), -ENOSPC);
	ck_assert_uint_eq(ref, 77);
	ck_assert_int_eq(slab_store(slab, NULL, 0, &ref), 0);
	ck_assert_uint_eq(slab_used(slab), PAGES);
	slab_release(slab, all);
	ck_assert_uint_eq(slab_used(slab), 0);
	ck_assert_int_eq(slab_store(slab, pages, (size_t)PAGES * SLAB_PAGE + 1, &ref), -ENOSPC);
	assert_stored(store((size_t)PAGES * SLAB_PAGE, 2), (size_t)PAGES * SLAB_PAGE, 2);
}
END_TEST

START_TEST(what_a_dead_worker_left_is_adopted_and_not_overwritten)
{
	const uint64_t lost = store(5000, 1), kept = store(9000, 2), empty = store(0, 0);

	(void)lost; /* its owner never published it */
	next_worker();
	ck_assert_int_eq(slab_adopt(slab, kept), 0);
	ck_assert_int_eq(slab_adopt(slab, empty), 0);
	ck_assert_uint_eq(slab_used(slab), 3);
	for (unsigned i = 0; i < PAGES - 3; i++)
		store(SLAB_PAGE, i);
	ck_assert_uint_eq(slab_used(slab), PAGES);
	assert_stored(kept, 9000, 2);
}
END_TEST

START_TEST(references_that_cannot_be_right_are_refused)
{
	const uint64_t good = store(3 * SLAB_PAGE, 1);
	const uint32_t first = (uint32_t)(good >> 32) - 1;
	const uint64_t bad[] = { SLAB_NONE, 5, UINT64_MAX, UINT64_C(1) << 32,
		((uint64_t)PAGES + 1) << 32 | 10, good + SLAB_PAGE, good - SLAB_PAGE,
		(UINT64_C(0xffffffff) << 32) | 1 };

	for (size_t i = 0; i < countof(bad); i++) {
		autotext t = { 0 };

		next_worker();
		ck_assert_int_eq(slab_adopt(slab, bad[i]), -EBADMSG);
		ck_assert_uint_eq(slab_used(slab), 0);
		slab_load(slab, bad[i], 0, SIZE_MAX, &t);
		ck_assert_uint_eq(text_error(&t), 0);
		slab_release(slab, bad[i]);
		ck_assert_uint_eq(slab_used(slab), 0);
	}
	next_worker();
	ck_assert_int_eq(slab_adopt(slab, good), 0);
	ck_assert_int_eq(slab_adopt(slab, good), -EBADMSG); /* two owners of one page */
	ck_assert_uint_eq(slab_used(slab), 3);
	next_worker();
	links[links[first] - 1] = first + 1; /* round and round */
	ck_assert_int_eq(slab_adopt(slab, good), -EBADMSG);
	ck_assert_uint_eq(slab_used(slab), 0);
}
END_TEST

START_TEST(broken_links_never_lead_a_reader_outside)
{
	static const uint32_t evil[] = { 0, PAGES + 1, UINT32_MAX };
	const uint64_t ref = store(4 * SLAB_PAGE, 1);
	const uint32_t first = (uint32_t)(ref >> 32) - 1;

	for (size_t i = 0; i < countof(evil); i++) {
		autotext t = { 0 };

		text_puts(&t, "kept");
		links[first] = evil[i];
		ck_assert_int_eq(slab_load(slab, ref, 0, 4 * SLAB_PAGE, &t), -EBADMSG);
		ck_assert_uint_eq(t.len, 4);
		ck_assert_int_eq(slab_load(slab, ref, 0, 100, &t), 0);
	}
}
END_TEST

static unsigned resident(void)
{
	static unsigned char vec[MANY];
	unsigned n = 0;

	ck_assert_int_eq(mincore(pages, (size_t)MANY * SLAB_PAGE, vec), 0);
	for (size_t i = 0; i < MANY; i++)
		n += vec[i] & 1;
	return n;
}

START_TEST(memory_of_many_free_pages_goes_back_to_the_kernel)
{
	const uint64_t low = store(SLAB_PAGE, 1);
	uint64_t big = store((size_t)6000 * SLAB_PAGE, 2);
	const uint64_t high = store(SLAB_PAGE, 3);

	ck_assert_uint_ge(resident(), 6002);
	slab_release(slab, big);
	ck_assert_uint_le(resident(), 300);
	ck_assert_uint_eq(slab_used(slab), 2);
	assert_stored(low, SLAB_PAGE, 1);
	assert_stored(high, SLAB_PAGE, 3);
	big = store((size_t)(MANY - 2) * SLAB_PAGE, 4); /* all of it is still usable */
	assert_stored(big, (size_t)(MANY - 2) * SLAB_PAGE, 4);
}
END_TEST

/* A sweep of accounts may run before the handles' snapshots are adopted. */
START_TEST(before_all_is_adopted_a_release_takes_nobody_elses_bytes)
{
	const uint64_t first = store(SLAB_PAGE, 1), later = store(10000, 2);

	slab_free(slab);
	ck_assert_int_eq(slab_new(pages, links, MANY, &slab), 0);
	ck_assert_int_eq(slab_adopt(slab, first), 0);
	slab_release(slab, first);
	ck_assert_int_eq(slab_adopt(slab, later), 0);
	slab_adopted(slab);
	assert_stored(later, 10000, 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slab");
	TCase *c = tcase_create("slab"), *many = tcase_create("many");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, bytes_come_back_whole_at_every_length);
	tcase_add_test(c, parts_are_loaded_across_pages_and_stop_at_the_end);
	tcase_add_test(c, a_full_area_says_so_and_serves_again_after_a_release);
	tcase_add_test(c, what_a_dead_worker_left_is_adopted_and_not_overwritten);
	tcase_add_test(c, references_that_cannot_be_right_are_refused);
	tcase_add_test(c, broken_links_never_lead_a_reader_outside);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(many, setup_many, NULL);
	tcase_add_test(many, memory_of_many_free_pages_goes_back_to_the_kernel);
	tcase_add_test(many, before_all_is_adopted_a_release_takes_nobody_elses_bytes);
	suite_add_tcase(s, many);
	return unit_run(s);
}
