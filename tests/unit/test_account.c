/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of accounts: counters outlive workers and failed stores, an earlier init's are found
 * by its successor, and no container can push another out.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "cleanup.h"
#include "unit.h"

/* More than one owner may have, and of pages more than that. */
#define ENTRIES (2 * ACCOUNT_OF_OWNER)
#define PAGES (2 * ACCOUNT_PAGES_OF_OWNER)

static struct account_entry entries[ENTRIES];
static uint8_t pages[PAGES][SLAB_PAGE];
static uint32_t links[PAGES];
static struct slab *slab;
static struct account_store *store;
static struct uses *uses;
static struct use *owner; /* that new accounts are charged to */

static void open_store(size_t n)
{
	ck_assert_int_eq(slab_new(pages, links, PAGES, &slab), 0);
	ck_assert_int_eq(uses_new(&uses), 0);
	ck_assert_int_eq(account_store_new(entries, n, slab, uses, &store), 0);
	owner = NULL;
}

static void close_store(void)
{
	use_put(owner);
	account_store_free(store);
	ck_assert_uint_eq(uses_count(uses), 0); /* no account's reference was lost */
	uses_free(uses);
	slab_free(slab);
}

static void setup(void)
{
	open_store(ENTRIES);
}

static void next_worker(void)
{
	close_store();
	open_store(ENTRIES);
}

static struct account_key key(uint64_t cgroup, int32_t init)
{
	return (struct account_key){ .cgroup_dev = 5,
		.cgroup_ino = cgroup,
		.init_start = (uint64_t)init * 10,
		.init_pid = init,
		.kind = ACCOUNT_CPU };
}

/* What the account and its predecessor hold, as "bytes|predecessor's". */
static const char *peek(struct account_key k)
{
	static char said[64];
	autotext state = { 0 }, before = { 0 };
	struct account *a;

	ck_assert_int_eq(account_begin(store, &k, owner, &state, &before, &a), 0);
	ck_assert_int_eq(account_end(a, NULL, 0), 0);
	snprintf(said, sizeof(said), "%.*s|%.*s", (int)state.len, state.len ? state.data : "",
		(int)before.len, before.len ? before.data : "");
	return said;
}

static int put(struct account_key k, const char *bytes)
{
	autotext state = { 0 }, before = { 0 };
	struct account *a;
	const int r = account_begin(store, &k, owner, &state, &before, &a);

	return r < 0 ? r : account_end(a, bytes, strlen(bytes));
}

START_TEST(bytes_are_kept_for_their_key_alone)
{
	struct account_key disk = key(1, 7), quota = key(1, 7), elsewhere = key(1, 7);

	disk.kind = ACCOUNT_DISK;
	quota.kind = ACCOUNT_CPU_QUOTA;
	elsewhere.cgroup_dev = 6;
	ck_assert_str_eq(peek(key(1, 7)), "|");
	ck_assert_int_eq(put(key(1, 7), "one"), 0);
	ck_assert_str_eq(peek(key(1, 7)), "one|");
	ck_assert_int_eq(put(key(1, 7), "two"), 0);
	ck_assert_str_eq(peek(key(1, 7)), "two|");
	ck_assert_str_eq(peek(disk), "|");
	ck_assert_str_eq(peek(quota), "|");
	ck_assert_str_eq(peek(elsewhere), "|");
	ck_assert_str_eq(peek(key(2, 7)), "|");
	ck_assert_uint_eq(slab_used(slab), 1);
}
END_TEST

START_TEST(the_next_worker_finds_every_account)
{
	for (int i = 1; i <= 300; i++) {
		char bytes[16];

		snprintf(bytes, sizeof(bytes), "n%d", i);
		ck_assert_int_eq(put(key((uint64_t)i, i), bytes), 0);
	}
	next_worker();
	ck_assert_uint_eq(slab_used(slab), 300);
	for (int i = 1; i <= 300; i++) {
		char said[16];

		snprintf(said, sizeof(said), "n%d|", i);
		ck_assert_str_eq(peek(key((uint64_t)i, i)), said);
	}
}
END_TEST

START_TEST(entries_that_cannot_be_right_are_cleared)
{
	ck_assert_int_eq(put(key(1, 1), "a"), 0);
	ck_assert_int_eq(put(key(2, 2), "b"), 0);
	entries[2] = (struct account_entry){ .key = key(3, 3), .state = UINT64_MAX - 1 };
	entries[3] = (struct account_entry){ .key = key(4, 4), .state = entries[0].state };
	entries[4] = (struct account_entry){ .key = key(1, 1), .state = UINT64_C(9) << 32 | 1 };
	entries[5] = (struct account_entry){ .key = key(5, 5), .state = UINT64_C(11) << 32 | 1 };
	entries[5].key.kind = 77;
	next_worker();
	/* Two claims on one page, or to one key: one of each is kept, whichever it is. */
	ck_assert_uint_eq(slab_used(slab), 3);
	ck_assert_str_eq(peek(key(2, 2)), "b|");
	ck_assert_str_eq(peek(key(3, 3)), "|");
	ck_assert_uint_eq(entries[5].state, SLAB_NONE);
	ck_assert_uint_eq(entries[2].state, SLAB_NONE);
}
END_TEST

