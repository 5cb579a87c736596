/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of container/ share, and nobody else may see.
 *
 * key: what is cheap to know of a caller; the cache maps it to a record (keys.c).
 *
 * record: struct container, a container's cgroups, shared by all keys that lead to it
 * (container.c).
 *
 * life: what a record stands and falls with, an init, or without one of its own a cgroup; the only
 * thing here that holds descriptors (life.c).
 *
 * owner: the outermost container below the daemon, to which keys are charged (owner.c).
 *
 * Locks: cache->lock guards lives, records, owners and every change of the key table; a shard's
 * lock, taken inside it, is all that a warm look-up needs. Neither is held across a read of the
 * kernel that may be slow.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "container.h"
#include "parse.h"
#include "text.h"

#define CHECK_NS NS_PER_S             /* between two looks at init's cgroups (2.7) */
#define CHECK_EARLY_NS (CHECK_NS / 2) /* the same where nobody waits for it */
#define SETTLE_NS (10 * NS_PER_S)     /* a runtime mounts the cgroup fs after init exists */
#define EXPIRE_NS (60 * NS_PER_S)     /* unused records whose end may not have been told */
#define KEYS_PER_OWNER 64u            /* 2.7 */
#define DEPTH_MAX 33u                 /* the kernel nests 32 pid namespaces below the first */
#define MOUNTINFO_MAX (1u << 20)      /* bytes (2.3) */
#define MOUNTINFO_NS (20 * NS_PER_MS) /* of reading, a second and owner (2.3) */
#define CGROUP_TEXT_MAX (256u << 10)  /* 16 hierarchies of PATH_MAX, and more */

/* The initial pid namespace's inode number, include/linux/proc_ns.h: PROC_PID_INIT_INO. */
#define INITIAL_PID_NS UINT64_C(0xEFFFFFFC)

/* --- proc.c: facts of one process; every function says -ESRCH when it is gone ------------- */

struct proc_path {
	char s[64];
};

/* "<pid>/<name>", without stdio: two of them are on the warm path. */
struct proc_path proc_path(pid_t pid, const char *name);

/* Such an error of what is read here says that the process is gone, or not ours to look at; any
 * other, that nobody knows. */
static inline bool proc_is_none(int r)
{
	return r == -ESRCH || r == -ENOENT || r == -EACCES || r == -EPERM;
}

/* The inode number of a namespace link ("ns/pid"). */
int proc_ns(const struct root *root, pid_t pid, const char *link, uint64_t *ret);
/* The same below any directory. */
int proc_ns_at(int dirfd, const char *link, uint64_t *ret);

/* Appends a file of the process, -EFBIG above `max` bytes. */
int proc_text(const struct root *root, pid_t pid, const char *name, size_t max, struct text *t);

/* One process for the machine's whole life. */
struct proc_id {
	pid_t pid;
	uint64_t start_ticks;
};

/* Of /proc/<pid>/stat, or of a thread's. */
struct proc_stat {
	char state;
	uint64_t flags;   /* the kernel's PF_ */
	uint64_t threads; /* of its process */
	uint64_t start;   /* clock ticks since boot */
};

/* 0 or -EBADMSG. */
int proc_parse_stat(struct slice text, struct proc_stat *ret);
/* Below /proc, or below a process's task directory: one small read, and no memory. */
int proc_stat_at(int dirfd, pid_t pid, struct proc_stat *ret);

/* Clock ticks since boot. */
int proc_start(const struct root *root, pid_t pid, uint64_t *ret_ticks);
uint64_t proc_ticks_to_ns(uint64_t ticks);

/* 1 when it is gone, or its first thread is: what was read of its v1 cgroups before this was asked
 * may have been "/", which the kernel says of whoever is exiting. Else 0; -errno where that cannot
 * be told. */
int proc_is_exiting(const struct root *root, pid_t pid);

/* 0 while that very process lives; -ESRCH when it has ended, or is none; -errno where that cannot
 * be told. */
int proc_check(const struct root *root, const struct proc_id *p);
/* False where that cannot be told. */
bool proc_has_ended(const struct root *root, pid_t pid, uint64_t start_ticks);

