/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon that starts, goes on or ends on a machine that is out of memory or descriptors or cannot
 * be read: each call that can fail fails once, and from it on for good. What another daemon left is
 * taken as it is or there is that error: never is it somebody else's, of another boot, or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "connection.h"
#include "faults.h"
#include "pidfile.h"
#include "takeover.h"
#include "unit.h"

/* It is what is wrong, and no error that means something else. */
static void check_error(int r, const struct fault *f, unsigned nth, const char *what)
{
	ck_assert_msg(r == -f->error, "%s: call %u of kind %d failed with %s: %s", what, nth,
		(int)f->call, strerror(f->error), strerror(-r));
}

/* --- the memory that is handed over --------------------------------------------------------- */

#define BOOT_ID_LENGTH 36

static bool attempt_new(const void *boot_id, const struct fault *f, unsigned nth)
{
	struct handover *h = NULL;
	autoclose int fd = -1;
	bool hit;
	int r;

	fault_arm(f, nth);
	r = handover_new(&fd, &h);
	hit = fault_disarm();
	if (r < 0)
		check_error(r, f, nth, "a new area");
	else
		ck_assert_str_eq(h->boot_id, boot_id);
	handover_free(h);
	return hit;
}

/* What an area holds that another process made, of this version or an earlier one. */
struct left {
	int fd;
	bool earlier;
};

#define LEFT_HANDLE 7u
#define LEFT_NODES 3u

static void leave(bool earlier, struct left *ret)
{
	struct handover *h;

	*ret = (struct left){ .earlier = earlier };
	ck_assert_int_eq(handover_new(&ret->fd, &h), 0);
	if (earlier)
		h->version--;
	h->init.request_len = h->init.reply_len = 1;
	h->pass_through = 1;
	h->nodes_used = LEFT_NODES;
	h->handles_used = 1;
	h->handles[0].fh = LEFT_HANDLE;
	h->backlog.used_small = 1;
	handover_free(h);
}

static bool attempt_take(const void *what, const struct fault *f, unsigned nth)
{
	const struct left *left = what;
	struct handover *h = NULL;
	int fd = dup(left->fd), taken = -1, r;
	bool fresh, hit;

	fault_arm(f, nth);
	r = handover_take(fd, &taken, &h, &fresh);
	hit = fault_disarm();
	if (r < 0) {
		check_error(r, f, nth, "an area of somebody else");
		close(fd);
		return hit;
	}
	ck_assert(fresh == left->earlier);
	ck_assert_uint_eq(h->nodes_used, LEFT_NODES);
	ck_assert_uint_eq(h->handles[0].fh, LEFT_HANDLE);
	ck_assert_uint_eq(h->backlog.used_small, 1);
	handover_free(h);
	close(taken);
	return hit;
}

static bool attempt_peek(const void *what, const struct fault *f, unsigned nth)
{
	const struct left *left = what;
	struct handover_init init = { 0 };
	bool pass_through = false, hit;
	int flag, r;

	fault_arm(f, nth);
	flag = handover_peek_pass_through(left->fd, &pass_through);
	r = handover_peek_init(left->fd, &init);
	hit = fault_disarm();
	if (flag < 0)
		check_error(flag, f, nth, "the flag of somebody else's area");
	else
		ck_assert(pass_through);
	if (r < 0)
		check_error(r, f, nth, "INIT in somebody else's area");
	else
		ck_assert_uint_eq(init.request_len, 1);
	return hit;
}

START_TEST(a_new_area_tells_its_boot_or_there_is_none)
{
	autotext boot_id = { 0 };

	ck_assert_int_eq(read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot_id), 0);
	ck_assert_uint_eq(boot_id.len, BOOT_ID_LENGTH + 1);
	boot_id.data[BOOT_ID_LENGTH] = '\0';
	faults_exhaust(attempt_new, boot_id.data, ENODEV, false);
}
END_TEST

START_TEST(what_was_left_is_taken_whole_or_not_and_never_called_something_else)
{
	struct left left;

	leave(_i != 0, &left);
	faults_exhaust(attempt_take, &left, ENODEV, false);
	faults_exhaust(attempt_peek, &left, ENODEV, false);
	close(left.fd);
}
END_TEST

/* --- DIR ------------------------------------------------------------------------------------ */

/* A directory, of which a connection is said to be. */
struct place {
	struct connection connection;
	struct options options;
	char dir[32];
	uint32_t max_read; /* of it */
};

