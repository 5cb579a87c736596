/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small files of /proc. The first byte chooses one, the rest is its text: what is read of it is
 * what it says when written again. What a process calls itself, which may be any line, changes
 * nothing of what the lines below it say.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../../src/container/private.h"
#include "../../src/daemon/heal.h"
#include "../../src/daemon/pidfile.h"
#include "../../src/daemon/request.h"
#include "../../src/host/formats.h"
#include "fuzz.h"

/* As the kernel shows a name: a newline is escaped, all else stands as it is. */
static void add_name(struct text *t, struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '\n')
			text_puts(t, "\\n");
		else
			text_add(t, &name.p[i], 1);
	}
}

static void check_status(const struct proc_status *s)
{
	FUZZ_ASSERT(s->parent >= 0 && s->depth <= DEPTH_MAX);
	FUZZ_ASSERT(s->innermost == (s->depth ? s->numbers[s->depth - 1] : 0));
}

static void status(struct slice text)
{
	struct proc_status s, again;
	autotext t = { 0 };

	proc_parse_status(text, &s);
	check_status(&s);
	text_printf(&t, "PPid:\t%d\nNSpid:", s.parent);
	for (size_t i = 0; i < s.depth; i++)
		text_printf(&t, "\t%llu", (unsigned long long)s.numbers[i]);
	text_puts(&t, "\n");
	proc_parse_status(slice_of(&t), &again);
	check_status(&again);
	FUZZ_ASSERT(again.parent == s.parent && again.depth == s.depth);
	FUZZ_ASSERT(memcmp(again.numbers, s.numbers, s.depth * sizeof(s.numbers[0])) == 0);
	/* What healing takes for an init is one right below us. */
	FUZZ_ASSERT(heal_parse_is_init(slice_of(&t)) == (s.depth == 2 && s.innermost == 1));
	heal_parse_is_init(text);
}

static void named_status(struct slice name)
{
	static const char init[] = "\nTgid:\t7\nPid:\t7\nPPid:\t6\nNStgid:\t7\t1\nNSpid:\t7\t1\n"
				   "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000100\n",
			  other[] = "\nTgid:\t7\nPid:\t7\nPPid:\t6\nNStgid:\t7\t9\nNSpid:\t7\t9\n"
				    "SigPnd:\t0000000000000200\nShdPnd:\t0000000000000080\n";
	const char *const rest[] = { init, other };

	for (size_t i = 0; i < countof(rest); i++) {
		struct proc_status s;
		autotext t = { 0 };

		text_puts(&t, "Name:\t");
		add_name(&t, name);
		text_puts(&t, rest[i]);
		proc_parse_status(slice_of(&t), &s);
		FUZZ_ASSERT(s.parent == 6 && s.depth == 2 && s.numbers[0] == 7);
		FUZZ_ASSERT(s.innermost == (i == 0 ? 1 : 9));
		FUZZ_ASSERT(heal_parse_is_init(slice_of(&t)) == (i == 0));
		FUZZ_ASSERT(request_parse_killed(slice_of(&t)) == (i == 0));
	}
}

/* Here a newline, and a parenthesis, stand as they are. */
static void named_stat(struct slice name)
{
	static const char rest[] =
		") D 1 100 100 0 -1 4194308 0 0 0 0 1 1 0 0 20 0 3 0 5000 1000 10\n";
	struct proc_stat s;
	autotext t = { 0 };

	text_puts(&t, "100 (");
	text_add(&t, name.p, name.n);
	text_puts(&t, rest);
	FUZZ_ASSERT(proc_parse_stat(slice_of(&t), &s) == 0);
	FUZZ_ASSERT(s.state == 'D' && s.flags == 4194308 && s.threads == 3 && s.start == 5000);
}

/* Of what stands behind the text nothing is read: digits there would be another signal. */
static void killed(struct slice text)
{
	autotext t = { 0 };
	bool is_killed;

	text_add(&t, text.p, text.n);
	text_puts(&t, "00\nSigPnd:\t0000000000000100");
	is_killed = request_parse_killed((struct slice){ t.data, text.n });
	t.data[text.n] = '\n';
	FUZZ_ASSERT(request_parse_killed((struct slice){ t.data, text.n }) == is_killed);
	FUZZ_ASSERT(request_parse_killed(slice_of(&t)));
	request_parse_killed(text);
}

/* What no int64_t holds is none; everything else is read as it was written. */
static void check_offset(uint64_t value, bool negative)
{
	const int64_t expected = value > INT64_MAX ? 0
		: negative                         ? -(int64_t)value
						   : (int64_t)value;
	autotext t = { 0 };

	text_printf(&t, "monotonic           5         0\nboottime   %s%llu         0\n",
		negative ? "-" : "", (unsigned long long)value);
	FUZZ_ASSERT(proc_parse_boottime_offset(slice_of(&t)) == expected);
}

static void offsets(struct slice text)
{
	const int64_t offset = proc_parse_boottime_offset(text);
	uint64_t value;

	check_offset(offset < 0 ? -(uint64_t)offset : (uint64_t)offset, offset < 0);
	if (text.n > sizeof(value)) {
		memcpy(&value, text.p, sizeof(value));
		check_offset(value, text.p[sizeof(value)] & 1);
	}
}

/* A lock is found among any lines, and another process's, or another file's, is not. */
static void locks(struct slice text)
{
	const pid_t pid = 4711;
	const ino_t ino = 815;
	autotext t = { 0 };

	if (pidfile_parse_locks(text, pid, ino))
		FUZZ_ASSERT(
			memmem(text.p, text.n, "FLOCK", 5) && memmem(text.p, text.n, "4711", 4));
	text_add(&t, text.p, text.n);
	text_puts(&t, "\n1: FLOCK  ADVISORY  WRITE 4711 00:1c:815 0 EOF\n");
	FUZZ_ASSERT(pidfile_parse_locks(slice_of(&t), pid, ino));
}

static void personality(struct slice text)
{
	if (host_personality_is_compat32(text))
		FUZZ_ASSERT(text.n > 0 && memchr(text.p, '8', text.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(struct slice) = { status, named_status, named_stat, killed,
		offsets, locks, personality };
	/* As long as the text, and no longer, so that a read past its end is seen. */
	autofree char *bytes = malloc(size);

	if (size == 0 || !bytes)
		return 0;
	memcpy(bytes, data, size);
	parsers[(uint8_t)bytes[0] % countof(parsers)]((struct slice){ bytes + 1, size - 1 });
	return 0;
}