struct proc_status {
	pid_t parent;
	uint64_t innermost;          /* its number in its own pid namespace: the last of NSpid */
	uint64_t numbers[DEPTH_MAX]; /* NSpid, from the daemon's pid namespace inwards */
	size_t depth;
};

/* Of /proc/<pid>/status; zeros where it has no such line. */
void proc_parse_status(struct slice text, struct proc_status *ret);
/* Threads have one too. */
int proc_status(const struct root *root, pid_t pid, struct proc_status *ret);

/* Seconds that its time namespace adds to CLOCK_BOOTTIME; 0 where the kernel knows none, and where
 * it tells only of the namespace that the process has made for its children. 0 or -errno. */
int proc_boottime_offset(const struct root *root, pid_t pid, int64_t *ret);
int64_t proc_parse_boottime_offset(struct slice text);

/* --- caller.c ------------------------------------------------------------------------------ */

/* Whom an answer is good for. The short form, mnt_ns 0 and no texts, stands for everybody in init's
 * own cgroup namespace. */
struct caller_key {
	uint64_t pid_ns, cgroup_ns, mnt_ns;
	uint64_t time_ns;   /* of who has no init; 0 where the kernel knows none */
	struct text cgroup; /* of /proc/<tid>/cgroup */
	struct text root;   /* its root directory's path, as mountinfo depends on it; empty: "/" */
};

#define autokey __attribute__((cleanup(caller_key_free))) struct caller_key

void caller_key_free(struct caller_key *k);
/* Logs what mends it where a look at the thread, or at its init, was denied; returns `r`. */
int caller_told(pid_t tid, int r);
/* Two readlink(2). */
int caller_key_short(const struct root *root, pid_t tid, struct caller_key *ret);
/* Adds what the short form lacks; the key keeps its texts from then on. */
int caller_key_lengthen(const struct root *root, pid_t tid, struct caller_key *k);
/* The same for a caller whose container has no init, whose btime is its own affair (SPEC 6). */
int caller_key_add_time(const struct root *root, pid_t tid, struct caller_key *k);
void caller_key_shorten(struct caller_key *k);
int caller_key_copy(const struct caller_key *k, struct caller_key *ret);
bool caller_key_equal(const struct caller_key *a, const struct caller_key *b);
/* A namespace's number is another one's as soon as nobody is in it. `ret`: somebody who keeps those
 * of the long key in being: the caller, or better, for that one may end soon, the farthest of its
 * nearest ancestors that is in them. pid 0: nobody can be told. */
void caller_key_holder(
	const struct root *root, pid_t tid, const struct caller_key *k, struct proc_id *ret);
/* True while that one lives, and is still in them. */
bool caller_key_is_held(
	const struct root *root, const struct caller_key *k, const struct proc_id *holder);
uint64_t caller_key_hash(const struct caller_key *k);

/* FNV-1a, for tables and for container_identity.cgroups (frozen: it outlives a worker). */
#define HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n);

/* --- initpid.c ----------------------------------------------------------------------------- */

/* Finds PID 1 of the pid namespace `ns_fd` refers to (inode `ns`), looking from its member
 * `caller`, and opens a pidfd that is proven to be its. -ESRCH when it is gone, else
 * -errno, of one that may be it but cannot or may not be looked at among others. */
int initpid_find(const struct root *root, int ns_fd, uint64_t ns, pid_t caller, bool no_ioctl,
	pid_t *ret_pid, int *ret_pidfd);
/* The namespace around another one: a new descriptor, and its inode. */
int initpid_parent_ns(int ns_fd, int *ret_fd, uint64_t *ret_ns);
/* The number of thread `tid` in the pid namespace `ns`; -ENOENT where it has none. */
int initpid_number(const struct root *root, pid_t tid, uint64_t ns, uint64_t *ret);
/* True when the process behind a pidfd has ended. */
bool initpid_ended(int pidfd);

/* --- rules.c ------------------------------------------------------------------------------- */

/* Everything that section 2.3 looks at. */
struct rules_input {
	const struct cgroup_layout *layout;
	struct slice cgroup;             /* the process's /proc/<pid>/cgroup */
	const struct slice *mountinfo;   /* its mountinfo; NULL: rule a does not apply */
	const struct slice *init_cgroup; /* init's cgroup; NULL in the daemon's pid namespace */
	const struct cgroup_paths *base; /* the parent pid namespace's container; NULL: "/" */
};

