/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker takes over from one that went wrong: whatever bytes lie in the hand-over memory, it
 * starts and goes on, without a crash, an endless loop or a touch of what lies outside. Values may
 * be lost.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/daemon/backlog.h"
#include "../../src/daemon/loop.h"
#include "../../src/daemon/reply.h"
#include "../../src/daemon/request.h"
#include "account.h"
#include "cleanup.h"
#include "internal.h"
#include "unit.h"

#define ROUNDS 50
#define HANDLES 40u
#define NODES 30u
#define ACCOUNTS 20u
#define SMALL 40u /* requests that wait */
#define LARGE 4u
#define DEVICES 4u

/* --- what the modules under test ask of others ------------------------------------------- */

void container_unref(struct container *c)
{
	(void)c;
}

struct container *container_ref(struct container *c)
{
	return c;
}

void container_identity(const struct container *c, struct container_identity *ret)
{
	*ret = (struct container_identity){ .init = c->init };
}

static struct fs fs;

int fs_path(const struct fs *unused, uint64_t number, char *ret, size_t size)
{
	return tree_path(unused->tree, number, ret, size);
}

void fs_abandon(struct fs *unused, const struct handover_slot *slot)
{
	(void)unused;
	(void)slot;
}

bool fs_work_ahead(struct fs *unused, const struct handover_slot *slot)
{
	(void)unused;
	(void)slot;
	return false;
}

void fs_release(struct fs *unused, const void *request, size_t length)
{
	(void)unused;
	(void)request;
	(void)length;
}

/* --- a worker ---------------------------------------------------------------------------- */

static struct root host_root = ROOT_NONE;
static struct handover *area;
static struct slab *slab;
static struct account_store *accounts;
static struct backlog *backlog;
static struct use use = { .refs = 1 };
static struct container box = { .subject.use = &use, .init = 77 };

static void worker_starts(void)
{
	ck_assert_int_eq(slab_new(area->pages, area->links, HANDOVER_PAGES, &slab), 0);
	ck_assert_int_eq(
		account_store_new(area->accounts, HANDOVER_ACCOUNTS, slab, NULL, &accounts), 0);
	ck_assert_int_eq(tree_new(area, &host_root, &fs.tree), 0);
	ck_assert_int_eq(handles_new(area, slab, NULL, &fs.handles), 0);
	ck_assert_int_eq(backlog_new(area, DEVICES, &backlog), 0);
	slab_adopted(slab);
}

static void worker_ends(void)
{
	backlog_free(backlog);
	handles_free(fs.handles);
	tree_free(fs.tree);
	account_store_free(accounts);
	slab_free(slab);
	use = (struct use){ .refs = 1 };
}

static struct account_key key_of(unsigned i)
{
	return (struct account_key){ .cgroup_dev = 30,
		.cgroup_ino = 5 + i / 3,
		.init_start = 1000 + i,
		.init_pid = (int32_t)(100 + i),
		.kind = i % 2 };
}

static void keep_account(const struct account_key *key, size_t n)
{
	autofree char *bytes = calloc(1, n);
	autotext state = { 0 }, predecessor = { 0 };
	struct account *a;

	if (account_begin(accounts, key, NULL, &state, &predecessor, &a) == 0)
		account_end(a, bytes, n);
}

static void store(uint64_t fh, size_t n)
{
	autofree char *bytes = malloc(n);
	autotext t = { 0 };

	memset(bytes, 'x', n);
	text_add(&t, bytes, n);
	handles_store(fs.handles, fh, &t, &area->slots[0]);
}

static uint64_t number_of(const char *name)
{
	struct node dir;
	uint64_t number = 0;

	if (tree_node(fs.tree, view_by_path("sys/devices/system/cpu")->node, &dir) == 0)
		tree_number(fs.tree, &dir, slice_str(name), DT_REG, &number);
	return number;
}

