/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one thread that notices ends: of inits by their pidfds, of cgroups by cgroup.events, of
 * records nothing tells the end of by the clock. Sleeps while nothing ends.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "thread.h"

#define EVENTS 64
#define WAKE_UP UINT64_MAX /* no life has that id: inode numbers do not get there */
#define EXPIRY_STEP_NS (10 * NS_PER_S)
#define SWEEP_AFTER_NS NS_PER_S             /* the runtime removes the cgroup after init's end */
#define SWEEP_AT_LEAST_NS (3600 * NS_PER_S) /* for ends nobody here could notice */
#define SWEEP_SHARE 50                      /* of the time, at most one part is spent on it */

struct watch {
	struct container_cache *cache;
	int epoll_fd, wake_fd;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic bool timed;         /* there are records whose end nobody may tell */
	_Atomic uint64_t sweep_ns;  /* CLOCK_MONOTONIC: when to sweep next */
	_Atomic uint64_t rested_ns; /* not before this */
	uint64_t expire_ns;         /* when to look for expired ones next; the thread's own */
};

static void wake(struct watch *w)
{
	const uint64_t one = 1;

	if (write(w->wake_fd, &one, sizeof(one)) < 0) {
		/* The counter is full, so the thread is being woken already. */
	}
}

int watch_add(struct watch *w, const struct life *l)
{
	/* Edge-triggered: a life that is being worked on keeps its descriptor after its end was
	 * told. */
	struct epoll_event event = {
		.events = (l->pid ? EPOLLIN : EPOLLPRI) | EPOLLET,
		.data.u64 = l->id,
	};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, l->watch_fd, &event) < 0 ? -errno : 0;
}

void watch_remove(struct watch *w, const struct life *l)
{
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, l->watch_fd, NULL);
}

void watch_time(struct watch *w)
{
	if (!atomic_exchange(&w->timed, true))
		wake(w);
}

void watch_sweep_soon(struct watch *w)
{
	uint64_t due = max_u64(clock_monotonic_ns() + SWEEP_AFTER_NS, atomic_load(&w->rested_ns));

	if (due < atomic_load(&w->sweep_ns)) {
		atomic_store(&w->sweep_ns, due);
		wake(w);
	}
}

bool watch_ended(const struct life *l)
{
	autotext t = { 0 };
	uint64_t populated;

	if (l->pid)
		return initpid_ended(l->watch_fd);
	return read_fd(l->watch_fd, &t) < 0 || !parse_key(slice_of(&t), "populated", &populated) ||
		populated == 0;
}

/* An ended life of that id, with a reference; the number may be another's by now. */
static struct life *find_ended(struct container_cache *c, uint64_t id)
{
	struct life *l;

	pthread_mutex_lock(&c->lock);
	for (l = c->lives[id % LIVES]; l; l = l->next)
		if (l->id == id && l->live && !l->dead && l->watch_fd >= 0 && watch_ended(l))
			break;
	if (l) {
		l->refs++;
		l->dead = l->pid != 0; /* a cgroup may be used again */
	}
	pthread_mutex_unlock(&c->lock);
	return l;
}

static void on_event(struct watch *w, uint64_t id)
{
	struct container_cache *c = w->cache;
	struct life *l = find_ended(c, id);

	if (!l)
		return;
	keys_drop_life(c, l);
	pthread_mutex_lock(&c->lock);
	life_unref_locked(c, l);
	pthread_mutex_unlock(&c->lock);
	watch_sweep_soon(w);
}

/* The kernel tells of a cgroup's changes at most every 10 ms and forgets what is still to be told
 * when the cgroup is removed: of the end of a short-lived one, as services have, nobody may hear.
 */
static void expire(struct watch *w, uint64_t now)
{
	struct keys_expired expired;

	if (!atomic_load(&w->timed) || now < w->expire_ns)
		return;
	w->expire_ns = now + EXPIRY_STEP_NS;
	atomic_store(&w->timed, false); /* a key stored from here on sets it again */
	expired = keys_expire(w->cache, sat_sub(now, EXPIRE_NS));
	if (expired.remain > 0)
		atomic_store(&w->timed, true);
	if (expired.dropped > 0)
		watch_sweep_soon(w);
}

static void sweep(struct watch *w, uint64_t now)
{
	uint64_t end;

	if (now < atomic_load(&w->sweep_ns))
		return;
	atomic_store(&w->sweep_ns, now + SWEEP_AT_LEAST_NS);
	sweep_accounts(w->cache);
	end = clock_monotonic_ns();
	atomic_store(&w->rested_ns, end + (end - now) * SWEEP_SHARE);
}

static int timeout_ms(const struct watch *w, uint64_t now)
{
	uint64_t due = atomic_load(&w->sweep_ns);

	if (atomic_load(&w->timed))
		due = min_u64(due, max_u64(w->expire_ns, now));
	return (int)(sat_sub(due, now) / NS_PER_MS + 1);
}

static void *run(void *data)
{
	struct watch *w = data;
	struct epoll_event events[EVENTS];

	while (!atomic_load(&w->stop)) {
		int n = epoll_wait(
			w->epoll_fd, events, EVENTS, timeout_ms(w, clock_monotonic_ns()));
		uint64_t now, woken;

		for (int i = 0; i < n; i++)
			if (events[i].data.u64 != WAKE_UP)
				on_event(w, events[i].data.u64);
			else if (read(w->wake_fd, &woken, sizeof(woken)) < 0)
				continue; /* read by an earlier round */
		now = clock_monotonic_ns();
		expire(w, now);
		sweep(w, now);
	}
	return NULL;
}

static void close_both(struct watch *w)
{
	cleanup_close(&w->epoll_fd);
	cleanup_close(&w->wake_fd);
	free(w);
}

int watch_new(struct container_cache *c, struct watch **ret)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE_UP };
	struct watch *w = calloc(1, sizeof(*w));
	int r = 0;

	if (!w)
		return -ENOMEM;
	w->cache = c;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->sweep_ns = clock_monotonic_ns() + SWEEP_AFTER_NS;
	if (w->epoll_fd < 0 || w->wake_fd < 0 ||
		epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &event) < 0)
		r = -errno;
	if (r == 0)
		r = thread_start(&w->thread, "lxcfs-ends", run, w);
	if (r < 0)
		close_both(w);
	else
		*ret = w;
	return r;
}

void watch_stop(struct watch *w)
{
	atomic_store(&w->stop, true);
	wake(w);
	pthread_join(w->thread, NULL);
}

void watch_free(struct watch *w)
{
	close_both(w);
}
