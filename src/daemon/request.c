/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests in words, and whether their senders still want an answer.
 */
#include "request.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "root.h"

bool request_wants_reply(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
		opcode != FUSE_NOTIFY_REPLY;
}

/* The name that a LOOKUP asks for, a container's to choose. */
static void add_name(const uint8_t *name, size_t n, char *ret, size_t size)
{
	size_t at = strlen(ret);

	if (at + 2 < size && (at == 0 || ret[at - 1] != '/'))
		ret[at++] = '/';
	for (; n > 0 && *name != '\0' && at + 1 < size; n--, name++)
		ret[at++] = isprint(*name) ? (char)*name : '?';
	ret[at] = '\0';
}

void request_describe(
	const struct fs *fs, const uint8_t *request, size_t length, char ret[REQUEST_WORDS])
{
	struct fuse_in_header header = { 0 };
	char path[REQUEST_WORDS - 64];

	memcpy(&header, request, length < sizeof(header) ? length : sizeof(header));
	if (fs_path(fs, header.nodeid, path, sizeof(path)) < 0)
		snprintf(path, sizeof(path), "node %llu", (unsigned long long)header.nodeid);
	else if (header.opcode == FUSE_LOOKUP && length > sizeof(header))
		add_name(request + sizeof(header), length - sizeof(header), path, sizeof(path));
	snprintf(ret, REQUEST_WORDS, "opcode %u, %s, from pid %u", header.opcode, path, header.pid);
}

/* A set of signals, in hexadecimal. */
static bool has_sigkill(struct slice set)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t signals = 0;

	for (size_t i = 0; i < set.n; i++) {
		const char *digit = memchr(digits, set.p[i], sizeof(digits) - 1);

		if (!digit)
			return false;
		signals = signals << 4 | (uint64_t)(digit - digits);
	}
	return signals >> (SIGKILL - 1) & 1;
}

bool request_parse_killed(struct slice status)
{
	struct slice line, word;

	while (slice_line(&status, &line))
		if (slice_word(&line, &word) &&
			(slice_equal(word, "SigPnd:") || slice_equal(word, "ShdPnd:")) &&
			slice_word(&line, &word) && has_sigkill(word))
			return true;
	return false;
}

bool request_is_of_killed(pid_t tid)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autotext text = { 0 };
	char path[32];

	snprintf(path, sizeof(path), "%d/status", tid);
	if (tid <= 0 || proc < 0 || read_file_at(proc, path, &text) < 0)
		return false;
	return request_parse_killed(slice_of(&text));
}
