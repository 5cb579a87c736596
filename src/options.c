/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: one table that parses and prints the usage, and one of the words that -o knows.
 * It opens nothing and checks nothing on the machine: that is for whoever uses the values.
 */
#include "options.h"

#include <ctype.h>
#include <getopt.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>

#include "cleanup.h"
#include "parse.h"

#define DEFAULT_RUNTIME_DIR "/run"
#define DEFAULT_DIR "/var/lib/lxcfs"

enum row_kind {
	ROW_ACTION,    /* sets `action` to `value` */
	ROW_FLAG,      /* sets the bool at `offset` to `value` */
	ROW_STRING,    /* sets the string at `offset` */
	ROW_PID,       /* sets `action` to `value`, and `inspect` */
	ROW_BUNDLE,    /* sets `action` to `value`, and `bundle` */
	ROW_FUSE,      /* words for mount(2) or for nobody */
	ROW_ACCEPTED,  /* what it asks for is so anyway */
	ROW_WITHDRAWN, /* what it asked for is no more: one log line */
};

struct row {
	char letter;          /* 0: none */
	const char *name;     /* NULL: none */
	const char *argument; /* its name in the usage; NULL: takes none */
	enum row_kind kind;
	int value;
	size_t offset;
	const char *says; /* NULL: an alias that the usage leaves out */
};

#define ACTION(letter, name, action, says)                                                         \
	{                                                                                          \
		letter, name, NULL, ROW_ACTION, action, 0, says                                    \
	}
#define FLAG(letter, name, member, value, says)                                                    \
	{                                                                                          \
		letter, name, NULL, ROW_FLAG, value, offsetof(struct options, member), says        \
	}
#define STRING(letter, name, argument, member, says)                                               \
	{                                                                                          \
		letter, name, argument, ROW_STRING, 0, offsetof(struct options, member), says      \
	}
#define ACCEPTED(letter, name, kind, says)                                                         \
	{                                                                                          \
		letter, name, NULL, kind, 0, 0, says                                               \
	}

static const struct row rows[] = {
	FLAG('d', "debug", debug, true, "tell every request on standard error"),
	ACCEPTED('f', "foreground", ROW_ACCEPTED, "stay attached (always so)"),
	ACTION('h', "help", OPTIONS_HELP, "show this and exit"),
	ACTION('n', NULL, OPTIONS_HELP, NULL),
	FLAG('l', "enable-loadavg", disable_loadavg, false, "virtual /proc/loadavg (the default)"),
	FLAG(0, "disable-loadavg", disable_loadavg, true, "the kernel's /proc/loadavg"),
	{ 'o', NULL, "OPTS", ROW_FUSE, 0, 0, "mount options, separated by commas" },
	STRING('p', "pidfile", "FILE", pidfile, "default: lxcfs.pid in the runtime directory"),
	STRING(0, "runtime-dir", "DIR", runtime_dir, "default: " DEFAULT_RUNTIME_DIR),
	FLAG('u', "disable-swap", disable_swap, true, "show no swap"),
	FLAG(0, "disable-zswap", disable_zswap, true, "show no zswap"),
	FLAG(0, "disable-uptime", disable_uptime, true, "the kernel's /proc/uptime"),
	FLAG(0, "enable-cfs", enable_cfs, true, "the number of CPUs follows the quota"),
	FLAG(0, "disable-cfs", enable_cfs, false, "it follows the cpuset alone (the default)"),
	ACCEPTED(0, "enable-pidfd", ROW_ACCEPTED, "use pidfds (always so)"),
	FLAG(0, "enable-psi-poll", enable_psi_poll, true, "poll triggers on /proc/pressure files"),
	FLAG(0, "no-seccomp", no_seccomp, true, "do not limit system calls, for debugging"),
	FLAG(0, "disable-polling", disable_polling, true,
		"sleep after each reply, also where the next request comes at once"),
	ACTION(0, "list-files", OPTIONS_LIST_FILES, "print the served files, one a line, and exit"),
	{ 0, "inspect", "PID", ROW_PID, OPTIONS_INSPECT, 0,
		"tell what that process is shown, and why, and exit" },
	FLAG(0, "json", json, true, "with --inspect: as JSON"),
	ACTION(0, "cdi", OPTIONS_CDI, "print the CDI spec of the files in DIR, and exit"),
	ACTION(0, "oci-hook", OPTIONS_OCI_HOOK,
		"bind the files of DIR as an OCI createContainer hook"),
	{ 0, "oci-add-hook", "BUNDLE", ROW_BUNDLE, OPTIONS_OCI_ADD_HOOK, 0,
		"add that hook to BUNDLE/config.json, and exit" },
	ACTION('v', "version", OPTIONS_VERSION, "print the version and exit"),
	ACTION(0, "self-check", OPTIONS_SELF_CHECK, NULL),
	ACCEPTED('s', NULL, ROW_ACCEPTED, NULL),
	ACCEPTED(0, "enable-cgroup", ROW_WITHDRAWN, NULL),
	ACCEPTED(0, "enable-nsdelegate", ROW_WITHDRAWN, NULL),
};

