/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory that generations of workers hand to each other: a sealed memfd, made by the
 * supervisor, mapped by it and by every worker. It holds no pointers. Whoever reads it checks every
 * number, since the writer may have been killed at any instant.
 *
 * The layouts of slots, INIT, handles, nodes and of what stands before them are frozen (a later
 * version may add sections behind them); accounts and the pages' use are discarded by a version
 * that does not know them. The backlog may lie anywhere: its place and size are told.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "container.h"
#include "slab.h"

#define HANDOVER_MAGIC UINT64_C(0x7366637863786c01) /* "\1lxcxcfs", little-endian or not: ours */
#define HANDOVER_VERSION 1u

#define HANDOVER_SLOTS 16u /* threads of a worker at most */
#define HANDOVER_HANDLES 65536u
#define HANDOVER_NODES 262144u
#define HANDOVER_NAMES (8u << 20) /* bytes */
#define HANDOVER_ACCOUNTS 32768u
#define HANDOVER_PAGES 65536u /* of SLAB_PAGE */

/* The request buffer of a slot: what the kernel wants for max_write 4096, and room for two names
 * of 4 KiB (rename, symlink), that a caller be told EROFS and not EIO. */
#define HANDOVER_REQUEST 16384u

/* Requests that may wait in the backlog: those that containers make by the thousand, and others. */
#define HANDOVER_SMALL 256u /* bytes */
#define HANDOVER_WAITING_SMALL 16384u
#define HANDOVER_WAITING_LARGE 1024u
#define HANDOVER_WAITING (HANDOVER_WAITING_SMALL + HANDOVER_WAITING_LARGE)

/*
 * Where one thread's request lies from before the read(2) that fetches it until after the write(2)
 * that answers it. `request` starts with struct fuse_in_header: its len is set to 0 before the read
 * and after the reply, so len ≠ 0 after a death means: perhaps unanswered. (A flag set after
 * read(2) would be too late: the kernel may have copied the request when the thread dies.)
 */
struct handover_slot {
	uint32_t unused;             /* earlier versions: the worker whose thread owns it */
	_Atomic uint32_t crashes;    /* fatal signals of the thread while this request was in it */
	_Atomic uint64_t since_ns;   /* CLOCK_MONOTONIC when the request came, or what is made
					ahead was begun; 0: idle */
	_Atomic uint64_t fh;         /* the handle an OPEN or OPENDIR is making, so that its replay
					does not make a second one; set before that handle is
					published, and to 0 before each read(2); 0: none yet. Of a
					WRITE: the one whose trigger it arms */
	_Atomic uint64_t snapshot;   /* the slab reference that this request makes its handle's
					snapshot, in the same way: a reader that has its first piece
					already must get the rest of that very text */
	_Atomic uint64_t answered;   /* fuse_in_header.unique of a request that another thread has
					answered in place of a stuck one: not to be replayed */
	_Atomic uint32_t device;     /* 1 + the clone through which the request was read and must be
					answered; 0: that of the slot's own thread */
	_Atomic uint64_t arrived_ns; /* CLOCK_MONOTONIC when it was read, if it was in the backlog
					then; 0: it was not */
	_Atomic uint32_t ahead;      /* enum handover_ahead */
	uint8_t reserved[SLAB_PAGE - 60];
	_Alignas(SLAB_PAGE) uint8_t request[HANDOVER_REQUEST];
};

/* Whether a slot's thread, its request being answered, makes what its reader is likely to ask for
 * next. When that ends a worker, no later one does so until the daemon is another. */
enum handover_ahead {
	HANDOVER_AHEAD_NO,
	HANDOVER_AHEAD_NOW,
	HANDOVER_AHEAD_FAILED,
	HANDOVER_AHEAD_TOLD, /* it has failed, and the log says so */
};

/*
 * Requests that were read and wait for a thread, so that the fairest can be served next
 * (daemon/backlog.h). They are like a slot's: a length other than 0 means perhaps unanswered. A
 * request may be here and in a slot at once, between one store and the next: the slot's counts.
 */
struct handover_backlog {
	_Atomic uint32_t used_small, used_large;   /* no request was ever at this place or above */
	_Atomic uint32_t device[HANDOVER_WAITING]; /* the clone that each was read through */
	_Alignas(SLAB_PAGE) uint8_t small[HANDOVER_WAITING_SMALL][HANDOVER_SMALL];
	uint8_t large[HANDOVER_WAITING_LARGE][HANDOVER_REQUEST];
};

/* The first INIT as the kernel sent it and as the supervisor answered it. */
struct handover_init {
	uint32_t request_len, reply_len;
	uint8_t request[256];
	uint8_t reply[256];
};

enum handover_handle_kind {
	HANDOVER_HANDLE_FILE = 1,
	HANDOVER_HANDLE_DIR = 2,
};

struct handover_handle {
	_Atomic uint64_t fh; /* what the kernel holds; 0: free. Published last, cleared first */
	uint64_t node;
	_Atomic uint64_t snapshot; /* slab reference: what READs at later offsets are served from */
	struct container_identity identity;
	uint32_t kind;
	uint32_t flags;      /* HANDOVER_COMPAT32 */
	uint32_t generation; /* how often this index was used; outlives the handle, so that a
				replayed RELEASE never meets a later handle of the same index */
	/* A pressure file's (SPEC 12). */
	_Atomic uint32_t armed; /* `generation` when the trigger below is armed. Published last */
	_Atomic uint64_t
		poll; /* what the kernel calls the file when somebody polls it; 0: nobody */
	uint32_t threshold_us, window_us;
	uint32_t trigger_flags;   /* HANDOVER_TRIGGER_FULL */
	_Atomic uint32_t written; /* bytes by which WRITEs have moved the file's offset on */
	uint64_t owner;           /* number of the struct use that it is charged to; 0: of none */
	uint8_t reserved[24];
};

