/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that are opened, read, armed and closed while the machine is out of memory or descriptors
 * or cannot be read: each call that can fail fails once, and from it on for good. Who asks gets an
 * error or the whole right answer, then the right one; and what he held is free.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <string.h>

#include "faults.h"
#include "fs_requests.h"
#include "unit.h"

#define PROC_DIR 2u /* in the registry of fs_worker.c */

#define PIECE 4096u /* of REQUESTS_TEXT, which takes two READs */

static const char trigger[] = "some 150000 2000000";

/* --- what is asked while calls fail ------------------------------------------------------ */

struct question {
	const char *name;
	uint64_t node;  /* 0: a file of the kernel's own */
	uint32_t flags; /* of open(2) */
	/* What a handle is asked: 0 and bytes, or -errno. */
	int (*ask)(const struct question *q, uint64_t fh, struct text *answer);
	unsigned renders; /* texts that have to be made */
	bool reads_twice; /* by two handles, */
	bool in_line;     /* in line both, */
	bool idle;        /* or the text is made ahead */
	bool replayed;    /* the OPEN is */
	bool open_before; /* nothing fails in OPEN */
};

static uint64_t node_of(const struct question *q)
{
	return q->node ? q->node : kernels_file;
}

static bool is_dir(const struct question *q)
{
	return q->flags & O_DIRECTORY;
}

static int open_once(const struct question *q, uint64_t *ret_fh)
{
	const struct fuse_open_in in = { .flags = q->flags };
	int e = serve(is_dir(q) ? FUSE_OPENDIR : FUSE_OPEN, node_of(q), &in, sizeof(in));

	if (e == 0)
		*ret_fh = reply.fh;
	return e;
}

static int open_file(const struct question *q, uint64_t *ret_fh)
{
	int e = open_once(q, ret_fh);

	if (e < 0 || !q->replayed)
		return e;
	atomic_store(&handover_my_slot()->fh, *ret_fh);
	return open_once(q, ret_fh);
}

static void release_file(const struct question *q, uint64_t fh)
{
	const struct fuse_release_in in = { .fh = fh };

	serve(is_dir(q) ? FUSE_RELEASEDIR : FUSE_RELEASE, node_of(q), &in, sizeof(in));
}

static int read_at(const struct question *q, uint64_t fh, uint64_t offset, struct text *answer)
{
	const struct fuse_read_in in = { .fh = fh,
		.offset = offset,
		.size = PIECE,
		.read_flags = FUSE_READ_LOCKOWNER,
		.lock_owner = 1 };
	int e = serve(is_dir(q) ? FUSE_READDIR : FUSE_READ, node_of(q), &in, sizeof(in));

	if (e == 0)
		text_add(answer, reply.bytes, reply.n);
	return e;
}

static int read_rest(const struct question *q, uint64_t fh, struct text *answer)
{
	return read_at(q, fh, PIECE, answer);
}

static int read_in_two(const struct question *q, uint64_t fh, struct text *answer)
{
	int e = read_at(q, fh, 0, answer);

	return e < 0 ? e : read_rest(q, fh, answer);
}

static int list(const struct question *q, uint64_t fh, struct text *answer)
{
	return read_at(q, fh, 0, answer);
}

static int arm(const struct question *q, uint64_t fh, struct text *answer)
{
	struct {
		struct fuse_write_in in;
		char text[sizeof(trigger)];
	} write = { .in = { .fh = fh, .size = sizeof(trigger) } };
	const struct fuse_poll_in poll = { .fh = fh, .kh = 9, .flags = FUSE_POLL_SCHEDULE_NOTIFY };
	uint32_t says[2];
	int e;

	memcpy(write.text, trigger, sizeof(trigger));
	e = serve(FUSE_WRITE, q->node, &write, sizeof(write));
	if (e == 0)
		e = serve(FUSE_POLL, q->node, &poll, sizeof(poll));
	if (e < 0)
		return e;
	says[0] = reply.events;
	says[1] = descriptors_watched();
	text_add(answer, says, sizeof(says));
	return 0;
}

#define FILE_QUESTION .node = REQUESTS_PRESSURE, .ask = read_in_two, .renders = 1
#define TRIGGER_QUESTION .node = REQUESTS_PRESSURE, .ask = arm, .flags = O_RDWR