struct rules_result {
	struct cgroup_paths paths;
	enum container_rule rule[CGROUP_HIERARCHIES];
	bool confirmed; /* false: own cgroup alone, outside init's: good for one handle */
	bool by_init;   /* every path is init's: init leads to this container too */
};

/* 0 or -ENOMEM; to be freed with rules_result_free(). */
int rules_apply(const struct rules_input *in, struct rules_result *ret);
void rules_result_free(struct rules_result *r);

/* Paths are relative to the daemon's cgroup namespace; what that does not hold is spelled "/..",
 * "/../.." (around it), or "/../other". */
enum rules_place { RULES_INSIDE, RULES_AROUND, RULES_BESIDE };
enum rules_place rules_place_of(const char *path);

/* --- owner.c ------------------------------------------------------------------------------- */

struct entry;

struct owner {
	struct owner *next;
	uint64_t id[2]; /* start and pid of the outermost init; hash of the outermost cgroups, 0 */
	unsigned refs;
	unsigned n_entries;
	struct entry *entries;
	uint64_t owed_ns, owed_at_ns; /* for reading mountinfos; CLOCK_MONOTONIC */
	struct use *use;              /* NULL: nothing is counted */
};

/* All with cache->lock held. NULL: no memory. */
struct owner *owner_get(struct container_cache *c, uint64_t id0, uint64_t id1);
struct owner *owner_ref(struct owner *o);
void owner_unref(struct container_cache *c, struct owner *o);
void owners_free(struct container_cache *c);

/* For a caller in the daemon's pid namespace, whose outermost container is told by its cgroups, as
 * far as nobody in a container can change them. 0 or -ENOMEM. Takes cache->lock. */
int owner_of_cgroups(struct container_cache *c, struct slice cgroup_text, struct owner **ret);
/* How long a mountinfo may be read for `o` now, at most MOUNTINFO_NS; 0: not at all. What
 * the thread had of a CPU is charged afterwards: time that others took from it is nobody's. Both
 * take cache->lock. */
uint64_t owner_mountinfo_left(struct container_cache *c, const struct owner *o, uint64_t now);
void owner_mountinfo_charge(
	struct container_cache *c, struct owner *o, uint64_t now, uint64_t cpu_ns);
void owner_put(struct container_cache *c, struct owner *o);

/* --- life.c -------------------------------------------------------------------------------- */

/* What was last seen of an init. */
struct life_seen {
	uint64_t generation; /* changes with anything below */
	uint64_t cgroup_ns;  /* 0: could not be read */
	uint64_t mnt_ns;     /* 0: that, too, or short_keys; no news, for no answer depends on it */
	bool short_keys;     /* its cgroup namespace is the container's own */
	struct text cgroup;
};

struct life {
	struct life *next;
	/* Constant. */
	uint64_t id; /* inode of the pid namespace; without an own init: of the cgroup */
	dev_t dev;   /* of that cgroup; 0 with an own init */
	pid_t pid;   /* of init; 0 without an own */
	uint64_t start_ticks;
	uint64_t start_ns;
	int64_t boottime_offset_s; /* of init; without an own each caller has one */
	struct life *parent;       /* of the parent pid namespace; NULL: that is the daemon's */
	struct owner *owner;

	_Atomic uint64_t virtualised; /* of struct subject */
	_Atomic uint64_t checked_ns;  /* CLOCK_MONOTONIC of the last look at init */
	_Atomic uint64_t mnt_ns;      /* of life_seen: init keeps that one in being */
	_Atomic uint64_t generation;  /* seen.generation, for the warm path */

	/* cache->lock. Descriptors are held while pinned, by keys, by live children and by whoever
	 * is at work on it; handles keep the rest alive. */
	unsigned refs, pins;
	bool live; /* descriptors below are open (-1: this kernel has none of the kind) */
	bool dead;
	bool unwatched; /* nobody tells the end of watch_fd */
	int watch_fd;   /* pidfd, or the cgroup's cgroup.events */
	int ns_fd;      /* keeps the inode number from being used again */

	pthread_mutex_t lock;
	struct life_seen seen;
};