#define HANDOVER_TRIGGER_FULL 1u

#define HANDOVER_COMPAT32 1u

/* A name in a passed-through directory. Number of the node: HANDOVER_NODE_BASE + index. */
struct handover_node {
	uint64_t parent; /* node number */
	uint32_t name;   /* offset in the names, not NUL-terminated */
	uint16_t name_len;
	uint16_t type; /* DT_DIR, DT_REG, DT_LNK */
};

#define HANDOVER_NODE_BASE (UINT64_C(1) << 20)

struct handover {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size; /* sizeof(struct handover): where a later version's sections begin */
	uint64_t size;
	char boot_id[40];
	_Atomic uint32_t generation; /* counts workers */
	_Atomic uint32_t nodes_used, names_used;
	_Atomic uint32_t handles_used; /* no handle was ever at this index or above */
	struct handover_init init;
	_Atomic uint32_t pass_through; /* SIGUSR2: 1: every file is the kernel's own */
	_Atomic uint32_t given_up;     /* generation of the last worker that has given itself up: it
					  ends, or a thread that the kernel holds keeps it */
	_Atomic uint32_t draining;     /* 1: the worker fetches no more requests */
	uint64_t dev;                  /* of the superblock that INIT belongs to, as in stat(2) */
	uint64_t backlog_at, backlog_size; /* 0 of a version that had none */

	_Alignas(SLAB_PAGE) struct handover_slot slots[HANDOVER_SLOTS];
	struct handover_node nodes[HANDOVER_NODES];
	char names[HANDOVER_NAMES];
	struct handover_handle handles[HANDOVER_HANDLES];
	struct account_entry accounts[HANDOVER_ACCOUNTS];
	uint32_t links[HANDOVER_PAGES];
	_Alignas(SLAB_PAGE) uint8_t pages[HANDOVER_PAGES][SLAB_PAGE];
	struct handover_backlog backlog;
};

/* Makes the memfd (sparse: only what is touched costs memory), seals and maps it. 0 or -errno. */
int handover_new(int *ret_fd, struct handover **ret);
void handover_free(struct handover *h);

/* Takes over the area of the version or the process before, of which nobody uses anything any more.
 * Of another layout only the frozen sections are kept, in a new area (`*ret_fresh`): what was half
 * read then gives EIO, and counters start anew. Owns `fd` on success. -EINVAL when it is no such
 * area, -ESTALE when it is of another boot, -errno. */
int handover_take(int fd, int *ret_fd, struct handover **ret, bool *ret_fresh);

/* The memfd's name. */
#define HANDOVER_NAME "lxcfs-handover"
/* Reads the flag, or INIT, of somebody else's area. 0; -EINVAL when it is none that we know;
 * -errno. */
int handover_peek_pass_through(int fd, bool *ret);
int handover_peek_init(int fd, struct handover_init *ret);

/*
 * What the supervisor alone decides, in memory of its own: whoever runs code in a worker can write
 * anything into the area, which shall harm that worker and no later one.
 */
struct handover_facts {
	struct handover_init init;
	char boot_id[sizeof(((struct handover *)NULL)->boot_id)];
	uint64_t dev;
	bool pass_through;
};

/* Of an area that no worker has had since it was made or taken over. */
void handover_facts_of(const struct handover *h, struct handover_facts *ret);

/* Puts them right in the area, before somebody believes it: its layout too, and that no worker is
 * being drained. */
void handover_state(struct handover *h, const struct handover_facts *facts);

/* The connection is dead and a fresh one comes: what belonged to the old one (requests, INIT,
 * handles) must not be taken for the new one's, whose numbers start anew. Nodes and accounts stay.
 */
void handover_forget_connection(struct handover *h);

/* One of the first `n` slots holds something, or the backlog does. */
bool handover_is_busy(struct handover *h, unsigned n);
/* The request is answered. */
void handover_slot_done(struct handover_slot *s);
/* The same, and the slot is ready for the next read(2). */
void handover_slot_clear(struct handover_slot *s);

/* False when the slot's thread was at nothing ahead. */
static inline bool handover_ahead_ends(struct handover_slot *s, enum handover_ahead how)
{
	uint32_t now = HANDOVER_AHEAD_NOW;

	return atomic_load_explicit(&s->ahead, memory_order_relaxed) == HANDOVER_AHEAD_NOW &&
		atomic_compare_exchange_strong(&s->ahead, &now, how);
}

/* The kernel writes it too, from read(2): the compiler may not keep it in a register. */
typedef uint32_t __attribute__((may_alias)) handover_u32;

/* A request anywhere in the area: its fuse_in_header.len, 0: none. */
static inline uint32_t handover_request_length(const uint8_t *request)
{
	return __atomic_load_n((const handover_u32 *)request, __ATOMIC_ACQUIRE);
}

/* The same of what the slot holds. */
static inline uint32_t handover_slot_length(const struct handover_slot *s)
{
	return handover_request_length(s->request);
}

/* Copies one of `length` bytes; it is there from the last store on. */
void handover_request_put(uint8_t *to, const uint8_t *from, uint32_t length);
void handover_request_done(uint8_t *request);

/* The i-th place of the backlog, the large ones behind the small ones. */
uint8_t *handover_waiting(struct handover *h, uint32_t i);
/* The next one with a request in it, from *i on; false at the end. */
bool handover_next_waiting(struct handover *h, uint32_t *i);

/* The slot of the calling worker thread; NULL on other threads. Set by the worker's loop. */
static inline struct handover_slot *handover_my_slot(void)
{
	extern _Thread_local struct handover_slot *handover_own_slot;

	return handover_own_slot;
}
void handover_set_my_slot(struct handover_slot *s);
