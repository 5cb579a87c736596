/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The main process: mounts, holds every descriptor of the connection, keeps a worker running, and
 * takes all away when it is told to stop. It must not die, so it does as little as it can: one
 * descriptor to wait on, no threads, no libfuse, no requests.
 */
#include "supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "backoff.h"
#include "cleanup.h"
#include "clock.h"
#include "connection.h"
#include "handover.h"
#include "healing.h"
#include "log.h"
#include "minder.h"
#include "notify.h"
#include "parse.h"
#include "patience.h"
#include "pidfile.h"
#include "root.h"
#include "sandbox.h"
#include "signals.h"
#include "takeover.h"
#include "upgrade.h"
#include "watchdog.h"
#include "worker.h"

/* umount -f aborts the connection first and unmounts a moment later. */
#define UNMOUNT_GRACE_NS (100 * NS_PER_MS)
#define REAP_STEPS 1000 /* of 1 ms */
/* What a worker is at when it is told to end it may finish so long, ... */
#define DRAIN_STEPS 200 /* of 1 ms */
/* ... and so often is looked whether the first one serves. */
#define READY_NS (10 * NS_PER_MS)

struct supervisor {
	const struct options *options;
	struct pidfile pidfile;
	struct connection connection; /* none while the machine is short of what one takes */
	struct handover *handover;
	struct handover_facts facts; /* a worker may have written others into the area */
	int handover_fd;
	int signals;
	sigset_t old_mask;
	pid_t worker; /* 0: none runs */
	struct minder minder;
	uint64_t worker_due_ns; /* CLOCK_MONOTONIC: not before; nor the connection it needs */
	struct backoff backoff;
	struct healing healing;
	struct upgrade upgrade;
	struct watchdog watchdog;
	uint32_t first_generation; /* no worker of ours serves as long as it is that */
	bool told_ready;           /* to the service manager */
	bool goes_on;              /* with a connection that another process opened */
	bool leave;                /* when stopped: the connection to the service manager's store */
	bool stopped;
	int status; /* of the program, when stopped */
};

static void stop(struct supervisor *s, int status)
{
	s->stopped = true;
	s->status = status;
}

/* --- the worker ------------------------------------------------------------------------- */

_Noreturn static void child(struct supervisor *s, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(WORKER_EXIT_CANNOT_START);
	signals_of_worker(&s->old_mask);
	log_use_shared();
	cleanup_close(&s->signals);
	cleanup_close(&s->pidfile.fd);
	cleanup_close(&s->handover_fd);
	cleanup_close(&s->connection.device);
	worker_run(s->options, s->handover, s->connection.clones, s->connection.n);
}

/* What a worker takes is not to be had now. */
static void try_again(struct supervisor *s)
{
	s->worker_due_ns = clock_monotonic_ns() + BACKOFF_NS;
}

static void start_worker(struct supervisor *s)
{
	const uint32_t generation = atomic_load(&s->handover->generation);
	const pid_t parent = getpid();
	pid_t pid;

	handover_state(s->handover, &s->facts);
	/* Not what the last one may have said of this one. */
	atomic_store(&s->handover->given_up, generation);
	pid = fork();
	if (pid == 0)
		child(s, parent);
	if (pid < 0) {
		log_limited("fork", "cannot start a worker: %m: trying again every second");
		try_again(s);
		return;
	}
	s->worker = pid;
	minder_started(&s->minder, pid, generation);
}

/* --- the connection --------------------------------------------------------------------- */

/* Notes a death; the next worker starts when it may. */
static void start_after(struct supervisor *s, enum backoff_death death)
{
	s->worker_due_ns = backoff_after(&s->backoff, death, clock_monotonic_ns());
}

static int open_connection(struct supervisor *s)
{
	int r = connection_open(s->options, &s->facts.init, &s->connection);

	s->facts.dev = s->connection.dev;
	return r;
}

static bool is_connected(const struct supervisor *s)
{
	return s->connection.device >= 0;
}

/* In the place of one that has ended. A shortage passes; whoever ended for it would leave every
 * container's files dead until somebody comes. */
static void reconnect(struct supervisor *s)
{
	const int r = open_connection(s);

	if (r == 0)
		return;
	if (!is_shortage(r)) {
		stop(s, 1);
		return;
	}
	log_limited("no connection",
		"nothing is mounted on %s, and files in containers are dead: %s: trying again "
		"every second: free what the machine is short of (memory, open files), or raise "
		"the service's limit on it",
		s->options->dir, strerror(-r));
	try_again(s);
}

