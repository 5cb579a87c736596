/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of inspect/ share: the facts about one process, plain data once gathered, so that
 * sentences (why.c), text (print.c) and JSON (json.c) are made of the same and can be tested
 * without a machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "container.h"
#include "cpumask.h"
#include "options.h"
#include "text.h"
#include "view.h"

/* --- daemon.c: the daemon that runs ---------------------------------------------------------- */

struct inspect_daemon {
	pid_t pid;              /* 0: none runs */
	struct text command;    /* its command line, words ended by NUL */
	struct options options; /* of that command line */
	bool pass_through;      /* SIGUSR2 */
	bool elsewhere;         /* it runs in other namespaces than this command */
	uint64_t major, minor;  /* of its mount; 0, 0: not found */
	char *argv[64];         /* words of `command`; options point there */
};

/* Looks for the daemon of options->pidfile. 0, also when none runs; -errno. */
int inspect_find_daemon(
	const struct root *root, const struct options *options, struct inspect_daemon *ret);
void inspect_daemon_free(struct inspect_daemon *d);

/* --- binds.c: which of our files lie over the kernel's --------------------------------------- */

enum inspect_tree { INSPECT_TREE_DEFAULT, INSPECT_TREE_QUOTA, INSPECT_TREE_CPUSET };

struct inspect_bind {
	bool bound;             /* a file of some lxcfs lies there */
	bool stale;             /* but not of the daemon that runs */
	enum inspect_tree tree; /* of DIR that it comes from */
};

/* What the process finds at view_registry[i].path below "/", from its mountinfo. `ret` has
 * view_count elements. 0 or -ENOMEM. */
int inspect_binds(
	struct slice mountinfo, const struct inspect_daemon *daemon, struct inspect_bind *ret);

/* --- gather.c -------------------------------------------------------------------------------- */

struct inspect_level {
	char *path, *file, *says; /* of struct cgroup_level; says is "" where there is no file */
	bool there;
	uint64_t limit;
};

struct inspect_limit {
	struct inspect_level *levels; /* the container's own cgroup first */
	size_t n;
	bool failed;                         /* no memory for one */
	const struct inspect_level *decides; /* NULL: nothing limits it */
};

struct inspect_cgroup {
	char *hierarchy; /* "cpu,cpuacct"; "" is the unified one */
	char *path;      /* NULL: none there */
	enum container_rule rule;
};

struct inspection {
	pid_t pid;
	char name[32];                 /* of the process */
	const struct options *options; /* in force: the daemon's, else the command line's */
	struct inspect_daemon daemon;
	struct text machine; /* the cgroup layout in words */
	unsigned available;  /* controllers that the machine has, as bits */

	pid_t init;                /* 0: no init of its own */
	uint64_t pid_ns;           /* inode number */
	bool is_host;              /* at the root of every hierarchy */
	uint64_t start_ns, now_ns; /* CLOCK_BOOTTIME */
	int64_t boottime_offset_s;
	struct inspect_cgroup cgroups[CGROUP_HIERARCHIES];
	size_t n_cgroups;

	struct inspect_limit limits[CGROUP_LIMITS];
	bool has_memory; /* the memory controller knows the container */
	struct cgroup_memory memory;
	struct cgroup_swap swap;
	uint64_t host_memory_kb, host_swap_kb;
	unsigned quota; /* whole CPUs, UINT_MAX without one */
	bool has_tasks;
	uint64_t tasks;
	bool has_cpu_time;
	uint64_t cpu_time_ns;

	struct cpumask online;              /* of the machine */
	struct cpumask by_cpuset, by_quota; /* what DIR/cpuset and DIR/quota show */
	struct inspect_bind *binds;         /* by the registry's index */
};

/* Fills `ret` about process `pid`. 0; -ESRCH; -errno. To be freed in either case. */
int inspect_gather(
	const struct root *root, const struct options *options, pid_t pid, struct inspection *ret);
void inspect_free(struct inspection *in);

/* --- why.c: answers in plain words, one line each -------------------------------------------- */

/* The bind of the file that is asked for first in such a question. */
const struct inspect_bind *inspect_bind_of(const struct inspection *in, const char *path);
/* True when the CPU count of its files follows the quota. */
bool inspect_quota_counts(const struct inspection *in);
/* The CPUs that its files show, the kernel's where nothing else is. */
const struct cpumask *inspect_visible(const struct inspection *in);
/* MemTotal and SwapTotal in kB, as its files show them. */
uint64_t inspect_memory_kb(const struct inspection *in);
uint64_t inspect_swap_kb(const struct inspection *in);

const char *inspect_rule(enum container_rule rule);
const char *inspect_limit_name(enum cgroup_limit_kind kind);

void inspect_why_cpus(const struct inspection *in, struct text *t);
void inspect_why_memory(const struct inspection *in, struct text *t);
void inspect_why_swap(const struct inspection *in, struct text *t);
void inspect_why_uptime(const struct inspection *in, struct text *t);

/* --- print.c, json.c ------------------------------------------------------------------------- */

void inspect_print(const struct inspection *in, struct text *t);
/* 0 or -ENOMEM. */
int inspect_json(const struct inspection *in, struct text *t);
