/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a worker leaves is made by the functions that make it in a worker, and then known by its
 * bytes. Which places a patch can reach is one table here.
 */
#include "handover_area.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/container/load_private.h"
#include "../../src/daemon/backlog.h"
#include "../../src/daemon/connection.h"
#include "../../src/fs/handle.h"
#include "../../src/fs/tree.h"
#include "fuzz.h"
#include "handover.h"
#include "machine.h"

/* --- what a worker leaves -------------------------------------------------------------------- */

struct worker {
	struct handover *h;
	struct container *whose;
	struct slab *slab;
	struct account_store *accounts;
	struct tree *tree;
	struct handles *handles;
	struct backlog *backlog;
};

static void worker_start(struct worker *w, const struct root *root)
{
	FUZZ_ASSERT(slab_new(w->h->pages, w->h->links, AREA_PAGES, &w->slab) == 0);
	FUZZ_ASSERT(
		account_store_new(w->h->accounts, AREA_ACCOUNTS, w->slab, NULL, &w->accounts) == 0);
	FUZZ_ASSERT(tree_new(w->h, root, &w->tree) == 0);
	FUZZ_ASSERT(handles_new(w->h, w->slab, NULL, &w->handles) == 0);
	FUZZ_ASSERT(backlog_new(w->h, 2, &w->backlog) == 0);
	slab_adopted(w->slab);
}

static void worker_end(struct worker *w)
{
	backlog_free(w->backlog);
	handles_free(w->handles);
	tree_free(w->tree);
	account_store_free(w->accounts);
	slab_free(w->slab);
}

static void leave_init(struct handover_init *init)
{
	const struct {
		struct fuse_in_header header;
		struct fuse_init_in in;
	} request = { .header = { .len = sizeof(request), .opcode = FUSE_INIT, .unique = 2 },
		.in = { .major = 7, .minor = 38, .max_readahead = 131072 } };
	const struct {
		struct fuse_out_header header;
		struct fuse_init_out out;
	} reply = { .header = { .len = sizeof(reply), .unique = 2 },
		.out = { .major = 7, .minor = 38, .max_write = 4096, .max_pages = 256 } };
	autotext why = { 0 };

	memcpy(init->request, &request, sizeof(request));
	memcpy(init->reply, &reply, sizeof(reply));
	init->request_len = sizeof(request);
	init->reply_len = sizeof(reply);
	FUZZ_ASSERT(connection_fits(init, &why) == 0);
}

static void leave_request(struct handover_slot *s, uint64_t unique, uint32_t length)
{
	struct {
		struct fuse_in_header header;
		uint8_t body[HANDOVER_REQUEST - sizeof(struct fuse_in_header)];
	} request = { .header = { .len = length,
			      .opcode = FUSE_LOOKUP,
			      .unique = unique,
			      .nodeid = 2,
			      .pid = MACHINE_PID },
		.body = "meminfo" };

	handover_request_put(s->request, (const uint8_t *)&request, length);
}

static uint64_t leave_handle(struct worker *w, uint64_t node, char byte, size_t length)
{
	const struct handle_info info = { .node = node, .kind = HANDOVER_HANDLE_FILE };
	autotext text = { 0 };
	uint64_t fh;

	FUZZ_ASSERT(text_reserve(&text, length + 1));
	memset(text.data, byte, length);
	text.len = length;
	FUZZ_ASSERT(handles_open(w->handles, &info, w->whose, NULL, &fh) == 0);
	FUZZ_ASSERT(handles_store(w->handles, fh, &text, &w->h->slots[0]) == 0);
	return fh;
}

/* The last one with a trigger, and one that is closed again. */
static void leave_handles(struct worker *w)
{
	static const size_t lengths[] = { 0, 1, 3 * SLAB_PAGE, SLAB_PAGE, 2 * SLAB_PAGE + 9 };
	const struct pressure_trigger trigger = { false, 150000, 2000000 };
	uint64_t fh = 0;

	for (unsigned i = 0; i < countof(lengths); i++)
		fh = leave_handle(w, 20 + i, (char)('A' + i), lengths[i]);
	FUZZ_ASSERT(handles_arm(w->handles, fh, &trigger, 20, NULL) == 0);
	handles_set_poll(w->handles, fh, 9);
	handles_close(w->handles, leave_handle(w, 1, 'z', 1));
}

