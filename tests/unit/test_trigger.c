/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Triggers whose kernel is this file: one that closes when it is told to, and whose stalls can or
 * cannot be read.
 */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "closing.h"
#include "internal.h"
#include "unit.h"

#define FILE_NODE 20u
#define TRIGGER_TEXT "some 200000 2000000"
#define THRESHOLD_US 200000u

/* --- what the modules under test ask of others ------------------------------------------- */

static _Atomic int references;

void container_unref(struct container *c)
{
	references -= c != NULL;
}

struct container *container_ref(struct container *c)
{
	references++;
	return c;
}

void container_identity(const struct container *c, struct container_identity *ret)
{
	*ret = (struct container_identity){ .init = c->init };
}

static struct use use = { .refs = 1 };
static char cgroups; /* where there are some */
static struct container box = {
	.subject = { .use = &use, .cgroups = (struct cgroup_set *)&cgroups }, .init = 77
};

int bound_use(struct fs *fs, uint64_t fh, bound_fn f, void *data)
{
	const struct handle_info info = { .node = FILE_NODE, .kind = HANDOVER_HANDLE_FILE };

	(void)fh;
	return f(fs, &box, &info, data);
}

int tree_node(const struct tree *tree, uint64_t number, struct node *ret)
{
	static const struct view view = { .node = FILE_NODE };

	(void)tree;
	*ret = (struct node){ .view = number == FILE_NODE ? &view : NULL };
	return 0;
}

bool view_pressure(const struct view *view, enum pressure *ret)
{
	(void)view;
	*ret = PRESSURE_CPU;
	return true;
}

static int wakes[2] = { -1, -1 };

int fuse_session_fd(struct fuse_session *session)
{
	(void)session;
	return wakes[1];
}

/* --- the kernel -------------------------------------------------------------------------- */

static int armed; /* the last trigger's */
static _Atomic bool fails;
static _Atomic unsigned reads;
static _Atomic uint64_t total_us;

int cgroup_pressure_arm(const struct cgroup_set *s, enum pressure what,
	const struct pressure_trigger *trigger, uint64_t *ret_total_us)
{
	(void)s;
	(void)what;
	(void)trigger;
	*ret_total_us = total_us;
	armed = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return armed;
}

/* The event of a trigger is told once. */
int cgroup_pressure_total(int fd, const struct pressure_trigger *trigger, uint64_t *ret_us)
{
	uint64_t told;

	(void)trigger;
	if (read(fd, &told, sizeof(told)) < 0)
		ck_assert_int_eq(errno, EAGAIN);
	*ret_us = total_us;
	reads++;
	return fails ? -EIO : 0;
}

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && event->events == EPOLLPRI)
		event->events = EPOLLIN; /* an eventfd knows nothing else */
	return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

static _Atomic bool slow; /* to close an eventfd of ours */
static _Atomic unsigned closed;
static sem_t leave;

int close(int fd)
{
	uint64_t count;
	const bool mine = slow && read(fd, &count, 0) < 0 && errno == EINVAL;

	if (mine)
		while (sem_wait(&leave) < 0)
			continue;
	closed += mine;
	return (int)syscall(SYS_close, fd);
}

/* --- a worker ---------------------------------------------------------------------------- */

static struct handover *area;
static struct slab *slab;
static struct fs *fs;

static void start(unsigned max)
{
	int fd;

	ck_assert_int_eq(pipe(wakes), 0);
	ck_assert_int_eq(sem_init(&leave, 0, 0), 0);
	ck_assert_int_eq(handover_new(&fd, &area), 0);
	ck_assert_int_eq(slab_new(area->pages, area->links, HANDOVER_PAGES, &slab), 0);
	fs = calloc(1, sizeof(*fs)); /* its thread stays */
	ck_assert_ptr_nonnull(fs);
	ck_assert_int_eq(handles_new(area, slab, NULL, &fs->handles), 0);
	ck_assert_int_eq(triggers_new(fs, max, &fs->triggers), 0);
	ck_assert_int_eq(triggers_start(fs->triggers), 0);
}

static uint64_t open_file(void)
{
	const struct handle_info info = { .node = FILE_NODE, .kind = HANDOVER_HANDLE_FILE };
	uint64_t fh;

	ck_assert_int_eq(handles_open(fs->handles, &info, &box, NULL, &fh), 0);
	handles_set_poll(fs->handles, fh, 1);
	return fh;
}

static int arm(uint64_t fh)
{
	return triggers_arm(
		fs->triggers, fh, (struct slice){ TRIGGER_TEXT, strlen(TRIGGER_TEXT) }, NULL);
}

static void wait_for_no_triggers(void)
{
	while (atomic_load(&use.triggers) != 0)
		usleep(1000);
}

/* Until somebody who polls is woken. */
static void wait_for_wake(void)
{
	char note[64];

	ck_assert_int_gt(read(wakes[0], note, sizeof(note)), 0);
}

static bool woken(int patience_ms)
{
	struct pollfd p = { .fd = wakes[0], .events = POLLIN };

	return poll(&p, 1, patience_ms) > 0;
}

static void event(void)
{
	const uint64_t one = 1;

	ck_assert_int_eq(write(armed, &one, sizeof(one)), sizeof(one));
}

/* --- closing ----------------------------------------------------------------------------- */

START_TEST(whoever_closes_does_not_wait_for_the_kernel)
{
	uint64_t fh;

	start(8);
	fh = open_file();
	ck_assert_int_eq(arm(fh), 0);
	slow = true;
	triggers_close(fs->triggers, fh);
	ck_assert_uint_eq(closed, 0);
	ck_assert_uint_eq(atomic_load(&use.triggers), 1);
	sem_post(&leave);
	wait_for_no_triggers();
	ck_assert_uint_eq(closed, 1);
}
END_TEST