static const struct question questions[] = {
	{ "a file", FILE_QUESTION },
	{ "an open file", FILE_QUESTION, .open_before = true },
	{ "what another thread began to tell", .node = REQUESTS_PRESSURE, .ask = read_rest,
		.renders = 1, .open_before = true },
	{ "a file whose OPEN is replayed", FILE_QUESTION, .replayed = true },
	{ "a file whose text is made ahead", FILE_QUESTION, .idle = true },
	{ "a file that two in line read", FILE_QUESTION, .in_line = true, .reads_twice = true },
	{ "a file of the kernel's", .ask = read_in_two },
	{ "a directory", .node = PROC_DIR, .ask = list, .flags = O_DIRECTORY },
	{ "a trigger", TRIGGER_QUESTION },
	{ "a trigger on an open file", TRIGGER_QUESTION, .open_before = true },
};

static int ask_open(const struct question *q, uint64_t fh, struct text *ret)
{
	int e = q->ask(q, fh, ret);

	return e < 0 ? e : text_error(ret);
}

static int ask_once(const struct question *q, struct text *ret)
{
	uint64_t fh;
	int e = open_file(q, &fh);

	if (e < 0)
		return e;
	e = ask_open(q, fh, ret);
	release_file(q, fh);
	return e;
}

static int ask(const struct question *q, struct text *ret)
{
	int e;

	coming.in_line = q->in_line;
	coming.idle = q->idle;
	e = ask_once(q, ret);
	return e == 0 && q->reads_twice ? ask_once(q, ret) : e;
}

/* --- attempts ---------------------------------------------------------------------------- */

struct asked {
	const struct question *q;
	bool warm; /* by a thread that has just answered somebody else */
	struct text right;
};

static void assert_nothing_held(void)
{
	ck_assert_uint_eq(handles_count(fs->handles), 0);
	ck_assert_uint_eq(slab_used(pages), 0);
	ck_assert_int_eq(references, 0);
	ck_assert_uint_eq(atomic_load(&box.subject.use->handles), 0);
	ck_assert_uint_eq(atomic_load(&box.subject.use->pages), 0);
	ck_assert_uint_eq(atomic_load(&box.subject.use->triggers), 0);
}

static bool is_right(const struct asked *a, const struct text *answer)
{
	return slice_same(slice_of(answer), slice_of(&a->right));
}

/* EIO: a cgroup that vanished, and still is when its container was found again. */
static bool may_fail(const struct fault *f, int e)
{
	return e == -f->error || (f->error == ENODEV && e == -EIO);
}

static void check(const struct asked *a, const struct fault *f, unsigned nth, int e,
	const struct text *answer)
{
	const bool sized = is_dir(a->q) || size_known();

	ck_assert_msg(e == 0 && is_right(a, answer) && sized,
		"%s, call %u of kind %d %s with %s: %d, %zu bytes of %zu: %.8s", a->q->name, nth,
		(int)f->call, f->lasting ? "and on failed" : "failed", strerror(f->error), e,
		answer->len, a->right.len, answer->len ? answer->data : "");
}

static void check_afterwards(const struct asked *a, const struct fault *f, unsigned nth)
{
	autotext answer = { 0 };
	int e = ask(a->q, &answer);

	check(a, f, nth, e, &answer);
	assert_nothing_held();
}

/* Of a thread. */
struct attempt {
	const struct asked *asked;
	const struct fault *f;
	unsigned nth;
	uint64_t fh; /* where it is open before */
	bool hit;
};

static int ask_failing(struct attempt *t, struct text *answer)
{
	const struct question *q = t->asked->q;
	int e;

	fault_arm(t->f, t->nth);
	e = q->open_before ? ask_open(q, t->fh, answer) : ask(q, answer);
	t->hit = fault_disarm();
	return e;
}

static void ask_as_another(const struct question *q)
{
	autotext others = { 0 };

	coming.asker = other.init;
	ck_assert_int_eq(ask(q, &others), 0);
	coming.asker = box.init;
}

static void *run(void *data)
{
	struct attempt *t = data;
	const struct asked *a = t->asked;
	autotext answer = { 0 };
	autotext again = { 0 };
	int e;

	handover_set_my_slot(&shared->slots[0]);
	text_reserve(&answer, 4 * REQUESTS_TEXT); /* the answer is kept where nothing fails */
	if (a->warm)
		ask_as_another(a->q);
	e = ask_failing(t, &answer);
	if (e == 0 || !t->hit || !may_fail(t->f, e))
		check(a, t->f, t->nth, e, &answer);
	/* Who holds it open was told an error and tries again. */
	if (e < 0 && a->q->open_before) {
		e = ask_open(a->q, t->fh, &again);
		check(a, t->f, t->nth, e, &again);
	}
	if (a->q->open_before)
		release_file(a->q, t->fh);
	assert_nothing_held();
	check_afterwards(a, t->f, t->nth);
	return NULL;
}

