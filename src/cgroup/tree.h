/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of cgroup/: one cgroup directory, its files, and what differs between v1 and v2.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cgroup.h"

#define CGROUP_HUGE_SIZES 4

/* Every file that a getter reads, whatever it is called in either version. */
enum cgroup_file {
	FILE_MEMORY_LIMIT,
	FILE_MEMORY_USAGE,
	FILE_MEMORY_STAT,
	FILE_MEMORY_KERNEL,   /* v1: bytes of kernel memory */
	FILE_MEMORY_SLABINFO, /* v1 */
	FILE_USE_HIERARCHY,   /* v1: whether limits hold for the cgroups below */
	FILE_SWAP_LIMIT,      /* v2: of swap; v1: of memory and swap together */
	FILE_SWAP_USAGE,      /* the same */
	FILE_SWAPPINESS,
	FILE_CPUSET_EFFECTIVE,
	FILE_CPUSET_CPUS,
	FILE_CPU_QUOTA,  /* v2: the period too */
	FILE_CPU_PERIOD, /* v1 */
	FILE_CPU_STAT,   /* v2 */
	FILE_CPU_USAGE_PERCPU,
	FILE_CPU_USAGE_ALL,
	FILE_CPU_TICKS, /* v1: cpuacct.stat */
	FILE_PIDS,
	FILE_IO_STAT, /* v2 */
	FILE_IO_THROTTLE_OPS,
	FILE_IO_THROTTLE_BYTES,
	FILE_IO_BFQ_OPS,
	FILE_IO_BFQ_BYTES,
	FILE_IO_OPS,
	FILE_IO_BYTES,
	FILE_PRESSURE_CPU, /* v2, as those below */
	FILE_PRESSURE_MEMORY,
	FILE_PRESSURE_IO,
	FILE_PRESSURE_IRQ,
	FILE_HUGETLB_LIMIT,
	FILE_HUGETLB_USAGE = FILE_HUGETLB_LIMIT + CGROUP_HUGE_SIZES,
	CGROUP_FILES = FILE_HUGETLB_USAGE + CGROUP_HUGE_SIZES,
};

/* A file of one cgroup, perhaps open. `state` is all that a reader touches: see files.c. */
struct cgroup_fd {
	_Atomic uint32_t state;
	int fd;
	struct cgroup_fd *previous, *next; /* the ring of open files */
};

/* Special states: no `parent` below a root or at the daemon's mount_root; one whose directory was
 * removed stays until its last set goes, outside the table when another took its path. */
struct cgroup {
	struct cgroup_tree *tree;
	struct cgroup *parent;
	struct cgroup *next; /* in its bucket */
	unsigned refs;       /* under the tree's lock */
	unsigned hierarchy;
	ino_t ino;
	_Atomic int use_hierarchy; /* v1 memory: 0 not known yet, 1 no, 2 yes */
	bool listed;
	char *path;             /* as /proc/<pid>/cgroup has it */
	const char *below;      /* the same from the mount point on; "." is the mount point */
	struct cgroup_fd fds[]; /* by cgroup_tree.slot */
};

#define CGROUP_NO_SLOT UINT8_MAX
#define CGROUP_BUCKETS 4096u

struct cgroup_tree {
	const struct cgroup_layout *layout;
	/* Never held across a system call on a cgroup file but close(2). */
	pthread_mutex_t lock;
	struct cgroup *buckets[CGROUP_BUCKETS];
	struct cgroup_fd *hand; /* where the search for a file to close goes on; NULL: none open */
	unsigned n_files, max_files;
	unsigned n_late; /* files that were opened when there was no room */
	/* Which of cgroup.fds is a file of that hierarchy. */
	uint8_t slot[CGROUP_HIERARCHIES][CGROUP_FILES];
	uint8_t n_slots[CGROUP_HIERARCHIES];
	/* Files that this kernel was found not to have, as bits (cgroup_file_name.settled). */
	_Atomic uint64_t missing[CGROUP_HIERARCHIES];
	char huge_size[CGROUP_HUGE_SIZES][16]; /* under lock; never changed once set */
	_Atomic unsigned n_huge_sizes;
	cgroup_open_fn *writer; /* NULL: files are opened for writing as for reading */
	void *writer_data;
};

/* --- what differs between the versions: v1.c, v2.c ---------------------------------------- */

/* A file that v2 has even where v1 has taken all controllers. */
#define CGROUP_NO_CONTROLLER CGROUP_CONTROLLERS

struct cgroup_file_name {
	const char *name; /* NULL: this version has no such file; %s: a huge page size */
	enum cgroup_controller controller;
	/* A kernel that has it in no cgroup now will not have it later either. Not so on v2, where
	 * controllers are enabled at any time, and for what a module adds. */
	bool settled;
	bool iterated; /* not produced in one piece: a short read is not the end */
};