START_TEST(a_kill_before_publishing_leaves_the_entry_free)
{
	entries[0].key = key(1, 1); /* the key was written, the state was not */
	next_worker();
	ck_assert_str_eq(peek(key(1, 1)), "|");
	ck_assert_int_eq(put(key(1, 1), "a"), 0);
	ck_assert_str_eq(peek(key(1, 1)), "a|");
}
END_TEST

START_TEST(a_new_init_is_told_of_the_latest_before_it)
{
	ck_assert_int_eq(put(key(1, 10), "ten"), 0);
	ck_assert_int_eq(put(key(1, 30), "thirty"), 0);
	ck_assert_int_eq(put(key(2, 15), "elsewhere"), 0);
	ck_assert_str_eq(peek(key(1, 20)), "|ten");
	ck_assert_str_eq(peek(key(1, 40)), "|thirty");
	ck_assert_str_eq(peek(key(1, 5)), "|");
	ck_assert_int_eq(put(key(1, 40), "forty"), 0);
	ck_assert_str_eq(peek(key(1, 40)), "forty|");
}
END_TEST

static enum account_fate fate_by_pid(const struct account_key *k, void *data)
{
	const enum account_fate *of = data;

	return of[k->init_pid];
}

START_TEST(a_dead_inits_account_stays_until_its_successors_is_published)
{
	enum account_fate fates[10] = { 0 };

	ck_assert_int_eq(put(key(1, 1), "old"), 0);
	ck_assert_int_eq(put(key(2, 2), "other"), 0);
	fates[1] = ACCOUNT_INIT_DEAD;
	account_sweep(store, fate_by_pid, fates);
	account_sweep(store, fate_by_pid, fates);
	ck_assert_str_eq(peek(key(1, 3)), "|old");
	ck_assert_str_eq(peek(key(1, 3)), "|old"); /* nothing was published yet */
	ck_assert_int_eq(put(key(1, 3), "new"), 0);
	ck_assert_str_eq(peek(key(1, 4)), "|new");
	ck_assert_uint_eq(slab_used(slab), 2);
	ck_assert_str_eq(peek(key(2, 2)), "other|");
}
END_TEST

START_TEST(accounts_of_gone_cgroups_are_cleared)
{
	enum account_fate fates[10] = { 0 };

	ck_assert_int_eq(put(key(1, 1), "a"), 0);
	ck_assert_int_eq(put(key(2, 2), "b"), 0);
	fates[1] = ACCOUNT_INIT_DEAD;
	account_sweep(store, fate_by_pid, fates);
	fates[1] = ACCOUNT_CGROUP_GONE;
	account_sweep(store, fate_by_pid, fates);
	ck_assert_str_eq(peek(key(1, 1)), "|");
	ck_assert_str_eq(peek(key(2, 2)), "b|");
	ck_assert_uint_eq(slab_used(slab), 1);
}
END_TEST

static enum account_fate all_dead(const struct account_key *k, void *data)
{
	(void)k;
	(void)data;
	return ACCOUNT_INIT_DEAD;
}

START_TEST(the_dead_are_bounded_and_the_longest_dead_go_first)
{
	for (int i = 1; i <= 200; i++)
		ck_assert_int_eq(put(key((uint64_t)i, i), "x"), 0);
	account_sweep(store, all_dead, NULL);
	for (int i = 201; i <= 1200; i++)
		ck_assert_int_eq(put(key((uint64_t)i, i), "x"), 0);
	account_sweep(store, all_dead, NULL);
	ck_assert_uint_eq(slab_used(slab), ACCOUNT_PREDECESSORS);
	for (int i = 201; i <= 1200; i++)
		ck_assert_str_eq(peek(key((uint64_t)i, i + 1)), "|x");
}
END_TEST

START_TEST(a_full_table_refuses_newcomers_and_evicts_nobody)
{
	autotext state = { 0 }, before = { 0 };
	struct account_key late;
	struct account *a;

	for (uint32_t i = 1; i <= ENTRIES; i++)
		ck_assert_int_eq(put(key(i, (int32_t)i), "x"), 0);
	late = key(1, 9999);
	ck_assert_int_eq(account_begin(store, &late, owner, &state, &before, &a), -ENOSPC);
	ck_assert_uint_eq(state.len, 0);
	ck_assert_uint_eq(before.len, 1);
	ck_assert_int_eq(put(late, "y"), -ENOSPC); /* nothing was left locked */
	for (uint32_t i = 1; i <= ENTRIES; i++)
		ck_assert_str_eq(peek(key(i, (int32_t)i)), "x|");
}
END_TEST

