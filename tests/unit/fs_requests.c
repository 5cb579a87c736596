/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker that answers, on the machine of fs_worker.c: its clock, its containers, its pressure and
 * its device are this file's own, and fail when faults.c says so.
 */
#include "fs_requests.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "faults.h"
#include "slow.h"

#define CPU_DIR 6u /* in the registry of fs_worker.c */
#define NOW_NS (1000 * NS_PER_S)

/* --- what the modules under test ask of others ------------------------------------------- */

/* No time passes: what is made ahead is never late, and the machine's load decides nothing. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){ NOW_NS / NS_PER_S, 0 };
	return 0;
}

/* Threads of two containers: which one a cgroup belongs to tells its place here. */
enum { MINE, OTHERS };
static struct cgroup_set sets[2];
struct container other = { .init = 78, .subject.cgroups = &sets[OTHERS] };

/* Whoever looks a container up allocates a record, opens cgroups and reads /proc. */
static int look_up(struct container *found, struct container **ret)
{
	if (fault_fails(FAULT_MEMORY) || fault_fails(FAULT_OPEN) || fault_fails(FAULT_READ))
		return -errno;
	*ret = container_ref(found);
	return 0;
}

int container_open(struct container_cache *unused, pid_t tid, struct container **ret)
{
	(void)unused;
	return look_up(tid == other.init ? &other : &box, ret);
}

int container_again(struct container_cache *unused, struct container *old, struct container **ret)
{
	(void)unused;
	return look_up(old, ret);
}

int container_by_identity(struct container_cache *unused, const struct container_identity *identity,
	struct container **ret)
{
	return container_open(unused, identity->init, ret);
}

struct container *container_host(struct container_cache *unused)
{
	(void)unused;
	return container_ref(&box);
}

uint64_t container_number(const struct container *c)
{
	return (uint64_t)c->init;
}

void container_look_early(struct container *c)
{
	(void)c;
}

unsigned rendered;

int cgroup_pressure(const struct cgroup_set *s, enum pressure what, struct text *t)
{
	(void)what;
	rendered++;
	text_puts(t, s == &sets[MINE] ? "mine " : "others ");
	return read_file_at(host_root.top, "pressure", t);
}

/* The kernel's descriptor behind a trigger; a file on a disk cannot be waited for. */
int cgroup_pressure_arm(const struct cgroup_set *s, enum pressure what,
	const struct pressure_trigger *wanted, uint64_t *ret_total_us)
{
	autoclose int fd = eventfd(0, EFD_CLOEXEC);

	(void)s;
	(void)what;
	if (fd < 0)
		return -errno;
	if (cgroup_pressure_total(fd, wanted, ret_total_us) < 0)
		return -errno;
	return steal_fd(&fd);
}

int cgroup_pressure_total(int fd, const struct pressure_trigger *wanted, uint64_t *ret_us)
{
	(void)fd;
	(void)wanted;
	*ret_us = 0;
	return fault_fails(FAULT_READ) ? -errno : 0;
}

unsigned descriptors_watched(void)
{
	char path[64], line[128];
	unsigned n = 0;

	for (unsigned fd = 0; fd < 100; fd++) {
		FILE *info;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%u", fd);
		/* Which fails none of these calls. */
		info = fdopen((int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC), "r");
		while (info && fgets(line, sizeof(line), info))
			n += strncmp(line, "tfd:", 4) == 0;
		if (info)
			fclose(info);
	}
	return n;
}

/* --- a worker ---------------------------------------------------------------------------- */

static const struct options options = { .enable_psi_poll = true };
static struct host *host;
struct slab *pages;
static struct uses *owners;
struct fs *fs;
static struct fuse_session *session;
uint64_t kernels_file;

int worker_starts(void)
{
	struct fs_config config = { .options = &options,
		.root = &host_root,
		.host = host,
		.handover = shared,
		.max_triggers = 1 /* so that a lost place shows */ };
	int e = slab_new(shared->pages, shared->links, HANDOVER_PAGES, &pages);

	if (e == 0)
		e = uses_new(&owners);
	config.slab = pages;
	config.uses = owners;
	return e < 0 ? e : fs_new(&config, &fs);
}

void worker_ends(void)
{
	fs_free(fs);
	uses_free(owners);
	slab_free(pages);
	fs = NULL;
	owners = NULL;
	pages = NULL;
}

static void write_file(const char *path, char first)
{
	autoclose int fd = openat(host_root.top, path, O_WRONLY | O_CLOEXEC);
	char text[REQUESTS_TEXT];

	/* No piece is like another. */
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(first + i % 13);
	ck_assert_int_eq(write(fd, text, sizeof(text)), REQUESTS_TEXT);
}