/* What memory.stat says. */
struct cgroup_memory_lines {
	struct cgroup_memory_stat stat;
	/* v1: least over the cgroup and its ancestors; v2: CGROUP_NO_LIMIT */
	uint64_t limit, memsw_limit;
};

struct cgroup_version {
	struct cgroup_file_name file[CGROUP_FILES];
	/* memory.stat's limits are the effective ones: without one there, no ancestor has any. */
	bool stat_tells_limits;
	int (*memory_stat)(struct cgroup *c, struct cgroup_memory_lines *ret);
	/* The next cgroup whose memory limits hold for `c`. */
	int (*memory_parent)(struct cgroup *c, struct cgroup **ret);
	/* `usage`: what FILE_SWAP_USAGE says of `c`. cgroup_swap() keeps the result in bounds. */
	int (*swap)(struct cgroup *c, const struct cgroup_memory *memory, uint64_t usage,
		uint64_t host_total, struct cgroup_swap *ret);
	/* Period 0: no quota. -ENOENT without such a file. */
	int (*quota)(struct cgroup *c, uint64_t *ret_quota, uint64_t *ret_period);
	/* -ENOENT without such a file. */
	int (*cpu_usage)(struct cgroup *c, struct cgroup_cpu_usage *ret);
	int (*io)(struct cgroup *c, struct cgroup_io *ret);
};

extern const struct cgroup_version cgroup_v1, cgroup_v2;

const struct cgroup_version *cgroup_version(const struct cgroup *c);

/* --- tree.c -------------------------------------------------------------------------------- */

/* The set's cgroup in the hierarchy that serves `controller`, NULL. */
struct cgroup *cgroup_serving(const struct cgroup_set *s, enum cgroup_controller controller);
/* 0, -ENODEV when the directory at the path is not `c` (any more), -errno. */
int cgroup_verify(const struct cgroup *c);

/* --- files.c ------------------------------------------------------------------------------- */

void cgroup_files_setup(struct cgroup_tree *t);
/* Closes all files of a cgroup that nobody uses any more. Under the lock. */
void cgroup_files_close(struct cgroup *c);

/* Reads the whole file. The text lies in a buffer of the calling thread and lasts until its next
 * read. -ENOENT without such a file, -ENODEV when the cgroup was removed, -errno. */
int cgroup_read(struct cgroup *c, enum cgroup_file file, struct slice *ret);
/* Opens the file for somebody who keeps it, outside the cache. The same errors. */
int cgroup_open(const struct cgroup *c, enum cgroup_file file, int flags);
/* A file that is one number; "max" and v1's page-rounded "no limit" are CGROUP_NO_LIMIT. -EBADMSG
 * on anything else. */
int cgroup_read_u64(struct cgroup *c, enum cgroup_file file, uint64_t *ret);
/* The same from the nearest cgroup, upwards from `c` (may be NULL), that has the file; -ENOENT
 * when none has. */
int cgroup_read_nearest(
	struct cgroup *c, enum cgroup_file file, struct cgroup **ret_c, uint64_t *ret);
/* Which of FILE_HUGETLB_LIMIT and FILE_HUGETLB_USAGE + `*ret` have page size `size` ("2MB").
 * -ENOENT when neither `c` nor an ancestor has such files, -ENODEV. */
int cgroup_huge_size(struct cgroup *c, const char *size, unsigned *ret);
/* v1 says "no limit" as LONG_MAX rounded down to pages, which differs by page size. */
static inline uint64_t cgroup_limit(uint64_t value)
{
	return value >= UINT64_C(1) << 62 ? CGROUP_NO_LIMIT : value;
}

/* A limit; CGROUP_NO_LIMIT without such a file. */
int cgroup_read_limit(struct cgroup *c, enum cgroup_file file, uint64_t *ret);
/* Logs what no kernel says and returns -EBADMSG. */
int cgroup_bad_text(const struct cgroup *c, enum cgroup_file file);

/* --- cpu.c --------------------------------------------------------------------------------- */

/* The cgroup's own list of CPUs, and in which file it stands. -ENOENT without one, and where it is
 * empty. */
int cgroup_read_cpuset(struct cgroup *c, enum cgroup_file *ret_file, struct cpumask *ret);
/* quota ÷ period, rounded up, at least 1. */
unsigned cgroup_whole_cpus(uint64_t quota, uint64_t period);

/* --- io.c ---------------------------------------------------------------------------------- */

/* Reads "8:0". */
bool cgroup_io_number(struct slice word, unsigned *ret_major, unsigned *ret_minor);
/* The device's entry, added when there is none. NULL without memory. */
struct cgroup_io_device *cgroup_io_device(struct cgroup_io *io, unsigned major, unsigned minor);
