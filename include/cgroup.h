/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cgroups, v1, v2 and hybrid: which hierarchies this machine has, directories in them, and typed
 * getters that hide which version answers. Nothing here knows of containers, rules or formats.
 *
 * The root cgroup of a hierarchy counts as absent everywhere: what a process at the root may use
 * is the host's business (SPEC 2.4). Getters therefore never read the root cgroup.
 *
 * Files stay open in a bounded cache and are read with one pread(2). Every getter returns -ENODEV
 * when a cgroup it needs was removed: the caller then finds the container again (SPEC 2.7).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cpumask.h"
#include "parse.h"
#include "pressure.h"
#include "root.h"

#define CGROUP_HIERARCHIES 16
#define CGROUP_NO_LIMIT UINT64_MAX

enum cgroup_controller {
	CGROUP_CPU,
	CGROUP_CPUACCT, /* v2: part of cpu, and cpu.stat's usage lines exist without any controller
			 */
	CGROUP_CPUSET,
	CGROUP_MEMORY,
	CGROUP_IO, /* v1: blkio */
	CGROUP_HUGETLB,
	CGROUP_PIDS,
	CGROUP_CONTROLLERS,
};

#define CGROUP_BIT(controller) (1u << (controller))

/* One mounted hierarchy. */
struct cgroup_hierarchy {
	bool unified;         /* cgroup2 */
	unsigned controllers; /* v1: bound to it; v2: in the top cgroup's cgroup.controllers */
	char *name; /* second field of /proc/<pid>/cgroup: "cpu,cpuacct", "name=systemd", "" */
	char *mount_root; /* field 4 of mountinfo: the cgroup that is seen at the mount point */
	int dirfd;        /* of the mount point */
	dev_t dev;
};

/* All of them, found once in the daemon's own mountinfo (any mount point, the topmost mount where
 * several are stacked, the one with the widest mount_root where a hierarchy is mounted often). */
struct cgroup_layout {
	size_t n;
	struct cgroup_hierarchy hierarchy[CGROUP_HIERARCHIES];
	int serves[CGROUP_CONTROLLERS]; /* index: v1 where it is bound, else unified; -1: neither */
	int unified;                    /* index of the cgroup2 hierarchy, -1 without one */
	unsigned available;             /* controllers that exist on this machine at all, as bits */
};

/* Reads root->proc "self/mountinfo" and opens the mount points below root->top. 0 or -errno; a
 * machine without cgroups has an empty layout. */
int cgroup_layout_new(const struct root *root, struct cgroup_layout **ret);
void cgroup_layout_free(struct cgroup_layout *l);

/* Whether some controller's files are read in that hierarchy. */
bool cgroup_serves(const struct cgroup_layout *l, size_t hierarchy);

/* The kernel's word for it, cgroup v2's where the versions differ. */
const char *cgroup_controller_name(enum cgroup_controller controller);

/* For people: "cgroup v1 (cpu, memory), v2 (io); missing: hugetlb". Appends without a newline. */
void cgroup_layout_describe(const struct cgroup_layout *l, struct text *t);

/* What /proc/<pid>/cgroup says: the process's path in each hierarchy of the layout, NULL where it
 * is in none or in one that is not mounted. */
struct cgroup_paths {
	char *path[CGROUP_HIERARCHIES];
};

/* Reads the text of /proc/<pid>/cgroup. Controllers are compared as sets ("cpu,cpuacct" is
 * "cpuacct,cpu"). A " (deleted)" behind a path belongs to it: the kernel adds one for zombies
 * alone, whose cgroup is not to be found either way, and a cgroup may be called so. 0 or -ENOMEM.
 */
int cgroup_paths_parse(const struct cgroup_layout *l, struct slice text, struct cgroup_paths *ret);
void cgroup_paths_free(struct cgroup_paths *paths);

/* The same for mountinfo's text of some process: the root of the cgroup mount at or below
 * /sys/fs/cgroup for each hierarchy (field 4, octal escapes undone), the topmost where several are
 * stacked; NULL where there is none (SPEC 2.3a). 0 or -ENOMEM. */
int cgroup_mount_roots_parse(
	const struct cgroup_layout *l, struct slice mountinfo, struct cgroup_paths *ret);