/* --- its device -------------------------------------------------------------------------- */

struct reply reply;

/* The size of a file that is opened, as the kernel was told. */
static bool sized;

void size_forget(uint64_t node)
{
	sized = fs->sized == NULL; /* older kernels need not know */
	if (fs->sized)
		atomic_store(&fs->sized[node / 64], 0);
}

bool size_known(void)
{
	return sized;
}

static bool opens(const struct handover_slot *slot)
{
	const struct fuse_in_header *header = (const struct fuse_in_header *)slot->request;

	return header->opcode == FUSE_OPEN || header->opcode == FUSE_OPENDIR;
}

/* The kernel may lack the memory, too. That matters to an OPEN, whose handle nobody knows then, and
 * to what is told the kernel before its answer. */
static ssize_t hear(int fd, struct iovec *iov, int count, void *userdata)
{
	const struct fuse_out_header *out = iov[0].iov_base;

	(void)fd;
	(void)userdata;
	if (opens(handover_my_slot()) && fault_fails(FAULT_MEMORY))
		return -1;
	if (out->unique == 0) {
		sized = true;
		return (ssize_t)out->len;
	}
	reply.came = true;
	reply.error = out->error;
	reply.n = 0;
	for (int i = 1; i < count; i++) {
		memcpy(reply.bytes + reply.n, iov[i].iov_base, iov[i].iov_len);
		reply.n += iov[i].iov_len;
	}
	return (ssize_t)out->len;
}

static ssize_t nothing(int fd, void *buffer, size_t n, void *userdata)
{
	(void)fd;
	(void)buffer;
	(void)n;
	(void)userdata;
	return -1;
}

struct coming coming;

int serve(uint32_t opcode, uint64_t node, const void *in, size_t n)
{
	struct handover_slot *slot = handover_my_slot();
	const struct fuse_in_header header = { .len = (uint32_t)(sizeof(header) + n),
		.opcode = opcode,
		.unique = 5,
		.nodeid = node,
		.pid = (uint32_t)coming.asker };
	struct fuse_buf buf = { .size = header.len, .mem = slot->request };

	memcpy(slot->request, &header, sizeof(header));
	memcpy(slot->request + sizeof(header), in, n);
	atomic_store(&slot->arrived_ns, coming.in_line ? NOW_NS - 1 : 0);
	reply.came = false;
	fs_release(fs, slot->request, header.len);
	fuse_session_process_buf(session, &buf);
	slow_refuse(true);
	if (coming.idle)
		fs_work_ahead(fs, slot);
	slow_refuse(false);
	handover_slot_clear(slot);
	return reply.came ? reply.error : -ENOMEM;
}

static int serve_init(void)
{
	const struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION, .minor = 31 };

	return serve(FUSE_INIT, 0, &in, sizeof(in));
}

/* --- fixtures ---------------------------------------------------------------------------- */

void requests_machine_setup(void)
{
	struct node cpu;

	fs_machine_setup();
	fs_machine_file("pressure");
	write_file("pressure", 'A');
	write_file("sys/cpu/possible", 'a');
	ck_assert_int_eq(host_new(&host_root, &host), 0);
	box.subject.cgroups = &sets[MINE];
	coming.asker = box.init;
	ck_assert_int_eq(worker_starts(), 0);
	ck_assert_int_eq(tree_node(fs->tree, CPU_DIR, &cpu), 0);
	ck_assert_int_eq(
		tree_number(fs->tree, &cpu, slice_str("possible"), DT_REG, &kernels_file), 0);
}

void requests_machine_teardown(void)
{
	host_free(host);
	fs_machine_teardown();
}

static void session_start(int device)
{
	static const struct fuse_custom_io io = { .writev = hear, .read = nothing };
	char name[] = "lxcfs", *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	session = fuse_session_new(&args, &fs_operations, sizeof(fs_operations), fs);
	ck_assert_ptr_nonnull(session);
	fuse_opt_free_args(&args);
	ck_assert_int_eq(fuse_session_custom_io(session, &io, device), 0);
}

int requests_device(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	session_start(ends[1]);
	return ends[0];
}

int requests_attach(void)
{
	return fs_attach(fs, session);
}

void requests_setup(void)
{
	requests_machine_setup();
	session_start(open("/dev/null", O_RDWR | O_CLOEXEC));
	fs->session = session; /* fs_attach() without its thread, which nothing ends */
	handover_set_my_slot(&shared->slots[0]);
	ck_assert_int_eq(serve_init(), 0);
}

void requests_teardown(void)
{
	fuse_session_destroy(session);
	worker_ends();
	requests_machine_teardown();
}
