/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's own files, parsed once and shared by all readers for a short while.
 * A snapshot is immutable; whoever got one holds a reference and gives it back with host_put().
 * Nothing here formats a reply or knows of containers.
 *
 * Ages: at most 10 ms for stat, diskstats, meminfo and the CPU lists, 1 s for cpuinfo, longer for
 * what never changes. One reader refreshes while others use the old one, but never one that is more
 * than 100 ms over its age: then they wait for the refresh. `now_ns` is CLOCK_BOOTTIME everywhere.
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
#include "text.h"

struct host;

/* Borrows `root`, which must outlive it. 0 or -errno. */
int host_new(const struct root *root, struct host **ret);
void host_free(struct host *h);

/* Common head of every snapshot; only host/ looks inside. */
struct host_snapshot {
	unsigned refs;
	uint64_t made_ns;
	void (*destroy)(struct host_snapshot *s);
};

/* Gives a reference back; NULL is fine. */
void host_put(const void *snapshot);

#define autohost __attribute__((cleanup(host_put_cleanup)))
static inline void host_put_cleanup(const void *p)
{
	host_put(*(const void *const *)p);
}

/* /proc/cpuinfo, cut into what belongs to one CPU and what belongs to none (arm's Hardware block,
 * s390x's head, ppc64's tail). In order, gapless: the parts put together are the file. */
enum host_cpuinfo_count {
	HOST_CPUINFO_PROCESSORS, /* s390x "# processors": CPUs shown */
	HOST_CPUINFO_SIBLINGS,   /* "siblings": CPUs shown of this package */
	HOST_CPUINFO_CPU_CORES,  /* "cpu cores": cores shown of this package */
	HOST_CPUINFO_COUNTS,
};

struct host_cpuinfo_part {
	struct slice text;
	int cpu; /* the kernel's id, or -1: kept for everybody */
	/* x86's physical id, s390x's together with the book's and the drawer's, for there it is
	 * unique in its book alone; -1 where the record has none. */
	int64_t package;
	int64_t core;                            /* core id; -1 */
	struct slice count[HOST_CPUINFO_COUNTS]; /* the numbers in `text`; .p NULL: no such line */
};

struct host_cpuinfo {
	struct host_snapshot base;
	struct text text;
	struct host_cpuinfo_part *parts;
	size_t n_parts;
};

/* `compat32`: what a 32-bit caller is shown, where that differs (arm64); else the native text. */
int host_cpuinfo(struct host *h, uint64_t now_ns, bool compat32, const struct host_cpuinfo **ret);

#ifdef __aarch64__
#define HOST_HAS_COMPAT32 true
#else
#define HOST_HAS_COMPAT32 false
#endif

/* True when thread `tid` has a 32-bit personality; false when that cannot be read. */
bool host_caller_is_compat32(const struct root *root, pid_t tid);

/* read_fd() as a 32-bit caller. */
int host_read_compat32(int fd, struct text *t);

/* Which function reads cpuinfo for 32-bit callers; NULL: they are shown the native text. It is
 * host_read_compat32() where HOST_HAS_COMPAT32; tests set another, before the first read. */
void host_set_compat32(struct host *h, int (*read)(int fd, struct text *t));

/* /proc/stat. Columns are the kernel's: user nice system idle iowait irq softirq steal guest
 * guest_nice, in USER_HZ ticks; ones the kernel does not print are 0. */
#define HOST_STAT_COLUMNS 10

struct host_stat_cpu {
	unsigned cpu;
	uint64_t ticks[HOST_STAT_COLUMNS];
};

struct host_stat {
	struct host_snapshot base;
	struct text text;
	struct host_stat_cpu *cpus; /* ascending ids */
	size_t n_cpus;
	unsigned columns;  /* how many the kernel prints */
	struct slice rest; /* the lines behind the last cpu line: intr, ctxt, btime, ... */
	uint64_t btime;    /* seconds since the epoch */
};

