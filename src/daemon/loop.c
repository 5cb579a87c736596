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
#include <sys/uio.h>
#include <unistd.h>

#include "backlog.h"
#include "clock.h"
#include "log.h"
#include "near.h"
#include "parse.h"
#include "slow.h"
#include "spin.h"
#include "watch.h"
#include "worker.h"

/* Newer than <linux/fuse.h> of the oldest supported systems. */
#define OPCODE_STATX 52u

/* The signs of a queue: each fifth request that was there already has another behind it, twice in a
 * row. A single reader's RELEASE has its next OPEN behind it, at every fourth, so the distance of
 * two looks must not be a multiple of that. Where a look finds nothing it grows to three times as
 * many requests, up to a limit. And of its end: so many waits in a row. */
#define QUEUE_LOOK 5u
#define QUEUE_LOOK_MAX 45u
#define QUEUE_SIGNS 2u
#define QUEUE_OVER 4u

/* Most replies are no longer: they are sent in one piece. */
#define REPLY_MAX SLAB_PAGE

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
	unsigned n; /* devices and threads */
	sem_t turn; /* a post is a place for a leader */
	const _Atomic uint32_t *draining;
	_Atomic bool queue; /* who waits takes turns; set and cleared by the leaders */
	_Atomic unsigned leaders;
	unsigned leaders_max;  /* more would cost the readers their CPUs */
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
	unsigned streak; /* requests in a row that were there already */
	unsigned look;   /* how long it is to be for the next look for a queue */
	unsigned gap;    /* what that adds each time */
	unsigned waits;  /* in a row: requests that were not */
	unsigned signs;  /* of a queue, in a row */
	bool far;        /* from its reader: another thread may be nearer */
	_Atomic enum role role;
	_Alignas(REPLY_MAX) char reply[REPLY_MAX]; /* one page */
};

static _Thread_local struct thread *me;

static const struct fuse_in_header *header_of(const struct handover_slot *s)
{
	return (const struct fuse_in_header *)s->request;
}

/* --- replies ---------------------------------------------------------------------------- */

/* The kernel takes a reply only through the clone that the request was read through. */
static int device_of_request(const struct thread *t)
{
	const uint32_t device = atomic_load_explicit(&t->slot->device, memory_order_relaxed);

	return device == 0 || device > t->loop->n ? t->device : t->loop->devices[device - 1];
}

static void answer_error(const struct thread *t, uint64_t unique, int error)
{
	const struct fuse_out_header out = {
		.len = sizeof(out), .error = -error, .unique = unique
	};

	/* ENOENT: it was answered before. Nothing else could be done about another failure. */
	if (write(device_of_request(t), &out, sizeof(out)) < 0 && errno != ENOENT)
		log_limited("error reply", "an error could not be told to a reader: %s",
			strerror(errno));
}

/* ENOENT: the reply was there before, as after a takeover. Whatever else keeps a reply from the
 * kernel must not leave the reader waiting for ever. */
static void reply_failed(struct thread *t, int error)
{
	if (error == ENOENT)
		return;
	log_limited("reply", "a reply was refused by the kernel: %s: its reader gets EIO",
		strerror(error));
	answer_error(t, header_of(t->slot)->unique, EIO);
}

/* The kernel takes ENOSYS for "never ask me again", for the connection's life, in which a newer
 * worker may know the answer. Not so STATX: without it GETATTR says all that we have to say. */
static void soften_error(const struct thread *t, struct fuse_out_header *out)
{
	if (out->error == -ENOSYS && header_of(t->slot)->opcode != OPCODE_STATX)
		out->error = -EOPNOTSUPP;
}