START_TEST(what_the_kernel_has_not_closed_counts)
{
	uint64_t fh[3];

	start(2);
	for (size_t i = 0; i < countof(fh); i++)
		fh[i] = open_file();
	ck_assert_int_eq(arm(fh[0]), 0);
	ck_assert_int_eq(arm(fh[1]), 0);
	slow = true;
	triggers_close(fs->triggers, fh[0]);
	triggers_close(fs->triggers, fh[1]);
	ck_assert_int_eq(arm(fh[2]), -ENOSPC);
	sem_post(&leave);
	sem_post(&leave);
	wait_for_no_triggers();
	ck_assert_int_eq(arm(fh[2]), 0);
}
END_TEST

START_TEST(what_one_container_has_not_closed_counts_for_it)
{
	uint64_t fh;

	start(2 * TRIGGERS_PER_CONTAINER);
	slow = true;
	for (unsigned i = 0; i < TRIGGERS_PER_CONTAINER; i++) {
		fh = open_file();
		ck_assert_int_eq(arm(fh), 0);
		triggers_close(fs->triggers, fh);
	}
	fh = open_file();
	ck_assert_int_eq(arm(fh), -ENOSPC);
	for (unsigned i = 0; i < TRIGGERS_PER_CONTAINER; i++)
		sem_post(&leave);
	wait_for_no_triggers();
	ck_assert_int_eq(arm(fh), 0);
}
END_TEST

static void count(void *data, const struct closed *c)
{
	_Atomic unsigned *n = data;

	ck_assert_int_lt(write(c->fd, "", 1), 0); /* no such descriptor any more */
	ck_assert_int_eq(errno, EBADF);
	++*n;
}

/* With room for all, with less, and without a thread. */
START_TEST(all_is_closed_when_the_thread_ends)
{
	_Atomic unsigned n = 0;
	struct closing *c;
	int fds[64];

	/* None of their numbers is used again. */
	for (size_t i = 0; i < countof(fds); i++)
		ck_assert_int_ge(fds[i] = eventfd(0, EFD_CLOEXEC), 0);
	ck_assert_int_eq(closing_new(_i == 1 ? 2 : countof(fds), count, (void *)&n, &c), 0);
	if (_i < 2)
		ck_assert_int_eq(closing_start(c), 0);
	for (size_t i = 0; i < countof(fds); i++)
		closing_take(c, &(struct closed){ .fd = fds[i] });
	if (_i == 2)
		ck_assert_uint_eq(n, countof(fds));
	closing_free(c);
	ck_assert_uint_eq(n, countof(fds));
}
END_TEST

/* --- events ------------------------------------------------------------------------------ */

/* A trigger to whose poller an event was told that cannot be judged, after such stalls. */
static uint64_t armed_with_event(uint64_t stalls_us)
{
	const uint64_t fh = (start(8), open_file());

	ck_assert_int_eq(arm(fh), 0);
	fails = true;
	total_us += stalls_us;
	event();
	wait_for_wake();
	ck_assert_uint_eq(triggers_poll(fs->triggers, fh), TRIGGER_QUIET);
	return fh;
}

START_TEST(an_event_that_cannot_be_judged_is_none_yet)
{
	const uint64_t fh = armed_with_event(0);

	reads = 0;
	fails = false; /* there were no stalls since */
	while (reads == 0)
		usleep(1000);
	ck_assert_uint_eq(triggers_poll(fs->triggers, fh), TRIGGER_QUIET);
	ck_assert(!woken(1000));
	ck_assert_uint_le(reads, 4); /* nor judged on and on */
}
END_TEST

START_TEST(it_is_told_as_soon_as_it_can_be_judged)
{
	const uint64_t fh = armed_with_event(THRESHOLD_US);

	reads = 0;
	ck_assert(!woken(1000));
	ck_assert_uint_le(reads, 10); /* nothing spins */
	ck_assert_uint_ge(reads, 1);
	fails = false;
	wait_for_wake();
	ck_assert_uint_eq(triggers_poll(fs->triggers, fh), TRIGGER_EVENT);
	ck_assert_uint_eq(triggers_poll(fs->triggers, fh), TRIGGER_QUIET);
}
END_TEST

/* Of those who poll again before that. */
START_TEST(whoever_asks_has_it_judged)
{
	const uint64_t fh = armed_with_event(THRESHOLD_US);

	fails = false;
	ck_assert_uint_eq(triggers_poll(fs->triggers, fh), TRIGGER_EVENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trigger");
	TCase *c = tcase_create("closing");

	tcase_add_loop_test(c, all_is_closed_when_the_thread_ends, 0, 3);
	suite_add_tcase(s, c);
	/* Their thread ends with its process alone. */
	c = tcase_create("loop");
	tcase_set_tags(c, "loop");
	tcase_add_test(c, whoever_closes_does_not_wait_for_the_kernel);
	tcase_add_test(c, what_the_kernel_has_not_closed_counts);
	tcase_add_test(c, what_one_container_has_not_closed_counts_for_it);
	tcase_add_test(c, an_event_that_cannot_be_judged_is_none_yet);
	tcase_add_test(c, it_is_told_as_soon_as_it_can_be_judged);
	tcase_add_test(c, whoever_asks_has_it_judged);
	suite_add_tcase(s, c);
	return unit_run(s);
}