/* The connection has ended: nothing to serve if DIR was unmounted, else somebody aborted it. */
static void disconnected(struct supervisor *s)
{
	const char *dir = s->options->dir;

	pause_ns(UNMOUNT_GRACE_NS);
	if (connection_is_at(&s->connection, dir) == 0) {
		log_info("%s was unmounted: nothing is left to serve", dir);
		stop(s, 0);
		return;
	}
	log_limited("aborted",
		"the connection of %s was aborted (umount -f of one of its binds, or fusectl): "
		"mounting a fresh one",
		dir);
	/* Below a fresh mount nobody would find it again. The next worker learns that it is dead,
	 * and it comes here once more. */
	if (is_shortage(connection_detach(&s->connection, dir))) {
		try_again(s);
		return;
	}
	connection_close(&s->connection);
	handover_forget_connection(s->handover);
	s->facts.init = (struct handover_init){ 0 };
	healing_again(&s->healing);
	start_after(s, BACKOFF_FAULT);
	reconnect(s);
}

/* When it is due, and the connection first that it serves. */
static void have_worker(struct supervisor *s)
{
	if (s->worker != 0 || s->worker_due_ns > clock_monotonic_ns())
		return;
	if (!is_connected(s))
		reconnect(s);
	if (is_connected(s))
		start_worker(s);
}

/* SIGKILL blames no worker, nor does SIGTERM, which is a restart. */
static enum backoff_death death_of(const struct supervisor *s, int status)
{
	if (!WIFSIGNALED(status) || (WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM))
		return BACKOFF_FAULT;
	return minder_has_served(&s->minder) ? BACKOFF_KILLED : BACKOFF_EARLY;
}

static void reap(struct supervisor *s)
{
	const pid_t worker = s->worker;
	int status;

	healing_reap(&s->healing);
	if (!minder_reap(&s->minder, &status))
		return;
	s->worker = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_DISCONNECTED &&
		connection_is_dead(&s->connection)) {
		disconnected(s);
		return;
	}
	minder_tell_end(worker, status);
	start_after(s, death_of(s, status));
}

/* It may have been stopped, or be stuck before it serves or in its end. */
static void look_after_worker(struct supervisor *s)
{
	if (s->worker == 0 || !minder_overdue(&s->minder, clock_monotonic_ns()))
		return;
	s->worker = 0;
	start_after(s, BACKOFF_FAULT);
}

/* A thread that the kernel holds cannot be reaped; our own end must not wait for it. */
static void end_worker(struct supervisor *s)
{
	if (s->worker == 0)
		return;
	kill(s->worker, SIGKILL);
	for (int i = 0; i < REAP_STEPS && waitpid(s->worker, NULL, WNOHANG) == 0; i++)
		pause_ns(NS_PER_MS);
	s->worker = 0;
	minder_forget(&s->minder);
}

/* What it has it answers, and fetches no more. What it is at after that the next one finds. Then
 * the area can be handed on. */
static void drain_worker(struct supervisor *s)
{
	atomic_store(&s->handover->draining, 1);
	for (int i = 0; i < DRAIN_STEPS && s->worker != 0; i++) {
		if (!handover_is_busy(s->handover, s->connection.n))
			break;
		pause_ns(NS_PER_MS);
	}
	end_worker(s);
	handover_state(s->handover, &s->facts);
}

/* --- the service manager, another version ------------------------------------------------ */

static void tell_ready(struct supervisor *s)
{
	const int r = notify("READY=1\nMAINPID=%d\nSTATUS=Serving %s, version " LXCFS_VERSION,
		getpid(), s->options->dir);

	/* A manager that is not told ends us after a while. */
	s->told_ready = !is_shortage(r);
}

/* The next version would mount one, or end. */
static bool can_hand_over(const struct supervisor *s)
{
	if (!is_connected(s))
		log_info("no upgrade, the running version " LXCFS_VERSION
			 " goes on: there is no connection to hand over: send SIGUSR1 again when "
			 "%s is mounted",
			s->options->dir);
	return is_connected(s);
}

static void begin_upgrade(struct supervisor *s)
{
	struct inherited offered;

	if (!can_hand_over(s))
		return;
	handover_state(s->handover, &s->facts);
	takeover_offer(&s->connection, s->handover_fd, &offered);
	offered.pidfile = s->pidfile.fd;
	if (upgrade_check(&s->upgrade, &offered))
		notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Checking %s",
			clock_monotonic_ns() / NS_PER_US, s->upgrade.path);
}

