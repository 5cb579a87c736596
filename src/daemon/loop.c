/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One leader at a time waits on the device, for a single thread answers a few readers quickest. The
 * others wait for its turn, which it gives away when it will be late, or which is taken from it
 * when it is. While there is a queue, there are more leaders, and what lies on the device is taken
 * from it and served in turns (backlog.h). A request lies in the thread's slot until it is
 * answered, see handover.h.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backlog.h"
#include "clock.h"
#include "log.h"
#include "near.h"
#include "parse.h"
#include "queue.h"
#include "reply.h"
#include "request.h"
#include "slow.h"
#include "spin.h"
#include "watch.h"
#include "worker.h"

enum role {
	ROLE_FOLLOWER,
	ROLE_WAITING, /* the leader, at the device */
	ROLE_WORKING, /* the leader, with a request: its turn may be passed on by anybody */
};

struct loop {
	struct fuse_session *session;
	struct fs *fs;
	struct backlog *backlog;
	const int *devices;
	unsigned n;  /* devices and threads */
	sem_t turn;  /* a post is a place for a leader */
	sem_t begin; /* a post is a thread's leave to begin */
	const _Atomic uint32_t *draining;
	_Atomic bool queue; /* who waits takes turns; set and cleared by leaders */
	_Atomic unsigned leaders;
	unsigned leaders_max;  /* more would cost the readers their CPUs */
	bool never_ahead;      /* it has ended a worker */
	_Atomic uint64_t near; /* union near_word */
	struct thread *threads;
};

struct thread {
	struct loop *loop;
	struct handover_slot *slot;
	unsigned index;
	int device;
	bool nonblocking;     /* the device is, now */
	struct spin spins[2]; /* of near.apart: what is quicker is another thing then */
	struct spin *spin;
	struct queue queue;
	bool far; /* from its reader: another thread may be nearer */
	_Atomic enum role role;
	struct replies replies;
};

/* --- INIT ------------------------------------------------------------------------------- */

int loop_replay_init(struct fuse_session *session, const struct handover_init *init)
{
	struct {
		struct fuse_in_header header;
		struct fuse_init_in in;
	} request = { 0 };
	struct fuse_init_out granted;
	struct fuse_buf buf = { .mem = &request };

	if (init->request_len < sizeof(request.header) ||
		init->request_len > sizeof(init->request) ||
		init->reply_len < sizeof(struct fuse_out_header) + sizeof(granted) ||
		init->reply_len > sizeof(init->reply))
		return -EPROTO;
	buf.size = init->request_len < sizeof(request) ? init->request_len : sizeof(request);
	memcpy(&request, init->request, buf.size);
	memcpy(&granted, init->reply + sizeof(struct fuse_out_header), sizeof(granted));
	/* The session shall think that the kernel offers what was agreed upon, and no more. */
	request.in.minor = granted.minor;
	request.in.flags &= granted.flags;
	request.in.flags2 &= granted.flags2;
	request.in.max_readahead = granted.max_readahead;
	fuse_session_process_buf(session, &buf);
	return -reply_init_error();
}

/* --- requests --------------------------------------------------------------------------- */

static bool change_role(struct thread *t, enum role from, enum role to)
{
	return atomic_compare_exchange_strong(&t->role, &from, to);
}

/* From `leaders` to one more or less of them, within the limits. */
static bool change_leaders(struct loop *loop, int by)
{
	unsigned n = atomic_load(&loop->leaders);

	do
		if (by > 0 ? n >= loop->leaders_max : n <= 1)
			return false;
	while (!atomic_compare_exchange_weak(&loop->leaders, &n, n + (unsigned)by));
	return true;
}

/* One leader fewer where requests are waited for; the last one stays and ends the queue. Who has
 * put requests in line stays, too: the other leaders may have looked there before that. */
static void retire(struct thread *t)
{
	if (atomic_load(&t->role) != ROLE_WORKING || !queue_is_over(&t->queue) ||
		backlog_count(t->loop->backlog) > 0)
		return;
	if (!change_leaders(t->loop, -1)) {
		if (atomic_load_explicit(&t->loop->queue, memory_order_relaxed))
			atomic_store(&t->loop->queue, false);
		return;
	}
	if (!change_role(t, ROLE_WORKING, ROLE_FOLLOWER))
		atomic_fetch_add(&t->loop->leaders, 1); /* it was given to somebody just now */
}

static void take_turn(struct thread *t)
{
	retire(t);
	if (change_role(t, ROLE_WORKING, ROLE_WAITING))
		return;
	while (sem_wait(&t->loop->turn) < 0)
		continue;
	queue_begin(&t->queue);
	atomic_store(&t->role, ROLE_WAITING);
}