/* The life of the pid namespace `tid` is in, with a reference and a pin. */
int life_of_pid_ns(struct container_cache *c, pid_t tid, uint64_t pid_ns, struct life **ret);
/* The life of a container without an own init, known by its cgroups; made from `caller`. */
int life_of_cgroup(struct container_cache *c, const struct cgroup_set *set,
	const struct cgroup_paths *paths, pid_t caller, struct owner *owner, struct life **ret);
/* The host's own, which never ends. */
int life_of_host(struct container_cache *c, struct life **ret);
/* Looks at init again; while it is exiting, what was seen before stays. -ESRCH when it has died.
 * Needs a pin. */
int life_look(struct container_cache *c, struct life *l);
/* Copies what was last seen. 0 or -ENOMEM. */
int life_seen_copy(struct life *l, struct life_seen *ret);
void life_seen_free(struct life_seen *s);

/* A reference and a pin on a life somebody else holds a reference on; false: it has no descriptors
 * now (its last key is gone). */
bool life_try_pin(struct container_cache *c, struct life *l);
/* Gives pin and reference back. */
void life_put(struct container_cache *c, struct life *l);

/* With cache->lock held. */
void life_pin_locked(struct life *l);
void life_unpin_locked(struct container_cache *c, struct life *l);
void life_unref_locked(struct container_cache *c, struct life *l);

/* --- start.c ------------------------------------------------------------------------------- */

/* When a container without an own init started: what its account remembers, else the start of the
 * oldest process in its cgroup, remembered from then on and charged to `use`. `fallback`: a
 * process in it. 0 or -errno. */
int start_of_cgroup(struct container_cache *c, const struct cgroup_set *set,
	const struct cgroup_paths *paths, pid_t fallback, struct use *use, uint64_t *ret);

/* --- container.c --------------------------------------------------------------------------- */

struct container_private {
	struct container_cache *cache;
	struct container *next; /* in cache->records */
	struct life *life;      /* a reference */
	uint64_t number;
	struct cgroup_paths paths;
	uint64_t hash;        /* of the paths and what else tells records of one life apart:
				 container_identity.cgroups */
	bool linked;          /* in cache->records: may be shared by other keys */
	_Atomic bool by_init; /* evaluating init leads here */
	_Atomic unsigned refs;
	_Atomic uint64_t virtualised; /* of a record that is not stored; others use their life's */
	/* life->lock: the last one whose long key led here; pid 0: none yet */
	struct proc_id caller;
};

/* How one question is being answered, parents of the container included. */
struct question {
	unsigned depth;
	bool insist; /* take no answer from before, unless mountinfo cannot be read now */
};

/* The slow way from a caller to its record; stores the key where the answer is confirmed. `k` may
 * be short and is made what the answer needs. */
int container_resolve(struct container_cache *c, pid_t tid, struct caller_key *k,
	struct question *q, struct container **ret);
/* Nobody else is led to this record from now on. cache->lock held. */
void container_unlink_locked(struct container *r);
int container_new_host(struct container_cache *c, struct container **ret);

/* --- keys.c -------------------------------------------------------------------------------- */

struct entry {
	struct entry *next; /* in the bucket */
	struct entry *owner_next, **owner_link;
	struct caller_key key;
	uint64_t hash;
	struct owner *owner;
	/* The shard's lock. */
	struct container *record; /* a reference, and a pin on its life */
	uint64_t made_ns;         /* CLOCK_MONOTONIC: the record was put here */
	uint64_t evaluated_ns;    /* the rules were last applied */
	_Atomic uint64_t used_ns;
	uint64_t generation; /* of life_seen, when they were */
	struct proc_id holder;
	bool provisional; /* mountinfo could not be read then, so rule a is still to be tried */
};

#define SHARDS 16u
#define BUCKETS 128u

struct shard {
	pthread_mutex_t lock;
	struct entry *buckets[BUCKETS];
};

struct key_state {
	bool due; /* a look at init or at the rules is */
	struct proc_id holder;
};

/* The record for a key with a reference, or NULL. */
struct container *keys_find(
	struct container_cache *c, const struct caller_key *k, uint64_t now, struct key_state *ret);
/* True when the rules are to be applied again for this key; as a rule by nobody else meanwhile. */
bool keys_claim(struct container_cache *c, const struct caller_key *k, uint64_t now);

