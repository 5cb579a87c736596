/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel may send on behalf of a container, to a whole worker on a machine of files: an
 * input is a row of requests. Each gets one reply, well-formed, with an error of the kernel's range
 * or with no more bytes than it asked for. What the kernel itself vouches for (a request's length,
 * a name's end) is so here, too.
 *
 * A request: opcode, node, handle, process (a byte each), offset and size (two each), then a length
 * byte and so many bytes of names or data. Nodes and handles are those that replies told, so that
 * requests follow from each other. In place of a request, something may happen to a trigger that
 * one of them has armed.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/daemon/reply.h"
#include "../../src/daemon/request.h"
#include "../../src/fs/trigger.h"
#include "account.h"
#include "container.h"
#include "fs.h"
#include "fuzz.h"
#include "handover.h"
#include "host.h"
#include "machine.h"
#include "slab.h"
#include "slow.h"
#include "stalls.h"

#define KNOWN 16
#define REQUESTS_MAX 64

static struct fs *fs;
static struct fuse_session *session;
static struct handover *handover;

static uint64_t nodes[KNOWN] = { FUSE_ROOT_ID }, handles[REQUESTS_MAX];
static unsigned n_nodes = 1, n_handles;

/* What polled files are called; and where who polls is woken through: the worker's end, and the
 * kernel's. */
static uint64_t polled[REQUESTS_MAX];
static unsigned n_polled;
static int device[2];

struct request {
	struct fuse_in_header header;
	uint8_t body[HANDOVER_REQUEST - sizeof(struct fuse_in_header)];
};

/* The request under way, which lies in the worker's slot, and how often it was answered. */
static struct request *request;
static uint32_t asked_size;
static unsigned replies;
static size_t told;      /* bytes of the last reply, without its header */
static uint32_t revents; /* of the last POLL */

/* --- replies ------------------------------------------------------------------------------- */

static void know(uint64_t *list, unsigned *n, unsigned max, uint64_t number)
{
	for (unsigned i = 0; i < *n && i < max; i++)
		if (list[i] == number)
			return;
	list[(*n)++ % max] = number;
}

/* Of READDIRPLUS: those of the entry behind them, or none, and then the kernel asks. */
static void check_attributes(const uint8_t *p, const struct fuse_dirent *of)
{
	struct fuse_entry_out entry;

	memcpy(&entry, p, sizeof(entry));
	FUZZ_ASSERT(entry.nodeid == 0 || entry.nodeid == of->ino);
	FUZZ_ASSERT(entry.attr.ino == of->ino && IFTODT(entry.attr.mode) == of->type);
}

/* `attributes`: bytes in front of each entry. */
static void check_entries(const uint8_t *p, size_t n, size_t attributes)
{
	while (n > 0) {
		const uint8_t *name = p + attributes + FUSE_NAME_OFFSET;
		struct fuse_dirent entry;
		size_t length;

		FUZZ_ASSERT(n >= attributes + FUSE_NAME_OFFSET);
		memcpy(&entry, p + attributes, FUSE_NAME_OFFSET);
		length = attributes + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
		FUZZ_ASSERT(length <= n && entry.namelen > 0 && entry.namelen <= NAME_MAX);
		FUZZ_ASSERT(!memchr(name, '/', entry.namelen));
		FUZZ_ASSERT(!memchr(name, 0, entry.namelen));
		FUZZ_ASSERT(entry.ino != 0);
		if (attributes != 0)
			check_attributes(p, &entry);
		p += length;
		n -= length;
	}
}

static void check_payload(const uint8_t *p, size_t n)
{
	struct fuse_entry_out entry;
	struct fuse_open_out opened;
	struct fuse_write_out written;
	struct fuse_poll_out says;

	switch (request->header.opcode) {
	case FUSE_LOOKUP:
		FUZZ_ASSERT(n == sizeof(entry));
		memcpy(&entry, p, sizeof(entry));
		if (entry.nodeid != 0)
			know(nodes, &n_nodes, KNOWN, entry.nodeid);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		FUZZ_ASSERT(n == sizeof(opened));
		memcpy(&opened, p, sizeof(opened));
		FUZZ_ASSERT(opened.fh != 0);
		know(handles, &n_handles, REQUESTS_MAX, opened.fh);
		break;
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		check_entries(p, n,
			request->header.opcode == FUSE_READDIR ? 0 : sizeof(struct fuse_entry_out));
		FUZZ_ASSERT(n <= asked_size);
		break;
	case FUSE_READ:
		FUZZ_ASSERT(n <= asked_size);
		break;
	case FUSE_WRITE:
		FUZZ_ASSERT(n == sizeof(written));
		memcpy(&written, p, sizeof(written));
		FUZZ_ASSERT(written.size == asked_size);
		break;
	case FUSE_POLL:
		FUZZ_ASSERT(n == sizeof(says));
		memcpy(&says, p, sizeof(says));
		FUZZ_ASSERT(says.revents == TRIGGER_NONE || says.revents == TRIGGER_QUIET ||
			says.revents == TRIGGER_EVENT || says.revents == (POLLIN | POLLRDNORM));
		revents = says.revents;
		break;
	default:
		break;
	}
}

static ssize_t take_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	static uint8_t reply[1u << 22];
	struct fuse_out_header header;
	size_t n = 0;

	(void)fd;
	(void)userdata;
	for (int i = 0; i < count; i++) {
		FUZZ_ASSERT(n + iov[i].iov_len <= sizeof(reply));
		memcpy(reply + n, iov[i].iov_base, iov[i].iov_len);
		n += iov[i].iov_len;
	}
	FUZZ_ASSERT(n >= sizeof(header));
	memcpy(&header, reply, sizeof(header));
	FUZZ_ASSERT(header.len == n);
	if (header.unique == 0) /* a notification */
		return (ssize_t)n;
	FUZZ_ASSERT(header.unique == request->header.unique);
	FUZZ_ASSERT(header.error <= 0 && header.error > -512);
	FUZZ_ASSERT(header.error == 0 || n == sizeof(header));
	replies++;
	told = n - sizeof(header);
	if (header.error == 0)
		check_payload(reply + sizeof(header), n - sizeof(header));
	return (ssize_t)n;
}

