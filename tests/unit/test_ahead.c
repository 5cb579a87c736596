/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text that is made while its reader is on the way: who is told it, and who must not be. The
 * file says how often it was rendered.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "internal.h"
#include "unit.h"

/* --- what the modules under test ask of others ------------------------------------------- */

struct container *container_ref(struct container *c)
{
	return c;
}

void container_unref(struct container *c)
{
	(void)c;
}

void container_identity(const struct container *c, struct container_identity *ret)
{
	*ret = (struct container_identity){ .init = c->init };
}

uint64_t container_number(const struct container *c)
{
	return (uint64_t)c->init;
}

int container_by_identity(struct container_cache *unused, const struct container_identity *identity,
	struct container **ret)
{
	(void)unused;
	(void)identity;
	(void)ret;
	return -ESTALE;
}

int container_again(struct container_cache *unused, struct container *c, struct container **ret)
{
	(void)unused;
	(void)c;
	(void)ret;
	return -ENODEV;
}

struct container *container_host(struct container_cache *unused)
{
	(void)unused;
	return NULL;
}

int container_open(struct container_cache *unused, pid_t tid, struct container **ret)
{
	(void)unused;
	(void)tid;
	(void)ret;
	return -ESTALE;
}

/* No time passes but what a test lets pass, however slow the machine is. */
static uint64_t now_ns;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){ (time_t)(now_ns / NS_PER_S), (long)(now_ns % NS_PER_S) };
	return 0;
}

/* --- a worker with two threads, and files ------------------------------------------------- */

static unsigned rendered; /* so often, in all */
static int failure;
static void (*meanwhile)(void); /* something that happens before a text is ready */

static int render(const struct view_args *a, struct text *t)
{
	void (*happens)(void) = meanwhile;

	(void)a;
	text_printf(t, "%u", ++rendered);
	meanwhile = NULL;
	if (happens)
		happens();
	return failure;
}

const struct view view_registry[] = {
	{ .node = 1, .path = "", .kind = VIEW_DIR },
	{ .node = 2, .path = "proc", .kind = VIEW_DIR },
	{ .node = 6, .path = "cpu", .kind = VIEW_CPU_DIR },
	{ .node = 20, .path = "proc/file", .needs = VIEW_NEEDS_NONE, .render = render },
};
const size_t view_count = countof(view_registry);

const struct view *view_by_node(uint64_t node)
{
	for (size_t i = 0; i < view_count; i++)
		if (view_registry[i].node == node)
			return &view_registry[i];
	return NULL;
}

static const struct node file = { .number = 20, .view = &view_registry[3] };
static const struct root no_root = ROOT_NONE;

static const struct options options;
static struct cgroup_layout layout;
static struct handover *area;
static struct slab *slab;
static struct fs fs;
static struct container box = { .init = 77 };
static struct scratch mine, other_thread;

static void setup(void)
{
	int fd;

	ck_assert_int_eq(handover_new(&fd, &area), 0);
	close(fd);
	ck_assert_int_eq(slab_new(area->pages, area->links, HANDOVER_PAGES, &slab), 0);
	fs.config.handover = area;
	fs.config.options = &options;
	fs.config.layout = &layout;
	ck_assert_int_eq(handles_new(area, slab, NULL, &fs.handles), 0);
	ck_assert_int_eq(tree_new(area, &no_root, &fs.tree), 0);
	ck_assert_int_eq(pthread_key_create(&fs.scratch, NULL), 0);
	ck_assert_int_eq(pthread_setspecific(fs.scratch, &mine), 0);
	rendered = 0;
	failure = 0;
	meanwhile = NULL;
	now_ns = NS_PER_S;
}

static void free_scratch(struct scratch *s)
{
	text_free(&s->content);
	ahead_free(&s->ahead);
	shared_free(&s->shared);
	*s = (struct scratch){ 0 };
}

static void teardown(void)
{
	free_scratch(&mine);
	free_scratch(&other_thread);
	pthread_key_delete(fs.scratch);
	tree_free(fs.tree);
	handles_free(fs.handles);
	slab_free(slab);
	handover_free(area);
}

static uint64_t opened(void)
{
	const struct handle_info info = { file.number, HANDOVER_HANDLE_FILE, 0 };
	uint64_t fh;

	ck_assert_int_eq(handles_open(fs.handles, &info, &box, NULL, &fh), 0);
	return fh;
}

/* What an OPEN does when it has replied. */
static uint64_t open_file(struct scratch *s)
{
	const uint64_t fh = opened();

	content_ahead(&fs, fh, &file, s);
	return fh;
}

