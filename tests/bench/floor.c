/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The least that a read through FUSE takes, whatever serves it: one thread that answers each
 * request with constants as soon as it has read it, with no library, no look-up, no question who
 * asks. What the kernel takes for the way there and back remains. Must not be made slower.
 *
 * usage: floor DIR
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_NODE 2u
#define FILE_NAME "file"
#define FOREVER UINT64_C(1000000)
#define MAX_WRITE 4096u

static const char content[] = "0-1\n";

static struct fuse_attr attr_of(uint64_t node)
{
	return (struct fuse_attr){ .ino = node,
		.nlink = 1,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0555 : S_IFREG | 0444 };
}

static void reply(int fd, uint64_t unique, int error, const void *data, size_t n)
{
	const struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + n), .error = error, .unique = unique
	};
	const struct iovec parts[] = { { (void *)&header, sizeof(header) }, { (void *)data, n } };

	if (writev(fd, parts, n ? 2 : 1) < 0 && errno != ENOENT)
		exit(EXIT_FAILURE);
}

static void answer(int fd, const struct fuse_in_header *in)
{
	static const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_write = MAX_WRITE,
		.max_background = 16,
		.congestion_threshold = 12 };
	static const struct fuse_open_out opened = { .open_flags =
							     FOPEN_DIRECT_IO | FOPEN_NOFLUSH };
	const struct fuse_read_in *read_in = (const void *)(in + 1);
	const struct fuse_entry_out entry = { .nodeid = FILE_NODE,
		.entry_valid = FOREVER,
		.attr_valid = FOREVER,
		.attr = attr_of(FILE_NODE) };
	const struct fuse_attr_out attr = { .attr_valid = FOREVER, .attr = attr_of(in->nodeid) };

	switch (in->opcode) {
	case FUSE_OPEN:
		reply(fd, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		reply(fd, in->unique, 0, content, read_in->offset == 0 ? sizeof(content) - 1 : 0);
		break;
	case FUSE_RELEASE:
		reply(fd, in->unique, 0, NULL, 0);
		break;
	case FUSE_GETATTR:
		reply(fd, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_LOOKUP:
		if (strcmp((const char *)(in + 1), FILE_NAME) == 0)
			reply(fd, in->unique, 0, &entry, sizeof(entry));
		else
			reply(fd, in->unique, -ENOENT, NULL, 0);
		break;
	case FUSE_INIT:
		reply(fd, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fd, in->unique, -ENOSYS, NULL, 0);
		break;
	}
}

static const char *mounted;

static void end(int number)
{
	(void)number;
	umount2(mounted, MNT_DETACH);
	_exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	static _Alignas(struct fuse_in_header) char request[FUSE_MIN_READ_BUFFER + MAX_WRITE];
	const int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[96];

	if (argc != 2 || fd < 0)
		return EXIT_FAILURE;
	mounted = argv[1];
	snprintf(options, sizeof(options),
		"fd=%d,rootmode=40555,user_id=0,group_id=0,allow_other,max_read=131072", fd);
	if (mount("floor", mounted, "fuse.floor", MS_NOSUID | MS_NODEV, options) < 0) {
		perror("floor");
		return EXIT_FAILURE;
	}
	signal(SIGTERM, end);
	for (;;) {
		const ssize_t n = read(fd, request, sizeof(request));

		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			answer(fd, (const void *)request);
		else if (errno != ENOENT && errno != EINTR && errno != EAGAIN)
			return errno == ENODEV ? EXIT_SUCCESS : EXIT_FAILURE;
	}
}