/* --- -o --------------------------------------------------------------------------------- */

enum word_kind {
	WORD_SETS, /* a flag of mount(2) */
	WORD_CLEARS,
	WORD_DATA, /* for the kernel's security modules */
};

struct word {
	const char *name; /* with '=' at its end: a value follows */
	enum word_kind kind;
	unsigned long flag;
};

static const struct word words[] = {
	{ "ro", WORD_SETS, MS_RDONLY },
	{ "rw", WORD_CLEARS, MS_RDONLY },
	{ "noatime", WORD_SETS, MS_NOATIME },
	{ "atime", WORD_CLEARS, MS_NOATIME },
	{ "context=", WORD_DATA, 0 },
	{ "fscontext=", WORD_DATA, 0 },
	{ "defcontext=", WORD_DATA, 0 },
	{ "rootcontext=", WORD_DATA, 0 },
};

/* libfuse's and mount(8)'s own, which we decide ourselves: without the "no_" that many of them may
 * have in front. Values are not looked at. */
static const char *const ignored_words[] = { "_netdev", "ac_attr_timeout", "allow_other",
	"allow_root", "async", "async_dio", "async_read", "atomic_o_trunc", "attr_timeout", "auto",
	"auto_cache", "auto_inval_data", "auto_unmount", "big_writes", "blkdev", "blksize",
	"clone_fd", "comment", "congestion_threshold", "debug", "default_permissions", "defaults",
	"dev", "diratime", "direct_io", "dirsync", "dmask", "drop_privileges", "entry_timeout",
	"exec", "fmask", "fsname", "gid", "group", "group_id", "hard_remove", "intr", "intr_signal",
	"iversion", "kernel_cache", "large_read", "lazytime", "loud", "mand", "max_background",
	"max_idle_threads", "max_read", "max_readahead", "max_threads", "max_write", "modules",
	"negative_timeout", "noauto", "noauto_cache", "nodev", "nodiratime", "noexec", "nofail",
	"noforget", "noiversion", "nolazytime", "nomand", "nonempty", "norelatime", "nostrictatime",
	"nosuid", "nosymfollow", "nouser", "owner", "parallel_direct_writes", "readdir_ino",
	"readdirplus", "relatime", "remember", "remote_flock", "remote_lock", "remote_posix_lock",
	"rofd_flush", "rootmode", "silent", "splice_move", "splice_read", "splice_write",
	"strictatime", "subtype", "suid", "sync", "sync_read", "time_gran", "uid", "umask",
	"use_ino", "user", "user_id", "users", "writeback_cache" };

static const struct word *find_word(const char *s, size_t n)
{
	for (size_t i = 0; i < countof(words); i++) {
		size_t length = strlen(words[i].name);
		bool prefix = words[i].name[length - 1] == '=';

		if ((prefix ? n >= length : n == length) && strncmp(s, words[i].name, length) == 0)
			return &words[i];
	}
	return NULL;
}

static bool is_ignored(const char *s, size_t n)
{
	const char *value = memchr(s, '=', n);
	size_t length = value ? (size_t)(value - s) : n;

	if (length >= 2 && (s[0] == 'x' || s[0] == 'X') && s[1] == '-')
		return true; /* mount(8): for programs in user space */
	if (length > 3 && strncmp(s, "no_", 3) == 0) {
		s += 3;
		length -= 3;
	}
	for (size_t i = 0; i < countof(ignored_words); i++)
		if (strlen(ignored_words[i]) == length && strncmp(s, ignored_words[i], length) == 0)
			return true;
	return false;
}

static bool add_data(struct options *o, const char *s, size_t n)
{
	size_t used = strlen(o->mount_data);

	if (used + 1 + n + 1 > sizeof(o->mount_data))
		return false;
	o->mount_data[used] = ',';
	memcpy(o->mount_data + used + 1, s, n);
	o->mount_data[used + 1 + n] = '\0';
	return true;
}

