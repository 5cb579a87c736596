/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Node numbers, listings and open handles without a mount: what a worker leaves in the hand-over
 * memory and what the next one makes of it. The registry and the containers are this file's own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "clock.h"
#include "handle.h"
#include "listing.h"
#include "shared.h"
#include "sysdir.h" /* and the fs/tree.h it stands on */
#include "unit.h"

/* --- what the modules under test ask of others ------------------------------------------- */

const struct view view_registry[] = {
	{ .node = 1, .path = "", .kind = VIEW_DIR },
	{ .node = 2, .path = "proc", .kind = VIEW_DIR },
	{ .node = 3, .path = "sys", .kind = VIEW_DIR },
	{ .node = 6, .path = "sys/cpu", .kind = VIEW_CPU_DIR },
	{ .node = 20, .path = "proc/meminfo", .kind = VIEW_FILE },
	{ .node = 32, .path = "sys/cpu/online", .kind = VIEW_FILE },
};
const size_t view_count = countof(view_registry);

const struct view *view_by_node(uint64_t node)
{
	for (size_t i = 0; i < view_count; i++)
		if (view_registry[i].node == node)
			return &view_registry[i];
	return NULL;
}

static int references;

struct container *container_ref(struct container *c)
{
	references++;
	return c;
}

void container_unref(struct container *c)
{
	if (c)
		references--;
}

void container_identity(const struct container *c, struct container_identity *ret)
{
	*ret = (struct container_identity){ .init = c->init };
}

/* --- one connection, several workers ----------------------------------------------------- */

static struct root host_root = ROOT_NONE;
static struct handover *shared;
static struct slab *slab;
static struct tree *tree;
static struct handles *handles;
static struct container_use use;
static struct container box = { .use = &use, .init = 77 };

static void worker_starts(void)
{
	ck_assert_int_eq(slab_new(shared->pages, shared->links, HANDOVER_PAGES, &slab), 0);
	ck_assert_int_eq(tree_new(shared, &host_root, &tree), 0);
	ck_assert_int_eq(handles_new(shared, slab, &handles), 0);
}

static void worker_ends(void)
{
	handles_free(handles);
	tree_free(tree);
	slab_free(slab);
	/* A new process knows no records; what they counted dies with them. */
	use = (struct container_use){ 0 };
}

static void next_worker(void)
{
	worker_ends();
	worker_starts();
}

static void setup(void)
{
	int fd;

	ck_assert_int_eq(handover_new(&fd, &shared), 0);
	close(fd);
	worker_starts();
}

static void teardown(void)
{
	worker_ends();
	ck_assert_int_eq(references, 0);
	handover_free(shared);
}

/* --- nodes ------------------------------------------------------------------------------- */

static uint64_t number_in(uint64_t dir, const char *name, unsigned type)
{
	struct node parent;
	uint64_t number;

	ck_assert_int_eq(tree_node(tree, dir, &parent), 0);
	ck_assert_int_eq(tree_number(tree, &parent, slice_str(name), type, &number), 0);
	return number;
}

static void assert_path(uint64_t number, const char *path)
{
	struct node node;

	ck_assert_int_eq(tree_node(tree, number, &node), 0);
	ck_assert_str_eq(node.path, path);
}

static void assert_stale(uint64_t number)
{
	struct node node;

	ck_assert_int_eq(tree_node(tree, number, &node), -ESTALE);
}

/* The number of a name of the registry; 0. */
static uint64_t entry_in(uint64_t dir, const char *name)
{
	struct tree_entry entry;
	struct node parent;

	ck_assert_int_eq(tree_node(tree, dir, &parent), 0);
	return tree_entry(tree, &parent, slice_str(name), &entry) ? entry.number : 0;
}

