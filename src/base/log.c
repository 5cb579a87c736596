/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines on standard error, one write(2) each, and the limiter for what containers can cause.
 * Children that come one after the other share theirs, and one of them may be hostile: what lies
 * there is compared and counted, never followed, and there is no lock that a dead process could
 * hold.
 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "clock.h"
#include "text.h"

#define LIMIT_NS (60 * NS_PER_S)
#define LIMITS 128

/* Causes are constants of this program, so their number is known to be small. */
struct limit {
	_Atomic uintptr_t cause; /* a number, for no pointer from here is to be followed; 0: free */
	_Atomic uint64_t last_ns; /* 0: never */
	_Atomic unsigned long held_back;
};

static struct limit own[LIMITS];
static struct limit *of_children; /* LIMITS of them; NULL: not shared */
static struct limit *limits = own;

static bool debug_on;

void log_set_debug(bool on)
{
	debug_on = on;
}

/* Whoever reads standard error may have stopped reading: a line less is better than a supervisor or
 * a worker that waits for a pager. A pipe that polls writable takes a whole line. */
static bool takes_a_line(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) > 0;
}

static void __attribute__((format(printf, 1, 0)))
write_line(const char *format, va_list args, unsigned long held_back)
{
	char line[1024];
	size_t n;

	n = (size_t)snprintf(line, sizeof(line), "lxcfs: ");
	n += (size_t)vsnprintf(line + n, sizeof(line) - n, format, args);
	if (n > sizeof(line) - 64)
		n = sizeof(line) - 64;
	for (size_t i = 0; i < n; i++)
		line[i] = text_printable(line[i]);
	if (held_back)
		n += (size_t)snprintf(line + n, sizeof(line) - n,
			" (%lu more like it were not logged)", held_back);
	line[n++] = '\n';
	if (takes_a_line(STDERR_FILENO) && write(STDERR_FILENO, line, n) < 0) {
		/* Nowhere left to tell. */
	}
}

#define LOG_LINE(held_back)                                                                        \
	do {                                                                                       \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, format);                                                            \
		write_line(format, args, (held_back));                                             \
		va_end(args);                                                                      \
	} while (0)

void log_error(const char *format, ...)
{
	LOG_LINE(0);
}

void log_info(const char *format, ...)
{
	LOG_LINE(0);
}

void log_debug(const char *format, ...)
{
	if (debug_on)
		LOG_LINE(0);
}

/* NULL: there is no room. */
static struct limit *find(struct limit *table, const char *cause)
{
	for (size_t i = 0; i < LIMITS; i++) {
		uintptr_t theirs = atomic_load(&table[i].cause);

		if (theirs == 0 &&
			atomic_compare_exchange_strong(&table[i].cause, &theirs, (uintptr_t)cause))
			return &table[i];
		if (theirs == (uintptr_t)cause)
			return &table[i];
	}
	return NULL;
}

/* Only who scribbles fills what is shared. */
static struct limit *limit_of(const char *cause)
{
	struct limit *l = find(limits, cause);

	return l ? l : find(own, cause);
}

/* True when the cause may have a line now; how many it had to hold back since the last one. */
static bool limit_passes(struct limit *l, unsigned long *ret_held_back)
{
	uint64_t last_ns = atomic_load(&l->last_ns);
	/* Asked later than that was read, so what lies in the future is a lie, and here long ago.
	 */
	const uint64_t now_ns = clock_monotonic_ns();

	if ((last_ns == 0 || now_ns - last_ns >= LIMIT_NS) &&
		atomic_compare_exchange_strong(&l->last_ns, &last_ns, now_ns)) {
		*ret_held_back = atomic_exchange(&l->held_back, 0);
		return true;
	}
	atomic_fetch_add(&l->held_back, 1);
	return false;
}

void log_limited(const char *cause, const char *format, ...)
{
	struct limit *l = limit_of(cause);
	unsigned long held_back = 0;

	if ((l && limit_passes(l, &held_back)) || debug_on)
		LOG_LINE(held_back);
}

int log_share(void)
{
	void *table = mmap(NULL, LIMITS * sizeof(*of_children), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (table == MAP_FAILED)
		return -errno;
	of_children = table;
	return 0;
}

void log_use_shared(void)
{
	if (of_children)
		limits = of_children;
}
