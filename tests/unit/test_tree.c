/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Node numbers, listings and the host's directory of CPUs without a mount, from worker to worker.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs_worker.h"
#include "listing.h"
#include "unit.h"

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

/* --- the host's directory of CPUs -------------------------------------------------------- */

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
	fs_machine_file("proc/meminfo");
	next_worker();
	ck_assert_uint_eq(entry_in(2, "meminfo"), 20);
	ck_assert_int_eq(unlinkat(host_root.top, "proc/meminfo", 0), 0);
	next_worker();
	/* What is bound already is still that file. */
	assert_path(20, "proc/meminfo");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tree");
	TCase *nodes = tcase_create("nodes");
	TCase *machine = tcase_create("machine");

	tcase_add_checked_fixture(nodes, fs_worker_setup, fs_worker_teardown);
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
	suite_add_tcase(s, nodes);
	tcase_add_checked_fixture(machine, fs_machine_setup, fs_machine_teardown);
	tcase_add_test(machine, a_listing_shows_the_visible_cpus_and_all_that_is_no_cpu);
	tcase_add_test(machine, a_lookup_finds_what_the_host_has_and_numbers_nothing_else);
	tcase_add_test(machine, what_the_machine_has_no_file_for_is_in_no_directory);
	tcase_add_test(machine, a_number_whose_file_is_gone_or_another_is_stale);
	suite_add_tcase(s, machine);
	return unit_run(s);
}