START_TEST(registered_numbers_stand_for_their_entries)
{
	struct node root, cpu;

	ck_assert_int_eq(tree_node(tree, TREE_ROOT, &root), 0);
	ck_assert_uint_eq(root.type, DT_DIR);
	ck_assert_uint_eq(tree_parent(tree, &root), TREE_ROOT);
	ck_assert_int_eq(tree_node(tree, 6, &cpu), 0);
	ck_assert_uint_eq(tree_parent(tree, &cpu), 3);
	ck_assert_uint_eq(entry_in(TREE_ROOT, "proc"), 2);
	ck_assert_uint_eq(entry_in(6, "online"), 32);
	ck_assert_uint_eq(entry_in(TREE_ROOT, "meminfo"), 0);
	ck_assert_uint_eq(entry_in(TREE_ROOT, ""), 0);
	assert_stale(0);
	assert_stale(99);
	assert_stale(HANDOVER_NODE_BASE);
	assert_stale(UINT64_MAX);
}
END_TEST

START_TEST(every_policy_has_every_entry_under_a_number_of_its_own)
{
	static const char *const dirs[] = { NULL, "quota", "cpuset" };

	/* A promise to the binds of running containers, as the registry's numbers are. */
	ck_assert_uint_eq(entry_in(TREE_ROOT, "quota"), 0x10001);
	ck_assert_uint_eq(entry_in(TREE_ROOT, "cpuset"), 0x20001);
	for (unsigned policy = 1; policy < countof(dirs); policy++) {
		const uint64_t base = policy * UINT64_C(0x10000);

		ck_assert_uint_eq(entry_in(base + 1, "quota"), 0);
		ck_assert_uint_eq(entry_in(base + 1, "cpuset"), 0);
		for (size_t i = 0; i < view_count; i++) {
			const struct view *v = &view_registry[i];
			const uint64_t number = base + v->node;
			struct node node, plain;

			ck_assert_int_eq(tree_node(tree, v->node, &plain), 0);
			ck_assert_int_eq(plain.policy, TREE_DEFAULT);
			ck_assert_int_eq(tree_node(tree, number, &node), 0);
			ck_assert_uint_eq(node.number, number);
			ck_assert_uint_eq(node.policy, policy);
			ck_assert_ptr_eq(node.view, v);
			ck_assert_str_eq(node.path, plain.path);
			ck_assert_uint_eq(tree_parent(tree, &node),
				v->node == 1 ? 1 : base + tree_parent(tree, &plain));
		}
		ck_assert_uint_eq(entry_in(base + 1, "proc"), base + 2);
		ck_assert_uint_eq(entry_in(base + 6, "online"), base + 32);
	}
	assert_stale(0x10000);
	assert_stale(0x10000 + 99);
	assert_stale(0x30001);
}
END_TEST

START_TEST(a_passed_through_name_belongs_to_the_policy_of_its_directory)
{
	const uint64_t plain = number_in(6, "cpu0", DT_DIR);
	const uint64_t quota = number_in(0x10006, "cpu0", DT_DIR);
	const uint64_t file = number_in(quota, "uevent", DT_REG);
	struct node node;

	ck_assert_uint_ne(plain, quota);
	next_worker();
	ck_assert_uint_eq(number_in(0x10006, "cpu0", DT_DIR), quota);
	assert_path(file, "sys/cpu/cpu0/uevent");
	ck_assert_int_eq(tree_node(tree, file, &node), 0);
	ck_assert_int_eq(node.policy, TREE_QUOTA);
	ck_assert_uint_eq(tree_parent(tree, &node), quota);
	ck_assert_int_eq(tree_node(tree, quota, &node), 0);
	ck_assert_uint_eq(tree_parent(tree, &node), 0x10006);
}
END_TEST

START_TEST(a_name_keeps_its_number_from_worker_to_worker)
{
	uint64_t cpu0 = number_in(6, "cpu0", DT_DIR);
	uint64_t cache = number_in(cpu0, "cache", DT_DIR);
	uint64_t size = number_in(cache, "size", DT_REG);

	next_worker();
	ck_assert_uint_eq(number_in(6, "cpu0", DT_DIR), cpu0);
	ck_assert_uint_eq(number_in(cpu0, "cache", DT_DIR), cache);
	ck_assert_uint_eq(number_in(cache, "size", DT_REG), size);
	assert_path(size, "sys/cpu/cpu0/cache/size");
	ck_assert_uint_eq(atomic_load(&shared->nodes_used), 3);
}
END_TEST

