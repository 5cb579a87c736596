/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Containers by the thousand: several readers at once, each making one container after the other
 * (a pid namespace, a cgroup in each given directory, a memory limit of its own), reading the
 * served files inside as its init, and removing it. Leaves no cgroup behind.
 *
 * usage: ctchurn COUNT READERS MOUNT LIMIT-FILE MEMORY-DIR [DIR...]
 * prints "containers reads errors wrong longest"; wrong: a text that is not whole, or not this
 * container's. With $CTCHURN_CUT each reads until it is killed, some milliseconds after it has
 * begun to; longest: how many milliseconds one took to be gone then.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "smallct.h"

static struct counters {
	_Atomic long containers, reads, errors, wrong, longest;
} * counters;

/* Shared with the container of the moment: it has begun to read. */
static _Atomic bool *begun;

static bool cut;
static const char *mount_dir;
static struct smallct_config config = { .name = "churn" };

static const char *const files[] = {
	"proc/cpuinfo",
	"proc/stat",
	"proc/uptime",
	"proc/diskstats",
	"sys/devices/system/cpu/online",
};

static void complain(const char *what, const char *path)
{
	if (atomic_fetch_add(&counters->errors, 1) < 5)
		fprintf(stderr, "ctchurn: %s %s: %s\n", what, path, strerror(errno));
}

/* The whole file, zero-terminated; -1 after a complaint. */
static ssize_t read_file(const char *file, char *buffer, size_t size)
{
	char path[4096];
	ssize_t length = 0, n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", mount_dir, file);
	atomic_fetch_add(&counters->reads, 1);
	atomic_store(begun, true);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		while ((n = read(fd, buffer + length, size - 1 - (size_t)length)) > 0)
			length += n;
		close(fd);
	}
	if (n < 0) {
		complain("read", path);
		return -1;
	}
	buffer[length] = 0;
	return length;
}

static void wrong(const char *file, const char *text, long wanted)
{
	if (atomic_fetch_add(&counters->wrong, 1) < 5)
		fprintf(stderr, "ctchurn: %s wrong, limit %ld kB: %.60s\n", file, wanted, text);
}

static void check_container(long limit_kb)
{
	static char text[4u << 20];
	ssize_t length = read_file("proc/meminfo", text, sizeof(text));
	long total = -1;

	if (length >= 0 && (sscanf(text, "MemTotal: %ld kB", &total) != 1 || total != limit_kb))
		wrong("proc/meminfo", text, limit_kb);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		length = read_file(files[i], text, sizeof(text));
		/* No I/O, no device: an empty diskstats is right. */
		if (length == 0 && strstr(files[i], "diskstats"))
			continue;
		if (length >= 0 && (length == 0 || text[length - 1] != '\n'))
			wrong(files[i], text, limit_kb);
	}
}

static bool make_cgroups(long id, long limit_kb)
{
	char path[4096];

	if (smallct_make(&config, id, limit_kb, path, sizeof(path)))
		return true;
	complain("make", path);
	return false;
}

static _Noreturn void be_container(long id, long limit_kb)
{
	char path[4096];

	if (!smallct_join(&config, id, path, sizeof(path))) {
		complain("join", path);
		_exit(1);
	}
	do
		check_container(limit_kb);
	while (cut);
	_exit(0);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until it has, or has ended instead. */
static void wait_until_begun(pid_t pid)
{
	siginfo_t info = { 0 };

	while (!atomic_load(begun) && info.si_pid == 0 &&
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		usleep(200);
}

/* True when the container is gone. */
static bool end_container(pid_t pid, long id)
{
	long start, took, longest;

	if (!cut)
		return waitpid(pid, NULL, 0) == pid;
	wait_until_begun(pid);
	usleep((useconds_t)(id * 7919 % 30000));
	start = now_ms();
	if (kill(pid, SIGKILL) != 0 || waitpid(pid, NULL, 0) != pid)
		return false;
	took = now_ms() - start;
	longest = atomic_load(&counters->longest);
	while (took > longest && !atomic_compare_exchange_weak(&counters->longest, &longest, took))
		continue;
	return true;
}

static void one_container(long id)
{
	long limit_kb = 65536 + 4 * id;
	pid_t pid;

	atomic_store(begun, false);
	if (make_cgroups(id, limit_kb)) {
		pid = smallct_fork();
		if (pid == 0)
			be_container(id, limit_kb);
		if (pid < 0)
			complain("clone", "");
		else if (end_container(pid, id))
			atomic_fetch_add(&counters->containers, 1);
	}
	smallct_remove(&config, id);
}

static void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("ctchurn: mmap");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	long count, readers;

	if (argc < 6) {
		fprintf(stderr,
			"usage: ctchurn COUNT READERS MOUNT LIMIT-FILE MEMORY-DIR [DIR...]\n");
		return 2;
	}
	count = atol(argv[1]);
	readers = atol(argv[2]);
	mount_dir = argv[3];
	config.limit_file = argv[4];
	config.dirs = argv + 5;
	cut = getenv("CTCHURN_CUT");
	counters = shared_memory(sizeof(*counters));
	for (long r = 0; r < readers; r++) {
		if (fork() == 0) {
			begun = shared_memory(sizeof(*begun));
			for (long id = r; id < count; id += readers)
				one_container(id);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	printf("%ld %ld %ld %ld %ld\n", counters->containers, counters->reads, counters->errors,
		counters->wrong, counters->longest);
	return 0;
}