/* What the worker wrote by itself: who polls is to ask again, by a name that a POLL told. */
static void check_wake_up(void)
{
	struct {
		struct fuse_out_header header;
		struct fuse_notify_poll_wakeup_out wakeup;
	} note;
	ssize_t n = recv(device[1], &note, sizeof(note), MSG_DONTWAIT | MSG_TRUNC);
	unsigned i = 0;

	if (n < 0)
		return;
	FUZZ_ASSERT(n == sizeof(note) && note.header.len == sizeof(note));
	FUZZ_ASSERT(note.header.unique == 0 && note.header.error == FUSE_NOTIFY_POLL);
	while (i < n_polled && polled[i] != note.wakeup.kh)
		i++;
	FUZZ_ASSERT(i < n_polled && note.wakeup.kh != 0);
}

/* --- the worker ---------------------------------------------------------------------------- */

static void be_quiet(enum fuse_log_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
}

static void send_request(size_t body)
{
	static uint64_t unique;

	struct fuse_buf buf = { .mem = request };
	char words[REQUEST_WORDS];

	request->header.len = (uint32_t)(sizeof(request->header) + body);
	request->header.unique = unique += 2;
	buf.size = request->header.len;
	replies = 0;
	request_describe(fs, buf.mem, buf.size, words);
	for (const char *c = words; *c; c++)
		FUZZ_ASSERT(isprint((unsigned char)*c));
	/* As the worker's loop does. */
	if (request_wants_reply(request->header.opcode))
		fs_sharer(fs, buf.mem, buf.size);
	if (request->header.opcode != FUSE_INTERRUPT) {
		fs_release(fs, buf.mem, buf.size);
		fuse_session_process_buf(session, &buf);
	}
	if (request->header.opcode == FUSE_OPEN) {
		slow_refuse(true);
		fs_work_ahead(fs, &handover->slots[0]);
		slow_refuse(false);
	}
	handover_slot_clear(&handover->slots[0]);
}

static void start_session(void)
{
	const struct fuse_custom_io io = { .writev = take_reply, .read = reply_io.read };
	char name[] = "fuzz";
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_init_in init = { .major = 7, .minor = 38, .max_readahead = 131072 };

	fuse_set_log_func(be_quiet);
	session = fuse_session_new(&args, &fs_operations, sizeof(fs_operations), fs);
	fuse_opt_free_args(&args);
	FUZZ_ASSERT(session && fuse_session_custom_io(session, &io, device[0]) == 0);
	FUZZ_ASSERT(fs_attach(fs, session) == 0);
	request->header.opcode = FUSE_INIT;
	memcpy(request->body, &init, sizeof(init));
	send_request(sizeof(init));
	FUZZ_ASSERT(replies == 1);
}

