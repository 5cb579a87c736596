/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is opened is closed, and counted no longer, also when libfuse answers the RELEASE itself and
 * calls no operation, as it does without memory, and here, where its session has not seen INIT.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/daemon/loop.h"
#include "../../src/daemon/near.h"
#include "../../src/daemon/reply.h"
#include "../../src/daemon/watch.h"
#include "internal.h"
#include "slow.h"
#include "unit.h"

#define FILE_NODE 20u

/* --- what the modules under test ask of others ------------------------------------------- */

static int references;

void container_unref(struct container *c)
{
	references -= c != NULL;
}

struct container *container_ref(struct container *c)
{
	references++;
	return c;
}

static int looks;

void container_look_early(struct container *c)
{
	looks += c->init == 77 && references > 0;
}

void container_identity(const struct container *c, struct container_identity *ret)
{
	*ret = (struct container_identity){ .init = c->init };
}

int fs_path(const struct fs *unused, uint64_t number, char *ret, size_t size)
{
	(void)unused;
	(void)number;
	snprintf(ret, size, "file");
	return 0;
}

/* What the loop's thread was like when it worked ahead; how often that was. */
static _Atomic unsigned worked;
static struct {
	uint32_t ahead, length;
	bool watched, refuses;
} then;

bool fs_work_ahead(struct fs *unused, const struct handover_slot *slot)
{
	(void)unused;
	then.ahead = atomic_load(&slot->ahead);
	then.length = handover_slot_length(slot);
	then.watched = atomic_load(&slot->since_ns) != 0;
	then.refuses = slow_ahead() == -EAGAIN;
	atomic_fetch_add(&worked, 1);
	return true;
}

static uint64_t trigger;

void triggers_close(struct triggers *unused, uint64_t fh)
{
	(void)unused;
	if (fh == trigger)
		trigger = 0;
}

/* --- a worker with one open file --------------------------------------------------------- */

static struct handover *area;
static struct slab *slab;
static struct fs fs;
static struct use use = { .refs = 1 };
static struct container box = { .subject.use = &use, .init = 77 };
static uint64_t fh;

struct release {
	struct fuse_in_header header;
	struct fuse_release_in in;
};

static struct release release_of(uint32_t opcode, uint64_t handle)
{
	return (struct release){
		.header = { .len = sizeof(struct release),
			.opcode = opcode,
			.unique = 5,
			.nodeid = FILE_NODE },
		.in.fh = handle,
	};
}

static void setup(void)
{
	const struct handle_info info = { .node = FILE_NODE, .kind = HANDOVER_HANDLE_FILE };
	int fd;

	ck_assert_int_eq(handover_new(&fd, &area), 0);
	close(fd);
	ck_assert_int_eq(slab_new(area->pages, area->links, HANDOVER_PAGES, &slab), 0);
	ck_assert_int_eq(handles_new(area, slab, NULL, &fs.handles), 0);
	fs.triggers = (struct triggers *)&trigger;
	ck_assert_int_eq(handles_open(fs.handles, &info, &box, &area->slots[0], &fh), 0);
	trigger = fh;
}

static void teardown(void)
{
	handles_free(fs.handles);
	slab_free(slab);
	handover_free(area);
}

static void assert_handles(unsigned n)
{
	ck_assert_uint_eq(handles_count(fs.handles), n);
	ck_assert_uint_eq(atomic_load(&use.handles), n);
	ck_assert_int_eq(references, (int)n);
}

static void assert_open(unsigned n)
{
	assert_handles(n);
	ck_assert_uint_eq(trigger, n ? fh : 0);
}

