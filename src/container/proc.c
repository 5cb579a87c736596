/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Facts of one process from /proc. Reads only files that never wait for the process: nothing that
 * takes its mmap lock, which a task blocked in this very mount may hold.
 */
#include "private.h"

#include <errno.h>
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

int proc_ns(const struct root *root, pid_t pid, const char *link, uint64_t *ret)
{
	struct proc_path path = proc_path(pid, link);
	struct stat st;

	if (fstatat(root->proc, path.s, &st, 0) < 0)
		return gone_is_esrch(-errno);
	*ret = st.st_ino;
	return 0;
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

/* Fields of stat behind the third, numbered as in proc_pid_stat(5). */
static int stat_field(const struct root *root, pid_t pid, unsigned n, uint64_t *ret)
{
	autotext t = { 0 };
	struct slice rest, word;
	const char *end;
	int r = proc_text(root, pid, "stat", STATUS_MAX, &t);

	if (r < 0)
		return r;
	/* The name in parentheses may hold anything, so fields count from the last one. */
	end = memrchr(t.data, ')', t.len);
	if (!end)
		return -EBADMSG;
	rest = (struct slice){ end + 1, t.len - (size_t)(end + 1 - t.data) };
	for (unsigned field = 3; field < n; field++)
		if (!slice_word(&rest, &word))
			return -EBADMSG;
	return slice_next_u64(&rest, ret) ? 0 : -EBADMSG;
}

int proc_start(const struct root *root, pid_t pid, uint64_t *ret_ticks)
{
	return stat_field(root, pid, 22, ret_ticks);
}

bool proc_is_exiting(const struct root *root, pid_t pid)
{
	uint64_t flags;

	return stat_field(root, pid, 9, &flags) < 0 || (flags & PF_EXITING);
}

/* The last number of "NSpid:\t4711\t12\t1". */
static uint64_t last_number(struct slice words)
{
	uint64_t value = 0;

	while (slice_next_u64(&words, &value))
		;
	return value;
}

int proc_status(const struct root *root, pid_t pid, struct proc_status *ret)
{
	autotext t = { 0 };
	struct slice rest, line, key;
	struct proc_status status = { 0 };
	int r = proc_text(root, pid, "status", STATUS_MAX, &t);

	if (r < 0)
		return r;
	rest = slice_of(&t);
	while (slice_line(&rest, &line)) {
		uint64_t value;

		if (!slice_word(&line, &key))
			continue;
		if (slice_equal(key, "PPid:") && slice_next_u64(&line, &value))
			status.parent = (pid_t)min_u64(value, INT32_MAX);
		else if (slice_equal(key, "NSpid:"))
			status.innermost = last_number(line);
	}
	*ret = status;
	return 0;
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

int64_t proc_boottime_offset(const struct root *root, pid_t pid)
{
	autotext t = { 0 };

	if (proc_text(root, pid, "timens_offsets", STATUS_MAX, &t) < 0)
		return 0;
	return proc_parse_boottime_offset(slice_of(&t));
}
