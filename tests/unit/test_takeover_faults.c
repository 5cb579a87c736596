/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker that takes over on a machine that is out of memory or descriptors or cannot be read:
 * each call that can fail fails once, and from it on for good. Either it does not start, for that
 * very reason, and has changed nothing; or it has all that was left, charged to whose it is.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "../../src/daemon/backlog.h"
#include "faults.h"
#include "fs_worker.h"
#include "unit.h"

#define CPU_DIR 6u /* in the registry of fs_worker.c */

/* --- what a worker has left ------------------------------------------------------------------ */

/* Each has an account of so many pages and an open file of so many; 0: it has none, so that it is
 * known only by the other. */
static const struct owner {
	uint64_t number;
	uint32_t account_pages, snapshot_pages;
} owners[] = {
	{ 77, 1, 3 }, /* the number that fs_worker.c's container is charged to */
	{ 88, 2, 0 },
	{ 99, 0, 1 },
};
#define PAGES 7u /* of all */
#define WAITING 2u

/* What cannot be right lies behind it. */
#define BROKEN countof(owners)
#define BROKEN_REF (UINT64_C(0xfffffff0) << 32 | 1) /* there is no such page */

static struct container others[] = { { .init = 88 }, { .init = 99 } };
static uint64_t handle[countof(owners)], number;
static struct text bytes;

static struct account_key key_of(const struct owner *o)
{
	return (struct account_key){
		.cgroup_dev = 5, .cgroup_ino = o->number, .kind = ACCOUNT_CPU
	};
}

/* Of so many pages. */
static struct text bytes_of(uint32_t pages)
{
	return (struct text){ .data = bytes.data, .len = pages * SLAB_PAGE };
}

static void leave_account(struct account_store *s, const struct owner *o, struct use *use)
{
	const struct text text = bytes_of(o->account_pages);
	const struct account_key key = key_of(o);
	struct account *a;
	autotext none = { 0 };

	if (text.len == 0)
		return;
	ck_assert_int_eq(account_begin(s, &key, use, &none, &none, &a), 0);
	ck_assert_int_eq(account_end(a, text.data, text.len), 0);
}

static uint64_t leave_handle(const struct owner *o, struct container *c)
{
	const struct handle_info info = { .node = 20, .kind = HANDOVER_HANDLE_FILE };
	const struct text text = bytes_of(o->snapshot_pages);
	uint64_t fh;

	if (text.len == 0)
		return 0;
	ck_assert_int_eq(handles_open(handles, &info, c, NULL, &fh), 0);
	ck_assert_int_eq(handles_store(handles, fh, &text, NULL), 0);
	return fh;
}

static void leave_name(void)
{
	struct node cpu;

	ck_assert_int_eq(tree_node(tree, CPU_DIR, &cpu), 0);
	ck_assert_int_eq(tree_number(tree, &cpu, slice_str("possible"), DT_REG, &number), 0);
}

static void leave_waiting(void)
{
	struct handover_slot *slot = &shared->slots[0];
	struct backlog *b;

	ck_assert_int_eq(backlog_new(shared, 1, &b), 0);
	for (uint64_t i = 1; i <= WAITING; i++) {
		const struct fuse_in_header header = { .len = sizeof(header), .unique = i };

		memcpy(slot->request, &header, sizeof(header));
		ck_assert(backlog_put(b, slot, 0, (uint32_t)i, i));
	}
	backlog_free(b);
}

static void setup(void)
{
	struct account_store *accounts;
	struct container *whose[] = { &box, &others[0], &others[1] };
	struct uses *uses;

	fs_machine_setup();
	for (uint32_t i = 0; i < PAGES * SLAB_PAGE; i++)
		text_printf(&bytes, "%c", 'a' + (int)(i % 23));
	uses = box.subject.use->all;
	for (size_t i = 0; i < countof(others); i++)
		ck_assert_int_eq(
			use_get(uses, (uint64_t)others[i].init, &others[i].subject.use), 0);
	ck_assert_int_eq(
		account_store_new(shared->accounts, HANDOVER_ACCOUNTS, slab, uses, &accounts), 0);
	for (size_t i = 0; i < countof(owners); i++) {
		leave_account(accounts, &owners[i], whose[i]->subject.use);
		handle[i] = leave_handle(&owners[i], whose[i]);
	}
	leave_name();
	leave_waiting();
	account_store_free(accounts);
	for (size_t i = 0; i < countof(others); i++)
		use_put(others[i].subject.use);
}

static void teardown(void)
{
	text_free(&bytes);
	fs_machine_teardown();
}

/* --- the next worker ------------------------------------------------------------------------- */

static struct {
	struct slab *slab;
	struct uses *uses;
	struct account_store *accounts;
	struct handles *handles;
	struct tree *tree;
	struct backlog *backlog;
} next;