static void leave_nodes(struct worker *w)
{
	static const char *const names[] = { "cpu0", "topology", "core_id", "thread_siblings" };
	struct node dir;
	uint64_t number;

	FUZZ_ASSERT(tree_node(w->tree, 6, &dir) == 0);
	for (unsigned i = 0; i < countof(names); i++) {
		FUZZ_ASSERT(tree_number(w->tree, &dir, slice_str(names[i]), i < 2 ? DT_DIR : DT_REG,
				    &number) == 0);
		if (i < 2)
			FUZZ_ASSERT(tree_node(w->tree, number, &dir) == 0);
	}
}

/* Of each kind two, the second of a later init, and a load that can be gone on with. */
static void leave_accounts(struct worker *w)
{
	const struct load_state state = { .sampled = 1, .looked = 1, .read_ns = 1 };
	char cgroup[] = MACHINE_CGROUP;
	const struct load_place place = { .key = { 1, 3, 100, 3, ACCOUNT_LOAD }, .cgroup = cgroup };

	for (uint32_t i = 0; i < 2 * ACCOUNT_KINDS; i++) {
		const struct account_key key = { 1, 2, 100 + i, 3, i % ACCOUNT_KINDS };
		autotext none = { 0 };
		struct account *a;

		FUZZ_ASSERT(account_begin(w->accounts, &key, w->whose->subject.use, &none, &none,
				    &a) == 0);
		FUZZ_ASSERT(account_end(a, "a state of many bytes", 21) == 0);
	}
	load_keep(w->accounts, &place, &state);
}

/* One request in a slot, a small and a large one in line. */
static void leave_requests(struct worker *w)
{
	for (unsigned i = 0; i < 2; i++) {
		leave_request(&w->h->slots[1], 10 + i, i ? HANDOVER_SMALL + 1 : 60);
		FUZZ_ASSERT(backlog_put(w->backlog, &w->h->slots[1], i, 5, 1));
	}
	handover_slot_clear(&w->h->slots[0]);
	leave_request(&w->h->slots[0], 12, 60);
	w->h->slots[0].since_ns = 1;
}

/* --- its bytes ------------------------------------------------------------------------------- */

/* What a worker has left: what of the area is not 0, or may not be. */
struct extent {
	off_t at;
	struct text bytes;
};

#define EXTENTS 64
static struct extent extents[EXTENTS];
static unsigned n_extents;

static void note_extents(int fd)
{
	off_t at = 0, end;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		struct extent *e = &extents[n_extents++];

		FUZZ_ASSERT(n_extents < EXTENTS);
		end = lseek(fd, at, SEEK_HOLE);
		e->at = at;
		FUZZ_ASSERT(text_reserve(&e->bytes, (size_t)(end - at)));
		e->bytes.len = (size_t)(end - at);
		FUZZ_ASSERT(pread(fd, e->bytes.data, e->bytes.len, at) == end - at);
		at = end;
	}
}

void area_learn(const struct root *root, struct container *c)
{
	struct worker w = { .whose = c };
	int fd;

	FUZZ_ASSERT(handover_new(&fd, &w.h) == 0);
	worker_start(&w, root);
	leave_init(&w.h->init);
	leave_handles(&w);
	leave_nodes(&w);
	leave_accounts(&w);
	leave_requests(&w);
	worker_end(&w);
	note_extents(fd);
	handover_free(w.h);
	close(fd);
}

/* --- inputs ---------------------------------------------------------------------------------- */

enum form { WHOLE, FROZEN_ALONE, WITHOUT_BACKLOG, LARGER, TOO_SMALL, UNSEALED, FORMS };