/* As if read from the device, by a thread that leaves it to others. */
static void wait_in_line(uint64_t unique, uint32_t length)
{
	struct handover_slot *slot = &area->slots[HANDOVER_SLOTS - 1];
	const struct fuse_in_header header = {
		.len = length, .unique = unique, .opcode = FUSE_GETATTR, .nodeid = 1
	};

	memcpy(slot->request, &header, sizeof(header));
	if (!backlog_put(backlog, slot, unique % DEVICES, (uint32_t)unique % 7, 1))
		handover_slot_clear(slot);
}

/* Everything that a worker puts into the area. */
static void worker_works(void)
{
	const struct handle_info info = { .node = number_of("online"),
		.kind = HANDOVER_HANDLE_FILE };
	const struct pressure_trigger trigger = { false, 150000, 2000000 };
	char name[16];
	uint64_t fh;

	for (unsigned i = 0; i < NODES; i++) {
		snprintf(name, sizeof(name), "name%u", i);
		number_of(name);
	}
	for (unsigned i = 0; i < HANDLES; i++) {
		if (handles_open(fs.handles, &info, &box, &area->slots[i % 4], &fh) < 0)
			continue;
		store(fh, 1 + i * 700);
		if (i % 5 == 0)
			handles_arm(fs.handles, fh, &trigger, 20, NULL);
		if (i % 7 == 0)
			handles_close(fs.handles, fh);
	}
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		const struct account_key key = key_of(i);

		keep_account(&key, 1 + i * 500);
	}
	for (unsigned i = 0; i < SMALL; i++)
		wait_in_line(2 + 2 * i, 56);
	for (unsigned i = 0; i < LARGE; i++)
		wait_in_line(1002 + 2 * i, HANDOVER_REQUEST);
}

static enum account_fate any_fate(const struct account_key *key, void *unused)
{
	(void)unused;
	return (enum account_fate)(key->cgroup_ino % 3);
}

static void use_handle(uint64_t fh)
{
	struct container_identity identity;
	struct pressure_trigger trigger;
	struct handle_info info;
	struct container *c;
	autotext t = { 0 };

	handles_get(fs.handles, fh, &info, &c, &identity);
	handles_load(fs.handles, fh, 0, SIZE_MAX, &t);
	handles_load(fs.handles, fh, 5000, 5000, &t);
	handles_stored_by(fs.handles, fh, &area->slots[0]);
	handles_trigger(fs.handles, fh, &trigger);
	handles_read_offset(fs.handles, fh, 30);
	handles_bind(fs.handles, fh, &box);
	store(fh, 3000);
	handles_close(fs.handles, fh);
}

static unsigned n_inits; /* of which the session thinks that they are good */

static void on_init(void *unused, struct fuse_conn_info *conn)
{
	(void)unused;
	(void)conn;
	n_inits++;
}

/* To a new session, whose answer goes nowhere. */
static int replay(const struct handover_init *init)
{
	static const struct fuse_lowlevel_ops ops = { .init = on_init };
	char name[] = "lxcfs";
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	ck_assert_ptr_nonnull(session);
	ck_assert_int_eq(fuse_session_custom_io(session, &reply_io, fd), 0);
	r = loop_replay_init(session, init);
	fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return r;
}

/* Whatever waits, in any thread. */
static void worker_clears_backlog(void)
{
	struct handover_slot *slot = &area->slots[HANDOVER_SLOTS - 1];
	char words[REQUEST_WORDS];
	unsigned n = 0;

	handover_slot_clear(slot);
	while (backlog_take(backlog, slot)) {
		ck_assert_uint_le(++n, HANDOVER_WAITING);
		ck_assert_uint_ge(handover_slot_length(slot), sizeof(struct fuse_in_header));
		ck_assert_uint_le(handover_slot_length(slot), HANDOVER_REQUEST);
		ck_assert_uint_le(atomic_load(&slot->device), DEVICES);
		request_describe(&fs, slot->request, handover_slot_length(slot), words);
		handover_slot_clear(slot);
	}
	ck_assert_uint_eq(backlog_count(backlog), 0);
}

