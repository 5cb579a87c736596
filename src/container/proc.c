/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Facts of one process from /proc. Reads only files that never wait for the process: nothing that
 * takes its mmap lock, which a task blocked in this very mount may hold.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define STATUS_MAX (64u << 10)
#define PF_EXITING 0x4u /* include/linux/sched.h, the same in every version */

struct proc_path proc_path(pid_t pid, const char *name)
{
	struct proc_path path;
	char digits[16];
	size_t n = 0, at = 0;
	unsigned long rest = pid > 0 ? (unsigned long)pid : 0;

	do
		digits[n++] = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	while (n > 0)
		path.s[at++] = digits[--n];
	path.s[at++] = '/';
	n = strnlen(name, sizeof(path.s) - at - 1);
	memcpy(path.s + at, name, n);
	path.s[at + n] = '\0';
	return path;
}

/* A process that goes away shows as either, depending on how far it is gone. */
static int gone_is_esrch(int r)
{
	return r == -ENOENT || r == -ESRCH ? -ESRCH : r;
}

/* Read, not followed: stat(2) would make the kernel build an inode for it each time, which takes
 * more than twice as long. */
int proc_ns_at(int dirfd, const char *link, uint64_t *ret)
{
	char target[64]; /* "pid:[4026531836]" */
	const ssize_t n = readlinkat(dirfd, link, target, sizeof(target));
	struct slice rest, part;

	if (n < 0)
		return gone_is_esrch(-errno);
	rest = (struct slice){ target, (size_t)n };
	if (!slice_cut(&rest, '[', &part) || !slice_cut(&rest, ']', &part) || !slice_u64(part, ret))
		return -EPROTO;
	return 0;
}

int proc_ns(const struct root *root, pid_t pid, const char *link, uint64_t *ret)
{
	const struct proc_path path = proc_path(pid, link);

	return proc_ns_at(root->proc, path.s, ret);
}

int proc_text(const struct root *root, pid_t pid, const char *name, size_t max, struct text *t)
{
	struct proc_path path = proc_path(pid, name);

	return gone_is_esrch(read_file_bounded(root->proc, path.s, max, 0, t));
}

uint64_t proc_ticks_to_ns(uint64_t ticks)
{
	return mul_div(ticks, NS_PER_S, (uint64_t)sysconf(_SC_CLK_TCK));
}

/* The fields behind the name, numbered as in proc_pid_stat(5). */
enum {
	FIELD_STATE = 3,
	FIELD_FLAGS = 9,
	FIELD_THREADS = 20,
	FIELD_START = 22,
};

int proc_parse_stat(struct slice text, struct proc_stat *ret)
{
	/* The name in parentheses may hold anything, so fields count from the last one. */
	const char *end = memrchr(text.p, ')', text.n);
	struct slice rest, words[FIELD_START + 1];
	struct proc_stat stat;

	if (!end)
		return -EBADMSG;
	rest = (struct slice){ end + 1, text.n - (size_t)(end + 1 - text.p) };
	for (unsigned field = FIELD_STATE; field <= FIELD_START; field++)
		if (!slice_word(&rest, &words[field]))
			return -EBADMSG;
	stat.state = words[FIELD_STATE].p[0];
	if (!slice_u64(words[FIELD_FLAGS], &stat.flags) ||
		!slice_u64(words[FIELD_THREADS], &stat.threads) ||
		!slice_u64(words[FIELD_START], &stat.start))
		return -EBADMSG;
	*ret = stat;
	return 0;
}

int proc_stat_at(int dirfd, pid_t pid, struct proc_stat *ret)
{
	struct proc_path path = proc_path(pid, "stat");
	autoclose int fd = openat(dirfd, path.s, O_RDONLY | O_CLOEXEC);
	char text[1024]; /* what is wanted ends before 500, whatever the name and the numbers are */
	ssize_t n;

	if (fd < 0)
		return gone_is_esrch(-errno);
	do
		n = read(fd, text, sizeof(text));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return gone_is_esrch(-errno);
	return proc_parse_stat((struct slice){ text, (size_t)n }, ret);
}

int proc_start(const struct root *root, pid_t pid, uint64_t *ret_ticks)
{
	struct proc_stat stat;
	int r = proc_stat_at(root->proc, pid, &stat);

	if (r == 0)
		*ret_ticks = stat.start;
	return r;
}

int proc_is_exiting(const struct root *root, pid_t pid)
{
	struct proc_stat stat;
	int r = proc_stat_at(root->proc, pid, &stat);

	if (r == -ESRCH)
		return 1;
	return r < 0 ? r : (stat.flags & PF_EXITING) != 0;
}

int proc_check(const struct root *root, const struct proc_id *p)
{
	uint64_t ticks = 0;
	int r = p->pid > 0 ? proc_start(root, p->pid, &ticks) : -ESRCH;

	if (r < 0)
		return proc_is_none(r) ? -ESRCH : r;
	return ticks == p->start_ticks ? 0 : -ESRCH;
}

bool proc_has_ended(const struct root *root, pid_t pid, uint64_t start_ticks)
{
	uint64_t start;
	int r = proc_start(root, pid, &start);

	return r == -ESRCH || (r == 0 && start != start_ticks);
}

void proc_parse_status(struct slice text, struct proc_status *ret)
{
	struct slice line, key;
	struct proc_status status = { 0 };

	while (slice_line(&text, &line)) {
		uint64_t value;

		if (!slice_word(&line, &key))
			continue;
		if (slice_equal(key, "PPid:") && slice_next_u64(&line, &value))
			status.parent = (pid_t)min_u64(value, INT32_MAX);
		else if (slice_equal(key, "NSpid:"))
			status.depth = parse_columns(line, status.numbers, DEPTH_MAX);
	}
	if (status.depth > 0)
		status.innermost = status.numbers[status.depth - 1];
	*ret = status;
}

int proc_status(const struct root *root, pid_t pid, struct proc_status *ret)
{
	autotext t = { 0 };
	int r = proc_text(root, pid, "status", STATUS_MAX, &t);

	if (r == 0)
		proc_parse_status(slice_of(&t), ret);
	return r;
}

int64_t proc_parse_boottime_offset(struct slice text)
{
	struct slice line, word;

	while (slice_line(&text, &line)) {
		bool negative;
		uint64_t value;

		/* Before 5.7 the clocks were told by number: CLOCK_BOOTTIME is 7. */
		if (!slice_word(&line, &word) ||
			!(slice_equal(word, "boottime") || slice_equal(word, "7")) ||
			!slice_word(&line, &word))
			continue;
		negative = slice_starts(word, "-");
		if (negative)
			word = (struct slice){ word.p + 1, word.n - 1 };
		if (!slice_u64(word, &value) || value > INT64_MAX)
			return 0;
		return negative ? -(int64_t)value : (int64_t)value;
	}
	return 0;
}

int proc_boottime_offset(const struct root *root, pid_t pid, int64_t *ret)
{
	uint64_t own, childrens;
	autotext t = { 0 };
	int r = proc_ns(root, pid, "ns/time", &own);

	/* The file is about the second. */
	if (r == 0)
		r = proc_ns(root, pid, "ns/time_for_children", &childrens);
	if (r == 0 && own == childrens)
		r = proc_text(root, pid, "timens_offsets", STATUS_MAX, &t);
	if (r < 0 && !proc_is_none(r))
		return r;
	*ret = proc_parse_boottime_offset(slice_of(&t));
	return 0;
}