static const struct {
	off_t size;
	int seals;
} forms[FORMS] = {
	[WHOLE] = { sizeof(struct handover), F_SEAL_SHRINK },
	[FROZEN_ALONE] = { offsetof(struct handover, accounts), F_SEAL_SHRINK },
	[WITHOUT_BACKLOG] = { offsetof(struct handover, backlog), F_SEAL_SHRINK },
	[LARGER] = { sizeof(struct handover) + SLAB_PAGE, F_SEAL_SHRINK },
	[TOO_SMALL] = { offsetof(struct handover, accounts) - 1, F_SEAL_SHRINK },
	[UNSEALED] = { sizeof(struct handover), 0 },
};

/* What patches reach: of each table the first elements, and as the 256th the last one. */
static const struct section {
	size_t at, stride, span, most;
} sections[] = {
#define MEMBER(member) offsetof(struct handover, member)
#define TABLE(member, span)                                                                        \
	{                                                                                          \
		MEMBER(member), sizeof(((struct handover *)0)->member[0]), span,                   \
			countof(((struct handover *)0)->member)                                    \
	}
	{ 0, 0, MEMBER(init), 1 },
	{ MEMBER(init), 0, 8 + 128, 1 },
	{ MEMBER(init.reply), 0, 96, 1 },
	{ MEMBER(pass_through), 0, 40, 1 },
	TABLE(slots, 60),
	{ MEMBER(slots[0].request), sizeof(struct handover_slot), 128, HANDOVER_SLOTS },
	TABLE(handles, sizeof(struct handover_handle)),
	TABLE(nodes, sizeof(struct handover_node)),
	{ MEMBER(names), 32, 32, HANDOVER_NAMES / 32 },
	{ MEMBER(accounts), sizeof(struct account_entry), sizeof(struct account_entry),
		AREA_ACCOUNTS },
	{ MEMBER(links), 4, 4, AREA_PAGES },
	{ MEMBER(pages), SLAB_PAGE, 256, AREA_PAGES },
	{ MEMBER(backlog.used_small), 0, 8, 1 },
	TABLE(backlog.device, 4),
	TABLE(backlog.small, 64),
	TABLE(backlog.large, 64),
#undef TABLE
#undef MEMBER
};

static size_t place_of(const uint8_t patch[3])
{
	const struct section *s = &sections[patch[0] % countof(sections)];
	const size_t index = patch[1] == UINT8_MAX || patch[1] >= s->most ? s->most - 1 : patch[1];

	return s->at + index * s->stride + patch[2] % s->span;
}

#define SHORT 18u /* bytes: a patch of three numbers */
#define COUNT_MAX 4096u

/* To walk through a whole table takes as long as a hundred inputs, so that only an input that says
 * little else may have it. */
static void fold_counts(int fd)
{
	static const size_t counts[] = { offsetof(struct handover, nodes_used),
		offsetof(struct handover, handles_used),
		offsetof(struct handover, backlog.used_small),
		offsetof(struct handover, backlog.used_large) };
	uint32_t n;

	for (size_t i = 0; i < countof(counts); i++)
		if (pread(fd, &n, sizeof(n), (off_t)counts[i]) == sizeof(n) && n > COUNT_MAX) {
			n %= COUNT_MAX;
			(void)!pwrite(fd, &n, sizeof(n), (off_t)counts[i]);
		}
}

/* What lies behind the end is not there. */
int area_new(const uint8_t *data, size_t size)
{
	const enum form form = data[0] / 2 % FORMS;
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool short_one;

	FUZZ_ASSERT(fd >= 0 && ftruncate(fd, forms[form].size) == 0);
	FUZZ_ASSERT(fcntl(fd, F_ADD_SEALS, forms[form].seals | F_SEAL_GROW) == 0);
	for (unsigned i = 0; i < n_extents; i++)
		if (data[0] % 2 == 0 || extents[i].at == 0)
			(void)!pwrite(
				fd, extents[i].bytes.data, extents[i].bytes.len, extents[i].at);
	short_one = size <= SHORT;
	for (data += AREA_HEAD, size -= AREA_HEAD; size >= 4;) {
		const size_t n = data[3] < size - 4 ? data[3] : size - 4;

		(void)!pwrite(fd, data + 4, n, (off_t)place_of(data));
		data += 4 + n;
		size -= 4 + n;
	}
	if (!short_one)
		fold_counts(fd);
	return fd;
}
