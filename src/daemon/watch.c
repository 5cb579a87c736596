/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handler of fatal signals, and the watch on requests that take too long.
 */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "log.h"
#include "loop.h"
#include "sandbox.h"

#ifndef SYS_SECCOMP /* the kernel's, of which the C library's headers have not */
#define SYS_SECCOMP 1
#endif

#define TICK_NS (10 * NS_PER_MS)
#define TICKS_PER_S (NS_PER_S / TICK_NS)
#define KILLED_TICKS 20u /* a request that is late; when its reader is looked after */
#define KILLED_EVERY 10u
#define STACK (64u << 10) /* the least that any CPU's register file needs is a few times less */

/* --- signals ---------------------------------------------------------------------------- */

static _Atomic pid_t tids[HANDOVER_SLOTS];
static _Alignas(SLAB_PAGE) uint8_t stacks[HANDOVER_SLOTS][STACK];

/* Ours: the CPU's faults, abort(3) and seccomp. kill(2) from outside blames no request. */
static bool is_own_fault(const siginfo_t *info)
{
	return info->si_code > 0 || info->si_pid == getpid();
}

static inline void blame_my_request(void)
{
	struct handover_slot *slot = handover_my_slot();

	if (!slot)
		return;
	if (handover_slot_length(slot) != 0)
		atomic_fetch_add(&slot->crashes, 1);
	else
		handover_ahead_ends(slot, HANDOVER_AHEAD_FAILED);
}

static void on_fatal_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (is_own_fault(info))
		blame_my_request();
	/* SA_RESETHAND: this one, delivered when the handler returns, ends the process. */
	raise(number);
}

/* One that the filter refuses, too: of SIGSYS that is blocked the kernel makes death. */
static inline void make_refused_call(void)
{
#if defined(__x86_64__)
	long r = SYS_getsid;

	__asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long number __asm__("x8") = SYS_getsid;
	register long r __asm__("x0") = 0;

	__asm__ volatile("svc #0" : "+r"(r) : "r"(number) : "memory");
#else
	syscall(SYS_getsid, 0);
#endif
}

/* Of a call that the worker may not make. Whoever made it may have changed where the C library's
 * functions are and, from another thread, what lies on this stack: hence no call of a function. A
 * fault in here, every signal being blocked, is death as well. */
static void on_refused_call(int number, siginfo_t *info, void *context)
{
	if (info->si_code == SYS_SECCOMP)
		sandbox_note_refused(info->si_arch, info->si_syscall);
	if (info->si_code > 0)
		blame_my_request();
	make_refused_call();
	/* There is no filter, and it was kill(2). */
	on_fatal_signal(number, info, context);
}

void watch_install(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE };
	struct sigaction action = { .sa_sigaction = on_fatal_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND };

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < countof(fatal); i++)
		sigaction(fatal[i], &action, NULL);
	action.sa_sigaction = on_refused_call;
	sigfillset(&action.sa_mask);
	sigaction(SIGSYS, &action, NULL);
}

void watch_thread(unsigned n)
{
	const stack_t stack = { .ss_sp = stacks[n], .ss_size = STACK };

	sigaltstack(&stack, NULL);
	atomic_store(&tids[n], gettid());
}

/* --- time ------------------------------------------------------------------------------- */

static sem_t wake;
static _Atomic bool asleep;

void watch_begin(struct handover_slot *slot)
{
	/* Sequentially consistent against watch_run()'s "asleep, then look at the slots". */
	atomic_store(&slot->since_ns, clock_monotonic_ns());
	if (atomic_load(&asleep) && atomic_exchange(&asleep, false))
		sem_post(&wake);
}

static bool is_any_busy(const struct handover *h, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (atomic_load(&h->slots[i].since_ns) != 0)
			return true;
	return false;
}

static void wait_for_work(const struct handover *h, unsigned n)
{
	atomic_store(&asleep, true);
	if (is_any_busy(h, n) && atomic_exchange(&asleep, false))
		return;
	/* Somebody else cleared `asleep`: the post is there, or comes. */
	while (sem_wait(&wake) < 0)
		continue;
}

/* How often in a row each slot was seen busy with the same request. Ticks are counted, not time: a
 * worker that was stopped and continued has old requests and nothing wrong. */
