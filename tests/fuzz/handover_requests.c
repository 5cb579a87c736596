/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel knows of by number: nodes and requests, and INIT, with which a connection began.
 */
#include <ctype.h>
#include <dirent.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../src/daemon/connection.h"
#include "../../src/daemon/loop.h"
#include "../../src/daemon/reply.h"
#include "../../src/daemon/request.h"
#include "fuzz.h"
#include "handover_worker.h"

#define NODES 1024u
#define CPU_DIR "sys/devices/system/cpu"

/* --- nodes ----------------------------------------------------------------------------------- */

static bool is_within(struct slice path)
{
	struct slice part;

	if (!slice_starts(path, CPU_DIR "/"))
		return false;
	while (slice_cut(&path, '/', &part))
		if (part.n == 0 || slice_equal(part, ".") || slice_equal(part, ".."))
			return false;
	return true;
}

static void check_node(struct worker *w, uint64_t number)
{
	struct node node, parent;
	char path[TREE_PATH + 16];
	const char *name;
	uint64_t again;

	if (tree_node(w->fs.tree, number, &node) < 0) {
		FUZZ_ASSERT(tree_path(w->fs.tree, number, path, sizeof(path)) < 0);
		return;
	}
	FUZZ_ASSERT(node.number == number && !node.view && is_within(slice_str(node.path)));
	FUZZ_ASSERT(node.type == DT_DIR || node.type == DT_REG || node.type == DT_LNK);
	FUZZ_ASSERT(tree_path(w->fs.tree, number, path, sizeof(path)) == 0 && path[0] == '/');
	FUZZ_ASSERT(tree_node(w->fs.tree, tree_parent(w->fs.tree, &node), &parent) == 0);
	FUZZ_ASSERT(tree_passes_through(&parent) && parent.policy == node.policy);
	FUZZ_ASSERT(parent.number < number);
	name = node.path + strlen(parent.path) + 1;
	FUZZ_ASSERT(strncmp(node.path, parent.path, strlen(parent.path)) == 0);
	/* A name that is there twice has the number of the first. */
	FUZZ_ASSERT(tree_number(w->fs.tree, &parent, slice_str(name), node.type, &again) == 0);
	FUZZ_ASSERT(again <= number);
}

void check_nodes(struct worker *w)
{
	const uint32_t used = least(atomic_load(&w->h->nodes_used), NODES);
	struct node dir, node;
	uint64_t number;

	for (uint32_t i = 0; i < used; i++)
		check_node(w, HANDOVER_NODE_BASE + i);
	FUZZ_ASSERT(tree_node(w->fs.tree, 6, &dir) == 0);
	if (tree_number(w->fs.tree, &dir, slice_str("new"), DT_REG, &number) == 0)
		FUZZ_ASSERT(tree_node(w->fs.tree, number, &node) == 0 &&
			strcmp(node.path, CPU_DIR "/new") == 0);
}

/* --- requests -------------------------------------------------------------------------------- */

static void check_words(struct worker *w, const struct handover_slot *s)
{
	char words[REQUEST_WORDS];

	request_describe(
		&w->fs, s->request, least(handover_slot_length(s), HANDOVER_REQUEST), words);
	for (const char *c = words; *c; c++)
		FUZZ_ASSERT(isprint((unsigned char)*c));
}

static uint64_t unique_of(const struct handover_slot *s)
{
	return ((const struct fuse_in_header *)s->request)->unique;
}

/* The one with which each thread begins. */
static void replay(struct worker *w, uint64_t uniques[HANDOVER_SLOTS])
{
	for (unsigned i = 0; i < HANDOVER_SLOTS; i++) {
		struct handover_slot *s = &w->h->slots[i];

		uniques[i] = handover_slot_length(s) ? unique_of(s) : 0;
		check_words(w, s);
		handover_slot_clear(s);
		FUZZ_ASSERT(handover_slot_length(s) == 0 && s->fh == 0 && s->device == 0);
	}
}

/* What is in line is in no slot as well, fits, and came through a device that there is. */
static void take_waiting(struct worker *w, const uint64_t uniques[HANDOVER_SLOTS])
{
	struct handover_slot *s = &w->h->slots[0];
	unsigned waiting = backlog_count(w->backlog);

	for (; backlog_take(w->backlog, s); waiting--) {
		const uint32_t length = handover_slot_length(s);

		FUZZ_ASSERT(length >= sizeof(struct fuse_in_header) && length <= HANDOVER_REQUEST);
		FUZZ_ASSERT(s->device >= 1 && s->device <= w->devices);
		for (unsigned i = 0; i < HANDOVER_SLOTS; i++)
			FUZZ_ASSERT(uniques[i] == 0 || unique_of(s) != uniques[i]);
		check_words(w, s);
		handover_slot_clear(s);
	}
	FUZZ_ASSERT(waiting == 0 && !handover_is_busy(w->h, HANDOVER_SLOTS));
}

static void put_and_take(struct worker *w, uint32_t length)
{
	struct handover_slot *s = &w->h->slots[1];
	uint8_t request[HANDOVER_REQUEST], *now = w->h->slots[0].request;

	memset(request, 'r', length);
	handover_request_put(s->request, request, length);
	FUZZ_ASSERT(backlog_put(w->backlog, s, 0, 7, 1) && handover_slot_length(s) == 0);
	FUZZ_ASSERT(backlog_take(w->backlog, &w->h->slots[0]));
	FUZZ_ASSERT(handover_request_length(now) == length);
	FUZZ_ASSERT(memcmp(now + sizeof(length), request, length - sizeof(length)) == 0);
	handover_slot_clear(&w->h->slots[0]);
}

void use_requests(struct worker *w)
{
	uint64_t uniques[HANDOVER_SLOTS];

	replay(w, uniques);
	take_waiting(w, uniques);
	put_and_take(w, 80);
	put_and_take(w, HANDOVER_REQUEST);
}

/* --- INIT ------------------------------------------------------------------------------------ */

static ssize_t take_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	unsigned *replies = userdata;
	ssize_t n = 0;

	(void)fd;
	for (int i = 0; i < count; i++)
		n += (ssize_t)iov[i].iov_len;
	++*replies;
	return n;
}

/* Of a request that is INIT's: both messages are written before their lengths are. */
void replay_init(struct handover_init *init)
{
	const struct fuse_custom_io io = { .writev = take_reply, .read = reply_io.read };
	static const struct fuse_lowlevel_ops none;
	struct fuse_in_header *header = (struct fuse_in_header *)init->request;
	unsigned replies = 0;
	char name[] = "fuzz";
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;
	autotext why = { 0 };

	if (connection_fits(init, &why) < 0) {
		FUZZ_ASSERT(why.len > 0);
		return;
	}
	header->opcode = FUSE_INIT;
	session = fuse_session_new(&args, &none, sizeof(none), &replies);
	fuse_opt_free_args(&args);
	FUZZ_ASSERT(session && fuse_session_custom_io(session, &io, STDIN_FILENO) == 0);
	FUZZ_ASSERT((loop_replay_init(session, init) == 0) == (replies == 1));
	fuse_session_destroy(session);
}