/* The number that a READ at 0 is told. */
static unsigned long told(uint64_t fh, struct scratch *s)
{
	char text[16] = "";

	ck_assert_int_eq(content_file(&fs, fh, &file, s), 0);
	memcpy(text, s->content.data,
		s->content.len < sizeof(text) ? s->content.len : sizeof(text) - 1);
	return strtoul(text, NULL, 10);
}

/* --- tests ------------------------------------------------------------------------------- */

START_TEST(the_read_after_an_open_finds_its_text_ready)
{
	autotext later = { 0 };
	const uint64_t fh = open_file(&mine);

	ck_assert_uint_eq(rendered, 1);
	ck_assert_uint_eq(told(fh, &mine), 1);
	ck_assert_uint_eq(rendered, 1);
	/* and so do READs at later offsets */
	ck_assert_int_eq(handles_load(fs.handles, fh, 0, 16, &later), 0);
	ck_assert(slice_equal(slice_of(&later), "1"));
}
END_TEST

START_TEST(who_reads_again_is_told_what_is_true_then)
{
	const uint64_t fh = open_file(&mine);

	ck_assert_uint_eq(told(fh, &mine), 1);
	fs.told = mine.ahead.made.told; /* were it not for that: it is gone */
	ck_assert_uint_eq(told(fh, &mine), 2);
	/* and is expected as before */
	open_file(&mine);
	ck_assert_uint_eq(rendered, 3);
}
END_TEST

START_TEST(who_comes_late_is_told_what_is_true_now)
{
	const uint64_t fh = open_file(&mine);

	now_ns += AHEAD_NS + 1;
	ck_assert_uint_eq(told(fh, &mine), 2);
}
END_TEST

static void takes_long(void)
{
	now_ns += AHEAD_MAKING_NS + 1;
}

START_TEST(what_took_long_to_make_is_not_told)
{
	uint64_t fh;

	meanwhile = takes_long;
	fh = open_file(&mine);
	ck_assert_uint_eq(told(fh, &mine), 2);
}
END_TEST

START_TEST(nobody_is_told_less_than_another_was_before)
{
	const uint64_t fh = open_file(&mine), other = opened();

	ck_assert_uint_eq(told(other, &other_thread), 2);
	ck_assert_uint_eq(told(fh, &mine), 3);
}
END_TEST

static void another_is_told(void)
{
	told(opened(), &other_thread);
}

static void time_passes(void)
{
	now_ns += AHEAD_NS + 1;
}

/* It may have read some of its values before the other one was told his. */
START_TEST(nor_what_was_begun_before_another_was_told)
{
	uint64_t fh;

	meanwhile = another_is_told;
	fh = open_file(&mine);
	ck_assert_uint_eq(told(fh, &mine), 3);
}
END_TEST

START_TEST(nor_less_than_another_found_ready)
{
	const uint64_t fh = open_file(&mine), other = open_file(&other_thread);

	ck_assert_uint_eq(told(other, &other_thread), 2);
	ck_assert_uint_eq(told(fh, &mine), 3);
}
END_TEST

/* Not even the same container by way of another handle, which may have been read before. */
START_TEST(nobody_is_told_what_another_opened)
{
	const uint64_t fh = opened();

	open_file(&mine);
	ck_assert_uint_eq(told(fh, &mine), 2);
}
END_TEST

/* Bound to another record meanwhile, say. */
START_TEST(nobody_is_told_what_is_not_his)
{
	const struct shared_key others[] = { { 78, 20, 0, false }, { 77, 21, 0, false },
		{ 77, 20, HANDOVER_COMPAT32, false }, { 77, 20, 0, true } };
	const uint64_t fh = open_file(&mine);

	mine.ahead.made.key = others[_i];
	ck_assert_uint_eq(told(fh, &mine), 2);
}
END_TEST

START_TEST(an_open_that_fails_to_make_it_leaves_the_answer_to_the_read)
{
	uint64_t fh;

	failure = -EIO;
	fh = open_file(&mine);
	ck_assert_int_eq(content_file(&fs, fh, &file, &mine), -EIO);
	failure = 0;
	ck_assert_uint_eq(told(fh, &mine), 3);
}
END_TEST

START_TEST(a_handle_that_was_closed_meanwhile_is_let_be)
{
	const uint64_t fh = opened();

	handles_close(fs.handles, fh);
	content_ahead(&fs, fh, &file, &mine);
	ck_assert_uint_eq(rendered, 0);
}
END_TEST

START_TEST(opening_without_reading_costs_little)
{
	for (int i = 0; i < 1000; i++)
		handles_close(fs.handles, open_file(&mine));
	ck_assert_uint_le(rendered, 25);
}
END_TEST