/* If it is this thread's, somebody else shall wait on the device from now on. */
static void pass_turn(void *thread)
{
	struct thread *t = thread;

	if (change_role(t, ROLE_WORKING, ROLE_FOLLOWER))
		sem_post(&t->loop->turn);
}

void loop_pass_turn(struct loop *loop, unsigned i)
{
	pass_turn(&loop->threads[i]);
}

static int poll_device(const struct thread *t, int timeout_ms)
{
	struct pollfd p = { .fd = t->device, .events = POLLIN };

	return poll(&p, 1, timeout_ms);
}

static void device_failed(int error)
{
	/* Unmounted or aborted: the supervisor finds out which. */
	if (error == ENODEV || error == ECONNABORTED)
		_exit(WORKER_EXIT_DISCONNECTED);
	log_limited("device", "cannot read from /dev/fuse: %s: starting another worker",
		strerror(error));
	_exit(EXIT_FAILURE);
}

static bool is_draining(const struct loop *loop)
{
	return atomic_load_explicit(loop->draining, memory_order_relaxed) != 0;
}

/* The supervisor is about to end this process, once the slots and the backlog are empty; whoever
 * waits elsewhere fetches no more. False when a request out of the backlog is in the slot. */
static bool stand_still(const struct thread *t)
{
	while (is_draining(t->loop)) {
		if (backlog_take(t->loop->backlog, t->slot))
			return false;
		poll(NULL, 0, 1);
	}
	return true;
}

static union near_word load_near(const struct loop *loop)
{
	return (union near_word){ .word = atomic_load_explicit(&loop->near, memory_order_relaxed) };
}

/* A wait for a request begins: true to ask for a while, if that is quicker than to sleep. */
static bool begin_wait(struct thread *t)
{
	t->spin = &t->spins[load_near(t->loop).near.apart];
	return spin_begin(t->spin, clock_monotonic_ns());
}

/* Where the device does not block. False also when somebody interrupts the sleep. */
static bool ask_and_sleep(struct thread *t, bool asks, bool (*ask)(struct thread *))
{
	while (asks) {
		if (ask(t))
			return true;
		asks = spin_again(t->spin, clock_monotonic_ns());
	}
	poll_device(t, -1);
	return ask(t);
}

/* Returns how long it was. */
static uint64_t note_wait(struct thread *t)
{
	const uint64_t took_ns = spin_end(t->spin, clock_monotonic_ns());

	if (took_ns < NEAR_NS)
		queue_found(&t->queue);
	else
		queue_waited(&t->queue);
	return took_ns;
}

/* Where there is no queue. Two leaders at once, as at a queue's end, may mix up their notes: that
 * is one trial more or less. */
static bool is_far(struct loop *loop, uint64_t took_ns)
{
	union near_word notes = load_near(loop);
	const bool far = near_waited(&notes.near, took_ns);

	atomic_store_explicit(&loop->near, notes.word, memory_order_relaxed);
	return far;
}

/* True when a request is in the slot. */
static bool fetch(struct thread *t)
{
	const ssize_t n = read(t->device, t->slot->request, HANDOVER_REQUEST);
	const int error = errno;

	if (n >= 0)
		return n > 0;
	if (error == EAGAIN || error == EINTR)
		return false;
	/* ENOENT: the connection was aborted while the kernel copied, which is no request then. */
	handover_slot_done(t->slot);
	if (error != ENOENT)
		device_failed(error);
	return false;
}

/* False when it cannot be changed. */
static bool set_nonblocking(struct thread *t, bool on)
{
	if (t->nonblocking != on && fcntl(t->device, F_SETFL, O_RDWR | (on ? O_NONBLOCK : 0)) == 0)
		t->nonblocking = on;
	return t->nonblocking == on;
}

/* Nobody waits for what needs no reply. Watched like what is carried out: it asks the kernel. */
static bool put_in_line(struct thread *t)
{
	const struct fuse_in_header *header = request_header(t->slot);

	watch_begin(t->slot);
	return request_wants_reply(header->opcode) &&
		backlog_put(t->loop->backlog, t->slot, t->index,
			fs_sharer(t->loop->fs, t->slot->request, header->len),
			atomic_load_explicit(&t->slot->since_ns, memory_order_relaxed));
}

/* Takes from the device all that lies there, so that whoever came last can be first. True when a
 * request is in the slot: the one whose turn it is, or one for which there is no line. */
static bool take_from_queue(struct thread *t)
{
	while (!is_draining(t->loop) && fetch(t))
		if (!put_in_line(t))
			return true;
	return backlog_take(t->loop->backlog, t->slot);
}

/* As long as there is a queue. False when none is left, and the slot is empty. */
static bool receive_in_turn(struct thread *t)
{
	bool got;

	if (take_from_queue(t)) {
		queue_found(&t->queue);
		return true;
	}
	if (is_draining(t->loop))
		return false;
	got = ask_and_sleep(t, begin_wait(t), take_from_queue);
	note_wait(t);
	return got;
}