START_TEST(thousands_of_names_keep_their_numbers)
{
	char name[32];

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "cpu%u", i);
		ck_assert_uint_eq(number_in(6, name, DT_DIR), HANDOVER_NODE_BASE + i);
	}
	next_worker();
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "cpu%u", i);
		ck_assert_uint_eq(number_in(6, name, DT_DIR), HANDOVER_NODE_BASE + i);
	}
}
END_TEST

START_TEST(a_number_never_changes_its_type)
{
	uint64_t link = number_in(6, "driver", DT_LNK);
	uint64_t dir = number_in(6, "driver", DT_DIR);

	ck_assert_uint_ne(link, dir);
	ck_assert_uint_eq(number_in(6, "driver", DT_LNK), link);
}
END_TEST

START_TEST(what_cannot_be_a_name_gets_no_number)
{
	const struct slice bad[] = { slice_str(""), slice_str("."), slice_str(".."),
		slice_str("a/b"), { "a\0b", 3 } };
	struct node cpu, proc, file;
	uint64_t n;

	ck_assert_int_eq(tree_node(tree, 6, &cpu), 0);
	for (size_t i = 0; i < countof(bad); i++)
		ck_assert_int_eq(tree_number(tree, &cpu, bad[i], DT_DIR, &n), -ENOENT);
	ck_assert_int_eq(tree_number(tree, &cpu, slice_str("a"), DT_SOCK, &n), -ENOENT);
	ck_assert_int_eq(tree_node(tree, 2, &proc), 0);
	ck_assert_int_eq(tree_number(tree, &proc, slice_str("kcore"), DT_REG, &n), -ENOENT);
	ck_assert_int_eq(tree_node(tree, number_in(6, "f", DT_REG), &file), 0);
	ck_assert_int_eq(tree_number(tree, &file, slice_str("a"), DT_REG, &n), -ENOENT);
	ck_assert_uint_eq(atomic_load(&shared->nodes_used), 1);
}
END_TEST

START_TEST(a_name_is_numbered_only_as_deep_as_it_can_be_followed)
{
	uint64_t dir = 6, n;
	struct node node;
	int e;

	for (unsigned depth = 0; depth < 100; depth++) {
		ck_assert_int_eq(tree_node(tree, dir, &node), 0);
		e = tree_number(tree, &node, slice_str("d"), DT_DIR, &n);
		if (e < 0)
			break;
		dir = n;
	}
	ck_assert_int_eq(e, -ENAMETOOLONG);
}
END_TEST

START_TEST(a_full_table_refuses_new_names_and_keeps_the_old_ones)
{
	uint64_t old = number_in(6, "cpu0", DT_DIR), n;
	struct node cpu;

	ck_assert_int_eq(tree_node(tree, 6, &cpu), 0);
	atomic_store(&shared->names_used, HANDOVER_NAMES - 2);
	ck_assert_int_eq(tree_number(tree, &cpu, slice_str("cpu1"), DT_DIR, &n), -ENFILE);
	atomic_store(&shared->names_used, 4);
	atomic_store(&shared->nodes_used, HANDOVER_NODES);
	ck_assert_int_eq(tree_number(tree, &cpu, slice_str("cpu1"), DT_DIR, &n), -ENFILE);
	ck_assert_uint_eq(number_in(6, "cpu0", DT_DIR), old);
}
END_TEST

START_TEST(handed_over_numbers_are_not_trusted)
{
	uint64_t dir = number_in(6, "cpu0", DT_DIR), file = number_in(dir, "a", DT_REG);
	struct handover_node *d = &shared->nodes[dir - HANDOVER_NODE_BASE];
	struct handover_node *f = &shared->nodes[file - HANDOVER_NODE_BASE];
	const struct handover_node good_dir = *d, good = *f;
	const struct handover_node bad[] = {
		{ file, good.name, good.name_len, good.type }, /* its own parent */
		{ file + 1, good.name, good.name_len, good.type },
		{ 20, good.name, good.name_len, good.type }, /* a file */
		{ 2, good.name, good.name_len, good.type },  /* not passed through */
		{ 0x10002, good.name, good.name_len, good.type },
		{ 0x30006, good.name, good.name_len, good.type }, /* no such policy */
		{ good.parent, HANDOVER_NAMES, 1, good.type },
		{ good.parent, UINT32_MAX, UINT16_MAX, good.type },
		{ good.parent, HANDOVER_NAMES - 1, 2, good.type },
		{ good.parent, good.name, 0, good.type },
		{ good.parent, good.name, good.name_len, 250 },
	};

	for (size_t i = 0; i < countof(bad); i++) {
		*f = bad[i];
		next_worker();
		assert_stale(file);
	}
	*f = good;
	d->type = DT_REG;
	next_worker();
	assert_stale(file);
	*d = good_dir;
	atomic_store(&shared->nodes_used, UINT32_MAX);
	next_worker();
	assert_path(file, "sys/cpu/cpu0/a");
	assert_stale(HANDOVER_NODE_BASE + UINT32_MAX);
}
END_TEST