static size_t total_length(const struct iovec *iov, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

/* The kernel pins the page of each piece, which takes longer than to copy what fits on one. */
static ssize_t send_reply(struct thread *t, const struct iovec *iov, int count)
{
	const int fd = device_of_request(t);
	const size_t length = total_length(iov, count);
	size_t n = 0;

	if (length > REPLY_MAX)
		return writev(fd, iov, count);
	for (int i = 0; i < count; i++) {
		memcpy(t->reply + n, iov[i].iov_base, iov[i].iov_len);
		n += iov[i].iov_len;
	}
	return write(fd, t->reply, n);
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fuse_out_header *out = iov[0].iov_base;
	ssize_t n;

	(void)userdata;
	if (!me) /* a notification, or the answer to INIT, which the kernel has since long */
		return out->unique == 0 ? writev(fd, iov, count)
					: (ssize_t)total_length(iov, count);
	if (out->unique != header_of(me->slot)->unique)
		return send_reply(me, iov, count);
	soften_error(me, out);
	n = send_reply(me, iov, count);
	if (n < 0) {
		int error = errno;

		reply_failed(me, error);
		errno = error;
	}
	handover_slot_done(me->slot);
	return n;
}

/* libfuse wants one, but we read ourselves. */
static ssize_t read_nothing(int fd, void *buffer, size_t size, void *userdata)
{
	(void)fd;
	(void)buffer;
	(void)size;
	(void)userdata;
	errno = EIO;
	return -1;
}

const struct fuse_custom_io loop_io = { .writev = write_reply, .read = read_nothing };

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
	return 0;
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

/* One leader too many? Its place is nobody's then. The last one is needed, but no queue is. Nobody
 * leaves what he has put in line: the other leaders may have looked there just before. */
static void retire(struct thread *t)
{
	if (t->waits < QUEUE_OVER || backlog_count(t->loop->backlog) > 0)
		return;
	if (!change_leaders(t->loop, -1)) {
		if (atomic_load_explicit(&t->loop->queue, memory_order_relaxed))
			atomic_store(&t->loop->queue, false);
		return;
	}
	if (!change_role(t, ROLE_WORKING, ROLE_FOLLOWER))
		atomic_fetch_add(&t->loop->leaders, 1); /* it was given to somebody just now */
}

static void begin_streak(struct thread *t)
{
	t->streak = t->signs = 0;
	t->look = t->gap = QUEUE_LOOK;
}

static void take_turn(struct thread *t)
{
	retire(t);
	if (change_role(t, ROLE_WORKING, ROLE_WAITING))
		return;
	while (sem_wait(&t->loop->turn) < 0)
		continue;
	begin_streak(t);
	t->waits = 0;
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
	log_error("cannot read from /dev/fuse: %s: starting another worker", strerror(error));
	_exit(EXIT_FAILURE);
}

static bool is_draining(const struct loop *loop)
{
	return atomic_load_explicit(loop->draining, memory_order_relaxed) != 0;
}

/* The supervisor is about to end this process, once every thread has come here and the backlog is
 * empty. False when a request out of that is in the slot. */
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

	if (took_ns < NEAR_NS) { /* the request was there already */
		t->streak++;
		t->waits = 0;
	} else {
		begin_streak(t);
		t->waits++;
	}
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
	/* Its reader was killed just now. What the kernel had begun to copy is no request. */
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

/* Nobody waits for what needs no reply. */
static bool put_in_line(struct thread *t)
{
	const struct fuse_in_header *header = header_of(t->slot);

	return request_wants_reply(header->opcode) &&
		backlog_put(t->loop->backlog, t->slot, t->index,
			fs_sharer(t->loop->fs, t->slot->request, header->len),
			clock_monotonic_ns());
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
		t->streak++;
		t->waits = 0;
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
	bool sign;

	if (t->streak < t->look ||
		(queue && atomic_load(&t->loop->leaders) >= t->loop->leaders_max))
		return false;
	sign = queue ? backlog_count(t->loop->backlog) > 0 : poll_device(t, 0) > 0;
	t->signs = sign ? t->signs + 1 : 0;
	if (!sign && !queue && t->gap < QUEUE_LOOK_MAX)
		t->gap *= 3;
	t->look = t->streak + (sign || queue ? QUEUE_LOOK : t->gap);
	return t->signs >= QUEUE_SIGNS;
}

static void call_another(struct thread *t)
{
	t->signs = 0;
	atomic_store(&t->loop->queue, true);
	if (change_leaders(t->loop, 1))
		sem_post(&t->loop->turn);
}

static void process(struct thread *t, size_t length)
{
	struct fuse_buf buf = { .size = length, .mem = t->slot->request };

	/* Nothing of ours waits, so there is nothing to interrupt. libfuse would keep those that
	 * overtake their request. */
	if (header_of(t->slot)->opcode == FUSE_INTERRUPT) {
		handover_slot_clear(t->slot);
		return;
	}
	watch_begin(t->slot);
	fs_release(t->loop->fs, t->slot->request, length);
	fuse_session_process_buf(t->loop->session, &buf);
	if (handover_slot_length(t->slot) != 0 && request_wants_reply(header_of(t->slot)->opcode)) {
		log_limited("no reply",
			"a request (opcode %u) was not answered: its reader gets EIO",
			header_of(t->slot)->opcode);
		answer_error(t, header_of(t->slot)->unique, EIO);
	}
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
	answer_error(t, unique, error);
}

/* Not tried a third time. Nothing is done with it, not even for the log, before it is out of the
 * slot. */
static void give_up(struct thread *t, uint32_t length)
{
	const struct fuse_in_header *header = header_of(t->slot);
	char words[REQUEST_WORDS];

	if (request_wants_reply(header->opcode))
		answer_error(t, header->unique, EIO);
	handover_slot_clear(t->slot);
	request_describe(t->loop->fs, t->slot->request, length, words);
	log_error("a request (%s) has ended %u workers: it gets EIO; please report it", words,
		WATCH_CRASHES_MAX);
}

/* What the last worker's thread was at when it died. */
static void replay(struct thread *t)
{
	const uint32_t length = handover_slot_length(t->slot);
	const struct fuse_in_header *header = header_of(t->slot);

	if (length < sizeof(*header) || length > HANDOVER_REQUEST ||
		atomic_load(&t->slot->answered) == header->unique)
		handover_slot_clear(t->slot);
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

	me = t;
	snprintf(name, sizeof(name), "lxcfs-%u", t->index);
	pthread_setname_np(pthread_self(), name);
	handover_set_my_slot(t->slot);
	watch_thread(t->index);
	slow_listen(pass_turn, t);
	touch(t->slot);
	replay(t);
	for (;;) {
		take_turn(t);
		receive(t);
		atomic_store(&t->role, ROLE_WORKING);
		if (sees_queue(t))
			call_another(t);
		else if (t->far)
			pass_turn(t);
		process(t, header_of(t->slot)->len);
	}
	return NULL;
}

static struct loop *loop_new(const struct loop_config *config)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!loop)
		return NULL;
	loop->threads = aligned_alloc(REPLY_MAX, config->n * sizeof(*loop->threads));
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
	sem_init(&loop->turn, 0, 1);
	return loop;
}

int loop_start(const struct loop_config *config, struct loop **ret)
{
	struct handover *handover = config->handover;
	const uint32_t generation = atomic_fetch_add(&handover->generation, 1) + 1;
	struct loop *loop = loop_new(config);

	if (!loop || backlog_new(handover, config->n, &loop->backlog) < 0)
		return -ENOMEM;
	loop->queue = backlog_count(loop->backlog) > 0;
	for (unsigned i = 0; i < config->n; i++) {
		struct thread *t = &loop->threads[i];
		pthread_t id;
		int r;

		t->loop = loop;
		t->spins[0].never = t->spins[1].never = config->no_spin || loop->leaders_max < 2;
		t->slot = &handover->slots[i];
		t->index = i;
		t->device = config->devices[i];
		atomic_store(&t->slot->generation, generation);
		if (fcntl(t->device, F_SETFL, O_RDWR) < 0)
			return -errno;
		r = pthread_create(&id, NULL, run, t);
		if (r != 0)
			return -r; /* the threads that run use it: nothing is freed */
	}
	*ret = loop;
	return 0;
}