/* As long as there is none. To sleep in read(2) is one call less than in poll(2), and so is to ask
 * by read(2). */
static bool receive_alone(struct thread *t)
{
	bool asks, got;

	if (backlog_take(t->loop->backlog, t->slot))
		return true;
	asks = begin_wait(t);
	set_nonblocking(t, asks);
	got = t->nonblocking ? ask_and_sleep(t, asks, fetch) : fetch(t);
	if (got)
		t->far = is_far(t->loop, note_wait(t));
	return got;
}

/* Waits for a request to be in the slot. */
static void receive(struct thread *t)
{
	t->far = false;
	while (stand_still(t)) {
		const bool queue = atomic_load_explicit(&t->loop->queue, memory_order_relaxed);

		/* Where that fails it must not try: it might wait, and what is in line too. */
		if (queue && set_nonblocking(t, true) ? receive_in_turn(t) : receive_alone(t))
			return;
	}
}

/* What is in line need not be asked of the device. */
static bool sees_queue(struct thread *t)
{
	const bool queue = atomic_load_explicit(&t->loop->queue, memory_order_relaxed);

	if (!queue_look_due(&t->queue) ||
		(queue && atomic_load(&t->loop->leaders) >= t->loop->leaders_max))
		return false;
	return queue_looked(&t->queue,
		queue ? backlog_count(t->loop->backlog) > 0 : poll_device(t, 0) > 0, queue);
}

static void call_another(struct thread *t)
{
	atomic_store(&t->loop->queue, true);
	if (change_leaders(t->loop, 1))
		sem_post(&t->loop->turn);
}

/* Whoever opened comes back with a READ, and by the time he is here its text can be made. Not where
 * others may have to wait for that: another thread has the turn, or there is a queue. */
static void work_ahead(struct thread *t)
{
	if (request_header(t->slot)->opcode != FUSE_OPEN || t->loop->never_ahead ||
		atomic_load(&t->role) != ROLE_WORKING ||
		atomic_load_explicit(&t->loop->queue, memory_order_relaxed) || is_draining(t->loop))
		return;
	atomic_store(&t->slot->ahead, HANDOVER_AHEAD_NOW);
	watch_begin(t->slot);
	slow_refuse(true);
	fs_work_ahead(t->loop->fs, t->slot);
	slow_refuse(false);
}

static void process(struct thread *t, size_t length)
{
	struct fuse_buf buf = { .size = length, .mem = t->slot->request };

	/* Nothing of ours waits, so there is nothing to interrupt. libfuse would keep those that
	 * overtake their request. */
	if (request_header(t->slot)->opcode == FUSE_INTERRUPT) {
		handover_slot_clear(t->slot);
		return;
	}
	watch_begin(t->slot);
	fs_release(t->loop->fs, t->slot->request, length);
	fuse_session_process_buf(t->loop->session, &buf);
	if (handover_slot_length(t->slot) != 0 &&
		request_wants_reply(request_header(t->slot)->opcode)) {
		log_limited("no reply",
			"a request (opcode %u) was not answered: its reader gets EIO",
			request_header(t->slot)->opcode);
		reply_error(&t->replies, request_header(t->slot)->unique, EIO);
	}
	work_ahead(t);
	handover_slot_clear(t->slot);
}

void loop_describe(const struct loop *loop, unsigned i, char ret[REQUEST_WORDS])
{
	const struct handover_slot *slot = loop->threads[i].slot;

	request_describe(loop->fs, slot->request,
		min_u64(handover_slot_length(slot), HANDOVER_REQUEST), ret);
}

void loop_answer_for(struct loop *loop, unsigned i, uint64_t unique, int error)
{
	const struct thread *t = &loop->threads[i];

	atomic_store(&t->slot->answered, unique);
	reply_error(&t->replies, unique, error);
}

/* Not tried a third time. Nothing is done with it, not even for the log, before it is out of the
 * slot. */
static void give_up(struct thread *t, uint32_t length)
{
	const struct fuse_in_header *header = request_header(t->slot);
	char words[REQUEST_WORDS];

	if (request_wants_reply(header->opcode) && reply_error(&t->replies, header->unique, EIO))
		fs_abandon(t->loop->fs, t->slot);
	handover_slot_clear(t->slot);
	request_describe(t->loop->fs, t->slot->request, length, words);
	log_limited("fatal request",
		"a request (%s) has ended %u workers: it gets EIO; please report it", words,
		WATCH_CRASHES_MAX);
}

/* Its reader was killed, and the watch of the last worker has told it EINTR or died before. */
static void finish_answered(struct thread *t)
{
	reply_error(&t->replies, request_header(t->slot)->unique, EINTR);
	fs_abandon(t->loop->fs, t->slot);
	handover_slot_clear(t->slot);
}

