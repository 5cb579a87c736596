/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of triggers. Its lock is never held while the kernel arms a trigger or takes one away,
 * both of which wait for other CPUs.
 */
#include "internal.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "cleanup.h"
#include "clock.h"
#include "closing.h"
#include "log.h"
#include "slow.h"
#include "thread.h"

#define EVENTS 64
#define AGAIN_MS 200u /* until what could not be judged, or told, is looked at again */

/*
 * The trigger of one handle. Special states: `fd` is -1 while the kernel is arming it, and when it
 * is over because its cgroup is gone.
 */
struct trigger {
	_Atomic uint64_t fh; /* whose; 0: none */
	int fd;
	bool over;
	bool event;   /* has come and was not told */
	bool pending; /* handed over, and not armed again yet */
	bool proven;  /* its first event was one */
	bool unsure;  /* an event has come that could not be judged */
	bool owed;    /* whoever polls could not be woken for want of memory */
	struct pressure_trigger what;
	uint64_t total_us;           /* the cgroup's stalls before it was armed */
	struct container *container; /* charged; NULL while it is being armed */
};

struct triggers {
	struct fs *fs;
	int epoll_fd;
	unsigned max;
	pthread_mutex_t lock;
	unsigned used;         /* entries of the table, and what is being closed */
	struct trigger *table; /* HANDOVER_HANDLES of them, touched where used */
	struct closing *closing;

	/* the thread's own */
	bool again;         /* some trigger may be unsure, or owed a wake-up */
	uint64_t looked_ns; /* at those */
};

static struct trigger *slot_of(struct triggers *ts, uint64_t fh)
{
	return &ts->table[handles_index(fh) % HANDOVER_HANDLES];
}

/* The handle's trigger; NULL. */
static struct trigger *find(struct triggers *ts, uint64_t fh)
{
	struct trigger *t = slot_of(ts, fh);

	return fh != 0 && atomic_load(&t->fh) == fh ? t : NULL;
}

/* --- limits ------------------------------------------------------------------------------ */

static int charge(const struct container *c)
{
	struct use *use = c->subject.use;

	if (!use || use_charge(&use->triggers, 1, TRIGGERS_PER_CONTAINER))
		return 0;
	log_limited("triggers of a container",
		"the container of pid %d has %u pressure triggers armed, which is all it may have",
		c->init, TRIGGERS_PER_CONTAINER);
	return -ENOSPC;
}

static void uncharge(const struct container *c)
{
	if (c->subject.use)
		atomic_fetch_sub(&c->subject.use->triggers, 1);
}

/* A closed_fn: what was charged and counted is, until the kernel has taken the trigger away. */
static void give_back(void *data, const struct closed *closed)
{
	struct triggers *ts = data;

	if (closed->counted) {
		pthread_mutex_lock(&ts->lock);
		ts->used--;
		pthread_mutex_unlock(&ts->lock);
	}
	if (closed->container)
		uncharge(closed->container);
	container_unref(closed->container);
}

/* --- the table --------------------------------------------------------------------------- */

/* Takes the place of a handle. Under the lock. */
static int enter(struct triggers *ts, uint64_t fh)
{
	struct trigger *t = slot_of(ts, fh);

	if (atomic_load(&t->fh) != 0)
		return -EBUSY;
	if (ts->used >= ts->max)
		return -ENOSPC;
	*t = (struct trigger){ .fd = -1 };
	atomic_store(&t->fh, fh);
	ts->used++;
	return 0;
}

static int reserve(struct triggers *ts, uint64_t fh)
{
	int e;

	pthread_mutex_lock(&ts->lock);
	e = enter(ts, fh);
	pthread_mutex_unlock(&ts->lock);
	if (e == -ENOSPC)
		log_limited("triggers full",
			"%u pressure triggers are armed, which is all there can be; raise the "
			"limit "
			"of open files",
			ts->max);
	return e;
}

struct arming {
	uint64_t fh;
	struct pressure_trigger what;
	uint64_t total_us;
};