static void open_before(const struct question *q, uint64_t *ret_fh)
{
	autotext began = { 0 };

	ck_assert_int_eq(open_file(q, ret_fh), 0);
	if (q->ask == read_rest)
		ck_assert_int_eq(read_at(q, *ret_fh, 0, &began), 0);
}

/* A thread's buffers go with it. False: so many calls are not made at all. */
static bool attempt(const void *what, const struct fault *f, unsigned nth)
{
	struct attempt t = { .asked = what, .f = f, .nth = nth };
	pthread_t thread;
	int made, joined;

	size_forget(node_of(t.asked->q));
	if (t.asked->q->open_before)
		open_before(t.asked->q, &t.fh);
	/* Check allocates, too, and may not while the thread's calls fail. */
	made = pthread_create(&thread, NULL, run, &t);
	joined = made == 0 ? pthread_join(thread, NULL) : 0;
	ck_assert_int_eq(made, 0);
	ck_assert_int_eq(joined, 0);
	return t.hit;
}

/* --- tests ------------------------------------------------------------------------------- */

static void ask_rightly(const struct question *q, struct asked *ret)
{
	*ret = (struct asked){ .q = q };
	rendered = 0;
	ck_assert_int_eq(ask(q, &ret->right), 0);
	ck_assert_uint_gt(ret->right.len, q->ask == read_in_two ? PIECE : 0);
	ck_assert_uint_eq(rendered, q->renders);
	assert_nothing_held();
}

START_TEST(an_answer_to_whoever_opens_is_whole_or_an_error_and_leaks_nothing)
{
	struct asked a;

	ask_rightly(&questions[_i / 2], &a);
	a.warm = _i % 2;
	faults_exhaust(attempt, &a, 0, false);
	text_free(&a.right);
}
END_TEST

START_TEST(each_kind_of_call_can_be_failed)
{
	struct asked all[countof(questions)];

	for (size_t i = 0; i < countof(all); i++)
		ask_rightly(&questions[i], &all[i]);
	faults_reach(attempt, all, countof(all), sizeof(all[0]), 0);
	for (size_t i = 0; i < countof(all); i++)
		text_free(&all[i].right);
}
END_TEST

/* --- a worker that starts ----------------------------------------------------------------- */

/* What the worker before has left: a text that was read in part, and a trigger; and what it told of
 * the host's files. */
static struct {
	uint64_t fh, armed;
	struct text modes;
} left;

static void add_modes(struct text *ret)
{
	for (size_t i = 0; i < TREE_POLICIES * view_count; i++)
		text_add(ret, &fs->registered[i].st_mode, sizeof(fs->registered[i].st_mode));
}

static uint64_t left_open(void)
{
	const struct handle_info info = { .node = REQUESTS_PRESSURE, .kind = HANDOVER_HANDLE_FILE };
	uint64_t fh;

	ck_assert_int_eq(handles_open(fs->handles, &info, &box, NULL, &fh), 0);
	return fh;
}

static void setup_left(void)
{
	const struct pressure_trigger wanted = { false, 150000, 2000000 };
	char bytes[REQUESTS_TEXT];
	struct text text = { .data = bytes, .len = sizeof(bytes) };

	requests_machine_setup();
	memset(bytes, 't', sizeof(bytes));
	left.fh = left_open();
	left.armed = left_open();
	ck_assert_int_eq(handles_store(fs->handles, left.fh, &text, NULL), 0);
	ck_assert_int_eq(handles_arm(fs->handles, left.armed, &wanted, 0, NULL), 0);
	add_modes(&left.modes);
	worker_ends();
}

/* And a worker that could not start has left the same. */
static void check_taken_over(unsigned descriptors)
{
	autotext rest = { 0 };
	autotext modes = { 0 };
	struct node node;

	ck_assert_uint_eq(handles_count(fs->handles), 2);
	ck_assert_int_eq(handles_load(fs->handles, left.fh, PIECE, PIECE, &rest), 0);
	ck_assert_uint_eq(rest.len, REQUESTS_TEXT - PIECE);
	ck_assert_uint_eq(slab_used(pages), 2);
	ck_assert_uint_eq(triggers_poll(fs->triggers, left.armed), TRIGGER_EVENT);
	ck_assert_uint_eq(triggers_poll(fs->triggers, left.armed), TRIGGER_QUIET);
	ck_assert_uint_eq(fault_descriptors(), descriptors + 1); /* events come through it */
	ck_assert_int_eq(tree_node(fs->tree, kernels_file, &node), 0);
	add_modes(&modes);
	ck_assert(slice_same(slice_of(&modes), slice_of(&left.modes)));
}

static void teardown_left(void)
{
	text_free(&left.modes);
	requests_machine_teardown();
}