/* True when `path` is `ancestor` or lies below it ("/a/b" lies below "/a" and "/", not "/a/bc"). */
bool cgroup_path_within(const char *path, const char *ancestor);
/* What of `path` lies below the hierarchy's dirfd ("." is the mount point itself); NULL when it is
 * not below the mount, or NULL. */
const char *cgroup_path_below(const struct cgroup_hierarchy *h, const char *path);
/* How many names are in a path. */
unsigned cgroup_path_depth(const char *path);
/* So many at most: a look at a cgroup goes up through all above it, each by its path, so that
 * whoever makes thousands in one another would keep the daemon busy. */
#define CGROUP_DEPTH_MAX 128u
/* "/..", "/../a": what the daemon's cgroup namespace does not hold; "/..a" is a name like others.
 */
bool cgroup_path_goes_up(const char *path);
/* The hierarchy with that device; NULL. */
const struct cgroup_hierarchy *cgroup_hierarchy_of_dev(const struct cgroup_layout *l, dev_t dev);
/* Removes one trailing "/init.scope" in place ("/init.scope" itself becomes "/"). */
void cgroup_path_strip_init_scope(char *path);

/* One cgroup directory, shared by all sets that use it; knows its parent. */
struct cgroup;

/* All cgroups in use, and the cache of their open files. */
struct cgroup_tree;

/* Borrows `layout`. At most `max_files` descriptors are kept open (least recently used first
 * out; a file in use is never closed under its reader). 0 or -errno. */
int cgroup_tree_new(
	const struct cgroup_layout *layout, unsigned max_files, struct cgroup_tree **ret);
void cgroup_tree_free(struct cgroup_tree *t);

/* Opens the file at `path`, from the unified hierarchy's mount point on, for reading and writing: a
 * descriptor or -errno. */
typedef int cgroup_open_fn(void *data, const char *path);
/* Has all files that are written opened by `open`, on behalf of a process that may not itself. */
void cgroup_tree_set_writer(struct cgroup_tree *t, cgroup_open_fn *open, void *data);

/* A container's cgroup in each hierarchy; NULL where it is the root's, or there is none. */
struct cgroup_set {
	struct cgroup_tree *tree;
	struct cgroup *in[CGROUP_HIERARCHIES];
};

/* Takes references on the cgroups at `paths` (of cgroup_paths_parse(), after the rules). Paths
 * outside the daemon's own mounts ("/..", not below mount_root) count as absent. 0, -ENOENT when a
 * directory is not there, -ENOMEM. */
int cgroup_set_new(
	struct cgroup_tree *t, const struct cgroup_paths *paths, struct cgroup_set **ret);
/* NULL is fine. */
void cgroup_set_free(struct cgroup_set *s);

/* True when the set has no cgroup below a root in any hierarchy: the container is the host. A
 * hierarchy without controllers other than the unified one (name=systemd) does not count. */
bool cgroup_set_is_root(const struct cgroup_set *s);

/* The directory that names the container for its counters: the hierarchy that tells busy time
 * (cpuacct, else unified), else the first that has a cgroup. False when there is none. */
bool cgroup_set_identity(const struct cgroup_set *s, dev_t *ret_dev, ino_t *ret_ino);

/* The path in a hierarchy as /proc/<pid>/cgroup has it; NULL where the set has none. */
const char *cgroup_set_path(const struct cgroup_set *s, unsigned hierarchy);

/* --- walking, without references and at whatever the directories are by now --------------- */

struct cgroup_walk_limits {
	size_t directories;   /* at most so many are met */
	uint64_t deadline_ns; /* of clock_thread_ns(), for others' work is no reason to see less;
				 0: none */
};

/* Called with a directory's descriptor and inode; a negative answer ends the walk. The container
 * that a directory was given to may have closed it: then there is no descriptor (-1), and what is
 * below it is not met, which is its own loss. */
typedef int (*cgroup_visit)(int dirfd, ino_t ino, void *data);

/* Calls `visit` for the cgroup at `path` (of /proc/<pid>/cgroup), then for every one below it. 0
 * when all were visited; what `visit` said; -ENOENT when `path` is outside the mount; -ETIME,
 * -E2BIG or -errno when some were left out. One that is not there (any more) is not left out. */
