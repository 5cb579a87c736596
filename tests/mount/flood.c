/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container that asks for all it can get, and a neighbour that measures what that costs. Must not
 * know what a container should be shown.
 *
 *   flood open COUNT READY PATH [STOP DONE]
 *       opens that many times, in as many processes as that takes, keeps all that is given until
 *       killed; READY: "tried N opened N REFUSED-WITH..."; with STOP it opens on and on until there
 *       is such a file, and DONE says the same of all that it tried
 *
 *   flood poll COUNT READY PATH TRIGGER
 *       arms triggers while they are given, polls them in so many threads until killed;
 *       READY: "armed N polling N"
 *
 *   flood rearm COUNT STOP PATH TRIGGER
 *       so many processes that arm triggers while they are given and close them, over and over,
 *       until there is a file STOP; "armed N"
 *
 *   flood read COUNT STOP PATH...
 *       so many processes that open, read and close over and over, until there is a file STOP
 *
 *   flood measure SECONDS LINE PATH [UNTIL]
 *       opens, reads, closes, and looks whether the text's first line is LINE, so long and until
 *       there is a file UNTIL;
 *       "reads N wrong N p50 US p99 US longest US"
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define TRIGGERS 4096
#define MEASURED (1u << 20)
#define STACK (64u << 10)
#define ERRORS 256

static struct {
	_Atomic long tried, got, ready, done;
	_Atomic long refused[ERRORS];
} * shared;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Written whole, so that whoever waits for the file finds its text. */
static void say(const char *ready, const char *text)
{
	char name[4096];
	FILE *f;

	snprintf(name, sizeof(name), "%s.new", ready);
	f = fopen(name, "we");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0 || rename(name, ready) != 0)
		die(ready);
}

static _Noreturn void stay(void)
{
	for (;;)
		pause();
}

/* Children end with their parent. */
static pid_t child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static long most_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max > 16384 ? 16384 : (long)limit.rlim_max - 16;
}

/* One byte, so that the text is kept for the rest. */
static void open_one(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY);

	if (fd >= 0 && read(fd, &byte, 1) == 1)
		shared->got++;
	else
		shared->refused[errno % ERRORS]++;
	shared->tried++;
}

static void open_many(const char *path, long count, const char *stop)
{
	while (count-- > 0)
		open_one(path);
	shared->ready++;
	while (stop && access(stop, F_OK) < 0)
		open_one(path);
	shared->done++;
}

static void say_opened(const char *where)
{
	char text[1024];
	size_t n = (size_t)snprintf(
		text, sizeof(text), "tried %ld opened %ld", shared->tried, shared->got);

	for (int e = 0; e < ERRORS; e++)
		if (shared->refused[e])
			n += (size_t)snprintf(
				text + n, sizeof(text) - n, " %s", strerrorname_np(e));
	say(where, text);
}

static void wait_for(_Atomic long *count, long processes)
{
	while (*count < processes)
		usleep(10000);
}

static int flood_open(char **args)
{
	const long each = most_descriptors();
	const char *stop = args[3];
	long processes = 0;

	for (long left = atol(args[0]); left > 0; left -= each, processes++)
		if (child() == 0) {
			open_many(args[2], left < each ? left : each, stop);
			stay();
		}
	wait_for(&shared->ready, processes);
	say_opened(args[1]);
	if (stop) {
		wait_for(&shared->done, processes);
		say_opened(args[4]);
	}
	stay();
}

static struct pollfd armed[TRIGGERS];
static long n_armed;

static void *poll_one(void *data)
{
	struct pollfd p = armed[(uintptr_t)data % (uintptr_t)n_armed];

	atomic_fetch_add(&shared->ready, 1);
	for (;;)
		poll(&p, 1, -1);
	return NULL;
}

static void arm(const char *path, const char *trigger)
{
	while (n_armed < TRIGGERS) {
		int fd = open(path, O_RDWR);

		if (fd < 0)
			break;
		if (write(fd, trigger, strlen(trigger) + 1) < 0) {
			close(fd);
			break;
		}
		armed[n_armed++] = (struct pollfd){ .fd = fd, .events = POLLPRI };
	}
}

static int flood_poll(char **args)
{
	pthread_attr_t attr;
	char text[128];
	pthread_t t;
	long started = 0;

	arm(args[2], args[3]);
	if (n_armed == 0)
		die("no trigger");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	while (started < atol(args[0]) && pthread_create(&t, &attr, poll_one, (void *)started) == 0)
		started++;
	wait_for(&shared->ready, started);
	snprintf(text, sizeof(text), "armed %ld polling %ld", n_armed, started);
	say(args[1], text);
	stay();
}

static int flood_rearm(char **args)
{
	for (long i = atol(args[0]); i > 0; i--)
		if (child() == 0) {
			while (access(args[1], F_OK) < 0) {
				arm(args[2], args[3]);
				shared->got += n_armed;
				while (n_armed > 0)
					close(armed[--n_armed].fd);
			}
			_exit(0);
		}
	while (wait(NULL) > 0)
		continue;
	printf("armed %ld\n", shared->got);
	return 0;
}

static bool read_whole(const char *path, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	while (length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	close(fd);
	text[length] = '\0';
	return n >= 0;
}

static int flood_read(char **args)
{
	static char text[65536];

	for (long i = atol(args[0]); i > 0; i--)
		if (child() == 0) {
			for (char **path = args + 2; access(args[1], F_OK) < 0;
				path = path[1] ? path + 1 : args + 2)
				read_whole(*path, text, sizeof(text));
			_exit(0);
		}
	while (wait(NULL) > 0)
		continue;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool first_line_is(const char *text, const char *line)
{
	const size_t n = strlen(line);

	return strncmp(text, line, n) == 0 && text[n] == '\n';
}

static int flood_measure(char **args)
{
	const uint64_t end = clock_monotonic_ns() + (uint64_t)(atof(args[0]) * 1e9);
	static uint32_t us[MEASURED];
	static char text[65536];
	long n = 0, wrong = 0;

	while (n < MEASURED &&
		(clock_monotonic_ns() < end || (args[3] && access(args[3], F_OK) < 0))) {
		const uint64_t begin = clock_monotonic_ns();

		if (!read_whole(args[2], text, sizeof(text)) || !first_line_is(text, args[1]))
			wrong++;
		us[n++] = (uint32_t)((clock_monotonic_ns() - begin) / 1000);
	}
	qsort(us, (size_t)n, sizeof(us[0]), by_size);
	printf("reads %ld wrong %ld p50 %u p99 %u longest %u\n", n, wrong, us[n / 2],
		us[n * 99 / 100], us[n - 1]);
	return 0;
}

static const struct command {
	const char *name;
	int least, most;
	int (*run)(char **args);
} commands[] = {
	{ "open", 3, 5, flood_open },
	{ "poll", 4, 4, flood_poll },
	{ "rearm", 4, 4, flood_rearm },
	{ "read", 3, 64, flood_read },
	{ "measure", 3, 4, flood_measure },
};

int main(int argc, char **argv)
{
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 >= commands[i].least &&
			argc - 2 <= commands[i].most)
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: flood open|poll|rearm|read|measure ...\n");
	return 2;
}