static void place_start(struct place *ret)
{
	struct stat st;

	*ret = (struct place){ .connection = CONNECTION_NONE, .dir = "/tmp/lxcfs-unit-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(ret->dir));
	ck_assert_int_eq(stat(ret->dir, &st), 0);
	ret->connection.device = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ret->connection.dev = st.st_dev;
	ret->options.dir = ret->dir;
	ck_assert_int_eq(connection_max_read(ret->dir, &ret->max_read), 0);
}

static void place_stop(struct place *p)
{
	close(p->connection.device);
	rmdir(p->dir);
}

/* Whoever ends asks it before DIR is unmounted. */
static bool attempt_is_at(const void *what, const struct fault *f, unsigned nth)
{
	const struct place *p = what;
	bool hit;
	int r;

	fault_arm(f, nth);
	r = connection_is_at(&p->connection, p->dir);
	hit = fault_disarm();
	if (r < 0)
		check_error(r, f, nth, "whose mount it is");
	else
		ck_assert_int_eq(r, 1);
	return hit;
}

/* Of another connection, of which nothing may be said that was not seen. */
static bool attempt_keep(const void *what, const struct fault *f, unsigned nth)
{
	const struct place *p = what;
	struct connection another = p->connection;
	autoclose int mount = open(p->dir, O_PATH | O_CLOEXEC);
	bool hit;
	int cloned, attached;

	another.dev++;
	fault_arm(f, nth);
	cloned = connection_clone_mount(&another, p->dir);
	attached = connection_attach(&another, mount, &p->options);
	hit = fault_disarm();
	ck_assert_int_lt(cloned, 0);
	ck_assert_int_lt(attached, 0);
	if (cloned != -ENOENT)
		check_error(cloned, f, nth, "a mount to be kept");
	if (attached != -EBADF)
		check_error(attached, f, nth, "a mount that was kept");
	ck_assert_msg(!hit || cloned != -ENOENT || attached != -EBADF,
		"call %u of kind %d failed with %s, and nobody was told", nth, (int)f->call,
		strerror(f->error));
	return hit;
}

static bool attempt_max_read(const void *what, const struct fault *f, unsigned nth)
{
	const struct place *p = what;
	autofree char *crooked = NULL;
	uint32_t max_read;
	bool hit;
	int r;

	ck_assert_int_gt(asprintf(&crooked, "%s/.", p->dir), 0);
	fault_arm(f, nth);
	r = connection_max_read(crooked, &max_read);
	hit = fault_disarm();
	if (r < 0)
		check_error(r, f, nth, "what tells DIR from others");
	else
		ck_assert_uint_eq(max_read, p->max_read);
	return hit;
}

START_TEST(whose_mount_is_at_dir_is_told_rightly_or_not)
{
	static fault_attempt *const attempts[] = { attempt_is_at, attempt_keep, attempt_max_read };
	struct place place;

	place_start(&place);
	for (size_t i = 0; i < countof(attempts); i++)
		faults_exhaust(attempts[i], &place, ENODEV, false);
	place_stop(&place);
}
END_TEST

/* --- the pidfile ----------------------------------------------------------------------------- */

struct locked {
	char dir[32], path[48];
	struct root root;
	pid_t holder; /* as /proc/locks tells it, where nothing fails */
};

static void locked_start(struct locked *ret)
{
	struct pidfile p;
	pid_t holder;

	*ret = (struct locked){ .dir = "/tmp/lxcfs-unit-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(ret->dir));
	snprintf(ret->path, sizeof(ret->path), "%s/pid", ret->dir);
	ck_assert_int_eq(root_open("/", &ret->root), 0);
	ck_assert_int_eq(pidfile_lock(ret->path, &p, &holder), 0);
	ck_assert_int_eq(pidfile_write(&p), 0);
	ck_assert_int_eq(pidfile_holder(&ret->root, ret->path, &ret->holder), 0);
	pidfile_remove(&p);
}

static void locked_stop(struct locked *l)
{
	root_close(&l->root);
	rmdir(l->dir);
}

/* With the lock or without it, and whoever asks next has it. */
static bool attempt_lock(const void *what, const struct fault *f, unsigned nth)
{
	const struct locked *l = what;
	struct pidfile p = PIDFILE_NONE;
	pid_t holder;
	bool hit;
	int r;

	fault_arm(f, nth);
	r = pidfile_lock(l->path, &p, &holder);
	if (r == 0)
		r = pidfile_write(&p);
	hit = fault_disarm();
	if (r < 0)
		check_error(r, f, nth, "the lock");
	pidfile_remove(&p);
	ck_assert_int_eq(pidfile_lock(l->path, &p, &holder), 0);
	ck_assert_int_eq(pidfile_write(&p), 0);
	pidfile_remove(&p);
	return hit;
}

static bool attempt_holder(const void *what, const struct fault *f, unsigned nth)
{
	const struct locked *l = what;
	struct pidfile p;
	pid_t holder;
	bool hit;
	int r;

	ck_assert_int_eq(pidfile_lock(l->path, &p, &holder), 0);
	ck_assert_int_eq(pidfile_write(&p), 0);
	fault_arm(f, nth);
	r = pidfile_holder(&l->root, l->path, &holder);
	hit = fault_disarm();
	if (r < 0)
		check_error(r, f, nth, "who runs");
	else
		ck_assert_int_eq(holder, l->holder);
	pidfile_remove(&p);
	return hit;
}

/* ENODEV is an error like another here. */
START_TEST(the_lock_is_had_or_not_and_never_waited_for)
{
	struct locked l;

	locked_start(&l);
	faults_exhaust(attempt_lock, &l, 0, true);
	faults_exhaust(attempt_holder, &l, 0, true);
	locked_stop(&l);
}
END_TEST

/* --- a connection that is handed over -------------------------------------------------------- */

/* None of them is one that could be gone on with, since that takes a mount: it is told what they
 * are. */
static void hand_over(const char *path, struct inherited *ret)
{
	inherit_none(ret);
	ret->memory = memfd_create("memory", MFD_CLOEXEC);
	ret->device = open(path, O_RDWR | O_CLOEXEC);
	ret->clones[0] = open(path, O_RDWR | O_CLOEXEC);
	ck_assert(ret->memory >= 0 && ret->device >= 0 && ret->clones[0] >= 0);
}

static bool attempt_check(const void *what, const struct fault *f, unsigned nth)
{
	autotext why = { 0 };
	bool hit;
	int r;

	fault_arm(f, nth);
	r = takeover_check(what, &why);
	hit = fault_disarm();
	/* The words alone may be missing. */
	if (hit && f->call != FAULT_MEMORY)
		check_error(r, f, nth, "what is handed over");
	else
		ck_assert_int_eq(r, -EPROTO);
	return hit;
}

/* Whoever can open /dev/fuse has its clones looked at as well. */
START_TEST(what_cannot_be_looked_at_is_never_called_another_connection)
{
	static const char *const paths[] = { "/dev/null", "/dev/fuse" };

	for (size_t i = 0; i < countof(paths); i++) {
		struct inherited in;

		if (access(paths[i], R_OK | W_OK) < 0)
			continue;
		hand_over(paths[i], &in);
		faults_exhaust(attempt_check, &in, ENODEV, false);
		ck_assert(attempt_check(&in, &(struct fault){ FAULT_READ, EIO, false }, 1));
		inherit_close(&in);
	}
}
END_TEST

static int take_over(const struct fault *f, struct inherited *in)
{
	const struct options options = { .dir = "/nowhere" };
	struct connection c = CONNECTION_NONE;
	struct handover *h = NULL;
	int memory = -1, r;

	hand_over("/dev/null", in);
	fault_arm(f, 1);
	r = takeover(INHERIT_BEFORE, in, &options, &c, &memory, &h);
	ck_assert(fault_disarm());
	return r;
}

START_TEST(whoever_goes_on_waits_for_the_end_of_a_shortage_but_not_for_good)
{
	const struct fault passing = { FAULT_READ, EIO, false };
	const struct fault lasting = { FAULT_READ, EIO, true };
	const unsigned descriptors = fault_descriptors();
	struct inherited in;

	ck_assert_int_eq(take_over(&passing, &in), -EPROTO); /* which is so */
	ck_assert_int_eq(take_over(&lasting, &in), -EIO);
	ck_assert_int_eq(in.memory, -1);
	ck_assert_uint_eq(fault_descriptors(), descriptors);
}
END_TEST

/* Else the calls go past what fails them, and everything above is right. */
START_TEST(each_of_these_can_be_failed)
{
	const struct fault memory = { FAULT_MEMORY, ENOMEM, false };
	const struct fault opening = { FAULT_OPEN, EMFILE, false };
	const struct fault reading = { FAULT_READ, EIO, false };
	struct place place;
	struct left left;

	place_start(&place);
	leave(false, &left);
	ck_assert(attempt_max_read(&place, &memory, 1));
	ck_assert(attempt_is_at(&place, &reading, 1));
	ck_assert(attempt_keep(&place, &reading, 1));
	ck_assert(attempt_take(&left, &opening, 1));
	ck_assert(attempt_take(&left, &reading, 1));
	ck_assert(attempt_peek(&left, &reading, 1));
	close(left.fd);
	place_stop(&place);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon_faults");
	TCase *c = tcase_create("faults");

	tcase_add_test(c, a_new_area_tells_its_boot_or_there_is_none);
	tcase_add_loop_test(
		c, what_was_left_is_taken_whole_or_not_and_never_called_something_else, 0, 2);
	tcase_add_test(c, whose_mount_is_at_dir_is_told_rightly_or_not);
	tcase_add_test(c, the_lock_is_had_or_not_and_never_waited_for);
	tcase_add_test(c, what_cannot_be_looked_at_is_never_called_another_connection);
	tcase_add_test(c, whoever_goes_on_waits_for_the_end_of_a_shortage_but_not_for_good);
	tcase_add_test(c, each_of_these_can_be_failed);
	suite_add_tcase(s, c);
	return unit_run(s);
}