START_TEST(one_cgroup_cannot_fill_the_table_with_pid_namespaces)
{
	for (int i = 1; i <= (int)ACCOUNT_SIBLINGS; i++)
		ck_assert_int_eq(put(key(1, i), "x"), 0);
	ck_assert_int_eq(put(key(1, 1000), "y"), -EDQUOT);
	ck_assert_int_eq(put(key(2, 1001), "y"), 0);
}
END_TEST

static void charge_to(uint64_t number)
{
	use_put(owner);
	ck_assert_int_eq(use_get(uses, number, &owner), 0);
}

START_TEST(one_owner_cannot_fill_the_table_with_cgroups)
{
	charge_to(7);
	for (uint32_t i = 1; i <= ACCOUNT_OF_OWNER; i++)
		ck_assert_int_eq(put(key(i, 1), "x"), 0);
	ck_assert_int_eq(put(key(ACCOUNT_OF_OWNER + 1, 1), "y"), -EDQUOT);
	ck_assert_int_eq(put(key(1, 1), "z"), 0); /* what it has goes on */
	charge_to(8);
	ck_assert_int_eq(put(key(ACCOUNT_OF_OWNER + 1, 1), "y"), 0);
	/* The next worker knows whose each is. */
	next_worker();
	charge_to(7);
	ck_assert_uint_eq(atomic_load(&owner->accounts), ACCOUNT_OF_OWNER);
	ck_assert_int_eq(put(key(ACCOUNT_OF_OWNER + 2, 1), "y"), -EDQUOT);
	charge_to(8);
	ck_assert_uint_eq(atomic_load(&owner->accounts), 1);
	ck_assert_int_eq(put(key(ACCOUNT_OF_OWNER + 2, 1), "y"), 0);
}
END_TEST

START_TEST(nor_all_pages)
{
	static const char half[(ACCOUNT_PAGES_OF_OWNER / 2 + 1) * SLAB_PAGE] = { 1 };
	struct account_key k = key(2, 1);
	autotext state = { 0 }, before = { 0 };
	struct account *a;

	charge_to(7);
	ck_assert_int_eq(put(key(1, 1), "x"), 0);
	ck_assert_int_eq(account_begin(store, &k, owner, &state, &before, &a), 0);
	ck_assert_int_eq(account_end(a, half, sizeof(half)), 0);
	ck_assert_uint_eq(atomic_load(&owner->account_pages), 1 + slab_pages(sizeof(half)));
	k = key(1, 1);
	ck_assert_int_eq(account_begin(store, &k, owner, &state, &before, &a), 0);
	ck_assert_int_eq(account_end(a, half, sizeof(half)), -EDQUOT);
	ck_assert_str_eq(peek(k), "x|"); /* the old bytes stay */
	/* In place of many, few are charged; the next worker counts the same. */
	ck_assert_int_eq(put(key(2, 1), "x"), 0);
	ck_assert_uint_eq(atomic_load(&owner->account_pages), 2);
	next_worker();
	charge_to(7);
	ck_assert_uint_eq(atomic_load(&owner->account_pages), 2);
}
END_TEST

static enum account_fate all_gone(const struct account_key *k, void *data)
{
	(void)k;
	(void)data;
	return ACCOUNT_CGROUP_GONE;
}

START_TEST(what_has_gone_is_charged_no_longer)
{
	charge_to(7);
	for (uint32_t i = 1; i <= 10; i++)
		ck_assert_int_eq(put(key(i, 1), "x"), 0);
	account_sweep(store, all_gone, NULL);
	ck_assert_uint_eq(atomic_load(&owner->accounts), 0);
	ck_assert_uint_eq(atomic_load(&owner->account_pages), 0);
}
END_TEST

/* Asks after the accounts of cgroups from 2 on alone. */
static enum account_fate the_others_are_dead(const struct account_key *k, void *data)
{
	(void)data;
	return k->cgroup_ino >= 2 ? ACCOUNT_INIT_DEAD : ACCOUNT_LIVES;
}

START_TEST(who_makes_many_inits_pushes_no_neighbours_predecessor_out)
{
	charge_to(8);
	ck_assert_int_eq(put(key(2, 1), "x"), 0);
	account_sweep(store, the_others_are_dead, NULL);
	charge_to(7);
	ck_assert_int_eq(put(key(1, 1), "x"), 0);
	for (uint32_t i = 3; i < 3 + 2 * ACCOUNT_PREDECESSORS; i++)
		ck_assert_int_eq(put(key(i, 1), "x"), 0);
	account_sweep(store, the_others_are_dead, NULL);
	ck_assert_uint_eq(atomic_load(&owner->accounts), 1 + ACCOUNT_PREDECESSORS_OF_OWNER);
	ck_assert_str_eq(peek(key(2, 2)), "|x");
	account_sweep(store, all_gone, NULL);
	ck_assert_uint_eq(atomic_load(&owner->predecessors), 0);
}
END_TEST