struct key_answer {
	struct container *record;
	struct owner *owner;
	uint64_t generation;
	bool provisional;
	struct proc_id holder; /* of the key's namespaces; pid 0: init is, or it has none */
};

/* Copies the key, takes references. -ESRCH when the record's life has ended. */
int keys_store(struct container_cache *c, const struct caller_key *k, const struct key_answer *a);
/* Keeps the record a key has although the rules could not be applied fully: until they can be, or,
 * where they never will, for as long as init is seen as it was then. NULL: it has none to keep. */
struct container *keys_keep(struct container_cache *c, const struct caller_key *k,
	uint64_t generation, bool provisional);
void keys_drop(struct container_cache *c, const struct caller_key *k);
/* Removes every entry whose record fits. */
void keys_drop_record(struct container_cache *c, const struct container *r);
void keys_drop_life(struct container_cache *c, const struct life *l);
struct keys_expired {
	unsigned dropped, remain; /* entries of lives without an init, or unwatched */
};

/* Removes entries of lives without an init, or unwatched, that were not used since `before_ns`,
 * unless their init or the processes of their watched cgroup live. */
struct keys_expired keys_expire(struct container_cache *c, uint64_t before_ns);
void keys_drop_all(struct container_cache *c);
/* Frees descriptors: evicts from the owner that has most. False: nothing to evict. Takes
 * cache->lock. */
bool keys_evict_one(struct container_cache *c);

/* --- watch.c, sweep.c ---------------------------------------------------------------------- */

struct watch;

int watch_new(struct container_cache *c, struct watch **ret);
/* Ends the thread; lives may still be removed until watch_free(). */
void watch_stop(struct watch *w);
void watch_free(struct watch *w);
int watch_add(struct watch *w, const struct life *l);
void watch_remove(struct watch *w, const struct life *l);
/* Whether what a watched life stands with is over. */
bool watch_ended(const struct life *l);
/* A key of a life without an init, or unwatched, was made: its expiry is to be timed. */
void watch_time(struct watch *w);
/* Something ended: its accounts may be swept. */
void watch_sweep_soon(struct watch *w);

/* Drops the accounts of cgroups that are gone. */
void sweep_accounts(struct container_cache *c);

/* --- sharer.c ------------------------------------------------------------------------------ */

#define SHARERS 4096u

/* An OPEN has found this. */
void sharer_note(struct container_cache *c, pid_t tid, uint64_t pid_ns, const struct container *r);

/* --- callers.c ----------------------------------------------------------------------------- */

struct callers;

/* Of at most `max` threads, a descriptor each. 0 or -ENOMEM; `root` must outlive them. */
int callers_new(const struct root *root, unsigned max, struct callers **ret);
void callers_free(struct callers *all);
/* caller_key_short() with one readlink(2). False where `tid` is not known, or has ended. */
bool callers_find(struct callers *all, pid_t tid, struct caller_key *ret);
/* An OPEN of a container's thread: from its second one on it is known, unless another one takes its
 * place. */
void callers_note(struct callers *all, pid_t tid, uint64_t pid_ns);
/* Closes what would keep this pid namespace. */
void callers_forget(struct callers *all, uint64_t pid_ns);

/* --- the cache itself ---------------------------------------------------------------------- */

#define LIVES 512u
#define RECORDS 512u

struct container_cache {
	struct container_config config;
	uint64_t pid_ns, cgroup_ns; /* the daemon's own */
	struct container *host;
	struct watch *watch;
	struct callers *callers;
	pthread_mutex_t mountinfo_lock; /* one reader in the whole daemon */
	_Atomic unsigned n_records;
	_Atomic uint64_t look_ns; /* how long the last look at an init took */
	_Atomic uint64_t records_made;
	struct shard shards[SHARDS];
	/* sharer.c: what threads and pid namespaces were seen to belong to */
	_Atomic uint64_t sharer_threads[SHARERS], sharer_namespaces[SHARERS];

	pthread_mutex_t lock;
	struct life *lives[LIVES];
	struct container *records[RECORDS];
	struct owner *owners;
	unsigned n_live; /* lives that hold descriptors */
};

/* container_open() as one of the questions that answering another takes. */
int container_ask(struct container_cache *c, pid_t tid, struct question *q, struct container **ret);
