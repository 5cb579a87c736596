/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Readers of served files who notice everything: errors, texts that are not whole, counters that go
 * back, another memory limit or other CPUs than at first, another text in the middle of a handle,
 * and how long each reading took. And who kills the worker meanwhile. Must not know what a
 * container should be shown; its limits must not change.
 *
 *   storm read STOP READERS FILE...
 *       until there is a file STOP; prints "what N" lines, then "ms MILLISECONDS READINGS" lines
 *   storm kill SUPERVISOR SECONDS COUNT PER-SECOND any|early SIGNAL...
 *       until so long or so many kills: a worker at a random instant, and with "early" the next one
 *       soon after it was started; prints how many
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define MOST (1u << 20)
#define FILES 32
#define NUMBERS 4096 /* of a file that may not decrease */
#define LIMIT 8192
#define SLOWEST_MS 20000
#define COMPLAINTS 4
#define EARLY_US 8000 /* about what a worker needs before it serves */

/* Shared by the readers. */
static struct tally {
	_Atomic long readings, errors, brief, backwards, limits, mixed, complaints;
	_Atomic long longest_us;
	_Atomic long at_ms[SLOWEST_MS + 1];
} * tally;

/* What a reader knows of one file. */
struct file {
	const char *path;
	bool is_dir;
	int held; /* open all the time, and read from its start again */
	long lines;
	char limit[LIMIT]; /* as it was at first */
	uint64_t numbers[NUMBERS];
	size_t n_numbers;
};

static char text[MOST + 1], again[MOST + 1];

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void complain(_Atomic long *which, const struct file *f, const char *what, long n)
{
	atomic_fetch_add(which, 1);
	if (atomic_fetch_add(&tally->complaints, 1) < COMPLAINTS)
		fprintf(stderr, "storm: %s: %s (%ld)\n", f->path, what, n);
}

/* --- what a text must be ------------------------------------------------------------------ */

static bool ends_with(const char *path, const char *name)
{
	size_t n = strlen(path), m = strlen(name);

	return n >= m && !strcmp(path + n - m, name);
}

/* Devices come with I/O, swap with use: only the other files always have the same lines. */
static bool has_fixed_lines(const char *path)
{
	return !ends_with(path, "/diskstats") && !ends_with(path, "/swaps");
}

static long lines_of(const char *s)
{
	long n = 0;

	for (; (s = strchr(s, '\n')); s++)
		n++;
	return n;
}

static void check_whole(struct file *f, size_t length)
{
	const long lines = lines_of(text);

	if (length == 0 && !has_fixed_lines(f->path))
		return;
	if (length == 0 || text[length - 1] != '\n')
		complain(&tally->brief, f, "ends within a line", (long)length);
	else if (f->lines && lines != f->lines && has_fixed_lines(f->path))
		complain(&tally->brief, f, "other number of lines", lines);
	if (!f->lines)
		f->lines = lines;
}

/* Hundredths in uptime, whole ones elsewhere. */
static uint64_t number_at(const char **s)
{
	uint64_t n = strtoull(*s, (char **)s, 10);

	if (**s == '.')
		n = n * 100 + strtoull(*s + 1, (char **)s, 10);
	return n;
}

static bool counts_up(const char *path, const char *line)
{
	if (ends_with(path, "/uptime"))
		return true;
	if (!ends_with(path, "/stat"))
		return false;
	return !strncmp(line, "cpu", 3) || !strncmp(line, "ctxt", 4) ||
		!strncmp(line, "processes", 9);
}

/* The i-th number that may only grow. */
static void check_number(struct file *f, size_t i, uint64_t n)
{
	if (i >= NUMBERS)
		return;
	if (i < f->n_numbers && n < f->numbers[i])
		complain(&tally->backwards, f, "a counter went back", (long)(f->numbers[i] - n));
	f->numbers[i] = n;
	if (i == f->n_numbers)
		f->n_numbers++;
}

static void check_growth(struct file *f)
{
	size_t i = 0;

	for (const char *line = text, *s; *line; line = strchr(line, '\n') + 1) {
		const char *end = strchr(line, '\n');

		if (!end)
			return;
		if (!counts_up(f->path, line))
			continue;
		s = ends_with(f->path, "/uptime") ? line : strchr(line, ' ');
		while (s && s < end) {
			while (*s == ' ')
				s++;
			if (*s < '0' || *s > '9')
				break;
			check_number(f, i++, number_at(&s));
		}
	}
}

