/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text, slice and CPU list helpers: what every parser and renderer stands on.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "cpumask.h"
#include "parse.h"
#include "root.h"
#include "text.h"
#include "unit.h"

static void assert_text(struct text *t, const char *expected)
{
	ck_assert_int_eq(text_error(t), 0);
	ck_assert(slice_equal(slice_of(t), expected));
}

START_TEST(numbers_are_right_aligned_and_never_cut)
{
	autotext t = { 0 };

	text_u64(&t, 7, 4);
	text_puts(&t, "|");
	text_u64(&t, UINT64_MAX, 4);
	text_puts(&t, "|");
	text_u64(&t, 0, 0);
	assert_text(&t, "   7|18446744073709551615|0");
}
END_TEST

START_TEST(numbers_saturate_and_refuse_what_is_none)
{
	uint64_t v = 42;

	ck_assert(slice_u64(slice_str("18446744073709551616"), &v));
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert(!slice_u64(slice_str(""), &v));
	ck_assert(!slice_u64(slice_str("-1"), &v));
	ck_assert(!slice_u64(slice_str("max"), &v));
	ck_assert(!slice_u64(slice_str("1 "), &v));
	ck_assert_uint_eq(v, UINT64_MAX);
}
END_TEST

START_TEST(fields_are_found_in_any_order_and_by_whole_key)
{
	struct {
		uint64_t a, b, c;
	} v = { 1, 2, 3 };
	const struct field fields[] = { { "file", 4, 0 }, { "anon", 4, 8 }, { "shmem", 5, 16 } };
	struct slice text = slice_str("anon 10\nfile_mapped 99\n\nfile 20\nshmem x\nanon_thp 5");

	ck_assert_uint_eq(parse_fields(text, fields, countof(fields), &v), 2);
	ck_assert_uint_eq(v.a, 20);
	ck_assert_uint_eq(v.b, 10);
	ck_assert_uint_eq(v.c, 3);
	ck_assert_uint_eq(parse_fields(slice_str("file: 7 kB"), fields, countof(fields), &v), 1);
	ck_assert_uint_eq(v.a, 7);
}
END_TEST

START_TEST(a_name_is_equal_as_a_whole_whatever_bytes_are_in_it)
{
	static const char nul[] = "ab\0and what follows it in memory";

	ck_assert(slice_equal((struct slice){ nul, 2 }, "ab"));
	ck_assert(!slice_equal((struct slice){ nul, 1 }, "ab"));
	ck_assert(!slice_equal((struct slice){ nul, 3 }, "ab"));
	ck_assert(!slice_equal((struct slice){ nul, 33 }, "ab"));
	ck_assert(!slice_equal((struct slice){ nul + 2, 1 }, ""));
	ck_assert(slice_equal((struct slice){ nul, 0 }, ""));
	ck_assert(!slice_equal((struct slice){ nul, 0 }, "ab"));
}
END_TEST

START_TEST(octal_escapes_are_undone)
{
	char out[16];

	ck_assert(parse_unescape(slice_str("/a\\040b\\134"), out, sizeof(out)));
	ck_assert_str_eq(out, "/a b\\");
	ck_assert(parse_unescape(slice_str("/a\\04"), out, sizeof(out)));
	ck_assert_str_eq(out, "/a\\04");
	ck_assert(!parse_unescape(slice_str("/0123456789abcdef"), out, sizeof(out)));
}
END_TEST

START_TEST(cpu_lists_survive_a_round_trip)
{
	static const char *const lists[] = { "", "0", "0-3", "0-1,3,5-7", "63-64", "0,8191" };
	struct cpumask m;

	for (size_t i = 0; i < countof(lists); i++) {
		autotext t = { 0 };

		ck_assert_int_eq(cpumask_parse(slice_str(lists[i]), &m), 0);
		cpumask_format(&t, &m);
		assert_text(&t, lists[i]);
		ck_assert(cpumask_empty(&m) == (lists[i][0] == '\0'));
	}
	ck_assert_int_eq(cpumask_parse(slice_str("0-1\n"), &m), 0);
	ck_assert_uint_eq(cpumask_count(&m), 2);
}
END_TEST

