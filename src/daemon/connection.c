/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mount(2), INIT and the clones of the device, without libfuse: what is negotiated here lasts for
 * the connection's life, through every later worker and version. Nothing here may ask the mount for
 * anything: nobody answers yet.
 */
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "log.h"
#include "patience.h"

#define INIT_TIMEOUT_MS 10000
#define SHORT_OF_IT "the machine is short of it"
#define STACKED_MAX 64

/* --- DIR -------------------------------------------------------------------------------- */

/* A mount whose daemon has died; while it is dying, its last requests say ECONNABORTED. What the
 * kernel keeps of its root's attributes outlives it, so the daemon itself is asked. */
static bool is_dead_mount(const char *dir)
{
	struct statx st;

	return statx(AT_FDCWD, dir, AT_STATX_FORCE_SYNC, STATX_TYPE, &st) < 0 &&
		(errno == ENOTCONN || errno == ECONNABORTED);
}

static const struct {
	int error;
	const char *mending;
} dir_errors[] = {
	{ ENOENT, "create it with mkdir -p" },
	{ ENOTDIR, "name a directory" },
	{ EPERM, "give the daemon CAP_SYS_ADMIN" },
	{ EINVAL, "check the words behind -o; the kernel's log may tell more" },
	{ ENODEV, "load the fuse module (modprobe fuse)" },
};

static int tell_dir_error(const char *dir, int error)
{
	const char *mending = "name another directory";

	if (error == ENOSPC) {
		log_limited("mounts",
			"cannot mount on %s: there are too many mounts: unmount some, or raise "
			"the sysctl fs.mount-max",
			dir);
		return -ENOMEM;
	}
	if (is_shortage(-error)) { /* the supervisor tries again and again */
		log_limited("mount shortage", "cannot mount on %s: %s: " SHORT_OF_IT, dir,
			strerror(error));
		return -error;
	}
	for (size_t i = 0; i < countof(dir_errors); i++)
		if (dir_errors[i].error == error)
			mending = dir_errors[i].mending;
	log_error("cannot mount on %s: %s: %s", dir, strerror(error), mending);
	return -error;
}

int connection_prepare(const char *dir)
{
	struct stat st;
	int error = 0;

	for (int i = 0; i < STACKED_MAX && is_dead_mount(dir); i++) {
		if (umount2(dir, MNT_DETACH) < 0) {
			if (is_shortage(-errno))
				return tell_dir_error(dir, errno);
			break;
		}
		log_info("took a dead mount away from %s: its daemon had been killed", dir);
	}
	if (stat(dir, &st) < 0)
		error = errno;
	else if (!S_ISDIR(st.st_mode))
		error = ENOTDIR;
	return error ? tell_dir_error(dir, error) : 0;
}

/* The device number at `dir`, asking nobody: AT_STATX_DONT_SYNC takes what the kernel has, even of
 * a connection that is dead or not answered yet. 0 or -errno. */
static int device_from(int dirfd, const char *path, dev_t *ret)
{
	const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
	struct statx st;

	if (statx(dirfd, path, flags, STATX_TYPE, &st) < 0)
		return -errno;
	*ret = makedev(st.stx_dev_major, st.stx_dev_minor);
	return 0;
}

static int device_at(const char *dir, dev_t *ret)
{
	return device_from(AT_FDCWD, dir, ret);
}

int connection_is_at(const struct connection *c, const char *dir)
{
	dev_t dev;
	int r;

	if (c->device < 0)
		return 0;
	r = device_at(dir, &dev);
	return is_shortage(r) ? r : r == 0 && dev == c->dev;
}

static int detach(const struct connection *c, const char *dir)
{
	const int at = connection_is_at(c, dir);

	if (at > 0 && umount2(dir, MNT_DETACH) < 0)
		return -errno;
	return at < 0 ? at : 0;
}

static int tell_still_there(const char *dir, int r)
{
	if (r < 0)
		log_limited("unmount", "cannot unmount %s: %s: try umount -l %s", dir, strerror(-r),
			dir);
	return r;
}

int connection_detach(const struct connection *c, const char *dir)
{
	return tell_still_there(dir, detach(c, dir));
}

struct detaching {
	const struct connection *connection;
	const char *dir;
};

static int detach_attempt(void *data)
{
	const struct detaching *d = data;

	return detach(d->connection, d->dir);
}

int connection_detach_patiently(const struct connection *c, const char *dir)
{
	return tell_still_there(dir, patiently(detach_attempt, &(struct detaching){ c, dir }));
}

int connection_clone_mount(const struct connection *c, const char *dir)
{
	const int at = connection_is_at(c, dir);
	int fd;

	if (at <= 0)
		return at < 0 ? at : -ENOENT;
	fd = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return errno == ENOSPC ? -ENOMEM : -errno;
	return fd;
}

static unsigned long mount_flags(const struct options *o)
{
	return MS_NOSUID | MS_NODEV | MS_NOEXEC | o->mount_flags;
}