/* What says which limits somebody has: lines that begin so, up to there. */
static const struct limit {
	const char *file, *line, *end;
} limits[] = {
	{ "/meminfo", "MemTotal:", "\n" },
	{ "/cpuinfo", "processor", "\n" },
	{ "/stat", "cpu", " " },
	{ "/online", "", "\n" },
};

static void append_limit(const struct limit *l, char *to, size_t size)
{
	size_t used = 0;

	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		if (!strncmp(line, l->line, strlen(l->line)) && used < size)
			used += (size_t)snprintf(
				to + used, size - used, "%.*s ", (int)strcspn(line, l->end), line);
}

static void check_limit(struct file *f)
{
	char now[LIMIT] = "", complaint[2 * LIMIT + 64];

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (ends_with(f->path, limits[i].file))
			append_limit(&limits[i], now, sizeof(now));
	if (f->limit[0] && strcmp(now, f->limit) != 0) {
		snprintf(complaint, sizeof(complaint), "another limit, %snot %s", now, f->limit);
		complain(&tally->limits, f, complaint, 0);
	}
	if (!f->limit[0])
		strcpy(f->limit, now);
}

/* --- readings ----------------------------------------------------------------------------- */

static long read_to_end(int fd, char *to, size_t piece)
{
	size_t length = 0;
	ssize_t n = 1;

	while (n > 0 && length < MOST) {
		n = read(fd, to + length, piece < MOST - length ? piece : MOST - length);
		if (n > 0)
			length += (size_t)n;
	}
	to[length] = '\0';
	return n < 0 ? -1 : (long)length;
}

/* In small pieces the text of one handle is the same as in one. */
static bool read_in_pieces(struct file *f, int fd)
{
	long length = read_to_end(fd, text, 61 + (size_t)(random() % 400));
	ssize_t rest;

	if (length < 0)
		return false;
	rest = pread(fd, again, MOST, 1);
	if (rest < 0)
		return false;
	if (length > 1 && (rest != length - 1 || memcmp(text + 1, again, (size_t)rest) != 0))
		complain(&tally->mixed, f, "two texts in one handle", length - 1 - rest);
	return true;
}

static bool read_file(struct file *f, int fd, unsigned round)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool good;

	if (round % 3 == 1)
		good = read_in_pieces(f, fd);
	else
		good = read_to_end(fd, text, 65536) >= 0;
	if (good && round % 16 == 2 && poll(&p, 1, 0) != 1)
		complain(&tally->errors, f, "poll(2) waits", 0);
	if (good) {
		check_whole(f, strlen(text));
		check_growth(f);
		check_limit(f);
	}
	return good;
}

static bool list(struct file *f)
{
	DIR *dir = opendir(f->path);
	struct dirent *e;
	long n = 0;

	if (!dir)
		return false;
	errno = 0;
	while ((e = readdir(dir)))
		n++;
	if (errno == 0 && f->lines && n != f->lines)
		complain(&tally->brief, f, "other number of names", n);
	f->lines = n;
	n = errno;
	closedir(dir);
	errno = (int)n;
	return n == 0;
}

static bool read_once(struct file *f, unsigned round)
{
	bool good;
	int fd;

	if (f->is_dir)
		return list(f);
	if (round % 4 == 3)
		return lseek(f->held, 0, SEEK_SET) == 0 && read_file(f, f->held, round);
	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = read_file(f, fd, round);
	close(fd);
	return good;
}

static void note_time(uint64_t ns)
{
	const long us = (long)(ns / 1000);
	long longest = atomic_load(&tally->longest_us);

	atomic_fetch_add(&tally->at_ms[us / 1000 < SLOWEST_MS ? us / 1000 : SLOWEST_MS], 1);
	while (us > longest && !atomic_compare_exchange_weak(&tally->longest_us, &longest, us))
		continue;
}

static void be_reader(struct file *files, int n, const char *stop)
{
	for (unsigned round = 0; access(stop, F_OK) < 0; round++)
		for (int i = 0; i < n; i++) {
			const uint64_t begin = clock_monotonic_ns();

			atomic_fetch_add(&tally->readings, 1);
			if (!read_once(&files[i], round))
				complain(&tally->errors, &files[i], strerror(errno), errno);
			note_time(clock_monotonic_ns() - begin);
		}
}