static void start(void)
{
	static struct options options = { .enable_psi_poll = true };
	const struct root *root = machine_root(machine_get(MACHINE_V2));
	struct container_config containers = {
		.root = root, .max_records = 64, .max_callers = 8, .no_ioctl = true
	};
	struct fs_config config = { .options = &options, .root = root, .max_triggers = 16 };
	struct cgroup_layout *layout;
	int fd;

	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, device) == 0);
	FUZZ_ASSERT(handover_new(&fd, &handover) == 0);
	FUZZ_ASSERT(slab_new(handover->pages, handover->links, HANDOVER_PAGES, &config.slab) == 0);
	FUZZ_ASSERT(account_store_new(handover->accounts, HANDOVER_ACCOUNTS, config.slab, NULL,
			    &config.accounts) == 0);
	FUZZ_ASSERT(host_new(root, &config.host) == 0 && cgroup_layout_new(root, &layout) == 0);
	FUZZ_ASSERT(cgroup_tree_new(layout, 16, &containers.tree) == 0);
	cgroup_tree_set_writer(containers.tree, stalls_open, (void *)root);
	containers.layout = config.layout = layout;
	containers.accounts = config.accounts;
	config.handover = handover;
	FUZZ_ASSERT(container_cache_new(&containers, &config.containers) == 0);
	FUZZ_ASSERT(fs_new(&config, &fs) == 0);
	handover_set_my_slot(&handover->slots[0]);
	request = (struct request *)handover->slots[0].request;
	start_session();
}

/* --- requests ------------------------------------------------------------------------------ */

#define HAPPENS UINT32_MAX /* no opcode: an event */

/* Their order is the inputs': a new one goes to the end. */
static const uint32_t opcodes[] = { FUSE_LOOKUP, FUSE_OPEN, FUSE_READ, FUSE_OPENDIR, FUSE_READDIR,
	FUSE_GETATTR, FUSE_WRITE, FUSE_POLL, FUSE_RELEASE, FUSE_RELEASEDIR, FUSE_FORGET,
	FUSE_BATCH_FORGET, FUSE_SETATTR, FUSE_READLINK, FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR,
	FUSE_UNLINK, FUSE_RMDIR, FUSE_RENAME, FUSE_LINK, FUSE_STATFS, FUSE_FSYNC, FUSE_SETXATTR,
	FUSE_GETXATTR, FUSE_LISTXATTR, FUSE_REMOVEXATTR, FUSE_FLUSH, FUSE_FSYNCDIR, FUSE_GETLK,
	FUSE_SETLK, FUSE_SETLKW, FUSE_ACCESS, FUSE_CREATE, FUSE_BMAP, FUSE_IOCTL, FUSE_FALLOCATE,
	FUSE_READDIRPLUS, FUSE_RENAME2, FUSE_LSEEK, FUSE_COPY_FILE_RANGE, FUSE_SETUPMAPPING,
	FUSE_SYNCFS, 51, 52, 4000, FUSE_INTERRUPT, HAPPENS };

/* What is in front of a request's names or data. */
union front {
	struct fuse_open_in open;
	struct fuse_read_in read;
	struct fuse_write_in write;
	struct fuse_poll_in poll;
	struct fuse_release_in release;
	struct fuse_forget_in forget;
	struct fuse_batch_forget_in batch;
	struct fuse_setxattr_in setxattr;
	struct fuse_ioctl_in ioctl;
	uint8_t any[64];
};

/* A bit of `process`, beside the two that choose one: a READ that is not for read(2). */
#define FOR_PAGE_CACHE 4u

struct wish {
	uint8_t opcode, node, handle, process;
	uint16_t offset, size;
};

static size_t fill_front(union front *f, const struct wish *w, uint64_t fh, size_t data)
{
	*f = (union front){ 0 };
	switch (request->header.opcode) {
	case FUSE_LOOKUP:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_SYMLINK:
	case FUSE_REMOVEXATTR:
		return 0;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		f->open.flags = w->offset;
		return sizeof(f->open);
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		asked_size = w->size;
		f->read = (struct fuse_read_in){ .fh = fh, .offset = w->offset, .size = w->size };
		if (!(w->process & FOR_PAGE_CACHE)) {
			f->read.read_flags = FUSE_READ_LOCKOWNER;
			f->read.lock_owner = 1;
		}
		return sizeof(f->read);
	case FUSE_WRITE:
		asked_size = (uint32_t)data;
		f->write = (struct fuse_write_in){
			.fh = fh, .offset = w->offset, .size = (uint32_t)data
		};
		return sizeof(f->write);
	case FUSE_POLL:
		f->poll = (struct fuse_poll_in){ .fh = fh, .kh = w->size, .flags = w->offset & 1 };
		polled[n_polled++ % REQUESTS_MAX] = w->size;
		return sizeof(f->poll);
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		f->release.fh = fh;
		return sizeof(f->release);
	case FUSE_BATCH_FORGET:
		f->batch.count = (uint32_t)(data / sizeof(struct fuse_forget_one));
		return sizeof(f->batch);
	case FUSE_SETXATTR:
		return FUSE_COMPAT_SETXATTR_IN_SIZE;
	case FUSE_IOCTL:
		f->ioctl = (struct fuse_ioctl_in){ .fh = fh, .cmd = w->size };
		return sizeof(f->ioctl);
	default:
		for (size_t i = 0; i < sizeof(f->any); i++)
			f->any[i] = (uint8_t)(w->offset >> (i % 2 * 8));
		memcpy(f->any, &fh, sizeof(fh));
		return sizeof(f->any);
	}
}