static int take_word(struct options *o, const char *s, size_t n, FILE *errors)
{
	const struct word *w = find_word(s, n);

	if (!w && is_ignored(s, n))
		return 0;
	if (!w) {
		fprintf(errors, "lxcfs: unknown mount option '%.*s' behind -o: leave it out\n",
			(int)n, s);
		return 2;
	}
	if (w->kind == WORD_SETS)
		o->mount_flags |= w->flag;
	else if (w->kind == WORD_CLEARS)
		o->mount_flags &= ~w->flag;
	else if (!add_data(o, s, n)) {
		fprintf(errors, "lxcfs: the mount options behind -o are too long: shorten '%.*s'\n",
			(int)n, s);
		return 2;
	}
	return 0;
}

/* Length of the word at `s`: to a comma that is neither quoted (SELinux contexts hold commas) nor
 * behind a backslash. */
static size_t word_length(const char *s)
{
	bool quoted = false;
	size_t n = 0;

	for (; s[n] && (quoted || s[n] != ','); n++) {
		if (s[n] == '"')
			quoted = !quoted;
		if (s[n] == '\\' && s[n + 1])
			n++;
	}
	return n;
}

static int take_words(struct options *o, const char *s, FILE *errors)
{
	while (*s) {
		size_t n = word_length(s);
		int r = n ? take_word(o, s, n, errors) : 0;

		if (r)
			return r;
		s += n + (s[n] == ',');
	}
	return 0;
}

/* --- the command line ------------------------------------------------------------------- */

static int take_pid(const struct row *row, const char *argument, pid_t *ret, FILE *errors)
{
	uint64_t pid;

	if (!slice_u64(slice_str(argument), &pid) || pid == 0 || pid > INT32_MAX) {
		fprintf(errors, "lxcfs: --%s needs the number of a process, '%s' is none: see ps\n",
			row->name, argument);
		return 2;
	}
	*ret = (pid_t)pid;
	return 0;
}

static int take_string(const struct row *row, const char *argument, const char **ret, FILE *errors)
{
	if (!*argument) {
		fprintf(errors, "lxcfs: --%s needs a %s: give one, or leave it out\n", row->name,
			row->argument);
		return 2;
	}
	*ret = argument;
	return 0;
}

static int take(const struct row *row, const char *argument, struct options *o, FILE *errors)
{
	switch (row->kind) {
	case ROW_ACTION:
		o->action = (enum options_action)row->value;
		return 0;
	case ROW_FLAG:
		*(bool *)((char *)o + row->offset) = row->value;
		return 0;
	case ROW_STRING:
		return take_string(row, argument, (const char **)((char *)o + row->offset), errors);
	case ROW_BUNDLE:
		o->action = (enum options_action)row->value;
		return take_string(row, argument, &o->bundle, errors);
	case ROW_PID:
		o->action = (enum options_action)row->value;
		return take_pid(row, argument, &o->inspect, errors);
	case ROW_FUSE:
		return take_words(o, argument, errors);
	case ROW_WITHDRAWN:
		fprintf(errors, "lxcfs: --%s has no effect any more: leave it out\n", row->name);
		return 0;
	case ROW_ACCEPTED:
		return 0;
	}
	return 0;
}

/* What getopt_long(3) wants to know, said in its terms. Rows with a letter are known to it by that
 * letter, the others by a number above all letters. */
struct getopt_tables {
	char letters[2 * countof(rows) + 2];
	struct option names[countof(rows) + 1];
};

#define FIRST_NUMBER 256

static int row_number(size_t i)
{
	return rows[i].letter ? rows[i].letter : FIRST_NUMBER + (int)i;
}

static void fill_tables(struct getopt_tables *t)
{
	size_t n_letters = 0, n_names = 0;

	memset(t, 0, sizeof(*t));
	t->letters[n_letters++] = ':'; /* tell a missing argument from an unknown option */
	for (size_t i = 0; i < countof(rows); i++) {
		if (rows[i].letter) {
			t->letters[n_letters++] = rows[i].letter;
			if (rows[i].argument)
				t->letters[n_letters++] = ':';
		}
		if (rows[i].name)
			t->names[n_names++] = (struct option){ rows[i].name,
				rows[i].argument ? required_argument : no_argument, NULL,
				row_number(i) };
	}
}

static const struct row *find_row(int number)
{
	for (size_t i = 0; i < countof(rows); i++)
		if (row_number(i) == number)
			return &rows[i];
	return NULL;
}

