/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shared area itself: made, mapped, taken over, cleared of a dead connection. What its sections
 * mean is known to their owners alone.
 */
#include "handover.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* A worker of another version maps this area: what it relies on may not move. */
static_assert(sizeof(struct handover_slot) == SLAB_PAGE + HANDOVER_REQUEST, "frozen");
static_assert(offsetof(struct handover_slot, request) == SLAB_PAGE, "frozen");
static_assert(offsetof(struct handover_slot, device) == 40, "frozen");
static_assert(offsetof(struct handover_slot, ahead) == 56, "frozen");
static_assert(sizeof(struct handover_handle) == 128, "frozen");
static_assert(offsetof(struct handover_handle, armed) == 68, "frozen");
static_assert(offsetof(struct handover_handle, poll) == 72, "frozen");
static_assert(offsetof(struct handover_handle, owner) == 96, "frozen");
static_assert(sizeof(struct handover_node) == 16, "frozen");
static_assert(alignof(struct handover) == SLAB_PAGE, "frozen");
static_assert(offsetof(struct handover, init) == 80, "frozen");
static_assert(offsetof(struct handover, dev) == 616, "frozen");
static_assert(offsetof(struct handover, backlog_at) == 624, "frozen");
static_assert(offsetof(struct handover, slots) == SLAB_PAGE, "frozen");

/* Where what is not frozen begins. */
#define FROZEN_SIZE offsetof(struct handover, accounts)

_Thread_local struct handover_slot *handover_own_slot;

/* Tells areas of an earlier boot from ours. Empty where the kernel has none to tell; 0, or -errno
 * of a shortage, which must not make this boot another one. */
static int read_boot_id(char *ret, size_t size)
{
	autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (n < 0 && is_shortage(-errno))
		return -errno;
	if (n > 0 && ret[n - 1] == '\n')
		n--;
	ret[n > 0 ? n : 0] = '\0';
	return 0;
}

static struct handover *map(int fd)
{
	struct handover *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return h == MAP_FAILED ? NULL : h;
}

static void tell_backlog(struct handover *h)
{
	h->backlog_at = offsetof(struct handover, backlog);
	h->backlog_size = sizeof(h->backlog);
}

static void tell_layout(struct handover *h)
{
	h->version = HANDOVER_VERSION;
	h->header_size = sizeof(*h);
	h->size = sizeof(*h);
	tell_backlog(h);
	h->magic = HANDOVER_MAGIC;
}

int handover_new(int *ret_fd, struct handover **ret)
{
	autoclose int fd = memfd_create(HANDOVER_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct handover *h;
	int r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(*h)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	h = map(fd);
	if (!h)
		return -errno;
	r = read_boot_id(h->boot_id, sizeof(h->boot_id));
	if (r < 0) {
		handover_free(h);
		return r;
	}
	tell_layout(h);
	*ret_fd = steal_fd(&fd);
	*ret = h;
	return 0;
}

void handover_free(struct handover *h)
{
	if (h)
		munmap(h, sizeof(*h));
}

/* --- somebody else's -------------------------------------------------------------------- */

/* -EINVAL: it is too short. */
static int read_whole(int fd, size_t offset, void *ret, size_t size)
{
	const ssize_t n = pread(fd, ret, size, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EINVAL;
}

/* What comes first in every version. */
struct head {
	uint64_t magic;
	uint32_t version, header_size;
	uint64_t size;
	char boot_id[40];
};

static_assert(sizeof(struct head) == offsetof(struct handover, generation), "frozen");

/* That nobody can shorten it under its users belongs to what an area is. */
static int read_head(int fd, struct head *ret)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	int r;

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < FROZEN_SIZE)
		return -EINVAL;
	r = read_whole(fd, 0, ret, sizeof(*ret));
	if (r < 0)
		return r;
	if (ret->magic != HANDOVER_MAGIC)
		return -EINVAL;
	ret->size = (uint64_t)st.st_size;
	return 0;
}

int handover_peek_pass_through(int fd, bool *ret)
{
	struct head head;
	uint32_t flag;
	int r = read_head(fd, &head);

	if (r < 0)
		return r;
	r = read_whole(fd, offsetof(struct handover, pass_through), &flag, sizeof(flag));
	if (r == 0)
		*ret = flag != 0;
	return r;
}