START_TEST(cpu_lists_that_are_none_leave_an_empty_set)
{
	static const char *const bad[] = { "x", "1-", "3-1", "8192", "-1", "1,,2",
		"0-99999999999" };
	struct cpumask m;

	for (size_t i = 0; i < countof(bad); i++) {
		ck_assert_int_eq(cpumask_parse(slice_str(bad[i]), &m), -EINVAL);
		ck_assert(cpumask_empty(&m));
	}
}
END_TEST

START_TEST(the_first_cpus_are_the_lowest_ids)
{
	struct cpumask m;
	autotext t = { 0 };

	ck_assert_int_eq(cpumask_parse(slice_str("1,62-66,700"), &m), 0);
	cpumask_first(&m, 4);
	cpumask_format(&t, &m);
	assert_text(&t, "1,62-64");
}
END_TEST

/* A file of the kernel's in one piece, larger than a first read, that gains and loses a line
 * anywhere: what an epoll set watches. */
#define WATCHED 200u

static struct {
	int epoll, fdinfo, fds[WATCHED];
	atomic_bool stop;
} watched;

static void *change_watched(void *unused)
{
	struct epoll_event event = { .events = EPOLLIN };

	(void)unused;
	for (unsigned i = 0; !atomic_load(&watched.stop); i++) {
		const int fd = watched.fds[i % WATCHED];

		ck_assert_int_eq(epoll_ctl(watched.epoll, EPOLL_CTL_DEL, fd, NULL), 0);
		ck_assert_int_eq(epoll_ctl(watched.epoll, EPOLL_CTL_ADD, fd, &event), 0);
	}
	return NULL;
}

/* Every line once, but for the one that is away at that moment. */
static void check_watched(struct slice text)
{
	bool seen[4 * WATCHED] = { false };
	struct slice line, word;
	unsigned n = 0;

	while (slice_line(&text, &line)) {
		uint64_t fd;

		if (!slice_word(&line, &word) || !slice_equal(word, "tfd:"))
			continue;
		ck_assert(slice_next_u64(&line, &fd) && fd < countof(seen) && !seen[fd]);
		seen[fd] = true;
		n++;
	}
	ck_assert_uint_ge(n, WATCHED - 1);
}

static void *read_watched(void *unused)
{
	(void)unused;
	while (!atomic_load(&watched.stop)) {
		autotext t = { 0 };

		ck_assert_int_eq(read_fd_once(watched.fdinfo, &t), 0);
		check_watched(slice_of(&t));
	}
	return NULL;
}

START_TEST(readers_of_one_descriptor_get_no_piece_of_each_others_text)
{
	struct epoll_event event = { .events = EPOLLIN };
	pthread_t threads[4];
	char path[64];

	watched.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < WATCHED; i++) {
		watched.fds[i] = eventfd(0, EFD_CLOEXEC);
		ck_assert_int_eq(
			epoll_ctl(watched.epoll, EPOLL_CTL_ADD, watched.fds[i], &event), 0);
	}
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", watched.epoll);
	watched.fdinfo = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(watched.fdinfo, 0);
	pthread_create(&threads[0], NULL, change_watched, NULL);
	for (unsigned i = 1; i < countof(threads); i++)
		pthread_create(&threads[i], NULL, read_watched, NULL);
	usleep(500000);
	atomic_store(&watched.stop, true);
	for (unsigned i = 0; i < countof(threads); i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < WATCHED; i++)
		close(watched.fds[i]);
	close(watched.fdinfo);
	close(watched.epoll);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *c = tcase_create("base");

	tcase_add_test(c, numbers_are_right_aligned_and_never_cut);
	tcase_add_test(c, numbers_saturate_and_refuse_what_is_none);
	tcase_add_test(c, fields_are_found_in_any_order_and_by_whole_key);
	tcase_add_test(c, a_name_is_equal_as_a_whole_whatever_bytes_are_in_it);
	tcase_add_test(c, octal_escapes_are_undone);
	tcase_add_test(c, cpu_lists_survive_a_round_trip);
	tcase_add_test(c, cpu_lists_that_are_none_leave_an_empty_set);
	tcase_add_test(c, the_first_cpus_are_the_lowest_ids);
	tcase_add_test(c, readers_of_one_descriptor_get_no_piece_of_each_others_text);
	suite_add_tcase(s, c);
	return unit_run(s);
}