/* The check has come to an end, or not. */
static void go_on_with_upgrade(struct supervisor *s)
{
	const enum upgrade_verdict verdict = upgrade_verdict(&s->upgrade);
	struct inherited offered;

	if (verdict == UPGRADE_NO_NEWS)
		return;
	if (verdict == UPGRADE_FITS && can_hand_over(s)) {
		healing_end(&s->healing); /* the next version begins again */
		drain_worker(s);
		takeover_offer(&s->connection, s->handover_fd, &offered);
		offered.pidfile = s->pidfile.fd;
		upgrade_execute(&s->upgrade, &offered);
		s->healing.due = true;
		s->worker_due_ns = 0;
	}
	tell_ready(s);
}

/* Everything that no signal tells. */
static void look_around(struct supervisor *s)
{
	go_on_with_upgrade(s);
	if (!s->told_ready && atomic_load(&s->handover->generation) != s->first_generation)
		tell_ready(s);
	if (watchdog_look(&s->watchdog, s->handover, &s->connection))
		minder_kill(&s->minder);
}

/* --- signals ---------------------------------------------------------------------------- */

/* The flag lies where every later worker finds it; requests under way are not looked at again. */
static void toggle_pass_through(struct supervisor *s)
{
	const bool on = !s->facts.pass_through;

	s->facts.pass_through = on;
	atomic_store(&s->handover->pass_through, on);
	log_info(on ? "SIGUSR2: every file is the kernel's own from now on; another SIGUSR2 brings "
		      "the containers' back"
		    : "SIGUSR2: containers are shown their own files again");
}

static void take_signal(struct supervisor *s, uint32_t number)
{
	switch (number) {
	case SIGCHLD:
		reap(s);
		break;
	case SIGTERM:
	case SIGINT:
	case SIGHUP:
		log_info("stopped by signal %u (%s)", number, strsignal((int)number));
		s->leave = number == SIGTERM && notify_is_heard();
		stop(s, 0);
		break;
	case SIGUSR1:
		begin_upgrade(s);
		break;
	case SIGUSR2:
		toggle_pass_through(s);
		break;
	default:
		log_info("signal %u (%s) has no effect", number, strsignal((int)number));
		break;
	}
}

static int poll_timeout(const struct supervisor *s)
{
	const uint64_t now = clock_monotonic_ns();
	uint64_t due = min_u64(upgrade_due_ns(&s->upgrade), watchdog_due_ns(&s->watchdog));

	const int patience = minder_timeout(&s->minder, now);

	if (s->worker == 0)
		due = min_u64(due, s->worker_due_ns);
	else {
		due = min_u64(due, healing_due_ns(&s->healing));
		if (patience >= 0)
			due = min_u64(due, now + (uint64_t)patience * NS_PER_MS);
	}
	if (!s->told_ready)
		due = min_u64(due, now + READY_NS);
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)min_u64((due - now) / NS_PER_MS + 1, INT32_MAX);
}

static void serve(struct supervisor *s)
{
	while (!s->stopped) {
		struct pollfd p = { .fd = s->signals, .events = POLLIN };
		struct signalfd_siginfo info;

		have_worker(s);
		look_after_worker(s);
		if (s->worker != 0)
			healing_start(&s->healing, s->options->dir, s->connection.dev);
		if (poll(&p, 1, poll_timeout(s)) > 0)
			while (!s->stopped && read(s->signals, &info, sizeof(info)) == sizeof(info))
				take_signal(s, info.ssi_signo);
		if (!s->stopped)
			look_around(s);
	}
}

/* --- start and end ---------------------------------------------------------------------- */

/* What comes before the connection, each once; and what was in the pidfile's way. */
struct beginning {
	struct supervisor *s;
	int pidfile; /* inherited; -1: none */
	pid_t holder;
};

static int lock_pidfile(struct beginning *b)
{
	struct pidfile *ret = &b->s->pidfile;
	const char *path = b->s->options->pidfile;
	int r = b->pidfile >= 0 ? pidfile_take(path, b->pidfile, ret) : -ENOENT;

	return r == 0 || is_shortage(r) ? r : pidfile_lock(path, ret, &b->holder);
}

static int begin(void *data)
{
	struct beginning *b = data;
	int r = b->s->pidfile.fd < 0 ? lock_pidfile(b) : 0;

	if (r == 0 && b->s->signals < 0)
		r = signals_open(&b->s->signals, &b->s->old_mask);
	if (r == 0)
		r = sandbox_prepare();
	return r == 0 ? log_share() : r;
}

