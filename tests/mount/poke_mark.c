/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loads that a reader of /proc can tell from anybody else's: of everything the host counts more
 * than a small container can have, and bursts in a container that leave its CPU alone for most of
 * the time. Must cost whoever else runs next to nothing.
 */
#include "poke.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define RUNNING 32        /* threads; as SCHED_IDLE a tenth of one other's share all together */
#define WAITING 16        /* threads, for I/O */
#define TABLES 2048       /* of pages, one page used in each */
#define COVERED (2 * MIB) /* by each, at the least */

#define BURST_NS 30000000u
#define PERIOD_NS 210000000u /* no divisor of the 5 s after which loads are sampled */

static void *spin(void *unused)
{
	for (;;)
		for (volatile int i = 0; i < 10000; i++)
			;
	return unused;
}

static void *wait_for_io(void *path)
{
	char byte;

	/* Whoever serves it is gone first: nothing is read in any case. */
	if (pread(open_or_die(path), &byte, 1, 0) < 0)
		return path;
	return NULL;
}

static void start(void *(*what)(void *), void *arg, int policy)
{
	const struct sched_param none = { 0 };
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	if (pthread_create(&thread, &attr, what, arg))
		die("thread");
	pthread_attr_destroy(&attr);
	if (pthread_setschedparam(thread, policy, &none))
		die("policy");
}

static char *map(size_t size, int flags, int fd)
{
	char *p = mmap(NULL, size, PROT_READ | (fd < 0 ? PROT_WRITE : 0), flags, fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* A second read is what makes a page active. */
static void read_through(int fd, size_t from, size_t to, int times)
{
	for (; times > 0; times--)
		for (size_t at = from; at < to; at += sizeof(content) / 4)
			if (pread(fd, content, sizeof(content) / 4, (off_t)at) < 0)
				die("read");
}

/* Of a hole's pages, which cost no I/O: 32 MiB active and mapped, 32 MiB neither. */
static void fill_cache(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, 64 * MIB))
		die(path);
	read_through(fd, 0, 32 * MIB, 2);
	read_through(fd, 32 * MIB, 64 * MIB, 1);
	map(32 * MIB, MAP_SHARED | MAP_POPULATE, fd);
}

static void fill_memory(void)
{
	int fd = memfd_create("mark", MFD_CLOEXEC);
	char *tables = map((TABLES + 1) * COVERED, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	/* Shmem, and as much Active(anon) */
	if (fd < 0)
		die("memfd");
	for (size_t i = 0; i < 16; i++)
		if (write(fd, content, MIB) != (ssize_t)MIB)
			die("memfd");
	read_through(fd, 0, 16 * MIB, 2);
	madvise(tables, (TABLES + 1) * COVERED, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < TABLES; i++)
		tables[i * COVERED] = 1;
	/* Unevictable and Mlocked, where the limit lets it */
	(void)!mlock(map(8 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1), 8 * MIB);
}

/*
 * mark READY FILE HANG: makes READY, FILE and a load of everything, until killed; HANG is a file of
 * hangfs(1)'s, which must be killed first.
 */
int poke_mark(char **args)
{
	fill_cache(args[1]);
	fill_memory();
	for (int i = 0; i < WAITING; i++)
		start(wait_for_io, args[2], SCHED_OTHER);
	for (int i = 0; i < RUNNING; i++)
		start(spin, NULL, SCHED_IDLE);
	close(open(args[0], O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	for (;;)
		pause();
}

/* Half of it in the kernel. By the clock, not by what was done: no longer where others run, too. */
static void *burst(void *end)
{
	int fd = open_or_die("/dev/zero");
	char page[4096];
	uint64_t now;

	while ((now = now_ns()) < *(uint64_t *)end) {
		if (now % PERIOD_NS >= BURST_NS)
			usleep((useconds_t)((PERIOD_NS - now % PERIOD_NS) / 1000 + 1));
		else if (now % PERIOD_NS < BURST_NS / 2)
			for (volatile int i = 0; i < 10000; i++)
				;
		else if (read(fd, page, sizeof(page)) < 0)
			die("/dev/zero");
	}
	return NULL;
}

/* pulse COUNT SECONDS: that many threads all run for 30 ms of each 210. */
int poke_pulse(char **args)
{
	static uint64_t end;

	end = now_ns() + strtoul(args[1], NULL, 0) * 1000000000u;
	for (long i = atol(args[0]); i > 1; i--)
		start(burst, &end, SCHED_OTHER);
	burst(&end);
	return 0;
}