static bool attempt_start(const void *unused, const struct fault *f, unsigned nth)
{
	const unsigned descriptors = fault_descriptors();
	bool hit;
	int e;

	(void)unused;
	fault_arm(f, nth);
	e = worker_starts();
	hit = fault_disarm();
	ck_assert_msg(e == 0 || (hit && e == -f->error), "call %u of kind %d failed with %s: %d",
		nth, (int)f->call, strerror(f->error), e);
	if (e == 0)
		check_taken_over(descriptors);
	worker_ends();
	ck_assert_int_eq(worker_starts(), 0);
	check_taken_over(descriptors);
	worker_ends();
	return hit;
}

/* ENODEV: what files of removed cgroups say, and none is read. */
START_TEST(a_worker_that_cannot_start_leaves_all_to_the_next_and_leaks_nothing)
{
	faults_exhaust(attempt_start, NULL, ENODEV, false);
}
END_TEST

#define THREADS 2 /* that triggers take */

START_TEST(a_worker_without_the_threads_for_its_triggers_does_not_start)
{
	ck_assert_int_eq(worker_starts(), 0);
	fault_arm(&faults[0], (unsigned)_i);
	ck_assert_int_eq(fs_attach(fs, NULL), -EAGAIN);
	ck_assert(fault_disarm());
	worker_ends();
}
END_TEST

/* --- a trigger that is armed again -------------------------------------------------------- */

#define REARM_CALLS 4u /* that arming makes of a kind, at most */

/* True when whoever polls was told to look again, which is when the thread has done with it. */
static bool woken(int kernel, int patience_ms)
{
	struct pollfd p = { .fd = kernel, .events = POLLIN };

	return poll(&p, 1, patience_ms) == 1;
}

#define FOR_THE_THREAD_MS 500 /* which cannot wake anybody before there is memory again */

/* What was armed is closed by a thread, which lets go of its container in the end. */
static void close_left(void)
{
	triggers_close(fs->triggers, left.armed);
	handles_close(fs->handles, left.armed);
	handles_close(fs->handles, left.fh);
	for (int i = 0; i < 5000 && references > 0; i++)
		usleep(1000);
}

START_TEST(a_trigger_that_is_not_armed_again_is_over_and_who_polls_is_told)
{
	const struct fault *f = &faults[(unsigned)_i / REARM_CALLS];
	unsigned nth = (unsigned)_i % REARM_CALLS + 1;
	bool armed, was_woken, hit;
	unsigned descriptors;
	int kernel, e;

	nth += f->call == FAULT_MEMORY ? THREADS : 0;
	ck_assert_int_eq(worker_starts(), 0);
	handles_set_poll(fs->handles, left.armed, 9);
	kernel = requests_device();
	descriptors = fault_descriptors();
	fault_arm(f, nth);
	e = requests_attach();
	was_woken = e == 0 && woken(kernel, f->lasting ? FOR_THE_THREAD_MS : 10000);
	hit = fault_disarm();
	was_woken = was_woken || (e == 0 && woken(kernel, 10000));
	ck_assert_int_eq(e, 0);
	ck_assert(was_woken);
	armed = descriptors_watched() == 1;
	ck_assert(armed || hit);
	ck_assert_uint_eq(
		triggers_poll(fs->triggers, left.armed), armed ? TRIGGER_EVENT : TRIGGER_NONE);
	close_left();
	assert_nothing_held();
	ck_assert_uint_eq(fault_descriptors(), descriptors);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handle_faults");
	TCase *c = tcase_create("faults");

	tcase_add_checked_fixture(c, requests_setup, requests_teardown);
	tcase_add_loop_test(c, an_answer_to_whoever_opens_is_whole_or_an_error_and_leaks_nothing, 0,
		2 * (int)countof(questions));
	tcase_add_test(c, each_kind_of_call_can_be_failed);
	suite_add_tcase(s, c);
	c = tcase_create("start");
	tcase_add_checked_fixture(c, setup_left, teardown_left);
	tcase_add_test(c, a_worker_that_cannot_start_leaves_all_to_the_next_and_leaks_nothing);
	tcase_add_loop_test(
		c, a_worker_without_the_threads_for_its_triggers_does_not_start, 1, THREADS + 1);
	suite_add_tcase(s, c);
	/* The thread ends with its process alone. */
	c = tcase_create("loop");
	tcase_set_tags(c, "loop");
	tcase_add_checked_fixture(c, setup_left, teardown_left);
	tcase_add_loop_test(c, a_trigger_that_is_not_armed_again_is_over_and_who_polls_is_told, 0,
		(int)(n_faults * REARM_CALLS));
	suite_add_tcase(s, c);
	return unit_run(s);
}