static int tell_no_start(const struct beginning *b, int r)
{
	const char *path = b->s->options->pidfile;

	if (b->s->pidfile.fd >= 0 || is_shortage(r))
		log_error("cannot start: %s: is memory or the number of files limited?",
			strerror(-r));
	else if (r == -EBUSY)
		log_error("another lxcfs (pid %d) holds %s: stop it, or give this one a --pidfile "
			  "and a DIR of its own",
			b->holder, path);
	else
		log_error("cannot open the pidfile %s: %s: name another with --pidfile", path,
			strerror(-r));
	return r;
}

static int enter_sandbox(void *data)
{
	(void)data;
	return sandbox_enter_supervisor();
}

static int give_up_privileges(void)
{
	int r = patiently(enter_sandbox, NULL);

	if (r < 0)
		log_error("cannot give up what is not needed: %s: is capset(2) forbidden?",
			strerror(-r));
	return r;
}

static int start_afresh(struct supervisor *s)
{
	int r = handover_new(&s->handover_fd, &s->handover);

	if (r < 0)
		return tell_no_start(&(struct beginning){ .s = s }, r);
	handover_facts_of(s->handover, &s->facts);
	return open_connection(s);
}

static bool go_on(struct supervisor *s, enum inherit_origin origin, struct inherited *in)
{
	s->goes_on = takeover(origin, in, s->options, &s->connection, &s->handover_fd,
			     &s->handover) == 0;
	if (s->goes_on)
		handover_facts_of(s->handover, &s->facts);
	return s->goes_on;
}

static int prepare(void *data)
{
	const struct supervisor *s = data;

	return connection_prepare(s->options->dir);
}

static int go_on_or_mount(struct supervisor *s, enum inherit_origin origin, struct inherited *in)
{
	int r;

	/* Across execve(2) DIR is mounted, and nobody answers there. */
	if (origin == INHERIT_BEFORE && go_on(s, origin, in))
		return 0;
	r = patiently(prepare, s);
	if (r < 0 || (origin == INHERIT_MANAGER && go_on(s, origin, in)))
		return r;
	return start_afresh(s);
}

static int unstore(void *inherited)
{
	return notify_unstore(inherited);
}

static int start(struct supervisor *s, char **argv)
{
	struct inherited in;
	unsigned strangers;
	enum inherit_origin origin = inherit_take(&in, &strangers);
	struct beginning beginning = { .s = s };
	int r;

	inherit_standard_files();
	if (strangers > 0)
		log_info("closed %u descriptors that came with the start and have no name that "
			 "version " LXCFS_VERSION " knows",
			strangers);
	watchdog_init(&s->watchdog);
	s->told_ready = !notify_is_heard();
	if (geteuid() != 0) {
		log_error("cannot mount as a plain user: start it as root");
		return -EPERM;
	}
	if (origin == INHERIT_MANAGER)
		patiently(unstore, &in);
	beginning.pidfile = steal_fd(&in.pidfile);
	r = patiently(begin, &beginning);
	if (r < 0)
		return tell_no_start(&beginning, r);
	upgrade_init(&s->upgrade, argv, &s->old_mask);
	r = go_on_or_mount(s, origin, &in);
	if (r < 0)
		return r;
	s->minder.handover = s->handover;
	s->first_generation = atomic_load(&s->handover->generation);
	r = pidfile_write(&s->pidfile);
	if (r < 0)
		log_error("cannot write the pidfile %s: %s: free space there, or name another with "
			  "--pidfile",
			s->options->pidfile, strerror(-r));
	/* A connection must not be lost for it. */
	return r < 0 && !s->goes_on ? r : give_up_privileges();
}

/* DIR goes first, that nobody finds it while nobody answers. What containers' binds have under way
 * is aborted with the connection. */
static void take_away(struct supervisor *s)
{
	notify("STOPPING=1\nSTATUS=Stopping");
	upgrade_cancel(&s->upgrade);
	healing_end(&s->healing);
	if (s->leave) {
		drain_worker(s);
		takeover_leave(&s->connection, s->handover_fd, s->options->dir);
	}
	connection_detach_patiently(&s->connection, s->options->dir);
	end_worker(s);
	connection_close(&s->connection);
	handover_free(s->handover);
	cleanup_close(&s->handover_fd);
	cleanup_close(&s->signals);
	pidfile_remove(&s->pidfile);
}

int supervisor_run(const struct options *options, char **argv)
{
	struct supervisor s = { .options = options,
		.pidfile = PIDFILE_NONE,
		.connection = CONNECTION_NONE,
		.handover_fd = -1,
		.signals = -1,
		.healing.due = true };

	log_set_debug(options->debug);
	if (start(&s, argv) < 0)
		stop(&s, 1);
	serve(&s);
	take_away(&s);
	return s.status;
}