/* Gives the kernel's descriptor to the handle's place, and has it watched. */
static int settle(struct triggers *ts, const struct arming *a, struct container *c, int fd)
{
	struct epoll_event event = { .events = EPOLLPRI, .data.u64 = a->fh };
	struct trigger *t;
	int e = -ESTALE; /* closed in the meantime */

	pthread_mutex_lock(&ts->lock);
	t = find(ts, a->fh);
	if (t)
		e = epoll_ctl(ts->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
	if (e == 0) {
		t->fd = fd;
		t->what = a->what;
		t->total_us = a->total_us;
		t->container = container_ref(c);
	}
	pthread_mutex_unlock(&ts->lock);
	return e;
}

/* Nobody shall be woken up by it while it lies there: what is over is so at every look. */
static void take_away(struct triggers *ts, const struct closed *closed)
{
	epoll_ctl(ts->epoll_fd, EPOLL_CTL_DEL, closed->fd, NULL);
	closing_take(ts->closing, closed);
}

void triggers_close(struct triggers *ts, uint64_t fh)
{
	struct closed closed = { .fd = -1 };
	struct trigger *t;

	if (!find(ts, fh))
		return;
	pthread_mutex_lock(&ts->lock);
	t = find(ts, fh);
	if (t) {
		closed.fd = steal_fd(&t->fd);
		closed.container = steal_ptr(&t->container);
		closed.counted = true;
		atomic_store(&t->fh, 0);
	}
	pthread_mutex_unlock(&ts->lock);
	/* What was never armed is nobody's, and must not wait: others could have no place. */
	if (closed.container)
		take_away(ts, &closed);
	else
		give_back(ts, &closed);
}

/* --- arming ------------------------------------------------------------------------------ */

/* Asks the kernel for a trigger on the container's own cgroup. */
static int arm_for(
	struct fs *fs, const struct container *c, const struct handle_info *info, struct arming *a)
{
	struct node node;
	enum pressure what;
	int e = tree_node(fs->tree, info->node, &node);

	if (e < 0)
		return e;
	if (!node.view || !view_pressure(node.view, &what) || !c->subject.cgroups)
		return -EOPNOTSUPP;
	e = cgroup_pressure_arm(c->subject.cgroups, what, &a->what, &a->total_us);
	return e == -ENOENT ? -EOPNOTSUPP : e;
}

/* A bound_fn. */
static int arm(struct fs *fs, struct container *c, const struct handle_info *info, void *data)
{
	struct arming *a = data;
	int e = charge(c);
	int fd;

	if (e < 0)
		return e;
	fd = arm_for(fs, c, info, a);
	if (fd < 0) {
		uncharge(c);
		return fd;
	}
	e = settle(fs->triggers, a, c, fd);
	if (e < 0)
		closing_take(fs->triggers->closing,
			&(struct closed){ .fd = fd, .container = container_ref(c) });
	return e;
}

/* A WRITE that a dead worker had carried out, but perhaps not answered: no other request of this
 * slot's can have told it the handle. */
static bool is_replay(struct triggers *ts, uint64_t fh, const struct handover_slot *slot)
{
	struct pressure_trigger armed;

	return slot && atomic_load(&slot->fh) == fh && handles_trigger(ts->fs->handles, fh, &armed);
}

int triggers_arm(struct triggers *ts, uint64_t fh, struct slice text, struct handover_slot *slot)
{
	struct arming a = { .fh = fh };
	int e;

	if (is_replay(ts, fh, slot))
		return 0;
	/* As in the kernel, the text of a second one does not matter. */
	if (find(ts, fh))
		return -EBUSY;
	if (!pressure_trigger_parse(text, &a.what))
		return -EINVAL;
	e = reserve(ts, fh);
	if (e < 0)
		return e;
	slow_ahead();
	e = bound_use(ts->fs, fh, arm, &a);
	if (e == 0)
		e = handles_arm(ts->fs->handles, fh, &a.what, (uint32_t)text.n, slot);
	if (e < 0)
		triggers_close(ts, fh);
	return e;
}

/* --- events ------------------------------------------------------------------------------ */

static void owe(struct triggers *ts, uint64_t fh)
{
	struct trigger *t;

	pthread_mutex_lock(&ts->lock);
	t = find(ts, fh);
	if (t)
		t->owed = ts->again = true;
	pthread_mutex_unlock(&ts->lock);
}

/* Whoever polls is woken and asks again. Written as it is, and not by libfuse, whose poll handles
 * do not outlive a worker. Without a reader of it (ENOENT) nobody is to be told. */
static void wake(struct triggers *ts, uint64_t fh)
{
	const struct {
		struct fuse_out_header header;
		struct fuse_notify_poll_wakeup_out wakeup;
	} note = {
		.header = { .len = sizeof(note), .error = FUSE_NOTIFY_POLL },
		.wakeup = { .kh = handles_get_poll(ts->fs->handles, fh) },
	};

	if (note.wakeup.kh == 0 ||
		write(fuse_session_fd(ts->fs->session), &note, sizeof(note)) >= 0 ||
		errno == ENOENT)
		return;
	if (is_shortage(-errno))
		owe(ts, fh);
	else
		log_limited("wake-up", "a poll of a pressure file cannot be woken: %s",
			strerror(errno));
}

/* The cgroup is gone: as of the kernel's own descriptor, poll(2) says POLLERR from now on. */
static void end(struct triggers *ts, uint64_t fh)
{
	struct closed closed = { .fd = -1 };
	struct trigger *t;

	pthread_mutex_lock(&ts->lock);
	t = find(ts, fh);
	if (t) {
		closed.fd = steal_fd(&t->fd);
		t->over = true;
	}
	pthread_mutex_unlock(&ts->lock);
	if (closed.fd >= 0)
		take_away(ts, &closed);
}

/*
 * The first event of a trigger without CAP_SYS_RESOURCE may be none: the kernel counts stalls from
 * long before it was armed (psi_trigger_create() starts the window at the total of the other sort
 * of triggers; seen with Linux 6.18). It tells each once, so what cannot be judged now is later.
 */
static void judge(struct trigger *t)
{
	uint64_t now_us;

	t->unsure = !t->proven && t->fd >= 0 && cgroup_pressure_total(t->fd, &t->what, &now_us) < 0;
	if (t->unsure || t->fd < 0)
		return;
	if (!t->proven)
		t->proven = sat_sub(now_us, t->total_us) >= t->what.threshold_us;
	t->event |= t->proven;
}

static void set_event(struct triggers *ts, uint64_t fh)
{
	struct trigger *t;

	pthread_mutex_lock(&ts->lock);
	t = find(ts, fh);
	if (t) {
		judge(t);
		ts->again |= t->unsure;
	}
	pthread_mutex_unlock(&ts->lock);
}

unsigned triggers_poll(struct triggers *ts, uint64_t fh)
{
	unsigned says = TRIGGER_NONE;
	struct trigger *t;

	pthread_mutex_lock(&ts->lock);
	t = find(ts, fh);
	if (t && !t->over) {
		if (t->unsure)
			judge(t);
		says = t->event ? TRIGGER_EVENT : TRIGGER_QUIET;
		t->event = false;
	}
	pthread_mutex_unlock(&ts->lock);
	return says;
}

void triggers_poll_lost(struct triggers *ts, uint64_t fh, unsigned told)
{
	struct trigger *t;

	if (told != TRIGGER_EVENT)
		return;
	pthread_mutex_lock(&ts->lock);
	t = find(ts, fh);
	if (t)
		t->event = true;
	pthread_mutex_unlock(&ts->lock);
}

/* --- the thread -------------------------------------------------------------------------- */

static void happened(struct triggers *ts, const struct epoll_event *e)
{
	if (e->events & (EPOLLERR | EPOLLHUP))
		end(ts, e->data.u64);
	else
		set_event(ts, e->data.u64);
	wake(ts, e->data.u64);
}

static void arm_again(struct triggers *ts, uint64_t fh)
{
	struct arming a = { .fh = fh };
	int e = handles_trigger(ts->fs->handles, fh, &a.what) ? bound_use(ts->fs, fh, arm, &a)
							      : -ESTALE;

	if (e < 0) {
		end(ts, fh);
		log_limited("trigger lost",
			"a pressure trigger could not be armed again by a new worker: %s: whoever "
			"polls is told POLLERR",
			strerror(-e));
	}
	wake(ts, fh);
}

/* False for those that were armed by this worker. */
static bool take_pending(struct triggers *ts, uint64_t fh)
{
	bool pending = false;
	struct trigger *t;

	pthread_mutex_lock(&ts->lock);
	t = find(ts, fh);
	if (t) {
		pending = t->pending;
		t->pending = false;
	}
	pthread_mutex_unlock(&ts->lock);
	return pending;
}

/* Whether an event is known of only now, or can be told. */
static bool judge_again(struct triggers *ts, uint64_t fh)
{
	bool news = false;
	struct trigger *t;

	pthread_mutex_lock(&ts->lock);
	t = find(ts, fh);
	if (t)
		news = t->owed;
	if (t && t->unsure) {
		judge(t);
		ts->again |= t->unsure;
		news |= t->event;
	}
	if (t)
		t->owed = false;
	pthread_mutex_unlock(&ts->lock);
	return news;
}

static void look_again(struct triggers *ts)
{
	uint32_t index = 0;
	uint64_t fh;

	ts->again = false;
	ts->looked_ns = clock_monotonic_ns();
	while (handles_next_armed(ts->fs->handles, &index, &fh))
		if (judge_again(ts, fh))
			wake(ts, fh);
}

static void *run(void *data)
{
	struct triggers *ts = data;
	struct epoll_event events[EVENTS];
	uint32_t index = 0;
	uint64_t fh;

	while (handles_next_armed(ts->fs->handles, &index, &fh))
		if (take_pending(ts, fh))
			arm_again(ts, fh);
	for (;;) {
		int n = epoll_wait(ts->epoll_fd, events, EVENTS, ts->again ? (int)AGAIN_MS : -1);

		for (int i = 0; i < n; i++)
			happened(ts, &events[i]);
		/* Others' events may come all the time. */
		if (ts->again &&
			(n == 0 || clock_monotonic_ns() - ts->looked_ns >= AGAIN_MS * NS_PER_MS))
			look_again(ts);
	}
	return NULL;
}

int triggers_start(struct triggers *ts)
{
	pthread_t thread;
	int e = closing_start(ts->closing);

	if (e < 0)
		return e;
	return thread_start(&thread, "lxcfs-triggers", run, ts);
}

/* What polls before the thread has come to it is told at once, as if an event had come. */
static void take_over(struct triggers *ts)
{
	uint32_t index = 0;
	uint64_t fh;

	while (handles_next_armed(ts->fs->handles, &index, &fh))
		if (enter(ts, fh) == 0)
			slot_of(ts, fh)->event = slot_of(ts, fh)->pending = true;
}

int triggers_new(struct fs *fs, unsigned max, struct triggers **ret)
{
	struct triggers *ts = calloc(1, sizeof(*ts));
	int e = 0;

	if (!ts)
		return -ENOMEM;
	ts->fs = fs;
	ts->max = max;
	pthread_mutex_init(&ts->lock, NULL);
	ts->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ts->epoll_fd < 0)
		e = -errno;
	ts->table = calloc(HANDOVER_HANDLES, sizeof(*ts->table));
	if (e == 0 && !ts->table)
		e = -ENOMEM;
	if (e == 0)
		e = closing_new(max, give_back, ts, &ts->closing);
	if (e < 0) {
		triggers_free(ts);
		return e;
	}
	take_over(ts);
	*ret = ts;
	return 0;
}

void triggers_free(struct triggers *ts)
{
	if (!ts)
		return;
	closing_free(ts->closing);
	cleanup_close(&ts->epoll_fd);
	pthread_mutex_destroy(&ts->lock);
	free(ts->table);
	free(ts);
}
