/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names, types and links of sysfs below /sys/devices/system/cpu. Opens no file for its content and
 * nothing for writing.
 */
#include "sysdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "listing.h"
#include "slow.h"

/* Physical addresses of every CPU's crash notes (crash_notes, crash_notes_size): no use to a
 * container, and of use to an attacker. */
static bool hidden(struct slice name)
{
	return slice_starts(name, "crash_notes");
}

/* Paths are the registry's and the table's, checked there; "sys" itself is an open directory. */
static const char *below_sys(const struct node *node)
{
	return strncmp(node->path, "sys/", 4) == 0 ? node->path + 4 : NULL;
}

static int type_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return DT_DIR;
	if (S_ISREG(mode))
		return DT_REG;
	return S_ISLNK(mode) ? DT_LNK : DT_UNKNOWN;
}

int sysdir_host_stat(const struct root *root, const char *path, struct stat *ret)
{
	const char *slash = strchr(path, '/');
	const char *rest = slash ? slash + 1 : "";
	const struct slice top = { path, slash ? (size_t)(slash - path) : strlen(path) };
	const int dir = slice_equal(top, "proc") ? root->proc
		: slice_equal(top, "sys")        ? root->sys
						 : -1;

	if (dir < 0)
		return -ENOENT;
	return fstatat(dir, rest, ret, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int child_path(const struct node *dir, struct slice name, struct node *ret)
{
	const size_t n = strlen(dir->path);

	if (name.n == 0 || name.n > TREE_NAME || name.n + 2 > sizeof(ret->path) - n)
		return -ENAMETOOLONG;
	memcpy(ret->path, dir->path, n);
	ret->path[n] = '/';
	memcpy(ret->path + n + 1, name.p, name.n);
	ret->path[n + 1 + name.n] = '\0';
	return 0;
}

int sysdir_lookup(struct tree *t, const struct root *root, const struct node *dir,
	struct slice name, uint64_t *ret_number, struct stat *ret_stat)
{
	struct node child;
	int e = hidden(name) ? -ENOENT : child_path(dir, name, &child);

	if (e == 0)
		e = sysdir_host_stat(root, child.path, ret_stat);
	if (e < 0)
		return e;
	return tree_number(t, dir, name, (unsigned)type_of(ret_stat->st_mode), ret_number);
}

int sysdir_stat(const struct root *root, const struct node *node, struct stat *ret)
{
	int e = sysdir_host_stat(root, node->path, ret);

	if (e == -ENOENT || (e == 0 && (unsigned)type_of(ret->st_mode) != node->type))
		return -ESTALE;
	return e;
}

int sysdir_readlink(const struct root *root, const struct node *node, char *ret, size_t size)
{
	const char *path = below_sys(node);
	ssize_t n;

	if (!path || node->type != DT_LNK)
		return -EINVAL;
	n = readlinkat(root->sys, path, ret, size);
	if (n < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	ret[n] = '\0';
	return 0;
}

/* --- listings ---------------------------------------------------------------------------- */

struct lister {
	struct tree *tree;
	const struct node *dir;
	const struct cpumask *show;
	struct text *out;
};

/* "cpu12" but not "cpufreq". */
static bool cpu_name(struct slice name, uint64_t *ret_cpu)
{
	if (!slice_starts(name, "cpu"))
		return false;
	return slice_u64((struct slice){ name.p + 3, name.n - 3 }, ret_cpu);
}

static bool listed(const struct lister *l, struct slice name)
{
	struct tree_entry entry;
	uint64_t cpu;

	if (slice_equal(name, ".") || slice_equal(name, "..") || hidden(name))
		return false;
	if (tree_entry(l->tree, l->dir, name, &entry)) /* the registry lists it */
		return false;
	if (l->show && cpu_name(name, &cpu))
		return cpu < CPUMASK_MAX && cpumask_has(l->show, (unsigned)cpu);
	return true;
}

static int list_one(const struct lister *l, const struct dirent *d)
{
	const struct slice name = slice_str(d->d_name);
	uint64_t number;
	int e;

	if (!listed(l, name))
		return 0;
	e = tree_number(l->tree, l->dir, name, d->d_type, &number);
	if (e == -ENOENT || e == -ENAMETOOLONG)
		return 0; /* a lookup would not find it either */
	if (e == 0)
		listing_add(l->out, number, d->d_type, name);
	return e;
}

int sysdir_list(struct tree *t, const struct root *root, const struct node *dir,
	const struct cpumask *show, struct text *ret)
{
	const struct lister l = { t, dir, show, ret };
	const char *path = below_sys(dir);
	autodir *d = NULL;
	const struct dirent *entry;
	int e = 0;

	if (!path)
		return -ENOENT;
	slow_ahead();
	d = open_dir_at(root->sys, path);
	if (!d)
		return errno == ENOENT ? -ESTALE : -errno;
	while (e == 0 && (errno = 0, entry = readdir(d)))
		e = list_one(&l, entry);
	if (e == 0 && !entry && errno)
		e = -errno;
	return e < 0 ? e : text_error(ret);
}