int cgroup_walk(const struct cgroup_hierarchy *h, const char *path,
	const struct cgroup_walk_limits *limits, cgroup_visit visit, void *data);

/* False: enough. */
typedef bool (*cgroup_each_pid)(pid_t pid, void *data);

/* Calls `each` for every process of one cgroup directory, in the daemon's numbers, perhaps twice;
 * with `threads` (v2 only) for every thread. -EOPNOTSUPP: a threaded cgroup (v2), whose processes
 * are told by its domain alone; -ENODEV when it was removed; -errno. */
int cgroup_pids(int dirfd, bool threads, cgroup_each_pid each, void *data);

/* CPU time used by the cgroup at `path` and all below it, in units of the kernel's file; it stands
 * still when, and only when, none of their tasks has run. -ENOENT without such a file. */
int cgroup_usage_at(const struct cgroup_hierarchy *h, const char *path, uint64_t *ret);

/* --- memory ----------------------------------------------------------------------------- */

/* memory.stat, in bytes; 0 where the kernel has no such line. v1: the total_ lines. */
struct cgroup_memory_stat {
	uint64_t file; /* v1: cache */
	uint64_t anon; /* v1: rss */
	uint64_t swapcached;
	uint64_t active_anon, inactive_anon, active_file, inactive_file, unevictable;
	uint64_t zswap, zswapped;
	uint64_t file_dirty, file_writeback, file_mapped, shmem;
	uint64_t slab_reclaimable, slab_unreclaimable; /* v1: 0 and memory.kmem.usage_in_bytes */
	uint64_t kernel_stack, pagetables, sec_pagetables, percpu, vmalloc;
	uint64_t anon_thp, shmem_thp, file_thp; /* v1: rss_huge, 0, 0 */
};

struct cgroup_memory {
	bool known;     /* false: no memory controller for this container, nothing below is set */
	uint64_t limit; /* least over the cgroup and all ancestors; CGROUP_NO_LIMIT */
	uint64_t usage; /* memory.current / memory.usage_in_bytes, nearest ancestor that has it
			   (2.5) */
	uint64_t free;  /* least of limit − usage over the cgroup and every ancestor with a limit,
			   the cgroup itself counted with `cap` when nothing limits it */
	uint64_t available;   /* the same of limit − usage + active_file + inactive_file (+ v2's
				 slab_reclaimable) */
	uint64_t memsw_limit; /* v1: hierarchical_memsw_limit, for cgroup_swap() alone */
	struct cgroup_memory_stat stat;
};

/* `cap` (bytes): the host's MemTotal, an upper bound of every limit. 0, -ENODEV, -errno. */
int cgroup_memory(const struct cgroup_set *s, uint64_t cap, struct cgroup_memory *ret);

/* Section 9, in bytes: 0 ≤ used ≤ total, 0 ≤ free ≤ total − used, total ≤ host_total. Free may be
 * less than total − used: a sibling, or the host, may have taken some. `memory` is what
 * cgroup_memory() said of the same set. */
struct cgroup_swap {
	uint64_t total, used, free;
};

int cgroup_swap(const struct cgroup_set *s, const struct cgroup_memory *memory, uint64_t host_total,
	uint64_t host_free, struct cgroup_swap *ret);

/* Appends memory.kmem.slabinfo, the container's own caches. -ENOENT without such a file, or without
 * a cache in it: since Linux 5.9 it is always empty, and v2 has none. */
int cgroup_slabinfo(const struct cgroup_set *s, struct text *t);

/* hugetlb.<size>: limit over ancestors (CGROUP_NO_LIMIT without one) and usage, in bytes. `size` is
 * the kernel's name ("2MB"). -ENOENT without the controller. */
int cgroup_hugetlb(
	const struct cgroup_set *s, const char *size, uint64_t *ret_limit, uint64_t *ret_usage);

/* --- cpu -------------------------------------------------------------------------------- */

/* The effective cpuset (v2 cpuset.cpus.effective; v1 cpuset.effective_cpus, else cpuset.cpus;
 * nearest ancestor that has it). -ENOENT: nothing restricts it. */
int cgroup_cpuset(const struct cgroup_set *s, struct cpumask *ret);