static void ask(const struct wish *w, struct slice data)
{
	const uint64_t fh =
		w->handle < REQUESTS_MAX && w->handle < n_handles ? handles[w->handle] : w->handle;
	union front front;
	size_t n;

	if (opcodes[w->opcode % countof(opcodes)] == HAPPENS) {
		stalls_happen(w->handle, w->offset % STALLS_EVENTS, data);
		check_wake_up();
		return;
	}
	memset(request, 0, sizeof(*request));
	request->header.opcode = opcodes[w->opcode % countof(opcodes)];
	request->header.nodeid = w->node < KNOWN && w->node < n_nodes ? nodes[w->node]
		: w->node % 2                                         ? UINT64_C(0x100000) + w->size
								      : w->node;
	request->header.pid = w->process % 4 == 3 ? w->process : MACHINE_PID;
	n = fill_front(&front, w, fh, data.n);
	memcpy(request->body, &front, n);
	memcpy(request->body + n, data.p, data.n);
	send_request(n + data.n + 2); /* two names end */
	FUZZ_ASSERT(replies == request_wants_reply(opcodes[w->opcode % countof(opcodes)]));
}

/* Nothing is left for the next input but nodes, which are for ever. */
static void release_all(void)
{
	for (unsigned i = 0; i < n_handles; i++)
		for (uint8_t opcode = 8; opcode <= 9; opcode++)
			ask(&(struct wish){ .opcode = opcode, .handle = (uint8_t)i },
				(struct slice){ "", 0 });
	stalls_forget();
	n_handles = n_polled = 0;
	n_nodes = 1;
}

static void ask_by_name(uint8_t node, const char *name)
{
	ask(&(struct wish){ .node = node }, (struct slice){ name, strlen(name) + 1 });
}

/* A worker that answers everything with an error would be looked at in vain. */
static void check_service(void)
{
	ask_by_name(0, "proc");
	ask_by_name(1, "meminfo");
	ask(&(struct wish){ .opcode = 1, .node = 2 }, (struct slice){ "", 0 });
	ask(&(struct wish){ .opcode = 2, .node = 2, .size = 4096 }, (struct slice){ "", 0 });
	FUZZ_ASSERT(told > 100);
	release_all();
}

/* Nor would inputs arm anything if stalls.c no longer knew the worker's calls for what they are. */
static void check_stalls(void)
{
	const struct wish poll = { .opcode = 7, .node = 3, .size = 9 };

	ask_by_name(0, "proc");
	ask_by_name(1, "pressure");
	ask_by_name(2, "cpu");
	ask(&(struct wish){ .opcode = 1, .node = 3, .offset = O_RDWR }, (struct slice){ "", 0 });
	ask(&(struct wish){ .opcode = 6, .node = 3 }, slice_str("some 150000 2000000"));
	ask(&poll, (struct slice){ "", 0 });
	FUZZ_ASSERT(revents == TRIGGER_QUIET);
	stalls_happen(0, STALLS_SAID, slice_str("some total=0\n"));
	ask(&poll, (struct slice){ "", 0 });
	FUZZ_ASSERT(revents == TRIGGER_QUIET);
	stalls_happen(0, STALLS_MANY, (struct slice){ "", 0 });
	ask(&poll, (struct slice){ "", 0 });
	FUZZ_ASSERT(revents == TRIGGER_EVENT);
	release_all();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!session) {
		start();
		check_service();
		check_stalls();
	}
	for (unsigned i = 0; i < REQUESTS_MAX && size >= 9; i++) {
		const struct wish w = { data[0], data[1], data[2], data[3],
			(uint16_t)(data[4] | data[5] << 8), (uint16_t)(data[6] | data[7] << 8) };
		const size_t n = data[8] < size - 9 ? data[8] : size - 9;

		ask(&w, (struct slice){ (const char *)data + 9, n });
		data += 9 + n;
		size -= 9 + n;
	}
	release_all();
	return 0;
}