/* Whatever a request may ask for, of everything there is. */
static void worker_serves(void)
{
	char words[REQUEST_WORDS];
	uint32_t index = 0;
	struct node node;
	uint64_t fh;

	for (uint64_t n = 0; n < NODES + 10; n++) {
		tree_node(fs.tree, n, &node);
		if (tree_node(fs.tree, HANDOVER_NODE_BASE + n, &node) == 0)
			tree_parent(fs.tree, &node);
	}
	while (handles_next_armed(fs.handles, &index, &fh))
		use_handle(fh);
	for (unsigned i = 0; i < HANDLES + 10; i++)
		use_handle(atomic_load(&area->handles[i].fh));
	for (unsigned i = 0; i < ACCOUNTS; i++)
		keep_account(&area->accounts[i].key, 5000);
	account_sweep(accounts, any_fate, NULL);
	replay(&area->init);
	worker_clears_backlog();
	for (unsigned i = 0; i < HANDOVER_SLOTS; i++)
		request_describe(&fs, area->slots[i].request,
			min_u64(handover_slot_length(&area->slots[i]), HANDOVER_REQUEST), words);
	worker_works();
}

/* --- garbage ----------------------------------------------------------------------------- */

static const struct section {
	const char *name;
	size_t offset, size; /* of what is in use */
} sections[] = {
	{ "counts", offsetof(struct handover, generation), 16 },
	{ "INIT", offsetof(struct handover, init), sizeof(struct handover_init) },
	{ "slots", offsetof(struct handover, slots), 3 * sizeof(struct handover_slot) },
	{ "nodes", offsetof(struct handover, nodes), NODES * sizeof(struct handover_node) },
	{ "names", offsetof(struct handover, names), 256 },
	{ "handles", offsetof(struct handover, handles), HANDLES * sizeof(struct handover_handle) },
	{ "accounts", offsetof(struct handover, accounts),
		ACCOUNTS * sizeof(struct account_entry) },
	{ "links", offsetof(struct handover, links), 300 * sizeof(uint32_t) },
	{ "pages", offsetof(struct handover, pages), 300 * SLAB_PAGE },
	{ "backlog", offsetof(struct handover, backlog), 8 + SMALL * sizeof(uint32_t) },
	{ "small requests", offsetof(struct handover, backlog.small),
		sizeof(uint8_t[SMALL][HANDOVER_SMALL]) },
	{ "large requests", offsetof(struct handover, backlog.large),
		sizeof(uint8_t[LARGE][HANDOVER_REQUEST]) },
};

static void spoil_byte(uint8_t *from, size_t size)
{
	from[(size_t)random() % size] = (uint8_t)random();
}

/* Numbers that are off by one, the largest, or another part's. */
static void spoil_number(uint8_t *from, size_t size)
{
	static const uint64_t evil[] = { 0, 1, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 32,
		UINT64_C(1) << 31, HANDOVER_PAGES, HANDOVER_PAGES + 1 };
	uint64_t n = evil[(size_t)random() % countof(evil)] + (uint64_t)(random() % 3) - 1;
	const size_t bytes = random() % 2 ? 4 : 8;
	const size_t at = (size_t)random() % (size / bytes);

	if (random() % 2)
		memcpy(&n, from + (size_t)random() % (size / bytes) * bytes, bytes);
	memcpy(from + at * bytes, &n, bytes);
}

static void spoil(const struct section *s)
{
	uint8_t *from = (uint8_t *)area + s->offset;
	long n = 1 + random() % 64;

	if (random() % 16 == 0)
		for (size_t i = 0; i < s->size; i++)
			from[i] = (uint8_t)random();
	while (n-- > 0)
		(random() % 2 ? spoil_byte : spoil_number)(from, s->size);
}