static void open_files(struct file *files, int n, char **paths)
{
	for (int i = 0; i < n; i++) {
		struct stat st;

		files[i] = (struct file){ .path = paths[i], .held = -1 };
		if (stat(paths[i], &st) < 0)
			die(paths[i]);
		files[i].is_dir = S_ISDIR(st.st_mode);
		if (!files[i].is_dir)
			files[i].held = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (!files[i].is_dir && files[i].held < 0)
			die(paths[i]);
	}
}

static int read_all(int argc, char **argv)
{
	static struct file files[FILES];
	const int n = argc - 2 < FILES ? argc - 2 : FILES;

	tally = mmap(
		NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		die("mmap");
	for (int i = atoi(argv[1]); i > 0; i--)
		if (fork() == 0) {
			srandom((unsigned)getpid());
			open_files(files, n, argv + 2);
			be_reader(files, n, argv[0]);
			exit(0);
		}
	for (int status; wait(&status) > 0;)
		if (status != 0)
			tally->errors++;
	printf("readings %ld\nerrors %ld\nbrief %ld\nbackwards %ld\nlimits %ld\nmixed %ld\n"
	       "longest-us %ld\n",
		tally->readings, tally->errors, tally->brief, tally->backwards, tally->limits,
		tally->mixed, tally->longest_us);
	for (int ms = 0; ms <= SLOWEST_MS; ms++)
		if (tally->at_ms[ms])
			printf("ms %d %ld\n", ms, tally->at_ms[ms]);
	return 0;
}

/* --- killing ------------------------------------------------------------------------------ */

static void sleep_us(double us)
{
	const struct timespec t = { (time_t)(us / 1e6),
		(long)((us - 1e6 * (double)(time_t)(us / 1e6)) * 1000) };

	nanosleep(&t, NULL);
}

/* Not the child that heals containers' binds. */
static bool is_worker(pid_t pid)
{
	char path[32], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return !strcmp(name, "lxcfs\n");
}

/* The supervisor's last child that answers; 0 without. */
static pid_t worker_of(const char *supervisor)
{
	char path[64], line[256] = "";
	pid_t last = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/children", supervisor, supervisor);
	f = fopen(path, "re");
	if (!f)
		die(path);
	if (fgets(line, sizeof(line), f))
		for (char *s = line, *end; (end = strchr(s, ' ')); s = end + 1)
			last = is_worker(atoi(s)) ? atoi(s) : last;
	fclose(f);
	return last;
}

/* So that each instant is as likely as any other. */
static double random_wait_us(double mean)
{
	const double u = ((double)random() + 1) / ((double)RAND_MAX + 2);
	double sum = 0, term = 1 - u;

	/* -ln u, well enough */
	for (int i = 1; i < 200; i++, term *= 1 - u)
		sum += term / i;
	return mean * sum;
}

/* The child after `last`. */
static pid_t next_worker(const char *supervisor, pid_t last, uint64_t end)
{
	pid_t worker;

	do
		sleep_us(50);
	while (((worker = worker_of(supervisor)) == 0 || worker == last) &&
		clock_monotonic_ns() < end);
	return worker;
}

static int kill_worker(int argc, char **argv)
{
	const uint64_t end = clock_monotonic_ns() + (uint64_t)(atof(argv[1]) * 1e9);
	const long count = atol(argv[2]);
	const double mean = 1e6 / atof(argv[3]);
	const bool early = !strcmp(argv[4], "early");
	pid_t worker;
	long n = 0;

	srandom((unsigned)(clock_monotonic_ns() / 1000));
	while (n < count && clock_monotonic_ns() < end) {
		sleep_us(random_wait_us(mean));
		worker = worker_of(argv[0]);
		if (worker == 0)
			continue;
		if (kill(worker, atoi(argv[5 + random() % (argc - 5)])) == 0)
			n++;
		if (!early)
			continue;
		worker = next_worker(argv[0], worker, end);
		sleep_us((double)(random() % EARLY_US));
		if (worker && kill(worker, SIGKILL) == 0)
			n++;
	}
	printf("%ld\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 4 && !strcmp(argv[1], "read"))
		return read_all(argc - 2, argv + 2);
	if (argc > 7 && !strcmp(argv[1], "kill"))
		return kill_worker(argc - 2, argv + 2);
	fprintf(stderr,
		"usage: storm read STOP READERS FILE...\n"
		"       storm kill SUPERVISOR SECONDS COUNT PER-SECOND any|early SIGNAL...\n");
	return 2;
}