/* ceil(least over the cgroup and its ancestors of quota ÷ period), at least 1; UINT_MAX without a
 * quota. */
int cgroup_cpu_quota(const struct cgroup_set *s, unsigned *ret_cpus);

/* Busy time so far, in nanoseconds. */
struct cgroup_cpu_usage {
	bool known; /* false: no source, all zero */
	uint64_t usage, user, system,
		nice; /* v2: cpu.stat; v1: sums, nice 0. user holds nice too */
	/* v1 only: per CPU id below n_cpus. usage from cpuacct.usage_percpu; user and system from
	 * cpuacct.usage_all (tick-sampled), all 0 where the kernel has no such file. */
	unsigned n_cpus;
	uint64_t *cpu_usage, *cpu_user, *cpu_system;
};

/* v1: cpuacct where the set has a cgroup in it, else the unified hierarchy's cpu.stat, else
 * unknown. Owns its arrays until cgroup_cpu_usage_free(). */
int cgroup_cpu_usage(const struct cgroup_set *s, struct cgroup_cpu_usage *ret);
void cgroup_cpu_usage_free(struct cgroup_cpu_usage *u);

/* Tasks in the cgroup and below it (pids.current). -ENOENT without a pids controller. */
int cgroup_tasks(const struct cgroup_set *s, uint64_t *ret);

/* --- where a limit comes from, for people (--inspect) ------------------------------------ */

enum cgroup_limit_kind {
	CGROUP_LIMIT_MEMORY,
	CGROUP_LIMIT_SWAP, /* v1: of memory and swap together */
	CGROUP_LIMIT_CPUSET,
	CGROUP_LIMIT_QUOTA,
	CGROUP_LIMITS,
};

/* What one cgroup has to say of a limit. */
struct cgroup_level {
	const char *path;  /* as /proc/<pid>/cgroup has it */
	const char *file;  /* the name of its file, "memory.max" */
	bool there;        /* false: it has no such file, nothing below is set */
	struct slice says; /* "268435456", "max", "0-3"; a quota: "50000 100000" */
	uint64_t limit; /* bytes; of a quota whole CPUs; CGROUP_NO_LIMIT; of a cpuset, which has no
			   size of its own, 0 where it names CPUs and CGROUP_NO_LIMIT else */
};

/* Tells the container's own cgroup and then each ancestor whose limit holds for it; what they
 * point to lasts until `tell` returns. The limit in force is that of the typed getters above: of
 * the nearest level that has the least. 0, -ENODEV, -errno. */
int cgroup_levels(const struct cgroup_set *s, enum cgroup_limit_kind kind,
	void (*tell)(const struct cgroup_level *level, void *data), void *data);

/* --- io --------------------------------------------------------------------------------- */

struct cgroup_io_device {
	unsigned major, minor;
	uint64_t read_bytes, write_bytes, discard_bytes;
	uint64_t reads, writes, discards;
};

struct cgroup_io {
	struct cgroup_io_device *devices;
	size_t n;
};

/* io.stat, or v1's blkio files (section 11), of the container's own cgroup alone; no device where
 * the controller is not enabled for it. Devices without any I/O are left out. */
int cgroup_io(const struct cgroup_set *s, struct cgroup_io *ret);
void cgroup_io_free(struct cgroup_io *io);

/* --- pressure ----------------------------------------------------------------------------- */

/* Appends the *.pressure file of the container's own cgroup on the unified hierarchy. -ENOENT
 * where it is the root there, or has no such file. */
int cgroup_pressure(const struct cgroup_set *s, enum pressure what, struct text *t);

/* Arms a trigger on that file: a descriptor that polls EPOLLPRI for each event, and EPOLLERR once
 * the cgroup is gone. `ret_total_us`: all stalls until then. Otherwise as above, or what the kernel
 * said. */
int cgroup_pressure_arm(const struct cgroup_set *s, enum pressure what,
	const struct pressure_trigger *trigger, uint64_t *ret_total_us);

/* All stalls of the trigger's kind until now, by its descriptor. 0, -ENODEV, -errno. */
int cgroup_pressure_total(int fd, const struct pressure_trigger *trigger, uint64_t *ret_us);