/* `answer` is getopt_long(3)'s '?' or ':', `word` the argument it looked at last: in a cluster of
 * letters that is the one before, hence the letter. */
static int wrong_option(int answer, const char *word, FILE *errors)
{
	if (answer == '?' && optopt && !find_row(optopt))
		fprintf(errors, "lxcfs: option '-%c' is not known: see lxcfs --help\n",
			isprint(optopt) ? optopt : '?');
	else
		fprintf(errors, "lxcfs: option '%s' %s: see lxcfs --help\n", word,
			answer == ':'    ? "needs an argument"
				: optopt ? "takes no argument"
					 : "is not known");
	return 2;
}

static int take_options(int argc, char **argv, struct options *o, FILE *errors)
{
	struct getopt_tables tables;
	int number, r;

	fill_tables(&tables);
	opterr = 0;
	optind = 0; /* GNU: begin anew */
	while ((number = getopt_long(argc, argv, tables.letters, tables.names, NULL)) != -1) {
		const struct row *row = find_row(number);

		if (!row) /* '?' or ':' */
			return wrong_option(number, argv[optind - 1], errors);
		r = take(row, optarg, o, errors);
		if (r)
			return r;
	}
	return 0;
}

/* What --inspect goes with. */
static int check_inspect(int argc, char **argv, const struct options *o, FILE *errors)
{
	if (o->json && o->action != OPTIONS_INSPECT) {
		fputs("lxcfs: --json goes with --inspect=PID alone: leave it out\n", errors);
		return 2;
	}
	if (o->action == OPTIONS_INSPECT && optind < argc) {
		fprintf(errors,
			"lxcfs: --inspect takes one process, '%s' is too much: leave it out\n",
			argv[optind]);
		return 2;
	}
	return 0;
}

static int take_dir(int argc, char **argv, struct options *o, FILE *errors)
{
	/* What is for runtimes knows where everybody mounts. */
	bool optional = o->action == OPTIONS_CDI || o->action == OPTIONS_OCI_HOOK ||
		o->action == OPTIONS_OCI_ADD_HOOK;

	if (o->action != OPTIONS_SERVE && o->action != OPTIONS_SELF_CHECK && !optional)
		return 0;
	if (optind >= argc && optional) {
		o->dir = DEFAULT_DIR;
		return 0;
	}
	if (optind >= argc || !*argv[optind]) {
		fputs("lxcfs: no directory to mount on: say lxcfs [options] DIR, "
		      "as in lxcfs /var/lib/lxcfs\n",
			errors);
		return 2;
	}
	if (optind + 1 < argc) {
		fprintf(errors, "lxcfs: one directory is enough, '%s' is too much: leave it out\n",
			argv[optind + 1]);
		return 2;
	}
	o->dir = argv[optind];
	return 0;
}

static int default_pidfile(struct options *o, FILE *errors)
{
	int n;

	if (o->pidfile)
		return 0;
	n = snprintf(o->own_path, sizeof(o->own_path), "%s/lxcfs.pid", o->runtime_dir);
	if (n < 0 || (size_t)n >= sizeof(o->own_path)) {
		fputs("lxcfs: the path behind --runtime-dir is too long: choose a shorter one\n",
			errors);
		return 2;
	}
	o->pidfile = o->own_path;
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret, FILE *errors)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->runtime_dir = DEFAULT_RUNTIME_DIR;
	r = take_options(argc, argv, ret, errors);
	if (!r)
		r = check_inspect(argc, argv, ret, errors);
	if (!r)
		r = take_dir(argc, argv, ret, errors);
	if (!r)
		r = default_pidfile(ret, errors);
	return r;
}

void options_usage(FILE *out)
{
	fputs("Usage: lxcfs [options] DIR\n\n"
	      "Mounts on DIR the files that show a container its own CPUs, memory and age.\n\n",
		out);
	for (size_t i = 0; i < countof(rows); i++) {
		const struct row *r = &rows[i];
		char left[40];

		if (!r->says)
			continue;
		snprintf(left, sizeof(left), "%c%c%s%s%s%s%s", r->letter ? '-' : ' ',
			r->letter ? r->letter : ' ',
			!r->name            ? ""
				: r->letter ? ", "
					    : "  ",
			r->name ? "--" : "", r->name ? r->name : "",
			!r->argument      ? ""
				: r->name ? "="
					  : " ",
			r->argument ? r->argument : "");
		fprintf(out, "  %-26s %s\n", left, r->says);
	}
}