/* What the last worker's thread was at when it died. */
static void replay(struct thread *t)
{
	const uint32_t length = handover_slot_length(t->slot);
	const struct fuse_in_header *header = request_header(t->slot);

	if (length < sizeof(*header) || length > HANDOVER_REQUEST)
		handover_slot_clear(t->slot);
	else if (atomic_load(&t->slot->answered) == header->unique)
		finish_answered(t);
	else if (atomic_load(&t->slot->crashes) < WATCH_CRASHES_MAX)
		process(t, length);
	else
		give_up(t, length);
}

/* A page that cannot be had must not be found out by the kernel, when the request is lost: not now,
 * and, where so little may be locked, not when memory is short and a kill comes on top. */
static void touch(struct handover_slot *s)
{
	for (size_t i = 0; i < sizeof(s->request); i += SLAB_PAGE) {
		volatile uint8_t *byte = &s->request[i];

		*byte = *byte; /* cppcheck-suppress selfAssignment */
	}
	mlock(s->request, sizeof(s->request));
}

static void *run(void *data)
{
	struct thread *t = data;
	char name[16];

	replies_of_this_thread(&t->replies);
	snprintf(name, sizeof(name), "lxcfs-%u", t->index);
	pthread_setname_np(pthread_self(), name);
	handover_set_my_slot(t->slot);
	watch_thread(t->index);
	slow_listen(pass_turn, t);
	touch(t->slot);
	while (sem_wait(&t->loop->begin) < 0)
		continue;
	replay(t);
	for (;;) {
		take_turn(t);
		receive(t);
		atomic_store(&t->role, ROLE_WORKING);
		if (sees_queue(t))
			call_another(t);
		else if (t->far)
			pass_turn(t);
		process(t, request_header(t->slot)->len);
	}
	return NULL;
}

static struct loop *loop_new(const struct loop_config *config)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!loop)
		return NULL;
	loop->threads = aligned_alloc(REPLY_PAGE, config->n * sizeof(*loop->threads));
	if (!loop->threads) {
		free(loop);
		return NULL;
	}
	memset(loop->threads, 0, config->n * sizeof(*loop->threads));
	loop->session = config->session;
	loop->fs = config->fs;
	loop->devices = config->devices;
	loop->draining = &config->handover->draining;
	loop->n = config->n;
	loop->leaders = 1;
	loop->leaders_max = cpus < 4 ? (cpus < 2 ? 1 : 2) : (unsigned)cpus / 2;
	if (loop->leaders_max > loop->n)
		loop->leaders_max = loop->n;
	sem_init(&loop->turn, 0, 1);
	sem_init(&loop->begin, 0, 0);
	return loop;
}

/* Whether working ahead has ended a worker; the log is told once. */
static bool failed_ahead(struct handover *h)
{
	bool failed = false;

	for (size_t i = 0; i < HANDOVER_SLOTS; i++) {
		uint32_t untold = HANDOVER_AHEAD_FAILED;

		if (atomic_compare_exchange_strong(
			    &h->slots[i].ahead, &untold, HANDOVER_AHEAD_TOLD))
			log_error("a text that was made ahead of its READ has ended a worker: it "
				  "is made when it is asked for from now on; please report it");
		failed |= atomic_load(&h->slots[i].ahead) == HANDOVER_AHEAD_TOLD;
	}
	return failed;
}

int loop_start(const struct loop_config *config, struct loop **ret)
{
	struct handover *handover = config->handover;
	struct loop *loop = loop_new(config);

	if (!loop || backlog_new(handover, config->n, &loop->backlog) < 0)
		return -ENOMEM;
	loop->queue = backlog_count(loop->backlog) > 0;
	loop->never_ahead = failed_ahead(handover);
	for (unsigned i = 0; i < config->n; i++) {
		struct thread *t = &loop->threads[i];
		pthread_t id;
		int r;

		t->loop = loop;
		t->spins[0].never = t->spins[1].never = config->no_spin || loop->leaders_max < 2;
		t->slot = &handover->slots[i];
		t->index = i;
		t->device = config->devices[i];
		t->replies.slot = t->slot;
		t->replies.device = t->device;
		t->replies.devices = loop->devices;
		t->replies.n = loop->n;
		if (fcntl(t->device, F_SETFL, O_RDWR) < 0)
			return -errno;
		r = pthread_create(&id, NULL, run, t);
		if (r != 0)
			return -r; /* the threads that run use it: nothing is freed */
	}
	/* All are there: this worker serves from now on. */
	atomic_fetch_add(&handover->generation, 1);
	for (unsigned i = 0; i < config->n; i++)
		sem_post(&loop->begin);
	*ret = loop;
	return 0;
}
