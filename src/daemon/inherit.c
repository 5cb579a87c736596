/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names and numbers of descriptors, in and out of the environment. What the descriptors are is
 * found out by who uses them.
 */
#include "inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "parse.h"

#define FIRST_FD 3 /* of sd_listen_fds(3) */
#define MOST_FDS 1024u

static const struct {
	const char *name;
	size_t offset;
} single[] = {
	{ "memory", offsetof(struct inherited, memory) },
	{ "device", offsetof(struct inherited, device) },
	{ "mount", offsetof(struct inherited, mount) },
	{ "pidfile", offsetof(struct inherited, pidfile) },
};

void inherit_none(struct inherited *ret)
{
	memset(ret, 0xff, sizeof(*ret)); /* every one -1 */
}

/* --- parsing ---------------------------------------------------------------------------- */

static struct slice behind(struct slice s, size_t n)
{
	return (struct slice){ s.p + n, s.n - n };
}

/* Where the descriptor of that name belongs; NULL: nowhere. */
static int *place_of(struct inherited *in, struct slice name)
{
	uint64_t i;

	if (!slice_starts(name, INHERIT_PREFIX))
		return NULL;
	name = behind(name, strlen(INHERIT_PREFIX));
	for (size_t k = 0; k < countof(single); k++)
		if (slice_equal(name, single[k].name))
			return (int *)((char *)in + single[k].offset);
	if (!slice_starts(name, "clone") || !slice_u64(behind(name, strlen("clone")), &i) ||
		i >= HANDOVER_SLOTS)
		return NULL;
	return &in->clones[i];
}

static bool put(struct inherited *in, struct slice name, int fd)
{
	int *place = place_of(in, name);

	if (!place || *place >= 0)
		return false;
	*place = fd;
	return true;
}

unsigned inherit_parse_words(const char *text, struct inherited *ret)
{
	struct slice rest = slice_str(text), word, name;
	unsigned strangers = 0;
	uint64_t fd;

	while (slice_word(&rest, &word))
		if (!slice_cut(&word, '=', &name) || !slice_u64(word, &fd) || fd < FIRST_FD ||
			fd > INT32_MAX || !put(ret, name, (int)fd))
			strangers++;
	return strangers;
}

unsigned inherit_parse_listen(
	const char *fds, const char *names, struct inherited *ret, unsigned *ret_n)
{
	struct slice rest = slice_str(names ? names : ""), name;
	unsigned strangers = 0;
	uint64_t n;

	*ret_n = 0;
	if (!slice_u64(slice_str(fds), &n) || n > MOST_FDS)
		return 1;
	*ret_n = (unsigned)n;
	for (int i = 0; i < (int)n; i++)
		if (!slice_cut(&rest, ':', &name) || !put(ret, name, FIRST_FD + i))
			strangers++;
	return strangers;
}

/* --- taking ----------------------------------------------------------------------------- */

static bool is_for_us(const char *pid)
{
	uint64_t value;

	return slice_u64(slice_str(pid), &value) && value == (uint64_t)getpid();
}

static bool has(const struct inherited *in, int fd)
{
	char name[INHERIT_NAME];
	unsigned i = 0;
	int one;

	while (inherit_next(in, &i, name, &one))
		if (one == fd)
			return true;
	return false;
}

enum inherit_origin inherit_take(struct inherited *ret, unsigned *ret_strangers)
{
	const char *own = getenv(INHERIT_VARIABLE), *pid = getenv("LISTEN_PID"),
		   *fds = getenv("LISTEN_FDS");
	enum inherit_origin origin = INHERIT_NOTHING;
	unsigned n = 0;

	inherit_none(ret);
	*ret_strangers = 0;
	if (own) {
		origin = INHERIT_BEFORE;
		*ret_strangers = inherit_parse_words(own, ret);
	} else if (pid && fds && is_for_us(pid)) {
		origin = INHERIT_MANAGER;
		*ret_strangers = inherit_parse_listen(fds, getenv("LISTEN_FDNAMES"), ret, &n);
	}
	for (int fd = FIRST_FD; fd < FIRST_FD + (int)n; fd++)
		if (!has(ret, fd))
			close(fd);
	inherit_keep(ret);
	unsetenv(INHERIT_VARIABLE);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return origin;
}

void inherit_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	cleanup_close(&fd);
}

void inherit_close(struct inherited *in)
{
	char name[INHERIT_NAME];
	unsigned i = 0;
	int fd;

	while (inherit_next(in, &i, name, &fd))
		close(fd);
	inherit_none(in);
}

/* --- giving ----------------------------------------------------------------------------- */

bool inherit_next(const struct inherited *in, unsigned *i, char name[INHERIT_NAME], int *ret_fd)
{
	for (; *i < countof(single) + HANDOVER_SLOTS; (*i)++) {
		const unsigned clone = *i - (unsigned)countof(single);
		const bool is_clone = *i >= countof(single);

		*ret_fd = is_clone ? in->clones[clone]
				   : *(const int *)((const char *)in + single[*i].offset);
		if (*ret_fd < 0)
			continue;
		if (is_clone)
			snprintf(name, INHERIT_NAME, INHERIT_PREFIX "clone%u", clone);
		else
			snprintf(name, INHERIT_NAME, INHERIT_PREFIX "%s", single[*i].name);
		(*i)++;
		return true;
	}
	return false;
}

int inherit_leave(const struct inherited *in)
{
	char text[(countof(single) + HANDOVER_SLOTS) * (INHERIT_NAME + 16)], name[INHERIT_NAME];
	size_t n = 0;
	unsigned i = 0;
	int fd;

	text[0] = '\0';
	while (inherit_next(in, &i, name, &fd)) {
		if (fcntl(fd, F_SETFD, 0) < 0)
			return -errno;
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%s%s=%d", n ? " " : "", name, fd);
	}
	return setenv(INHERIT_VARIABLE, text, 1) < 0 ? -errno : 0;
}

void inherit_keep(const struct inherited *in)
{
	char name[INHERIT_NAME];
	unsigned i = 0;
	int fd;

	while (inherit_next(in, &i, name, &fd))
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	unsetenv(INHERIT_VARIABLE);
}
