/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a shell cannot do to a file: reads of a chosen size, offsets, another process's handle, many
 * quick reads with their longest stall, and what poke.h lists. Must not know what any file says.
 */
#include "poke.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char content[MOST];
static char second[MOST];

_Noreturn void die(const char *what)
{
	fprintf(stderr, "poke: %s: %s\n", what, strerror(errno));
	exit(1);
}

int open_or_die(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* From the handle's own position to the end, `chunk` bytes at a time. */
size_t read_all(int fd, char *buffer, size_t chunk)
{
	size_t length = 0;
	ssize_t n;

	while (length < MOST) {
		n = read(fd, buffer + length, chunk < MOST - length ? chunk : MOST - length);
		if (n < 0)
			die("read");
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return length;
}

void put(const char *buffer, size_t length)
{
	if (fwrite(buffer, 1, length, stdout) != length || fflush(stdout))
		die("stdout");
}

/* init READY: a container's first process. Reaps, and waits to be killed. */
static int poke_init(char **args)
{
	int fd;

	signal(SIGCHLD, SIG_IGN);
	fd = open(args[0], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		die(args[0]);
	close(fd);
	for (;;)
		pause();
}

/* read BYTES PATH */
static int poke_read(char **args)
{
	put(content, read_all(open_or_die(args[1]), content, strtoul(args[0], NULL, 0)));
	return 0;
}

/* again PATH: prints the file, and after each line on standard input the same handle from 0. */
static int poke_again(char **args)
{
	int fd = open_or_die(args[0]);
	char line[16];

	put(content, read_all(fd, content, 65536));
	while (fgets(line, sizeof(line), stdin)) {
		if (lseek(fd, 0, SEEK_SET))
			die("lseek");
		put(content, read_all(fd, content, 65536));
	}
	return 0;
}

/* sendfile PATH: prints the file as busybox's cat does: sendfile(2), and read(2) when that fails.
 */
static int poke_sendfile(char **args)
{
	int fd = open_or_die(args[0]);
	ssize_t n;

	do
		n = sendfile(STDOUT_FILENO, fd, NULL, 1u << 24);
	while (n > 0);
	if (n < 0)
		put(content, read_all(fd, content, 65536));
	return 0;
}

/* pread PATH: one pread at 0, then every other offset must give that text's rest. */
static int poke_pread(char **args)
{
	int fd = open_or_die(args[0]);
	ssize_t whole = pread(fd, content, MOST, 0);
	ssize_t n;

	if (whole <= 0)
		die("pread at 0");
	for (ssize_t at = 1; at < whole; at += whole / 97 + 1) {
		n = pread(fd, second, MOST, at);
		if (n != whole - at || memcmp(second, content + at, (size_t)n)) {
			fprintf(stderr, "poke: at %zd of %zd: %zd bytes\n", at, whole, n);
			return 1;
		}
	}
	if (pread(fd, second, MOST, whole) != 0 || pread(fd, second, MOST, whole + 100000) != 0) {
		fprintf(stderr, "poke: bytes after the end\n");
		return 1;
	}
	return 0;
}

/* chunk BYTES PATH: read in such pieces, the text is what the same snapshot gives in one. */
static int poke_chunk(char **args)
{
	int fd = open_or_die(args[1]);
	size_t length = read_all(fd, content, strtoul(args[0], NULL, 0));
	ssize_t rest = pread(fd, second, MOST, 1);

	if (length == 0 || rest != (ssize_t)length - 1 || memcmp(content + 1, second, length - 1)) {
		fprintf(stderr, "poke: %s: %zu bytes in pieces, %zd whole\n", args[1], length,
			rest + 1);
		return 1;
	}
	return 0;
}

/* half PATH: some bytes, then after a line on standard input the rest of that handle. */
static int poke_half(char **args)
{
	int fd = open_or_die(args[0]);
	char line[16];

	if (read(fd, content, 40) != 40)
		die("first 40 bytes");
	put(content, 40);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	put(content, read_all(fd, content, 65536));
	return 0;
}

/* poll PATH: what poll(2) says at once. */
static int poke_poll(char **args)
{
	struct pollfd p = { .fd = open_or_die(args[0]),
		.events = POLLIN | POLLPRI | POLLRDNORM | POLLOUT };

	if (poll(&p, 1, 5000) < 0)
		die("poll");
	printf("%s%s%s%s\n", p.revents & POLLIN ? "IN " : "",
		p.revents & POLLRDNORM ? "RDNORM " : "", p.revents & POLLPRI ? "PRI " : "",
		p.revents & POLLERR ? "ERR " : "");
	return 0;
}

/* getfd PID FD: reads through the very handle another process opened. */
static int poke_getfd(char **args)
{
	int pidfd = (int)syscall(SYS_pidfd_open, atoi(args[0]), 0);
	int fd;

	if (pidfd < 0)
		die("pidfd_open");
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(args[1]), 0);
	if (fd < 0)
		die("pidfd_getfd");
	if (lseek(fd, 0, SEEK_SET))
		die("lseek");
	put(content, read_all(fd, content, 65536));
	return 0;
}

/* --- loop --- */

struct tally {
	uint64_t reads, errors, broken, longest_ns;
};

/* A whole text: not empty, the last line ended, and it begins as the first read did. */
static bool whole_text(const char *text, ssize_t length, const char *start)
{
	return length > 0 && text[length - 1] == '\n' && !strncmp(text, start, strlen(start));
}

static void read_once(
	const char *path, const char *start, char *buffer, size_t size, struct tally *tally)
{
	uint64_t begin = now_ns();
	ssize_t length = 0, n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	tally->reads++;
	if (fd >= 0) {
		while ((n = read(fd, buffer + length, size - (size_t)length)) > 0)
			length += n;
		close(fd);
	}
	if (n < 0) {
		if (tally->errors++ < 3)
			fprintf(stderr, "poke: %s: %s\n", path, strerror(errno));
	} else if (start && !whole_text(buffer, length, start) && tally->broken++ < 3) {
		fprintf(stderr, "poke: %s: broken text of %zd bytes\n", path, length);
	}
	if (now_ns() - begin > tally->longest_ns)
		tally->longest_ns = now_ns() - begin;
}

/* loop SECONDS START PATH: reads the file that begins with START over and over; prints
 * "reads errors broken longest-stall-in-milliseconds". */
static int poke_loop(char **args)
{
	uint64_t end = now_ns() + (uint64_t)(strtod(args[0], NULL) * 1e9);
	struct tally tally = { 0 };

	while (now_ns() < end)
		read_once(args[2], args[1], content, sizeof(content), &tally);
	printf("%llu %llu %llu %llu\n", (unsigned long long)tally.reads,
		(unsigned long long)tally.errors, (unsigned long long)tally.broken,
		(unsigned long long)(tally.longest_ns / 1000000));
	return 0;
}

/* killed MILLISECONDS PATH: how many milliseconds somebody who has been reading it for so long
 * takes to be gone. */
static int poke_killed(char **args)
{
	const long ms = atol(args[0]);
	const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
	uint64_t start;
	pid_t reader = fork();

	if (reader == 0) {
		read_all(open_or_die(args[1]), content, 65536);
		for (;;)
			poll(NULL, 0, -1);
	}
	nanosleep(&pause, NULL);
	start = now_ns();
	if (kill(reader, SIGKILL) != 0 || waitpid(reader, NULL, 0) != reader)
		die("killing a reader");
	printf("%llu\n", (unsigned long long)(now_ns() - start) / 1000000);
	return 0;
}

/* times COUNT PATH: open, read to the end, close, COUNT times. */
static int poke_times(char **args)
{
	struct tally tally = { 0 };

	for (long i = atol(args[0]); i > 0; i--)
		read_once(args[1], NULL, content, sizeof(content), &tally);
	return tally.errors != 0;
}

/* hold BYTES READY: keeps that much memory of its own until killed. */
static int poke_hold(char **args)
{
	size_t size = strtoul(args[0], NULL, 0);
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	args++;
	return poke_init(args);
}

/* burn SECONDS: one CPU, in user space. */
static int poke_burn(char **args)
{
	uint64_t end = now_ns() + (uint64_t)(strtod(args[0], NULL) * 1e9);

	while (now_ns() < end)
		for (volatile int i = 0; i < 10000; i++)
			;
	return 0;
}

static void *burn_thread(void *args)
{
	poke_burn(args);
	return NULL;
}

/* threads COUNT SECONDS: that many threads burn, and the first one waits for them. */
static int poke_threads(char **args)
{
	pthread_t last;

	for (long i = atol(args[0]); i > 0; i--)
		if (pthread_create(&last, NULL, burn_thread, args + 1))
			die("thread");
	pthread_join(last, NULL);
	return 0;
}

/* blocked SECONDS: in state D, as a process is whose child of vfork(2) has not begun yet. */
static int poke_blocked(char **args)
{
	const struct timespec pause = { .tv_sec = atol(args[0]) };

	if (vfork() == 0) {
		nanosleep(&pause, NULL);
		_exit(0);
	}
	return 0;
}

static long long boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* sample SECONDS COUNT PATH: the file, freshly opened, COUNT times that far apart, each after a
 * line
 * "== before after", milliseconds of CLOCK_BOOTTIME on both sides of the reading. */
static int poke_sample(char **args)
{
	struct timespec pause;
	size_t length;
	long long before, after;
	int fd;

	pause.tv_sec = (time_t)strtod(args[0], NULL);
	pause.tv_nsec = (long)((strtod(args[0], NULL) - (double)pause.tv_sec) * 1e9);
	for (long i = atol(args[1]); i > 0; i--) {
		before = boot_ms();
		fd = open_or_die(args[2]);
		length = read_all(fd, content, 65536);
		close(fd);
		after = boot_ms();
		printf("== %lld %lld\n", before, after);
		put(content, length);
		if (i > 1)
			nanosleep(&pause, NULL);
	}
	return 0;
}

static const struct command {
	const char *name;
	int args;
	int (*run)(char **args);
} commands[] = {
	{ "init", 1, poke_init },
	{ "read", 2, poke_read },
	{ "again", 1, poke_again },
	{ "sendfile", 1, poke_sendfile },
	{ "pread", 1, poke_pread },
	{ "chunk", 2, poke_chunk },
	{ "half", 1, poke_half },
	{ "poll", 1, poke_poll },
	{ "pollbits", 1, poke_pollbits },
	{ "writes", 4, poke_writes },
	{ "trigger", 5, poke_trigger },
	{ "trigread", 2, poke_trigread },
	{ "getfd", 2, poke_getfd },
	{ "each", 3, poke_each },
	{ "try", 1, poke_try },
	{ "loop", 3, poke_loop },
	{ "sample", 3, poke_sample },
	{ "times", 2, poke_times },
	{ "killed", 2, poke_killed },
	{ "hold", 2, poke_hold },
	{ "burn", 1, poke_burn },
	{ "threads", 2, poke_threads },
	{ "blocked", 1, poke_blocked },
	{ "mark", 3, poke_mark },
	{ "pulse", 2, poke_pulse },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (argc == commands[i].args + 2 && !strcmp(argv[1], commands[i].name))
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: poke");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, " %s/%d", commands[i].name, commands[i].args);
	fprintf(stderr, "\n");
	return 2;
}
