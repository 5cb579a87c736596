/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hangfs DIR: a FUSE file system of one file, DIR/f, whose server answers until SIGUSR1; from then
 * on it takes every request and answers none, so that whoever looks at a path below DIR can not
 * even be killed before this process is. Reads it never answers: to the kernel whoever waits for
 * the file's content waits for I/O. Must not cache anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NODE 2

static volatile sig_atomic_t silent;

static void on_signal(int number)
{
	(void)number;
	silent = 1;
}

static void reply(int fd, uint64_t unique, int error, const void *data, size_t n)
{
	struct fuse_out_header header = { (uint32_t)(sizeof(header) + n), error, unique };
	char buffer[sizeof(header) + 256];

	memcpy(buffer, &header, sizeof(header));
	if (n > 0)
		memcpy(buffer + sizeof(header), data, n);
	if (write(fd, buffer, sizeof(header) + n) < 0)
		perror("hangfs: write");
}

static struct fuse_attr attr(uint64_t node)
{
	return (struct fuse_attr){ .ino = node,
		.mode = node == FILE_NODE ? S_IFREG | 0444 : S_IFDIR | 0755,
		.nlink = 1,
		.size = node == FILE_NODE ? 4096 : 0 };
}

static void answer(int fd, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 4096 };
	const struct fuse_attr_out attributes = { .attr = attr(in->nodeid) };
	const struct fuse_entry_out entry = { .nodeid = FILE_NODE, .attr = attr(FILE_NODE) };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fd, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_GETATTR:
		reply(fd, in->unique, 0, &attributes, sizeof(attributes));
		break;
	case FUSE_LOOKUP:
		reply(fd, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_READ:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fd, in->unique, -ENOSYS, NULL, 0);
		break;
	}
}

int main(int argc, char **argv)
{
	static _Alignas(struct fuse_in_header) char buffer[FUSE_MIN_READ_BUFFER];
	const int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	const struct sigaction action = { .sa_handler = on_signal };
	char data[128];

	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	sigaction(SIGUSR1, &action, NULL);
	if (argc != 2 || fd < 0 || mount("hangfs", argv[1], "fuse.hangfs", 0, data) < 0) {
		perror("hangfs");
		return 1;
	}
	for (;;) {
		if (read(fd, buffer, sizeof(buffer)) < 0) {
			if (errno == EINTR || errno == EAGAIN || errno == ENOENT)
				continue;
			return 0; /* unmounted, or aborted */
		}
		if (!silent)
			answer(fd, (const struct fuse_in_header *)buffer);
	}
}