int host_stat(struct host *h, uint64_t now_ns, const struct host_stat **ret);

/* /proc/meminfo. Values in kB, but for lines without a unit (HugePages_*). */
struct host_meminfo_line {
	struct slice line; /* whole, without the newline: "MemTotal:       24684084 kB" */
	struct slice name; /* "MemTotal" */
	uint64_t value;
	size_t start, end; /* of the number within the line; equal: it has none */
	bool padded;       /* two blanks or more stand before it */
	bool has_unit;
};

struct host_meminfo {
	struct host_snapshot base;
	struct text text;
	struct host_meminfo_line *lines;
	size_t n_lines;
	/* Where the kernel's numbers stand, learned from the lines; offsets in a line. */
	size_t column_start; /* of a number too wide for the column; 0: no line has one */
	size_t column_end;
	uint64_t mem_total_kb;
	uint64_t mem_available_kb;
	uint64_t swap_total_kb;
	uint64_t swap_free_kb;
	/* Pages of the default size, which is huge_page_kb; 0: none. */
	uint64_t huge_page_kb, huge_total, huge_free, huge_reserved, huge_surplus;
	uint64_t huge_all_kb;      /* of every size */
	unsigned overcommit_ratio; /* /proc/sys/vm/overcommit_ratio, percent */
};

int host_meminfo(struct host *h, uint64_t now_ns, const struct host_meminfo **ret);

/* /sys/kernel/mm/hugepages: the pools of huge pages, the default size's among them. */
#define HOST_HUGEPAGES 16

struct host_hugepages {
	struct host_snapshot base;
	struct host_hugepages_pool {
		uint64_t page_kb, pages;
	} pools[HOST_HUGEPAGES];
	size_t n;
};

/* -ENOENT on a kernel that has none. */
int host_hugepages(struct host *h, uint64_t now_ns, const struct host_hugepages **ret);

/* What stands above the rows of a file: its first line and comments below it, each with its
 * newline. As old as a minute, for it never changes. */
struct host_header {
	struct host_snapshot base;
	struct text text;
};

int host_swaps(struct host *h, uint64_t now_ns, const struct host_header **ret);
int host_slabinfo(struct host *h, uint64_t now_ns, const struct host_header **ret);

/* /proc/pressure/{cpu,memory,io,irq}, as old as a minute: for its lines and their words alone. */
struct host_pressure {
	struct host_snapshot base;
	struct text text;
};

int host_pressure(
	struct host *h, uint64_t now_ns, enum pressure what, const struct host_pressure **ret);

/* /proc/diskstats. Column 0 is the first behind the device's name (reads completed). */
#define HOST_DISK_COLUMNS 17

struct host_disk {
	unsigned major, minor;
	struct slice head; /* "   8       0 sda": what stands before the first column */
	uint64_t values[HOST_DISK_COLUMNS];
	unsigned columns; /* 11 before Linux 4.18, 15 before 5.5, 17 since */
};

struct host_diskstats {
	struct host_snapshot base;
	struct text text;
	struct host_disk *disks; /* the kernel's order */
	size_t n_disks;
};

int host_diskstats(struct host *h, uint64_t now_ns, const struct host_diskstats **ret);

/* /sys/devices/system/cpu/{online,possible}. Where sysfs has none, the CPUs of /proc/stat. */
struct host_cpus {
	struct host_snapshot base;
	struct cpumask online;
	struct cpumask possible;
};

int host_cpus(struct host *h, uint64_t now_ns, const struct host_cpus **ret);

/* The kernel's bytes of any file below /proc or /sys ("proc/swaps", "sys/devices/..."), appended,
 * unshared. 0 or -errno. */
int host_file(struct host *h, const char *path, struct text *t);

/* 0 for a path like the above only when the kernel says that there is nothing; 1, or -errno of a
 * shortage. */
int host_has(const struct root *root, const char *path);