/* Starts a worker of one thread. The kernel's end of its device. */
static int start_worker(void)
{
	const struct fuse_lowlevel_ops none = { 0 };
	char name[] = "lxcfs", *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session = fuse_session_new(&args, &none, sizeof(none), NULL);
	const struct timeval patience = { .tv_sec = 10 };
	static int device[2];
	struct loop *loop;

	ck_assert_ptr_nonnull(session);
	fuse_opt_free_args(&args);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, device), 0);
	ck_assert_int_eq(
		setsockopt(device[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	ck_assert_int_eq(fuse_session_custom_io(session, &reply_io, device[0]), 0);
	ck_assert_int_eq(
		loop_start(&(struct loop_config){ session, &fs, area, device, 1, true }, &loop), 0);
	return device[1];
}

START_TEST(a_release_that_no_operation_sees_closes_its_handle)
{
	const struct release r = release_of(_i ? FUSE_RELEASEDIR : FUSE_RELEASE, fh);
	const int kernel = start_worker();
	struct fuse_out_header out;

	ck_assert_int_eq(write(kernel, &r, sizeof(r)), sizeof(r));
	ck_assert_int_eq(read(kernel, &out, sizeof(out)), sizeof(out));
	ck_assert_uint_eq(out.unique, r.header.unique);
	ck_assert_int_eq(out.error, -EIO); /* it was not our operation that answered */
	assert_open(0);
}
END_TEST

/* The answer is there before anything is made ahead. */
static void ask(int kernel, uint32_t opcode)
{
	struct {
		struct fuse_in_header header;
		struct fuse_open_in in;
	} r = { { .len = sizeof(r), .opcode = opcode, .unique = 7, .nodeid = FILE_NODE }, { 0 } };
	struct fuse_out_header out;

	ck_assert_int_eq(write(kernel, &r, sizeof(r)), sizeof(r));
	ck_assert_int_eq(read(kernel, &out, sizeof(out)), sizeof(out));
	ck_assert_uint_eq(out.unique, 7);
}

/* And what it does then is done, for the same thread answers next. Whose reader seems to be far
 * gives its turn away instead, so this one is thinking (near.h), as far as this machine lets it. */
static void ask_to_open(int kernel)
{
	for (int i = 0; i < 50 && atomic_load(&worked) == 0; i++) {
		usleep(2 * NEAR_IDLE_NS / NS_PER_US);
		ask(kernel, FUSE_OPEN);
		ask(kernel, FUSE_READ);
	}
}

START_TEST(after_an_open_is_answered_its_reader_is_worked_for)
{
	const int kernel = start_worker();

	ask(kernel, FUSE_GETATTR);
	ck_assert_uint_eq(atomic_load(&worked), 0);
	ask_to_open(kernel);
	ck_assert_uint_eq(atomic_load(&worked), 1);
	ck_assert_uint_eq(then.ahead, HANDOVER_AHEAD_NOW);
	ck_assert_uint_eq(then.length, 0);
	ck_assert(then.watched);
	ck_assert(then.refuses);
	for (int i = 0; i < 1000 && atomic_load(&area->slots[0].since_ns) != 0; i++)
		usleep(1000);
	ck_assert_uint_eq(atomic_load(&area->slots[0].since_ns), 0);
	ck_assert_uint_eq(atomic_load(&area->slots[0].ahead), HANDOVER_AHEAD_NO);
}
END_TEST

START_TEST(when_that_has_ended_a_worker_nobody_is)
{
	const uint32_t failed[] = { HANDOVER_AHEAD_FAILED, HANDOVER_AHEAD_TOLD };
	int kernel;

	atomic_store(&area->slots[5].ahead, failed[_i]);
	kernel = start_worker();
	ask_to_open(kernel);
	ck_assert_uint_eq(atomic_load(&worked), 0);
	ck_assert_uint_eq(atomic_load(&area->slots[5].ahead), HANDOVER_AHEAD_TOLD);
}
END_TEST

/* What the last worker was at when it died; `fh` is what it opened, or armed. Its answer: */
static int answer_to_left(uint32_t opcode)
{
	const struct fuse_in_header left = {
		.len = sizeof(left), .opcode = opcode, .unique = 5, .nodeid = FILE_NODE
	};
	struct fuse_out_header out;

	memcpy(area->slots[0].request, &left, sizeof(left));
	atomic_store(&area->slots[0].fh, fh);
	ck_assert_int_eq(read(start_worker(), &out, sizeof(out)), sizeof(out));
	ck_assert_uint_eq(out.unique, left.unique);
	/* The slot is empty when the thread has done with the handle, too. */
	for (int i = 0; i < 1000 && handover_slot_length(&area->slots[0]) != 0; i++)
		usleep(1000);
	return out.error;
}

/* Nobody is left to open it once more, or to close it. And the watch that was to tell it may have
 * died before it did, which would leave the reader waiting for ever. */
START_TEST(a_killed_reader_is_told_though_the_watch_died_and_holds_nothing)
{
	atomic_store(&area->slots[0].answered, 5);
	ck_assert_int_eq(answer_to_left(_i ? FUSE_OPENDIR : FUSE_OPEN), -EINTR);
	assert_handles(0);
}
END_TEST

START_TEST(an_open_that_is_given_up_holds_nothing)
{
	atomic_store(&area->slots[0].crashes, WATCH_CRASHES_MAX);
	ck_assert_int_eq(answer_to_left(FUSE_OPEN), -EIO);
	assert_handles(0);
}
END_TEST

START_TEST(what_is_open_stays_so_when_a_write_to_it_is_given_up)
{
	atomic_store(&area->slots[0].crashes, WATCH_CRASHES_MAX);
	ck_assert_int_eq(answer_to_left(FUSE_WRITE), -EIO);
	assert_handles(1);
}
END_TEST

START_TEST(when_nobody_waits_the_container_is_looked_at_again)
{
	struct release r = release_of(FUSE_RELEASE, fh + 1);

	fs_release(&fs, &r, sizeof(r));
	ck_assert_int_eq(looks, 0);
	r.in.fh = fh;
	fs_release(&fs, &r, sizeof(r));
	ck_assert_int_eq(looks, 1);
	assert_open(0);
}
END_TEST

START_TEST(nothing_else_closes_a_handle)
{
	struct release r = release_of(FUSE_RELEASE, fh);

	fs_release(&fs, &r, sizeof(r) - 1);
	for (uint32_t opcode = 0; opcode < 64; opcode++) {
		r.header.opcode = opcode;
		if (opcode != FUSE_RELEASE && opcode != FUSE_RELEASEDIR)
			fs_release(&fs, &r, sizeof(r));
	}
	r = release_of(FUSE_RELEASE, fh + 1);
	fs_release(&fs, &r, sizeof(r));
	assert_open(1);
}
END_TEST

START_TEST(a_second_release_closes_nobody_elses_handle)
{
	const struct handle_info info = { .node = FILE_NODE, .kind = HANDOVER_HANDLE_FILE };
	const struct release r = release_of(FUSE_RELEASE, fh);

	fs_release(&fs, &r, sizeof(r));
	assert_open(0);
	ck_assert_int_eq(handles_open(fs.handles, &info, &box, &area->slots[0], &fh), 0);
	trigger = fh;
	fs_release(&fs, &r, sizeof(r));
	assert_open(1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("release");
	TCase *c = tcase_create("release");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, when_nobody_waits_the_container_is_looked_at_again);
	tcase_add_test(c, nothing_else_closes_a_handle);
	tcase_add_test(c, a_second_release_closes_nobody_elses_handle);
	suite_add_tcase(s, c);
	/* A loop ends with its process alone, and so do its threads. */
	c = tcase_create("loop");
	tcase_set_tags(c, "loop");
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_loop_test(c, a_release_that_no_operation_sees_closes_its_handle, 0, 2);
	tcase_add_loop_test(
		c, a_killed_reader_is_told_though_the_watch_died_and_holds_nothing, 0, 2);
	tcase_add_test(c, an_open_that_is_given_up_holds_nothing);
	tcase_add_test(c, after_an_open_is_answered_its_reader_is_worked_for);
	tcase_add_loop_test(c, when_that_has_ended_a_worker_nobody_is, 0, 2);
	tcase_add_test(c, what_is_open_stays_so_when_a_write_to_it_is_given_up);
	suite_add_tcase(s, c);
	return unit_run(s);
}
