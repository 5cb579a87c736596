/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands between the table of triggers and the C library. A descriptor of a trigger is known by
 * what it is watched for, the thread that waits for events by waiting for ever, or where those are
 * watched: no other descriptor and no other thread of a worker is like that.
 */
#include "stalls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "fuzz.h"

#define ARMED_MAX 64

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __real_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout);

/* Descriptors of our own, since the worker closes its. */
static struct {
	int fd;
	epoll_data_t data;
} armed[ARMED_MAX];
static unsigned n_armed;
static _Atomic int watched = -1; /* where they are */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool waits; /* the thread does */
	bool given; /* what it has not taken yet */
	struct epoll_event event;
} thread = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* --- the file ------------------------------------------------------------------------------ */

/* The opener refuses whatever else, and there is no reason to ask it. */
static bool is_good(struct slice path)
{
	struct slice part;

	if (slice_starts(path, "/") || !slice_ends(path, ".pressure"))
		return false;
	while (slice_cut(&path, '/', &part))
		if (part.n == 0 || slice_equal(part, ".."))
			return false;
	return true;
}

int stalls_open(void *data, const char *path)
{
	const struct root *root = data;
	autoclose int copy = memfd_create("pressure", MFD_CLOEXEC);
	autofree char *below = NULL;
	autotext text = { 0 };
	int r;

	FUZZ_ASSERT(is_good(slice_str(path)));
	FUZZ_ASSERT(copy >= 0 && asprintf(&below, "sys/fs/cgroup/%s", path) >= 0);
	r = read_file_at(root->top, below, &text);
	if (r < 0)
		return r;
	/* What is written goes behind the text, which the kernel would keep as it is. */
	FUZZ_ASSERT(write(copy, text.data, text.len) == (ssize_t)text.len);
	FUZZ_ASSERT(fcntl(copy, F_SETFL, O_APPEND) == 0);
	return steal_fd(&copy);
}

static const char many[] = "some avg10=99.00 avg60=99.00 avg300=99.00 total=1000000000000\n"
			   "full avg10=99.00 avg60=99.00 avg300=99.00 total=1000000000000\n";

static void say(int fd, struct slice text)
{
	FUZZ_ASSERT(ftruncate(fd, 0) == 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
}

/* --- waiting ------------------------------------------------------------------------------- */

int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op != EPOLL_CTL_ADD || event->events != EPOLLPRI)
		return __real_epoll_ctl(epfd, op, fd, event);
	if (n_armed == ARMED_MAX) {
		errno = ENOSPC;
		return -1;
	}
	watched = epfd;
	armed[n_armed].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	armed[n_armed].data = event->data;
	FUZZ_ASSERT(armed[n_armed].fd >= 0);
	n_armed++;
	return 0;
}

/* Under the lock. False when nothing came in that time. */
static bool wait_for_event(int timeout_ms)
{
	const uint64_t until_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	const struct timespec until = { .tv_sec = (time_t)(until_ns / NS_PER_S),
		.tv_nsec = (long)(until_ns % NS_PER_S) };
	int r = 0;

	while (!thread.given && r == 0)
		r = timeout_ms < 0 ? pthread_cond_wait(&thread.changed, &thread.lock)
				   : pthread_cond_clockwait(&thread.changed, &thread.lock,
					     CLOCK_MONOTONIC, &until);
	return thread.given;
}

/* With a timeout, too, for what cannot be judged is looked at again, and may be so for good. */
int __wrap_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	bool came;

	if (timeout >= 0 && epfd != watched)
		return __real_epoll_wait(epfd, events, max, timeout);
	pthread_mutex_lock(&thread.lock);
	thread.waits = true;
	pthread_cond_broadcast(&thread.changed);
	came = wait_for_event(timeout);
	thread.waits = thread.given = false;
	if (came)
		events[0] = thread.event;
	pthread_mutex_unlock(&thread.lock);
	return came;
}

void stalls_happen(unsigned i, enum stalls_event event, struct slice text)
{
	if (i >= n_armed)
		return;
	if (event == STALLS_MANY)
		text = slice_str(many);
	pthread_mutex_lock(&thread.lock);
	while (!thread.waits)
		pthread_cond_wait(&thread.changed, &thread.lock);
	/* Not before, for the thread may be about to look at it again. */
	if (event == STALLS_MANY || event == STALLS_SAID)
		say(armed[i].fd, text);
	thread.event = (struct epoll_event){
		.events = event == STALLS_ENDED ? EPOLLERR : EPOLLPRI,
		.data = armed[i].data,
	};
	thread.given = true;
	pthread_cond_broadcast(&thread.changed);
	while (thread.given || !thread.waits)
		pthread_cond_wait(&thread.changed, &thread.lock);
	pthread_mutex_unlock(&thread.lock);
}

void stalls_forget(void)
{
	while (n_armed > 0)
		close(armed[--n_armed].fd);
}