struct sightings {
	uint64_t since_ns;
	unsigned ticks;
	bool answered; /* its reader was killed and has been let go */
};

static void look(struct sightings *seen, const struct handover_slot *slot)
{
	const uint64_t since = atomic_load(&slot->since_ns);

	if (since != 0 && since == seen->since_ns)
		seen->ticks++;
	else
		*seen = (struct sightings){ since, 0, false };
}

/* While its thread may read the next request into the slot: what is copied counts only if since_ns
 * is the same afterwards, which ThreadSanitizer cannot know. */
static __attribute__((no_sanitize("thread"))) struct fuse_in_header copy_header(
	const struct handover_slot *slot)
{
	const volatile uint8_t *from = slot->request;
	struct fuse_in_header ret = { 0 };

	for (size_t i = 0; i < sizeof(ret); i++)
		((uint8_t *)&ret)[i] = from[i];
	return ret;
}

/* Whoever was killed dies only when its request is answered, and its container with it. */
static void let_killed_go(
	struct loop *loop, unsigned i, struct sightings *seen, struct handover_slot *slot)
{
	uint64_t since_ns = seen->since_ns;
	struct fuse_in_header header;

	if (seen->answered || seen->ticks < KILLED_TICKS || seen->ticks % KILLED_EVERY != 0)
		return;
	header = copy_header(slot);
	/* Still the same one, so what was copied is of one piece: no read before an exchange is put
	 * off until after it. Of length 0 is what is made ahead, for nobody yet. */
	if (!atomic_compare_exchange_strong(&slot->since_ns, &since_ns, since_ns) ||
		header.len == 0 || !request_is_of_killed((pid_t)header.pid))
		return;
	loop_answer_for(loop, i, header.unique, EINTR);
	seen->answered = true;
}

/* --- who is to blame ---------------------------------------------------------------------- */

/* True for a thread that waits for another one of ours. */
static bool waits_for_lock(unsigned i)
{
	char path[48], text[16] = "";

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&tids[i]));
	{
		autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
			return false;
	}
	/* "running" of one that computes */
	return text[0] >= '0' && text[0] <= '9' && strtol(text, NULL, 10) == SYS_futex;
}

static void blame(struct handover *h, struct loop *loop, unsigned i, unsigned limit_s)
{
	char words[REQUEST_WORDS];

	/* Whose request it is waits for another thread. */
	if (handover_ahead_ends(&h->slots[i], HANDOVER_AHEAD_FAILED))
		return;
	atomic_fetch_add(&h->slots[i].crashes, 1);
	loop_describe(loop, i, words);
	log_limited("late request",
		"a request (%s) is not answered after %u s: starting another worker", words,
		limit_s);
}

/* Requests that are late because they wait for the late one are innocent, unless all wait. */
static void blame_late(struct handover *h, struct loop *loop, const struct sightings *seen,
	unsigned n, unsigned limit_s)
{
	bool any = false;

	for (int all = 0; all < 2 && !any; all++)
		for (unsigned i = 0; i < n; i++)
			if (seen[i].ticks >= limit_s * TICKS_PER_S && (all || !waits_for_lock(i))) {
				blame(h, loop, i, limit_s);
				any = true;
			}
}

/* The supervisor learns of it even if the kernel keeps one of our threads for longer. */
_Noreturn static void give_up(struct handover *h)
{
	atomic_store(&h->given_up, atomic_load(&h->generation));
	kill(getppid(), SIGCHLD);
	abort();
}

void watch_run(struct handover *handover, struct loop *loop, unsigned n, unsigned limit_s)
{
	struct sightings seen[HANDOVER_SLOTS] = { 0 };
	bool stuck = false;

	sem_init(&wake, 0, 0);
	while (!stuck) {
		if (!is_any_busy(handover, n))
			wait_for_work(handover, n);
		pause_ns(TICK_NS);
		for (unsigned i = 0; i < n; i++) {
			struct handover_slot *slot = &handover->slots[i];

			look(&seen[i], slot);
			if (seen[i].ticks > 0)
				loop_pass_turn(loop, i);
			let_killed_go(loop, i, &seen[i], slot);
			stuck |= seen[i].ticks >= limit_s * TICKS_PER_S;
		}
	}
	blame_late(handover, loop, seen, n, limit_s);
	give_up(handover);
}
