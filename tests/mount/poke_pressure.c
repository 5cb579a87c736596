/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be done to a pressure file: poll(2), and triggers.
 */
#include "poke.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *poll_bits(short bits)
{
	static const struct {
		short bit;
		const char *name;
	} names[] = { { POLLIN, " IN" }, { POLLOUT, " OUT" }, { POLLRDNORM, " RDNORM" },
		{ POLLWRNORM, " WRNORM" }, { POLLPRI, " PRI" }, { POLLERR, " ERR" },
		{ POLLHUP, " HUP" } };
	static char text[64];

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bits & names[i].bit)
			strcat(text, names[i].name);
	return text[0] ? text + 1 : "timeout";
}

/* pollbits PATH: whatever poll(2) says at once. */
int poke_pollbits(char **args)
{
	struct pollfd p = { .fd = open_or_die(args[0]), .events = ~0 };

	if (poll(&p, 1, 5000) < 0)
		die("poll");
	puts(poll_bits(p.revents));
	return 0;
}

/* "done" or the error's name. */
static const char *write_trigger(int fd, const char *text)
{
	return write(fd, text, strlen(text) + 1) < 0 ? strerrorname_np(errno) : "done";
}

/* writes HANDLES TIMES TEXT PATH: on that many handles, so often on each; a result a line. */
int poke_writes(char **args)
{
	for (long handles = atol(args[0]); handles > 0; handles--) {
		int fd = open(args[3], O_WRONLY);

		if (fd < 0)
			puts(strerrorname_np(errno));
		for (long times = atol(args[1]); fd >= 0 && times > 0; times--)
			puts(write_trigger(fd, args[2]));
	}
	return 0;
}

/* trigger TEXT EVENTS MILLISECONDS CGROUP PATH: arms it, goes to the CGROUP.PROCS given ("-": stays
 * where it is), says "armed", and polls so often; "after-milliseconds result" a line. */
int poke_trigger(char **args)
{
	struct pollfd p = { .fd = open(args[4], O_RDWR), .events = POLLPRI };
	uint64_t start;

	if (p.fd < 0)
		die(args[4]);
	puts(!strcmp(write_trigger(p.fd, args[0]), "done") ? "armed" : strerrorname_np(errno));
	if (strcmp(args[3], "-")) {
		int procs = open(args[3], O_WRONLY);

		if (procs < 0 || write(procs, "0", 1) < 0)
			die(args[3]);
		close(procs);
	}
	for (long events = atol(args[1]); events > 0; events--) {
		fflush(stdout);
		start = now_ns();
		if (poll(&p, 1, atoi(args[2])) < 0)
			die("poll");
		printf("%llu %s\n", (unsigned long long)(now_ns() - start) / 1000000,
			p.revents ? poll_bits(p.revents) : "timeout");
	}
	return 0;
}

/* trigread TEXT PATH: writes it, then reads on where the handle is, to the end. */
int poke_trigread(char **args)
{
	int fd = open(args[1], O_RDWR);

	if (fd < 0)
		die(args[1]);
	fprintf(stderr, "%s\n", write_trigger(fd, args[0]));
	put(content, read_all(fd, content, 65536));
	return 0;
}