START_TEST(a_reader_who_reads_is_expected_again)
{
	uint64_t fh;

	for (int i = 0; i < 1000; i++)
		handles_close(fs.handles, open_file(&mine));
	/* As soon as one has been there in time. */
	do
		fh = open_file(&mine);
	while (mine.ahead.made.fh == 0);
	told(fh, &mine);
	rendered = 0;
	for (unsigned i = 1; i <= 100; i++) {
		fh = open_file(&mine);
		ck_assert_uint_eq(told(fh, &mine), i);
		ck_assert_uint_eq(rendered, i);
	}
	/* nor does he lose that by a single one in vain */
	for (unsigned i = 0; i < AHEAD_REST + 2; i++)
		open_file(&mine);
	ck_assert_uint_eq(rendered, 102);
}
END_TEST

/* Late, or after another was told something: the next two are let be, then more. */
START_TEST(what_is_of_no_use_is_made_seldom)
{
	void (*const spoil[])(void) = { time_passes, another_is_told };

	for (int i = 0; i < 1000; i++) {
		const uint64_t fh = open_file(&mine);

		spoil[_i]();
		told(fh, &mine);
		handles_close(fs.handles, fh);
	}
	ck_assert_uint_le(rendered, 1000 + 25 + (_i ? 1000 : 0));
}
END_TEST

/* What was in the slot of an OPEN that was answered. */
static bool answered_open(uint32_t opcode, uint32_t flags, uint64_t node, uint64_t fh)
{
	struct handover_slot *slot = &area->slots[0];
	const struct {
		struct fuse_in_header header;
		struct fuse_open_in in;
	} r = { { .opcode = opcode, .nodeid = node }, { .flags = flags } };

	memcpy(slot->request, &r, sizeof(r));
	atomic_store(&slot->fh, fh);
	return fs_work_ahead(&fs, slot);
}

START_TEST(whoever_opened_to_read_is_expected)
{
	const uint64_t fh = opened();

	ck_assert(answered_open(FUSE_OPEN, O_RDONLY, 20, fh));
	ck_assert_uint_eq(told(fh, &mine), 1);
}
END_TEST

START_TEST(nobody_else_is)
{
	const uint64_t fh = opened();
	struct node cpu;
	uint64_t name;

	ck_assert_int_eq(tree_node(fs.tree, 6, &cpu), 0);
	ck_assert_int_eq(tree_number(fs.tree, &cpu, slice_str("name"), DT_REG, &name), 0);
	ck_assert(!answered_open(FUSE_OPEN, O_RDWR, 20, fh));
	ck_assert(!answered_open(FUSE_OPEN, O_WRONLY, 20, fh));
	ck_assert(!answered_open(FUSE_OPENDIR, O_RDONLY, 2, fh));
	ck_assert(!answered_open(FUSE_READ, O_RDONLY, 20, fh));
	ck_assert(!answered_open(FUSE_OPEN, O_RDONLY, 20, 0));        /* it failed */
	ck_assert(!answered_open(FUSE_OPEN, O_RDONLY, name + 1, fh)); /* nothing */
	ck_assert(!answered_open(FUSE_OPEN, O_RDONLY, name, fh));     /* the kernel's own */
	handles_close(fs.handles, fh); /* its answer did not get through, or it was closed since */
	ck_assert(!answered_open(FUSE_OPEN, O_RDONLY, 20, fh));
	ck_assert_uint_eq(rendered, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ahead");
	TCase *c = tcase_create("ahead");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, the_read_after_an_open_finds_its_text_ready);
	tcase_add_test(c, who_reads_again_is_told_what_is_true_then);
	tcase_add_test(c, who_comes_late_is_told_what_is_true_now);
	tcase_add_test(c, what_took_long_to_make_is_not_told);
	tcase_add_test(c, nobody_is_told_less_than_another_was_before);
	tcase_add_test(c, nor_what_was_begun_before_another_was_told);
	tcase_add_test(c, nor_less_than_another_found_ready);
	tcase_add_test(c, nobody_is_told_what_another_opened);
	tcase_add_loop_test(c, nobody_is_told_what_is_not_his, 0, 4);
	tcase_add_test(c, an_open_that_fails_to_make_it_leaves_the_answer_to_the_read);
	tcase_add_test(c, a_handle_that_was_closed_meanwhile_is_let_be);
	tcase_add_test(c, opening_without_reading_costs_little);
	tcase_add_test(c, a_reader_who_reads_is_expected_again);
	tcase_add_loop_test(c, what_is_of_no_use_is_made_seldom, 0, 2);
	tcase_add_test(c, whoever_opened_to_read_is_expected);
	tcase_add_test(c, nobody_else_is);
	suite_add_tcase(s, c);
	return unit_run(s);
}