static int start(void)
{
	int r = slab_new(shared->pages, shared->links, HANDOVER_PAGES, &next.slab);

	if (r == 0)
		r = uses_new(&next.uses);
	if (r == 0)
		r = account_store_new(
			shared->accounts, HANDOVER_ACCOUNTS, next.slab, next.uses, &next.accounts);
	if (r == 0)
		r = tree_new(shared, &host_root, &next.tree);
	if (r == 0)
		r = handles_new(shared, next.slab, next.uses, &next.handles);
	if (r == 0)
		r = backlog_new(shared, 1, &next.backlog);
	return r;
}

static void stop(void)
{
	backlog_free(next.backlog);
	handles_free(next.handles);
	tree_free(next.tree);
	account_store_free(next.accounts);
	if (next.uses)
		ck_assert_uint_eq(uses_count(next.uses), 0);
	uses_free(next.uses);
	slab_free(next.slab);
	memset(&next, 0, sizeof(next));
}

static void assert_bytes(const struct text *t, uint32_t pages)
{
	const struct text right = bytes_of(pages);

	ck_assert(slice_same(slice_of(t), slice_of(&right)));
}

static void assert_account(const struct owner *o)
{
	const struct account_key key = key_of(o);
	autotext state = { 0 }, none = { 0 };
	struct account *a;

	ck_assert_int_eq(account_begin(next.accounts, &key, NULL, &state, &none, &a), 0);
	ck_assert_int_eq(account_end(a, NULL, 0), 0);
	assert_bytes(&state, o->account_pages);
}

static void assert_handle(const struct owner *o, uint64_t fh)
{
	autotext text = { 0 };
	const int r = handles_load(next.handles, fh, 0, PAGES * SLAB_PAGE, &text);

	ck_assert_int_eq(r, fh ? 0 : -ESTALE);
	assert_bytes(&text, o->snapshot_pages);
}

static void assert_charged(const struct owner *o)
{
	struct use *use;

	ck_assert_int_eq(use_get(next.uses, o->number, &use), 0);
	ck_assert_uint_eq(use->accounts, o->account_pages > 0);
	ck_assert_uint_eq(use->account_pages, o->account_pages);
	ck_assert_uint_eq(use->handles, o->snapshot_pages > 0);
	ck_assert_uint_eq(use->pages, o->snapshot_pages);
	use_put(use);
}

static void assert_all_is_there(void)
{
	struct node node;

	ck_assert_uint_eq(slab_used(next.slab), PAGES);
	ck_assert_uint_eq(uses_count(next.uses), countof(owners));
	for (size_t i = 0; i < countof(owners); i++) {
		assert_account(&owners[i]);
		assert_handle(&owners[i], handle[i]);
		assert_charged(&owners[i]);
	}
	ck_assert_int_eq(tree_node(next.tree, number, &node), 0);
	ck_assert_str_eq(node.path, "sys/cpu/possible");
	ck_assert_uint_eq(backlog_count(next.backlog), WAITING);
}

/* What is broken is found so by whoever comes to it, and by nobody else. */
static void break_some(void)
{
	shared->accounts[BROKEN].key = key_of(&owners[0]);
	shared->accounts[BROKEN].state = SLAB_LOST;
	shared->handles_used = BROKEN + 1;
	shared->handles[BROKEN].generation = 1;
	shared->handles[BROKEN].kind = HANDOVER_HANDLE_FILE;
	shared->handles[BROKEN].snapshot = BROKEN_REF;
	shared->handles[BROKEN].fh = UINT64_C(1) << 32 | (BROKEN + 1);
}

static bool attempt(const void *broken, const struct fault *f, unsigned nth)
{
	bool hit;
	int r;

	if (broken)
		break_some();
	fault_arm(f, nth);
	r = start();
	hit = fault_disarm();
	ck_assert_msg(r == 0 || (hit && r == -f->error), "call %u of kind %d failed with %s: %s",
		nth, (int)f->call, strerror(f->error), strerror(-r));
	if (r == 0)
		assert_all_is_there();
	stop();
	ck_assert_int_eq(start(), 0);
	assert_all_is_there();
	ck_assert_uint_eq(shared->accounts[BROKEN].state, SLAB_NONE);
	ck_assert_uint_eq(shared->handles[BROKEN].snapshot, broken ? SLAB_LOST : SLAB_NONE);
	stop();
	return hit;
}

/* ENODEV: what files of removed cgroups say, and none is read. */
START_TEST(all_is_taken_over_and_charged_or_left_as_it_is)
{
	faults_exhaust(attempt, _i ? &owners : NULL, ENODEV, false);
}
END_TEST

START_TEST(each_kind_of_call_can_be_failed)
{
	const struct fault memory = { FAULT_MEMORY, ENOMEM, false };
	const struct fault reading = { FAULT_READ, EIO, false };

	ck_assert(attempt(NULL, &memory, 1));
	ck_assert(attempt(NULL, &reading, 1));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("takeover_faults");
	TCase *c = tcase_create("faults");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, all_is_taken_over_and_charged_or_left_as_it_is, 0, 2);
	tcase_add_test(c, each_kind_of_call_can_be_failed);
	suite_add_tcase(s, c);
	return unit_run(s);
}