/* What a kernel sent, and what the supervisor said to it. */
static struct handover_init right_init(void)
{
	const struct {
		struct fuse_in_header header;
		struct fuse_init_in in;
	} request = { { .len = sizeof(request), .opcode = FUSE_INIT },
		{ .major = 7, .minor = 38, .max_readahead = 131072, .flags = UINT32_MAX } };
	const struct {
		struct fuse_out_header header;
		struct fuse_init_out out;
	} reply = { { .len = sizeof(reply) },
		{ .major = 7, .minor = 38, .max_readahead = 131072, .max_write = 4096 } };
	struct handover_init init = { .request_len = sizeof(request), .reply_len = sizeof(reply) };

	memcpy(init.request, &request, sizeof(request));
	memcpy(init.reply, &reply, sizeof(reply));
	return init;
}

static void one_round(size_t first, size_t last)
{
	int fd;

	ck_assert_int_eq(handover_new(&fd, &area), 0);
	close(fd);
	area->init = right_init();
	worker_starts();
	worker_works();
	worker_ends();
	for (size_t i = first; i <= last; i++)
		spoil(&sections[i]);
	/* And the one after it, which has to do with what that made of it. */
	for (int i = 0; i < 2; i++) {
		worker_starts();
		worker_serves();
		worker_ends();
	}
	handover_free(area);
}

START_TEST(garbage_in_a_section_costs_values_at_most)
{
	for (int i = 0; i < ROUNDS; i++) {
		srandom((unsigned)(i + 1000 * _i));
		one_round((size_t)_i, (size_t)_i);
	}
}
END_TEST

START_TEST(garbage_in_all_sections_at_once_costs_values_at_most)
{
	for (int i = 0; i < ROUNDS; i++) {
		srandom((unsigned)i);
		one_round(0, countof(sections) - 1);
	}
}
END_TEST

/* --- INIT -------------------------------------------------------------------------------- */

START_TEST(an_init_that_cannot_be_right_is_refused_or_harmless)
{
	struct handover_init init = right_init();

	ck_assert_int_eq(replay(&init), 0);
	ck_assert_uint_eq(n_inits, 1);
	for (int i = 0; i < 500; i++) {
		srandom((unsigned)i);
		for (size_t n = 0; n < sizeof(init); n++)
			((uint8_t *)&init)[n] = (uint8_t)random();
		if (random() % 4) {
			init.request_len = (uint32_t)(random() % 300);
			init.reply_len = (uint32_t)(random() % 300);
		}
		/* Of any other protocol nothing but its number is looked at. */
		if (random() % 4) {
			const struct fuse_in_header header = { .len = 104, .opcode = FUSE_INIT };
			const uint32_t major = 7;

			memcpy(init.request, &header, sizeof(header));
			memcpy(init.request + sizeof(header), &major, sizeof(major));
		}
		if (replay(&init) == 0)
			ck_assert_uint_le(init.request_len, sizeof(init.request));
	}
	ck_assert_uint_gt(n_inits, 20);
}
END_TEST

/* So is what it answers when it has no memory for the request: every later one would be an error.
 */
START_TEST(an_init_that_the_session_answers_with_an_error_is_told)
{
	struct handover_init init = right_init();
	struct {
		struct fuse_in_header header;
		struct fuse_init_in in;
	} request;

	memcpy(&request, init.request, sizeof(request));
	request.header.unique = 2;
	request.in.major = 6;
	memcpy(init.request, &request, sizeof(request));
	ck_assert_int_eq(replay(&init), -EPROTO);
	ck_assert_uint_eq(n_inits, 0);
	request.in.major = 7;
	memcpy(init.request, &request, sizeof(request));
	ck_assert_int_eq(replay(&init), 0);
	ck_assert_uint_eq(n_inits, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("takeover");
	TCase *c = tcase_create("garbage");

	tcase_set_timeout(c, 100);
	tcase_add_loop_test(
		c, garbage_in_a_section_costs_values_at_most, 0, (int)countof(sections));
	tcase_add_test(c, garbage_in_all_sections_at_once_costs_values_at_most);
	tcase_add_test(c, an_init_that_cannot_be_right_is_refused_or_harmless);
	tcase_add_test(c, an_init_that_the_session_answers_with_an_error_is_told);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
