/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads of a worker that starts on a machine that is out of memory, or whose device cannot be
 * had: each call that can fail fails once, and from it on for good. All threads are there, or the
 * worker is told why not, and none of them has touched a request.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "loop.h"
#include "reply.h"
#include "unit.h"

#define THREADS 3u
#define MEMORY_CALLS (3 + THREADS) /* the loop, what threads have, the backlog; each thread */
#define PATIENCE_S 30
#define FOR_THREADS_US 10000 /* which are there already, and may do nothing */

/* How a worker of the test ends; of its own accord, when its device cannot be read, so as well. */
enum {
	STARTED,
	DEVICE_FAILED = EXIT_FAILURE,
	TOLD,
	TOLD_ANOTHER, /* error than it was */
};

static struct handover *shared;
static int devices[THREADS];

/* Nothing ever comes from such a device. */
static void setup(void)
{
	int fd;

	ck_assert_int_eq(handover_new(&fd, &shared), 0);
	close(fd);
	for (unsigned i = 0; i < THREADS; i++) {
		int ends[2];

		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		devices[i] = ends[0];
	}
}

static void teardown(void)
{
	handover_free(shared);
}

/* Of a length that no request has: a thread that begins clears it and does nothing else. */
static void leave_request(struct handover_slot *slot)
{
	const struct fuse_in_header header = { .len = HANDOVER_REQUEST + 1 };

	memcpy(slot->request, &header, sizeof(header));
}

static int worker(const struct fault *f, unsigned nth)
{
	const struct loop_config config = {
		.handover = shared, .devices = devices, .n = THREADS, .no_spin = true
	};
	struct loop *loop;
	int r;

	alarm(PATIENCE_S);
	fault_arm(f, nth);
	r = loop_start(&config, &loop);
	if (r < 0)
		usleep(FOR_THREADS_US);
	/* pthread_create(3) has an error of its own. */
	return r == 0 ? STARTED : r == -f->error || r == -EAGAIN ? TOLD : TOLD_ANOTHER;
}

/* In a process of its own: the threads never end. */
static bool attempt(const void *unused, const struct fault *f, unsigned nth)
{
	const uint32_t generation = shared->generation;
	int status = 0;
	pid_t pid;
	bool hit;

	(void)unused;
	leave_request(&shared->slots[0]);
	pid = fork();
	/* In _exit(2) ThreadSanitizer waits a second for the threads. */
	if (pid == 0)
		syscall(SYS_exit_group, worker(f, nth));
	if (pid > 0)
		waitpid(pid, &status, 0);
	hit = fault_disarm();
	ck_assert_int_gt(pid, 0);
	/* Those calls that are not the threads'. */
	if (hit && nth <= (f->call == FAULT_MEMORY ? MEMORY_CALLS : THREADS))
		ck_assert_int_eq(WEXITSTATUS(status), TOLD);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) <= (hit ? TOLD : STARTED),
		"call %u of kind %d failed with %s: the worker's status is %#x", nth, (int)f->call,
		strerror(f->error), status);
	if (WEXITSTATUS(status) == TOLD) {
		ck_assert_uint_eq(handover_slot_length(&shared->slots[0]), HANDOVER_REQUEST + 1);
		ck_assert_uint_eq(shared->generation, generation);
	}
	return hit;
}

/* ENODEV: the connection is gone, and so is the worker. */
START_TEST(a_worker_whose_threads_cannot_be_had_does_not_start)
{
	faults_exhaust(attempt, NULL, ENODEV, false);
}
END_TEST

START_TEST(each_kind_of_call_can_be_failed)
{
	const struct fault memory = { FAULT_MEMORY, ENOMEM, false };
	const struct fault device = { FAULT_READ, EIO, false };

	for (unsigned nth = 1; nth <= MEMORY_CALLS; nth++)
		ck_assert(attempt(NULL, &memory, nth));
	for (unsigned nth = 1; nth <= THREADS; nth++)
		ck_assert(attempt(NULL, &device, nth));
}
END_TEST

/* --- replies ---------------------------------------------------------------------------------- */

#define SHORTAGE_US 50000

static _Atomic bool is_short;

static void *end_shortage(void *unused)
{
	(void)unused;
	while (!atomic_load(&is_short))
		usleep(SHORTAGE_US / 10);
	usleep(SHORTAGE_US);
	fault_disarm();
	return NULL;
}

#define UNIQUE 5u

/* A request in the slot of a thread, and the end of a pipe that stands for the kernel. */
static struct replies *begin_request(int *ret_kernel)
{
	const struct fuse_in_header header = { .len = sizeof(header), .unique = UNIQUE };
	struct replies *mine = aligned_alloc(REPLY_PAGE, sizeof(*mine));
	int kernel[2];

	ck_assert_int_eq(pipe2(kernel, O_CLOEXEC | O_NONBLOCK), 0);
	memset(mine, 0, sizeof(*mine));
	mine->slot = &shared->slots[0];
	mine->device = kernel[1];
	memcpy(mine->slot->request, &header, sizeof(header));
	replies_of_this_thread(mine);
	*ret_kernel = kernel[0];
	return mine;
}

static void reply_without_memory(void)
{
	const struct fault memory = { FAULT_MEMORY, ENOMEM, true };
	struct fuse_out_header reply = { .len = sizeof(reply), .unique = UNIQUE };
	struct iovec iov = { &reply, sizeof(reply) };

	fault_arm(&memory, 1);
	atomic_store(&is_short, true);
	reply_io.writev(-1, &iov, 1, NULL);
}

START_TEST(whoever_cannot_be_answered_for_want_of_memory_gets_an_error_afterwards)
{
	struct fuse_out_header told = { 0 };
	pthread_t thread;
	int kernel;
	struct replies *mine = begin_request(&kernel);

	ck_assert_int_eq(pthread_create(&thread, NULL, end_shortage, NULL), 0);
	reply_without_memory();
	pthread_join(thread, NULL);
	ck_assert_int_eq(read(kernel, &told, sizeof(told)), sizeof(told));
	ck_assert_uint_eq(told.unique, UNIQUE);
	ck_assert_int_eq(told.error, -EIO);
	ck_assert_int_lt(read(kernel, &told, sizeof(told)), 0);
	ck_assert_uint_eq(handover_slot_length(mine->slot), 0);
	replies_of_this_thread(NULL);
	free(mine);
}
END_TEST

START_TEST(whoever_cannot_be_answered_at_all_is_left_to_the_next_worker)
{
	int kernel, status = 0;
	struct replies *mine = begin_request(&kernel);
	const pid_t pid = fork();
	pid_t ended;

	if (pid == 0) {
		reply_without_memory();
		_exit(EXIT_SUCCESS);
	}
	ended = waitpid(pid, &status, 0);
	fault_disarm(); /* for Check allocates, too */
	ck_assert_int_eq(ended, pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EXIT_FAILURE);
	ck_assert_uint_eq(handover_slot_length(mine->slot), sizeof(struct fuse_in_header));
	replies_of_this_thread(NULL);
	free(mine);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop_faults");
	TCase *c = tcase_create("loop");

	tcase_set_tags(c, "loop");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_worker_whose_threads_cannot_be_had_does_not_start);
	tcase_add_test(c, each_kind_of_call_can_be_failed);
	suite_add_tcase(s, c);
	c = tcase_create("replies");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, whoever_cannot_be_answered_for_want_of_memory_gets_an_error_afterwards);
	tcase_add_test(c, whoever_cannot_be_answered_at_all_is_left_to_the_next_worker);
	suite_add_tcase(s, c);
	return unit_run(s);
}