int connection_attach(const struct connection *c, int mount_fd, const struct options *o)
{
	dev_t dev = 0;
	int r = mount_fd < 0 ? -EBADF : device_from(mount_fd, "", &dev);

	if (is_shortage(r))
		return r;
	if (r < 0 || dev != c->dev)
		return -EBADF;
	if (move_mount(mount_fd, "", AT_FDCWD, o->dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return errno == ENOSPC ? -ENOMEM : -errno; /* of fs.mount-max */
	/* The options may be others than those it was mounted with. */
	if (mount(NULL, o->dir, NULL, MS_REMOUNT | MS_BIND | mount_flags(o), NULL) < 0)
		log_info("the mount at %s keeps its flags: %m", o->dir);
	return 0;
}

/* --- INIT ------------------------------------------------------------------------------- */

/*
 * What we ask of the kernel. Only what every libfuse from 3.14 on understands, since the answer
 * outlives the binary; nothing that changes a message's layout (SETXATTR_EXT, SECURITY_CTX,
 * INIT_EXT and the flags behind it).
 *
 * ASYNC_READ      READs of one big read(2) may be under way together
 * ATOMIC_O_TRUNC  a shell's "> pressure/cpu" is one OPEN, not an OPEN and a SETATTR to be refused
 * BIG_WRITES      writes of more than 4 KiB at a time on old kernels; ignored since Linux 4.20
 * PARALLEL_DIROPS lookups and listings of one directory need not wait for each other
 * MAX_PAGES       READs of up to 1 MiB although max_write is small (Linux 4.20)
 *
 * Left out on purpose: locks (then the kernel keeps them itself), READDIRPLUS (its entries are
 * cached for all, but listings differ), CACHE_SYMLINKS and AUTO_INVAL_DATA (nothing of ours may be
 * cached), HANDLE_KILLPRIV, DONT_MASK, WRITEBACK_CACHE (nothing is ever written), NO_OPEN_SUPPORT
 * (a container is bound at OPEN), ABORT_ERROR (abort and unmount would then read differently:
 * ECONNABORTED).
 */
#define WANTED_FLAGS                                                                               \
	(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS |          \
		FUSE_MAX_PAGES)
#define MINOR 38u       /* of libfuse 3.14 */
#define MINOR_LEAST 23u /* Linux 3.15: the answer got its present length */
#define MAX_WRITE 4096u /* so that a request fits HANDOVER_REQUEST */
#define MAX_PAGES 256u  /* the kernel's own ceiling */
/* RELEASE is sent in the background, and readers that do not wait for it must not outrun it: with
 * the default of 12, 64 readers have thousands of closed files waiting. */
#define MAX_BACKGROUND 4096u

struct init_request {
	struct fuse_in_header header;
	struct fuse_init_in in;
};

struct init_reply {
	struct fuse_out_header header;
	struct fuse_init_out out;
};

static ssize_t read_init(int device, uint8_t *buffer, size_t size)
{
	struct pollfd p = { .fd = device, .events = POLLIN };
	ssize_t n;

	/* mount(2) has queued it already. */
	if (poll(&p, 1, INIT_TIMEOUT_MS) == 0)
		return -ETIMEDOUT;
	n = read(device, buffer, size);
	return n < 0 ? -errno : n;
}

static void fill_reply(const struct init_request *q, struct init_reply *ret)
{
	*ret = (struct init_reply){
		.header = { .len = sizeof(*ret), .unique = q->header.unique },
		.out = { .major = FUSE_KERNEL_VERSION,
			.minor = q->in.minor < MINOR ? q->in.minor : MINOR,
			.max_readahead = q->in.max_readahead,
			.max_background = MAX_BACKGROUND,
			.congestion_threshold = MAX_BACKGROUND / 4 * 3,
			.flags = q->in.flags & WANTED_FLAGS,
			.max_write = MAX_WRITE,
			.time_gran = 1,
			.max_pages = q->in.flags & FUSE_MAX_PAGES ? MAX_PAGES : 0 },
	};
}

static int answer_init(int device, struct handover_init *init)
{
	_Alignas(struct init_request) uint8_t buffer[FUSE_MIN_READ_BUFFER];
	struct init_request request = { 0 };
	struct init_reply reply;
	ssize_t n = read_init(device, buffer, sizeof(buffer));

	if (n < 0)
		return (int)n;
	memcpy(&request, buffer, (size_t)n < sizeof(request) ? (size_t)n : sizeof(request));
	if ((size_t)n > sizeof(init->request) || request.header.opcode != FUSE_INIT ||
		request.in.major != FUSE_KERNEL_VERSION || request.in.minor < MINOR_LEAST)
		return -EPROTO;
	fill_reply(&request, &reply);
	if (write(device, &reply, sizeof(reply)) < 0)
		return -errno;
	memcpy(init->request, buffer, (size_t)n);
	memcpy(init->reply, &reply, sizeof(reply));
	init->request_len = (uint32_t)n;
	init->reply_len = sizeof(reply);
	return 0;
}

/* What an earlier or later version may have agreed upon, and this one must keep to. */
int connection_fits(const struct handover_init *init, struct text *why)
{
	struct init_reply reply;
	const struct fuse_init_out *out = &reply.out;
	const size_t before = why->len;

	memcpy(&reply, init->reply, sizeof(reply));
	if (init->request_len == 0 || init->reply_len != sizeof(reply))
		text_puts(why, "nothing was agreed upon with the kernel");
	else if (out->major != FUSE_KERNEL_VERSION || out->minor < MINOR_LEAST ||
		out->minor > MINOR)
		text_printf(why, "FUSE %u.%u was agreed upon with the kernel, this one knows %u.%u",
			out->major, out->minor, FUSE_KERNEL_VERSION, MINOR);
	else if ((out->flags & ~WANTED_FLAGS) != 0 || out->flags2 != 0)
		text_printf(why, "FUSE's flags %#x %#x were agreed upon, this one knows %#x 0",
			out->flags, out->flags2, WANTED_FLAGS);
	else if (out->max_write > MAX_WRITE || out->max_pages > MAX_PAGES)
		text_printf(why,
			"writes of %u bytes and %u pages were agreed upon, this one takes %u and "
			"%u",
			out->max_write, out->max_pages, MAX_WRITE, MAX_PAGES);
	if (text_error(why) < 0)
		return -ENOMEM;
	return why->len == before ? 0 : -EPROTO;
}

/* --- the connection --------------------------------------------------------------------- */

static int tell_device_error(int error)
{
	if (is_shortage(-error))
		log_limited("device shortage", "cannot open /dev/fuse: %s: " SHORT_OF_IT,
			strerror(error));
	else
		log_error("cannot open /dev/fuse: %s: load the module (modprobe fuse), or allow "
			  "this container the device",
			strerror(error));
	return -error;
}

/* A descriptor, or -errno after a line in the log. */
static int open_device(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	return fd < 0 ? tell_device_error(errno) : fd;
}

/* FNV-1a, of which 30 bits. */
int connection_max_read(const char *dir, uint32_t *ret)
{
	autofree char *real = realpath(dir, NULL);
	uint32_t hash = 2166136261u;

	if (!real && is_shortage(-errno))
		return -errno;
	for (const char *p = real ? real : dir; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;
	*ret = CONNECTION_MAX_READ_LEAST | (hash >> 2);
	return 0;
}

static int mount_device(const struct options *o, struct connection *c)
{
	char data[sizeof(o->mount_data) + 128];
	uint32_t max_read;
	int r = connection_max_read(o->dir, &max_read);

	if (r < 0)
		return tell_dir_error(o->dir, -r);
	snprintf(data, sizeof(data),
		"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,"
		"max_read=%" PRIu32 "%s",
		c->device, max_read, o->mount_data);
	if (mount("lxcfs", o->dir, "fuse.lxcfs", mount_flags(o), data) < 0)
		return tell_dir_error(o->dir, errno);
	r = device_at(o->dir, &c->dev);
	if (r < 0) {
		umount2(o->dir, MNT_DETACH);
		return tell_dir_error(o->dir, -r);
	}
	return 0;
}

static unsigned clones_wanted(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus < 2)
		return 4;
	return cpus * 2 < HANDOVER_SLOTS ? (unsigned)cpus * 2 : HANDOVER_SLOTS;
}

static int make_clones(struct connection *c)
{
	const unsigned wanted = clones_wanted();
	uint32_t source = (uint32_t)c->device;

	while (c->n < wanted) {
		int fd = open_device();

		if (fd < 0)
			return fd;
		c->clones[c->n++] = fd;
		if (ioctl(fd, FUSE_DEV_IOC_CLONE, &source) < 0)
			return -errno;
	}
	return 0;
}

static void tell_no_agreement(int r)
{
	if (is_shortage(r))
		log_limited("agreement shortage",
			"cannot agree with the kernel's FUSE: %s: " SHORT_OF_IT, strerror(-r));
	else
		log_error("cannot agree with the kernel's FUSE: %s: Linux 4.2 or later is needed",
			strerror(-r));
}

int connection_open(
	const struct options *options, struct handover_init *init, struct connection *ret)
{
	struct connection c = CONNECTION_NONE;
	int r;

	c.device = open_device();
	if (c.device < 0)
		return c.device;
	r = mount_device(options, &c);
	if (r < 0) {
		connection_close(&c);
		return r;
	}
	r = answer_init(c.device, init);
	if (r == 0)
		r = make_clones(&c);
	if (r < 0) {
		tell_no_agreement(r);
		connection_detach_patiently(&c, options->dir);
		connection_close(&c);
		return r;
	}
	*ret = c;
	return 0;
}

bool connection_is_dead(const struct connection *c)
{
	struct pollfd p = { .fd = c->device };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

void connection_close(struct connection *c)
{
	for (unsigned i = 0; i < c->n; i++)
		cleanup_close(&c->clones[i]);
	cleanup_close(&c->device);
	*c = CONNECTION_NONE;
}
