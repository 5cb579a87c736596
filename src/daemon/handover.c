/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shared area itself: made, mapped, cleared of a dead connection. What its sections mean is
 * known to their owners alone; the supervisor uses nothing of it but what is in this file.
 */
#include "handover.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* A worker of another version maps this area: what it relies on may not move. */
static_assert(sizeof(struct handover_slot) == SLAB_PAGE + HANDOVER_REQUEST, "frozen");
static_assert(offsetof(struct handover_slot, request) == SLAB_PAGE, "frozen");
static_assert(sizeof(struct handover_handle) == 128, "frozen");
static_assert(offsetof(struct handover_handle, armed) == 68, "frozen");
static_assert(offsetof(struct handover_handle, poll) == 72, "frozen");
static_assert(offsetof(struct handover_handle, reserved) == 96, "frozen");
static_assert(sizeof(struct handover_node) == 16, "frozen");
static_assert(alignof(struct handover) == SLAB_PAGE, "frozen");

static _Thread_local struct handover_slot *my_slot;

/* Tells areas of an earlier boot from ours. Without /proc it stays empty, which equals nothing. */
static void read_boot_id(char *ret, size_t size)
{
	autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (n > 0 && ret[n - 1] == '\n')
		n--;
	ret[n > 0 ? n : 0] = '\0';
}

int handover_new(int *ret_fd, struct handover **ret)
{
	autoclose int fd = memfd_create(HANDOVER_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct handover *h;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(*h)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return -errno;
	h->version = HANDOVER_VERSION;
	h->header_size = sizeof(*h);
	h->size = sizeof(*h);
	read_boot_id(h->boot_id, sizeof(h->boot_id));
	h->magic = HANDOVER_MAGIC;
	*ret_fd = steal_fd(&fd);
	*ret = h;
	return 0;
}

int handover_peek_pass_through(int fd, bool *ret)
{
	struct {
		uint64_t magic;
		uint32_t version;
	} head;
	uint32_t flag;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) || head.magic != HANDOVER_MAGIC ||
		head.version != HANDOVER_VERSION ||
		pread(fd, &flag, sizeof(flag), offsetof(struct handover, pass_through)) !=
			sizeof(flag))
		return -EINVAL;
	*ret = flag != 0;
	return 0;
}

void handover_free(struct handover *h)
{
	if (h)
		munmap(h, sizeof(*h));
}

void handover_forget_connection(struct handover *h)
{
	const uint32_t used = atomic_load(&h->handles_used);
	const uint32_t handles = used < HANDOVER_HANDLES ? used : HANDOVER_HANDLES;

	h->init.request_len = h->init.reply_len = 0;
	for (size_t i = 0; i < HANDOVER_SLOTS; i++)
		handover_slot_clear(&h->slots[i]);
	for (size_t i = 0; i < handles; i++)
		atomic_store(&h->handles[i].fh, 0);
}

/* The kernel writes it too, from read(2): the compiler may not keep it in a register. */
typedef uint32_t __attribute__((may_alias)) shared_u32;

uint32_t handover_slot_length(const struct handover_slot *s)
{
	return __atomic_load_n((const shared_u32 *)s->request, __ATOMIC_ACQUIRE);
}

void handover_slot_done(struct handover_slot *s)
{
	__atomic_store_n((shared_u32 *)s->request, 0, __ATOMIC_RELEASE);
}

void handover_slot_clear(struct handover_slot *s)
{
	/* First of all: without a request the other members mean nothing. */
	handover_slot_done(s);
	atomic_store_explicit(&s->since_ns, 0, memory_order_release);
	atomic_store_explicit(&s->fh, 0, memory_order_release);
	atomic_store_explicit(&s->snapshot, SLAB_NONE, memory_order_release);
	atomic_store_explicit(&s->answered, 0, memory_order_release);
	atomic_store_explicit(&s->crashes, 0, memory_order_release);
}

struct handover_slot *handover_my_slot(void)
{
	return my_slot;
}

void handover_set_my_slot(struct handover_slot *s)
{
	my_slot = s;
}
