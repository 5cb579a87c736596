/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a thread to the key its answer is kept under (SPEC 2.2). Knows no rules and keeps nothing.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "cleanup.h"
#include "log.h"

#define HOLDER_STEPS 8 /* a shell's pipelines, a script's children, and whoever started them */

void caller_key_free(struct caller_key *k)
{
	text_free(&k->cgroup);
	text_free(&k->root);
	*k = (struct caller_key){ 0 };
}

int caller_told(pid_t tid, int r)
{
	if (r == -EACCES || r == -EPERM)
		log_limited("container-access",
			"the kernel does not let us see the namespaces of thread %d, or of its "
			"container's init: it gets an error; give the daemon CAP_SYS_PTRACE and, "
			"where AppArmor confines it, \"ptrace (read),\" in its profile and "
			"\"ptrace (readby),\" in the container's",
			(int)tid);
	return r;
}

int caller_key_short(const struct root *root, pid_t tid, struct caller_key *ret)
{
	uint64_t pid_ns, cgroup_ns;
	int r = proc_ns(root, tid, "ns/pid", &pid_ns);

	if (r == 0)
		r = proc_ns(root, tid, "ns/cgroup", &cgroup_ns);
	if (r < 0)
		return caller_told(tid, r);
	*ret = (struct caller_key){ .pid_ns = pid_ns, .cgroup_ns = cgroup_ns };
	return 0;
}

/* An open, a read and a close: the kernel makes this file in one piece. */
static int read_cgroup(const struct root *root, pid_t tid, struct text *t)
{
	struct proc_path path = proc_path(tid, "cgroup");
	autoclose int fd = openat(root->proc, path.s, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : read_fd_once(fd, t);

	if (r == 0 && t->len > CGROUP_TEXT_MAX)
		return -EFBIG;
	return r == -ENOENT ? -ESRCH : r;
}

/* Only the kernel is asked, and no file system that a container may hold up. */
static int read_root(const struct root *root, pid_t tid, struct text *t)
{
	struct proc_path path = proc_path(tid, "root");
	char link[PATH_MAX];
	ssize_t n = readlinkat(root->proc, path.s, link, sizeof(link));

	if (n < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (n != 1)
		text_add(t, link, (size_t)n);
	return text_error(t);
}

int caller_key_lengthen(const struct root *root, pid_t tid, struct caller_key *k)
{
	int r = proc_ns(root, tid, "ns/mnt", &k->mnt_ns);

	text_reset(&k->cgroup);
	text_reset(&k->root);
	if (r == 0)
		r = read_cgroup(root, tid, &k->cgroup);
	if (r == 0)
		r = read_root(root, tid, &k->root);
	return caller_told(tid, r);
}

int caller_key_add_time(const struct root *root, pid_t tid, struct caller_key *k)
{
	int r = proc_ns(root, tid, "ns/time", &k->time_ns);

	if (r < 0)
		k->time_ns = 0; /* before Linux 5.6 */
	return is_shortage(r) ? r : 0;
}

static bool is_in(const struct root *root, pid_t pid, const struct caller_key *k)
{
	uint64_t mnt_ns, time_ns;

	return proc_ns(root, pid, "ns/mnt", &mnt_ns) == 0 && mnt_ns == k->mnt_ns &&
		(k->time_ns == 0 ||
			(proc_ns(root, pid, "ns/time", &time_ns) == 0 && time_ns == k->time_ns));
}

void caller_key_holder(
	const struct root *root, pid_t tid, const struct caller_key *k, struct proc_id *ret)
{
	struct proc_id id = { .pid = tid };
	struct proc_status status;

	*ret = (struct proc_id){ 0 };
	for (int i = 0; i < HOLDER_STEPS && id.pid > 0 && is_in(root, id.pid, k); i++) {
		if (proc_start(root, id.pid, &id.start_ticks) < 0)
			return;
		*ret = id;
		if (proc_status(root, id.pid, &status) < 0)
			return;
		id.pid = status.parent;
	}
}

bool caller_key_is_held(
	const struct root *root, const struct caller_key *k, const struct proc_id *holder)
{
	return proc_check(root, holder) == 0 && is_in(root, holder->pid, k);
}

void caller_key_shorten(struct caller_key *k)
{
	k->mnt_ns = 0;
	k->time_ns = 0;
	text_reset(&k->cgroup);
	text_reset(&k->root);
}

int caller_key_copy(const struct caller_key *k, struct caller_key *ret)
{
	struct caller_key copy = { .pid_ns = k->pid_ns,
		.cgroup_ns = k->cgroup_ns,
		.mnt_ns = k->mnt_ns,
		.time_ns = k->time_ns };

	text_add(&copy.cgroup, k->cgroup.data, k->cgroup.len);
	text_add(&copy.root, k->root.data, k->root.len);
	if (text_error(&copy.cgroup) < 0 || text_error(&copy.root) < 0) {
		caller_key_free(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

bool caller_key_equal(const struct caller_key *a, const struct caller_key *b)
{
	return a->pid_ns == b->pid_ns && a->cgroup_ns == b->cgroup_ns && a->mnt_ns == b->mnt_ns &&
		a->time_ns == b->time_ns &&
		slice_same(slice_of(&a->cgroup), slice_of(&b->cgroup)) &&
		slice_same(slice_of(&a->root), slice_of(&b->root));
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t caller_key_hash(const struct caller_key *k)
{
	const uint64_t numbers[] = { k->pid_ns, k->cgroup_ns, k->mnt_ns, k->time_ns };
	uint64_t hash = hash_bytes(HASH_START, numbers, sizeof(numbers));

	hash = hash_bytes(hash, k->cgroup.data, k->cgroup.len);
	return hash_bytes(hash, k->root.data, k->root.len);
}