/* --- listings ---------------------------------------------------------------------------- */

START_TEST(listings_survive_a_round_trip_and_end_at_broken_bytes)
{
	autotext t = { 0 };
	struct listing_entry entry;
	struct slice rest;

	listing_add(&t, UINT64_MAX, DT_LNK, slice_str("subsystem"));
	listing_add(&t, 7, DT_REG, slice_str("a"));
	for (size_t cut = 0; cut < t.len; cut++) {
		unsigned n = 0;

		rest = (struct slice){ t.data, cut };
		while (listing_next(&rest, &entry))
			n++;
		ck_assert_uint_eq(n, cut >= 19);
	}
	rest = slice_of(&t);
	ck_assert(listing_next(&rest, &entry));
	ck_assert_uint_eq(entry.number, UINT64_MAX);
	ck_assert_uint_eq(entry.type, DT_LNK);
	ck_assert(slice_equal(entry.name, "subsystem"));
	ck_assert(listing_next(&rest, &entry));
	ck_assert(!listing_next(&rest, &entry));
}
END_TEST

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

START_TEST(a_handle_that_is_bound_again_is_counted_again)
{
	uint64_t fh = open_one();

	store(fh, "x");
	next_worker();
	ck_assert_int_eq(handles_bind(handles, fh, &box), 0);
	ck_assert_uint_eq(atomic_load(&use.handles), 1);
	ck_assert_uint_eq(atomic_load(&use.pages), 1);
	ck_assert_int_eq(handles_bind(handles, fh, &box), 0);
	ck_assert_uint_eq(atomic_load(&use.handles), 1);
	handles_close(handles, fh);
	ck_assert_uint_eq(atomic_load(&use.handles), 0);
	ck_assert_uint_eq(atomic_load(&use.pages), 0);
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
	ck_assert_uint_eq(atomic_load(&use.pages), 1);
	ck_assert_uint_eq(slab_used(slab), before + 1);
	handles_close(handles, fh);
	ck_assert_uint_eq(slab_used(slab), before);
	ck_assert_uint_eq(atomic_load(&use.pages), 0);
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
	store(fh, "text");
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
	struct container other = { .use = &(struct container_use){ 0 } };
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

START_TEST(one_container_cannot_take_all_pages)
{
	struct container other = { .use = &(struct container_use){ 0 } };
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
	ck_assert_uint_eq(atomic_load(&use.handles), 0);
	handles_close(handles, last);
	ck_assert_int_eq(handles_open(handles, &meminfo, &box, NULL, &fh), 0);
}
END_TEST

/* --- the host's directory of CPUs -------------------------------------------------------- */

static char top[] = "/tmp/lxcfs-test-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void make_file(const char *path)
{
	autoclose int fd = openat(host_root.top, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0444);

	ck_assert_int_ge(fd, 0);
}

static void machine_setup(void)
{
	static const char *const dirs[] = { "proc", "sys", "sys/cpu", "sys/cpu/cpu0",
		"sys/cpu/cpu1", "sys/cpu/cpu10", "sys/cpu/cpufreq" };

	setup();
	ck_assert_ptr_nonnull(mkdtemp(top));
	for (size_t i = 0; i < countof(dirs); i++) {
		autofree char *path = NULL;

		ck_assert_int_gt(asprintf(&path, "%s/%s", top, dirs[i]), 0);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	ck_assert_int_eq(root_open(top, &host_root), 0);
	make_file("sys/cpu/online");
	make_file("sys/cpu/possible");
	make_file("sys/cpu/crash_notes_size");
	make_file("sys/cpu/cpu1/crash_notes");
	ck_assert_int_eq(symlinkat("../../bus", host_root.top, "sys/cpu/cpu1/subsystem"), 0);
}

static void machine_teardown(void)
{
	root_close(&host_root);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
	teardown();
}

static bool lists(const struct text *listing, const char *name)
{
	struct slice rest = slice_of(listing);
	struct listing_entry entry;
	unsigned n = 0;

	while (listing_next(&rest, &entry))
		n += slice_equal(entry.name, name);
	ck_assert_uint_le(n, 1);
	return n == 1;
}

START_TEST(a_listing_shows_the_visible_cpus_and_all_that_is_no_cpu)
{
	struct cpumask show = { 0 };
	struct node cpu;
	autotext t = { 0 };

	cpumask_set(&show, 1);
	ck_assert_int_eq(tree_node(tree, 6, &cpu), 0);
	ck_assert_int_eq(sysdir_list(tree, &host_root, &cpu, &show, &t), 0);
	ck_assert(lists(&t, "cpu1"));
	ck_assert(lists(&t, "cpufreq"));
	ck_assert(lists(&t, "possible"));
	ck_assert(!lists(&t, "cpu0"));
	ck_assert(!lists(&t, "cpu10"));
	ck_assert(!lists(&t, "."));
	ck_assert(!lists(&t, "online")); /* the registry's */
	ck_assert(!lists(&t, "crash_notes_size"));
}
END_TEST

START_TEST(a_lookup_finds_what_the_host_has_and_numbers_nothing_else)
{
	struct node cpu, cpu1, link;
	struct stat st;
	uint64_t n;
	char target[64];

	ck_assert_int_eq(tree_node(tree, 6, &cpu), 0);
	ck_assert_int_eq(
		sysdir_lookup(tree, &host_root, &cpu, slice_str("cpu9"), &n, &st), -ENOENT);
	ck_assert_int_eq(sysdir_lookup(tree, &host_root, &cpu, slice_str(".."), &n, &st), -ENOENT);
	ck_assert_uint_eq(atomic_load(&shared->nodes_used), 0);
	ck_assert_int_eq(sysdir_lookup(tree, &host_root, &cpu, slice_str("cpu1"), &n, &st), 0);
	ck_assert_int_eq(tree_node(tree, n, &cpu1), 0);
	ck_assert_int_eq(
		sysdir_lookup(tree, &host_root, &cpu1, slice_str("crash_notes"), &n, &st), -ENOENT);
	ck_assert_int_eq(
		sysdir_lookup(tree, &host_root, &cpu1, slice_str("subsystem"), &n, &st), 0);
	ck_assert_int_eq(tree_node(tree, n, &link), 0);
	ck_assert_uint_eq(link.type, DT_LNK);
	ck_assert_int_eq(sysdir_readlink(&host_root, &link, target, sizeof(target)), 0);
	ck_assert_str_eq(target, "../../bus");
	ck_assert_int_eq(sysdir_readlink(&host_root, &link, target, 5), -ENAMETOOLONG);
	ck_assert_int_eq(sysdir_readlink(&host_root, &cpu1, target, sizeof(target)), -EINVAL);
}
END_TEST

START_TEST(a_number_whose_file_is_gone_or_another_is_stale)
{
	struct node cpu, node;
	struct stat st;
	uint64_t n;

	ck_assert_int_eq(tree_node(tree, 6, &cpu), 0);
	ck_assert_int_eq(sysdir_lookup(tree, &host_root, &cpu, slice_str("possible"), &n, &st), 0);
	ck_assert_int_eq(tree_node(tree, n, &node), 0);
	ck_assert_int_eq(sysdir_stat(&host_root, &node, &st), 0);
	ck_assert_int_eq(unlinkat(host_root.top, "sys/cpu/possible", 0), 0);
	ck_assert_int_eq(sysdir_stat(&host_root, &node, &st), -ESTALE);
	ck_assert_int_eq(mkdirat(host_root.top, "sys/cpu/possible", 0755), 0);
	ck_assert_int_eq(sysdir_stat(&host_root, &node, &st), -ESTALE);
}
END_TEST

START_TEST(what_the_machine_has_no_file_for_is_in_no_directory)
{
	next_worker(); /* which looks at it */
	ck_assert_uint_eq(entry_in(TREE_ROOT, "proc"), 2);
	ck_assert_uint_eq(entry_in(6, "online"), 32);
	ck_assert_uint_eq(entry_in(2, "meminfo"), 0);
	make_file("proc/meminfo");
	next_worker();
	ck_assert_uint_eq(entry_in(2, "meminfo"), 20);
	ck_assert_int_eq(unlinkat(host_root.top, "proc/meminfo", 0), 0);
	next_worker();
	/* What is bound already is still that file. */
	assert_path(20, "proc/meminfo");
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

static TCase *add_case(Suite *s, const char *name, void (*before)(void), void (*after)(void))
{
	TCase *c = tcase_create(name);

	tcase_add_checked_fixture(c, before, after);
	suite_add_tcase(s, c);
	return c;
}

int main(void)
{
	Suite *s = suite_create("fs");
	TCase *nodes = add_case(s, "nodes", setup, teardown);
	TCase *open = add_case(s, "handles", setup, teardown);
	TCase *machine = add_case(s, "machine", machine_setup, machine_teardown);

	tcase_add_test(nodes, registered_numbers_stand_for_their_entries);
	tcase_add_test(nodes, every_policy_has_every_entry_under_a_number_of_its_own);
	tcase_add_test(nodes, a_passed_through_name_belongs_to_the_policy_of_its_directory);
	tcase_add_test(nodes, a_name_keeps_its_number_from_worker_to_worker);
	tcase_add_test(nodes, thousands_of_names_keep_their_numbers);
	tcase_add_test(nodes, a_number_never_changes_its_type);
	tcase_add_test(nodes, what_cannot_be_a_name_gets_no_number);
	tcase_add_test(nodes, a_name_is_numbered_only_as_deep_as_it_can_be_followed);
	tcase_add_test(nodes, a_full_table_refuses_new_names_and_keeps_the_old_ones);
	tcase_add_test(nodes, handed_over_numbers_are_not_trusted);
	tcase_add_test(nodes, listings_survive_a_round_trip_and_end_at_broken_bytes);
	tcase_add_test(open, a_later_read_gets_the_rest_of_the_same_text);
	tcase_add_test(open, the_next_worker_serves_the_same_text);
	tcase_add_test(open, a_replayed_read_gives_the_text_that_it_made_the_first_time);
	tcase_add_test(open, a_handle_that_is_bound_again_is_counted_again);
	tcase_add_test(open, a_trigger_and_who_polls_it_are_handed_to_the_next_worker);
	tcase_add_test(open, a_later_handle_has_no_trigger_of_an_earlier_one);
	tcase_add_test(open, what_was_written_does_not_move_what_is_read);
	tcase_add_test(open, a_replayed_release_never_meets_a_later_handle);
	tcase_add_test(open, closing_gives_back_all_that_was_used);
	tcase_add_test(open, a_lost_snapshot_is_an_error_until_it_is_read_afresh);
	tcase_add_test(open, handles_that_cannot_be_right_are_dropped);
	tcase_add_test(open, a_slot_knows_the_handle_before_it_is_there);
	tcase_add_test(open, one_container_cannot_take_all_handles);
	tcase_add_test(open, one_container_cannot_take_all_pages);
	tcase_add_test(open, all_handles_open_is_an_error_and_not_a_loss);
	tcase_add_test(open, who_waited_while_a_text_was_begun_is_told_the_same);
	tcase_add_test(open, nobody_is_told_what_was_begun_before_he_asked);
	tcase_add_test(open, nobody_is_told_what_another_asked);
	tcase_add_test(open, a_text_that_came_to_nothing_is_not_shared);
	tcase_add_test(machine, a_listing_shows_the_visible_cpus_and_all_that_is_no_cpu);
	tcase_add_test(machine, a_lookup_finds_what_the_host_has_and_numbers_nothing_else);
	tcase_add_test(machine, what_the_machine_has_no_file_for_is_in_no_directory);
	tcase_add_test(machine, a_number_whose_file_is_gone_or_another_is_stale);
	return unit_run(s);
}
