/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads or writes a number in the memory that generations of workers share, as whoever runs code in
 * a worker can. Must not know what the number is good for.
 *
 *   area PID MEMBER [VALUE]
 *       in the memory that the process has a descriptor of
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "handover.h"

#define MEMBERS(X)                                                                                 \
	X(magic)                                                                                   \
	X(version)                                                                                 \
	X(header_size)                                                                             \
	X(size)                                                                                    \
	X(generation)                                                                              \
	X(init.request_len)                                                                        \
	X(init.reply_len)                                                                          \
	X(pass_through)                                                                            \
	X(given_up)                                                                                \
	X(draining)                                                                                \
	X(dev)

#define AT(member) offsetof(struct handover, member)
#define MINOR_IN_REPLY (sizeof(struct fuse_out_header) + offsetof(struct fuse_init_out, minor))

static const struct member {
	const char *name;
	size_t offset, size;
} members[] = {
#define ROW(member) { #member, AT(member), sizeof(((struct handover *)NULL)->member) },
	MEMBERS(ROW)
	/* Parts of what is too wide for a number. */
	{ "boot_id", AT(boot_id), sizeof(uint32_t) },
	{ "minor", AT(init.reply) + MINOR_IN_REPLY, sizeof(uint32_t) },
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "area: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool is_area(const char *path)
{
	static const char name[] = "/memfd:" HANDOVER_NAME;
	char target[sizeof(name)] = "";

	return readlink(path, target, sizeof(target) - 1) > 0 && strcmp(target, name) == 0;
}

static int open_area(const char *pid)
{
	char path[300];
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		die(path);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		if (is_area(path)) {
			closedir(dir);
			return open(path, O_RDWR | O_CLOEXEC);
		}
	}
	closedir(dir);
	errno = ENOENT;
	return -1;
}

static const struct member *find_member(const char *name)
{
	for (size_t i = 0; i < countof(members); i++)
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	errno = ENOENT;
	die(name);
}

int main(int argc, char **argv)
{
	const struct member *member;
	uint64_t value = 0; /* little-endian, of which a smaller member has the first bytes */
	int fd;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: area PID MEMBER [VALUE]\n");
		return 2;
	}
	member = find_member(argv[2]);
	fd = open_area(argv[1]);
	if (fd < 0)
		die(argv[1]);
	if (argc == 3) {
		if (pread(fd, &value, member->size, (off_t)member->offset) < 0)
			die(argv[2]);
		printf("%" PRIu64 "\n", value);
		return 0;
	}
	value = strtoull(argv[3], NULL, 0);
	if (pwrite(fd, &value, member->size, (off_t)member->offset) < 0)
		die(argv[2]);
	return 0;
}