START_TEST(an_earlier_versions_accounts_are_charged_to_who_uses_them)
{
	ck_assert_int_eq(put(key(1, 1), "x"), 0);
	next_worker();
	charge_to(7);
	ck_assert_str_eq(peek(key(1, 1)), "x|");
	ck_assert_uint_eq(atomic_load(&owner->accounts), 1);
	ck_assert_uint_eq(atomic_load(&owner->account_pages), 1);
	ck_assert_uint_eq(entries[0].owner, 7);
}
END_TEST

START_TEST(a_full_slab_keeps_the_old_bytes)
{
	static const char big[(size_t)PAGES * SLAB_PAGE] = { 0 };
	struct account_key k = key(1, 1);
	autotext state = { 0 }, before = { 0 };
	struct account *a;

	ck_assert_int_eq(put(k, "old"), 0);
	ck_assert_int_eq(account_begin(store, &k, owner, &state, &before, &a), 0);
	ck_assert_int_eq(account_end(a, big, sizeof(big)), -ENOSPC);
	ck_assert_str_eq(peek(k), "old|");
	k = key(2, 2);
	ck_assert_int_eq(account_begin(store, &k, owner, &state, &before, &a), 0);
	ck_assert_int_eq(account_end(a, big, sizeof(big)), -ENOSPC);
	ck_assert_str_eq(peek(k), "|");
}
END_TEST

#define ADDS 5000

static void *add_ones(void *data)
{
	for (int i = 0; i < ADDS; i++) {
		const struct account_key k = key((uint64_t)(i % 3), 1);
		autotext state = { 0 }, before = { 0 };
		struct account *a;
		uint64_t n = 0;

		if (account_begin(store, &k, owner, &state, &before, &a) < 0)
			return data;
		if (state.len == sizeof(n))
			memcpy(&n, state.data, sizeof(n));
		n++;
		account_end(a, &n, sizeof(n));
	}
	return NULL;
}

START_TEST(threads_never_lose_each_others_updates)
{
	pthread_t threads[4];
	uint64_t sum = 0;

	for (size_t i = 0; i < countof(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, add_ones, &sum), 0);
	for (size_t i = 0; i < countof(threads); i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		ck_assert_ptr_eq(failed, NULL);
	}
	for (uint64_t c = 0; c < 3; c++) {
		const struct account_key k = key(c, 1);
		autotext state = { 0 }, before = { 0 };
		struct account *a;
		uint64_t n;

		ck_assert_int_eq(account_begin(store, &k, owner, &state, &before, &a), 0);
		ck_assert_uint_eq(state.len, sizeof(n));
		memcpy(&n, state.data, sizeof(n));
		sum += n;
		account_end(a, NULL, 0);
	}
	ck_assert_uint_eq(sum, countof(threads) * ADDS);
	ck_assert_uint_eq(slab_used(slab), 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("account");
	TCase *c = tcase_create("account");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, bytes_are_kept_for_their_key_alone);
	tcase_add_test(c, the_next_worker_finds_every_account);
	tcase_add_test(c, entries_that_cannot_be_right_are_cleared);
	tcase_add_test(c, a_kill_before_publishing_leaves_the_entry_free);
	tcase_add_test(c, a_new_init_is_told_of_the_latest_before_it);
	tcase_add_test(c, a_dead_inits_account_stays_until_its_successors_is_published);
	tcase_add_test(c, accounts_of_gone_cgroups_are_cleared);
	tcase_add_test(c, the_dead_are_bounded_and_the_longest_dead_go_first);
	tcase_add_test(c, a_full_table_refuses_newcomers_and_evicts_nobody);
	tcase_add_test(c, one_cgroup_cannot_fill_the_table_with_pid_namespaces);
	tcase_add_test(c, one_owner_cannot_fill_the_table_with_cgroups);
	tcase_add_test(c, nor_all_pages);
	tcase_add_test(c, what_has_gone_is_charged_no_longer);
	tcase_add_test(c, who_makes_many_inits_pushes_no_neighbours_predecessor_out);
	tcase_add_test(c, an_earlier_versions_accounts_are_charged_to_who_uses_them);
	tcase_add_test(c, a_full_slab_keeps_the_old_bytes);
	tcase_add_test(c, threads_never_lose_each_others_updates);
	suite_add_tcase(s, c);
	return unit_run(s);
}
