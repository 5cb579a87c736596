/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load sampler (SPEC 10) on a made-up machine, for its tests: passes are made by hand, without
 * the thread, and the clock is the test's.
 */
#pragma once

#include "../../src/container/load_private.h"
#include "../../src/container/private.h"

#include <errno.h>
#include <string.h>

#include "account.h"
#include "cgroup_machine.h"
#include "cleanup.h"
#include "slab.h"

/* --- the clock ------------------------------------------------------------------------------ */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);

/* What a look costs is not measured: so much for each question, of which there is one a task. */
static _Atomic uint64_t thread_ns, question_ns;
/* The other clocks stay in the period in which a test began (0: it does not), however slow the
 * machine is, but for what the test adds; each question is later than the last. */
static uint64_t began_ns;
static _Atomic uint64_t later_ns;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	uint64_t ns;

	if (clock == CLOCK_THREAD_CPUTIME_ID) {
		ns = NS_PER_S + atomic_fetch_add(&thread_ns, question_ns);
	} else {
		if (__real_clock_gettime(clock, ret) < 0)
			return -1;
		ns = (uint64_t)ret->tv_sec * NS_PER_S + (uint64_t)ret->tv_nsec;
		if (began_ns)
			ns = began_ns + later_ns++;
	}
	*ret = (struct timespec){ (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
	return 0;
}

/* --- a machine with one hierarchy, and containers without an init of their own -----------------
 */

#define NUMBERS " 1 2 3 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 " /* between state and threads */
#define ACCOUNTS 16u
#define PAGES 64u

static uint8_t pages[PAGES][SLAB_PAGE];

static struct {
	struct machine machine;
	struct account_entry entries[ACCOUNTS];
	uint32_t links[PAGES];
	struct slab *slab;
	struct uses *uses;
	struct account_store *accounts;
	struct load_config config;
	struct load *load;
} c;

#define CGROUP "sys/fs/cgroup/"

static inline void start_worker(void)
{
	ck_assert_int_eq(slab_new(pages, c.links, PAGES, &c.slab), 0);
	ck_assert_int_eq(uses_new(&c.uses), 0);
	ck_assert_int_eq(account_store_new(c.entries, ACCOUNTS, c.slab, c.uses, &c.accounts), 0);
	c.config = (struct load_config){
		.root = &c.machine.root, .layout = c.machine.layout, .accounts = c.accounts
	};
	ck_assert_int_eq(load_new(&c.config, &c.load), 0);
}

static inline void end_worker(void)
{
	load_free(c.load);
	account_store_free(c.accounts);
	ck_assert_uint_eq(uses_count(c.uses), 0); /* no reference was lost */
	uses_free(c.uses);
	slab_free(c.slab);
}

static inline void setup(void)
{
	memset(&c, 0, sizeof(c));
	began_ns = (load_period(clock_monotonic_ns()) - 1) * LOAD_PERIOD_NS + NS_PER_S;
	made_machine("30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	made_directory(CGROUP "a");
	made_directory(CGROUP "b");
	c.machine = machine_open_at(made_path, 16);
	start_worker();
}

static inline void teardown(void)
{
	end_worker();
	machine_close(&c.machine);
	made_remove();
	began_ns = 0;
}

/* A task directory's stat: `where` is "10" or "10/task/11". */
static inline void task(const char *where, char state, unsigned threads, unsigned start)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "proc/%s", where);
	made_directory(path);
	snprintf(path, sizeof(path), "proc/%s/stat", where);
	snprintf(text, sizeof(text), "%s (a) %c" NUMBERS "%u 0 %u 0\n", where, state, threads,
		start);
	made_file(path, text);
}

static inline struct subject subject_of(struct cgroup_set *s)
{
	struct subject subject = { .cgroups = s };
	dev_t dev;
	ino_t ino;

	ck_assert(cgroup_set_identity(s, &dev, &ino));
	subject.account.cgroup_dev = dev;
	subject.account.cgroup_ino = ino;
	return subject;
}

/* What is in /a, /b and so on is of one outermost container each. */
static inline int get(const char *path, struct load_values *ret)
{
	struct cgroup_set *s = set_at(&c.machine, path);
	struct subject subject = subject_of(s);
	int r;

	ck_assert_int_eq(use_get(c.uses, (uint8_t)path[1], &subject.use), 0);
	r = load_get(c.load, &subject, ret);
	use_put(subject.use);
	cgroup_set_free(s);
	return r;
}

static inline struct load_values values_of(const char *path)
{
	struct load_values v;

	ck_assert_int_eq(get(path, &v), 0);
	return v;
}

/* A pass `periods` after the one that runs now. */
static inline void pass(unsigned periods)
{
	load_pass(c.load, clock_monotonic_ns() + periods * LOAD_PERIOD_NS);
}

static inline void sleepers(const char *cgroup, unsigned n)
{
	static char list[8 * LOAD_TASKS_MAX + 1];
	char path[64], name[16], *end = list;

	for (unsigned i = 1; i <= n; i++) {
		end += sprintf(end, "%u\n", i);
		snprintf(name, sizeof(name), "%u", i);
		ck_assert(i == 1 || symlinkat("1", c.machine.root.proc, name) == 0 ||
			errno == EEXIST);
	}
	snprintf(path, sizeof(path), CGROUP "%s/cgroup.procs", cgroup);
	made_file(path, list);
}
