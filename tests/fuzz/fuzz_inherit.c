/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the environment says. Byte 0 chooses: the service manager's names of descriptors (what
 * stands before the first NUL is LISTEN_FDS), our own words with numbers, its watchdog (before the
 * first NUL WATCHDOG_USEC), or where it listens. Whatever it says, none of the first three
 * descriptors is found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "../../src/daemon/inherit.h"
#include "../../src/daemon/notify.h"
#include "../../src/daemon/watchdog.h"
#include "fuzz.h"

/* Each gets two words that end, the second one perhaps empty. */
static const char *second_word(const struct text *t)
{
	return t->data + strlen(t->data) + 1;
}

static void check_descriptors(const struct inherited *in)
{
	char name[INHERIT_NAME];
	unsigned i = 0;
	int fd;

	while (inherit_next(in, &i, name, &fd))
		FUZZ_ASSERT(fd >= 3 && strlen(name) < INHERIT_NAME);
}

static void listen_fds(const struct text *t)
{
	struct inherited in;
	unsigned n;

	inherit_none(&in);
	inherit_parse_listen(t->data, second_word(t), &in, &n);
	check_descriptors(&in);
}

static void words(const struct text *t)
{
	struct inherited in;

	inherit_none(&in);
	inherit_parse_words(t->data, &in);
	check_descriptors(&in);
}

/* A time that is one says the same when it is written again, and is nobody else's. */
static void watchdog(const struct text *t)
{
	const pid_t self = 4711;
	const char *pid = second_word(t);
	const uint64_t ns = watchdog_parse(t->data, *pid ? pid : NULL, self);
	char again[32];

	if (ns == 0)
		return;
	FUZZ_ASSERT(ns % 1000 == 0 && (!*pid || strstr(pid, "4711")));
	snprintf(again, sizeof(again), "%llu", (unsigned long long)ns / 1000);
	FUZZ_ASSERT(watchdog_parse(again, "4711", self) == ns);
	FUZZ_ASSERT(watchdog_parse(again, "4712", self) == 0);
}

/* A path, or an abstract name, that fits a socket's address with its end. Must not be given to
 * setenv(3), which keeps every value that it ever saw. */
static void notify_socket(const struct text *t)
{
	const size_t n = strlen(t->data), room = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	autofree char *variable = NULL;

	FUZZ_ASSERT(asprintf(&variable, "NOTIFY_SOCKET=%s", t->data) >= 0);
	FUZZ_ASSERT(putenv(variable) == 0);
	FUZZ_ASSERT(notify_is_heard() ==
		(n >= 2 && n < room && (t->data[0] == '/' || t->data[0] == '@')));
	unsetenv("NOTIFY_SOCKET");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(
		const struct text *) = { listen_fds, words, watchdog, notify_socket };
	autotext t = { 0 };

	if (size == 0)
		return 0;
	t = fuzz_string(data + 1, size - 1, 2);
	parsers[data[0] % countof(parsers)](&t);
	return 0;
}