int handover_peek_init(int fd, struct handover_init *ret)
{
	struct head head;
	int r = read_head(fd, &head);

	return r < 0 ? r : read_whole(fd, offsetof(struct handover, init), ret, sizeof(*ret));
}

static uint32_t in_use(const _Atomic uint32_t *n, uint32_t most)
{
	const uint32_t value = atomic_load(n);

	return value < most ? value : most;
}

/* What the snapshots are made of is not kept. */
static void lose_snapshots(struct handover *h, uint32_t handles)
{
	for (uint32_t i = 0; i < handles; i++)
		if (atomic_load(&h->handles[i].snapshot) != SLAB_NONE)
			atomic_store(&h->handles[i].snapshot, SLAB_LOST);
}

/* What ended a worker may be mended in this version. */
static void dare_again(struct handover *h)
{
	for (size_t i = 0; i < HANDOVER_SLOTS; i++)
		atomic_store(&h->slots[i].ahead, HANDOVER_AHEAD_NO);
}

/* Those of another form are not known; a version that hands over has served what it had. */
static int copy_backlog(int fd, struct handover *h)
{
	const uint64_t at = h->backlog_at, size = h->backlog_size;
	struct handover_backlog *b = &h->backlog;
	int r;

	tell_backlog(h);
	if (size != sizeof(*b) || at > INT64_MAX - size)
		return 0;
	r = read_whole(fd, at, b, offsetof(struct handover_backlog, small));
	if (r == 0)
		r = read_whole(fd, at + offsetof(struct handover_backlog, small), b->small,
			in_use(&b->used_small, HANDOVER_WAITING_SMALL) * sizeof(b->small[0]));
	if (r == 0)
		r = read_whole(fd, at + offsetof(struct handover_backlog, large), b->large,
			in_use(&b->used_large, HANDOVER_WAITING_LARGE) * sizeof(b->large[0]));
	return r;
}

/* What is in use of one section, for the areas are sparse. */
static int copy_used(int fd, struct handover *h, void *section, size_t size)
{
	return read_whole(fd, (size_t)((uint8_t *)section - (uint8_t *)h), section, size);
}

static int copy_frozen(int fd, struct handover *h)
{
	const size_t head = sizeof(struct head);
	uint32_t handles;
	int r = copy_used(fd, h, (uint8_t *)h + head, SLAB_PAGE - head);

	if (r == 0)
		r = copy_used(fd, h, h->slots, sizeof(h->slots));
	if (r < 0)
		return r;
	handles = in_use(&h->handles_used, HANDOVER_HANDLES);
	r = copy_used(
		fd, h, h->nodes, in_use(&h->nodes_used, HANDOVER_NODES) * sizeof(h->nodes[0]));
	if (r == 0)
		r = copy_used(fd, h, h->names, in_use(&h->names_used, HANDOVER_NAMES));
	if (r == 0)
		r = copy_used(fd, h, h->handles, handles * sizeof(h->handles[0]));
	if (r < 0)
		return r;
	lose_snapshots(h, handles);
	dare_again(h);
	return copy_backlog(fd, h);
}

static int take_frozen(int fd, int *ret_fd, struct handover **ret)
{
	autoclose int fresh = -1;
	struct handover *h;
	int r = handover_new(&fresh, &h);

	if (r < 0)
		return r;
	r = copy_frozen(fd, h);
	if (r < 0) {
		handover_free(h);
		return r;
	}
	close(fd);
	*ret_fd = steal_fd(&fresh);
	*ret = h;
	return 0;
}

int handover_take(int fd, int *ret_fd, struct handover **ret, bool *ret_fresh)
{
	char boot_id[sizeof(((struct handover *)NULL)->boot_id)];
	struct handover *h;
	struct head head;
	int r = read_head(fd, &head);

	if (r == 0)
		r = read_boot_id(boot_id, sizeof(boot_id));
	if (r < 0)
		return r;
	if (memcmp(boot_id, head.boot_id, strlen(boot_id) + 1) != 0)
		return -ESTALE;
	*ret_fresh = head.version != HANDOVER_VERSION || head.size != sizeof(*h) ||
		head.header_size != sizeof(*h);
	if (*ret_fresh)
		return take_frozen(fd, ret_fd, ret);
	h = map(fd);
	if (!h)
		return -errno;
	dare_again(h);
	*ret_fd = fd;
	*ret = h;
	return 0;
}

