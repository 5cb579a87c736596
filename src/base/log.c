/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines on standard error, one write(2) each, and the limiter for what containers can cause.
 */
#include "log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "cleanup.h"
#include "clock.h"
#include "text.h"

#define LIMIT_NS (60 * NS_PER_S)

/* Causes are string constants of this program, so their number is known to be small. */
static struct limit {
	const char *cause;
	uint64_t last_ns;
	unsigned long held_back;
} limits[64];
static pthread_mutex_t limits_lock = PTHREAD_MUTEX_INITIALIZER;

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

/* True when the cause may have a line now; how many it had to hold back since the last one. */
static bool limit_passes(const char *cause, unsigned long *ret_held_back)
{
	uint64_t now = clock_monotonic_ns();
	bool passes = false;

	*ret_held_back = 0;
	pthread_mutex_lock(&limits_lock);
	for (size_t i = 0; i < countof(limits); i++) {
		struct limit *l = &limits[i];

		if (l->cause && l->cause != cause)
			continue;
		passes = !l->cause || now - l->last_ns >= LIMIT_NS;
		l->cause = cause;
		if (passes) {
			*ret_held_back = l->held_back;
			l->held_back = 0;
			l->last_ns = now;
		} else {
			l->held_back++;
		}
		break;
	}
	pthread_mutex_unlock(&limits_lock);
	return passes;
}

void log_limited(const char *cause, const char *format, ...)
{
	unsigned long held_back;

	if (limit_passes(cause, &held_back) || debug_on)
		LOG_LINE(held_back);
}