/* --- what no worker decides ------------------------------------------------------------- */

void handover_facts_of(const struct handover *h, struct handover_facts *ret)
{
	*ret = (struct handover_facts){
		.init = h->init, .dev = h->dev, .pass_through = atomic_load(&h->pass_through) != 0
	};
	memcpy(ret->boot_id, h->boot_id, sizeof(ret->boot_id));
}

void handover_state(struct handover *h, const struct handover_facts *facts)
{
	tell_layout(h);
	memcpy(h->boot_id, facts->boot_id, sizeof(h->boot_id));
	h->init = facts->init;
	h->dev = facts->dev;
	atomic_store(&h->pass_through, facts->pass_through);
	atomic_store(&h->draining, 0);
}

void handover_forget_connection(struct handover *h)
{
	const uint32_t handles = in_use(&h->handles_used, HANDOVER_HANDLES);

	h->init.request_len = h->init.reply_len = 0;
	for (size_t i = 0; i < HANDOVER_SLOTS; i++)
		handover_slot_clear(&h->slots[i]);
	for (uint32_t i = 0; handover_next_waiting(h, &i); i++)
		handover_request_done(handover_waiting(h, i));
	for (size_t i = 0; i < handles; i++)
		atomic_store(&h->handles[i].fh, 0);
}

/* --- requests --------------------------------------------------------------------------- */

void handover_request_put(uint8_t *to, const uint8_t *from, uint32_t length)
{
	memcpy(to + sizeof(length), from + sizeof(length), length - sizeof(length));
	__atomic_store_n((handover_u32 *)to, length, __ATOMIC_RELEASE);
}

void handover_request_done(uint8_t *request)
{
	__atomic_store_n((handover_u32 *)request, 0, __ATOMIC_RELEASE);
}

uint8_t *handover_waiting(struct handover *h, uint32_t i)
{
	return i < HANDOVER_WAITING_SMALL ? h->backlog.small[i]
					  : h->backlog.large[i - HANDOVER_WAITING_SMALL];
}

bool handover_next_waiting(struct handover *h, uint32_t *i)
{
	const uint32_t small = in_use(&h->backlog.used_small, HANDOVER_WAITING_SMALL);
	const uint32_t large = in_use(&h->backlog.used_large, HANDOVER_WAITING_LARGE);

	for (;; ++*i) {
		if (*i >= small && *i < HANDOVER_WAITING_SMALL)
			*i = HANDOVER_WAITING_SMALL;
		if (*i >= HANDOVER_WAITING_SMALL + large)
			return false;
		if (handover_request_length(handover_waiting(h, *i)) != 0)
			return true;
	}
}

/* --- slots ------------------------------------------------------------------------------ */

bool handover_is_busy(struct handover *h, unsigned n)
{
	uint32_t waiting = 0;

	for (unsigned i = 0; i < n; i++)
		if (handover_slot_length(&h->slots[i]) != 0)
			return true;
	return handover_next_waiting(h, &waiting);
}

void handover_slot_done(struct handover_slot *s)
{
	handover_request_done(s->request);
}

void handover_slot_clear(struct handover_slot *s)
{
	/* First of all: without a request the other members mean nothing. */
	handover_slot_done(s);
	handover_ahead_ends(s, HANDOVER_AHEAD_NO);
	atomic_store_explicit(&s->since_ns, 0, memory_order_release);
	atomic_store_explicit(&s->fh, 0, memory_order_release);
	atomic_store_explicit(&s->snapshot, SLAB_NONE, memory_order_release);
	atomic_store_explicit(&s->answered, 0, memory_order_release);
	atomic_store_explicit(&s->crashes, 0, memory_order_release);
	atomic_store_explicit(&s->device, 0, memory_order_release);
	atomic_store_explicit(&s->arrived_ns, 0, memory_order_release);
}

void handover_set_my_slot(struct handover_slot *s)
{
	handover_own_slot = s;
}
