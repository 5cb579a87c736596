/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cgroup directories in use, each once, and the sets of them that containers hold. A directory is
 * its inode, not its path: one that was removed and made again is another cgroup.
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

static const struct cgroup_hierarchy *hierarchy_of(const struct cgroup *c)
{
	return &c->tree->layout->hierarchy[c->hierarchy];
}

const struct cgroup_version *cgroup_version(const struct cgroup *c)
{
	return hierarchy_of(c)->unified ? &cgroup_v2 : &cgroup_v1;
}

void cgroup_tree_set_writer(struct cgroup_tree *t, cgroup_open_fn *open, void *data)
{
	t->writer = open;
	t->writer_data = data;
}

int cgroup_tree_new(
	const struct cgroup_layout *layout, unsigned max_files, struct cgroup_tree **ret)
{
	struct cgroup_tree *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->layout = layout;
	t->max_files = max_files;
	r = pthread_mutex_init(&t->lock, NULL);
	if (r > 0) {
		free(t);
		return -r;
	}
	cgroup_files_setup(t);
	*ret = t;
	return 0;
}

void cgroup_tree_free(struct cgroup_tree *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* The inode of the directory at `below`. */
static int directory_ino(const struct cgroup_hierarchy *h, const char *below, ino_t *ret)
{
	struct stat st;

	if (fstatat(h->dirfd, below, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOENT;
	*ret = st.st_ino;
	return 0;
}

int cgroup_verify(const struct cgroup *c)
{
	ino_t ino;
	int r = directory_ino(hierarchy_of(c), c->below, &ino);

	if (r < 0)
		return r == -ENOENT ? -ENODEV : r;
	return ino == c->ino ? 0 : -ENODEV;
}

static struct cgroup **bucket_of(struct cgroup_tree *t, unsigned hierarchy, const char *path)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ hierarchy; /* FNV-1a */

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
	return &t->buckets[hash % CGROUP_BUCKETS];
}

static void unlist(struct cgroup *c)
{
	struct cgroup **at = bucket_of(c->tree, c->hierarchy, c->path);

	if (!c->listed)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->listed = false;
}

/* Gives references back, a parent's with its last child. Under the lock. */
static void put_locked(struct cgroup *c)
{
	while (c && --c->refs == 0) {
		struct cgroup *parent = c->parent;

		unlist(c);
		cgroup_files_close(c);
		free(c->path);
		free(c);
		c = parent;
	}
}

static void cgroup_put(struct cgroup_tree *t, struct cgroup *c)
{
	pthread_mutex_lock(&t->lock);
	put_locked(c);
	pthread_mutex_unlock(&t->lock);
}

static struct cgroup *find_locked(struct cgroup_tree *t, unsigned hierarchy, const char *path)
{
	struct cgroup *c = *bucket_of(t, hierarchy, path);

	while (c && (c->hierarchy != hierarchy || strcmp(c->path, path) != 0))
		c = c->next;
	return c;
}

/* What follows mount_root in a path at or below it. */
static const char *below_mount(const struct cgroup_hierarchy *h, const char *path)
{
	size_t n = strcmp(h->mount_root, "/") == 0 ? 0 : strlen(h->mount_root);

	return path[n] ? path + n + 1 : ".";
}

/* Takes the path and the parent's reference. NULL without memory, then having taken neither. */
static struct cgroup *make(
	struct cgroup_tree *t, unsigned hierarchy, char *path, ino_t ino, struct cgroup *parent)
{
	struct cgroup *c = calloc(1, sizeof(*c) + t->n_slots[hierarchy] * sizeof(c->fds[0]));

	if (!c)
		return NULL;
	c->tree = t;
	c->parent = parent;
	c->refs = 1;
	c->hierarchy = hierarchy;
	c->ino = ino;
	c->path = path;
	c->below = below_mount(hierarchy_of(c), path);
	return c;
}

/* Finds or makes the cgroup and takes over `parent`'s reference. Under the lock. */
static struct cgroup *intern_locked(struct cgroup_tree *t, unsigned hierarchy, const char *path,
	ino_t ino, struct cgroup *parent)
{
	struct cgroup **bucket = bucket_of(t, hierarchy, path);
	struct cgroup *c = find_locked(t, hierarchy, path);
	autofree char *copy = NULL;

	if (c && c->ino == ino && c->parent == parent) {
		put_locked(parent); /* c holds one of its own */
		c->refs++;
		return c;
	}
	copy = strdup(path);
	c = copy ? make(t, hierarchy, copy, ino, parent) : NULL;
	if (!c) {
		put_locked(parent);
		return NULL;
	}
	copy = NULL;
	/* The one that had this path was removed: its holders will be told so by its files. */
	if (find_locked(t, hierarchy, path))
		unlist(find_locked(t, hierarchy, path));
	c->next = *bucket;
	*bucket = c;
	c->listed = true;
	return c;
}

static int intern(struct cgroup_tree *t, unsigned hierarchy, const char *path,
	struct cgroup *parent, struct cgroup **ret)
{
	const struct cgroup_hierarchy *h = &t->layout->hierarchy[hierarchy];
	struct cgroup *c;
	ino_t ino = 0;
	int r = directory_ino(h, below_mount(h, path), &ino);

	pthread_mutex_lock(&t->lock);
	if (r < 0) {
		put_locked(parent);
		c = NULL;
	} else {
		c = intern_locked(t, hierarchy, path, ino, parent);
		r = c ? 0 : -ENOMEM;
	}
	pthread_mutex_unlock(&t->lock);
	if (r == 0)
		*ret = c;
	return r;
}

/* Whether the daemon can follow `path`: inside its cgroup namespace, inside the mount, and not the
 * root, which counts as no cgroup. */
static bool is_usable(const struct cgroup_hierarchy *h, const char *path)
{
	struct slice rest = slice_str(path), part;

	if (path[0] != '/' || path[1] == '\0' || !cgroup_path_within(path, h->mount_root))
		return false;
	while (slice_cut(&rest, '/', &part))
		if (slice_equal(part, ".."))
			return false;
	return true;
}

/* The cgroup at `path` and, before it, all its ancestors down from the mount's root. */
static int cgroup_get(
	struct cgroup_tree *t, unsigned hierarchy, const char *path, struct cgroup **ret)
{
	const struct cgroup_hierarchy *h = &t->layout->hierarchy[hierarchy];
	autofree char *prefix = strdup(path);
	struct cgroup *c = NULL;
	size_t i = strcmp(h->mount_root, "/") == 0 ? 1 : strlen(h->mount_root);
	int r = 0;

	if (!prefix)
		return -ENOMEM;
	for (; r == 0; i++) {
		char end = prefix[i];

		if (end != '/' && end != '\0')
			continue;
		prefix[i] = '\0';
		r = intern(t, hierarchy, prefix, c, &c);
		prefix[i] = end;
		if (end == '\0')
			break;
	}
	if (r == 0)
		*ret = c;
	return r;
}

int cgroup_set_new(struct cgroup_tree *t, const struct cgroup_paths *paths, struct cgroup_set **ret)
{
	struct cgroup_set *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->tree = t;
	for (unsigned i = 0; i < t->layout->n && r == 0; i++)
		if (paths->path[i] && is_usable(&t->layout->hierarchy[i], paths->path[i]))
			r = cgroup_get(t, i, paths->path[i], &s->in[i]);
	if (r < 0) {
		cgroup_set_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void cgroup_set_free(struct cgroup_set *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < CGROUP_HIERARCHIES; i++)
		if (s->in[i])
			cgroup_put(s->tree, s->in[i]);
	free(s);
}

bool cgroup_set_is_root(const struct cgroup_set *s)
{
	for (unsigned i = 0; i < CGROUP_HIERARCHIES; i++)
		if (s->in[i] && strncmp(hierarchy_of(s->in[i])->name, "name=", 5) != 0)
			return false;
	return true;
}

struct cgroup *cgroup_serving(const struct cgroup_set *s, enum cgroup_controller controller)
{
	int i = s->tree->layout->serves[controller];

	return i < 0 ? NULL : s->in[i];
}

/* The cgroup that names the container for its counters; NULL. */
static const struct cgroup *identity(const struct cgroup_set *s)
{
	const struct cgroup *c = cgroup_serving(s, CGROUP_CPUACCT);

	if (!c && s->tree->layout->unified >= 0)
		c = s->in[s->tree->layout->unified];
	for (unsigned i = 0; !c && i < CGROUP_HIERARCHIES; i++)
		c = s->in[i];
	return c;
}

bool cgroup_set_identity(const struct cgroup_set *s, dev_t *ret_dev, ino_t *ret_ino)
{
	const struct cgroup *c = identity(s);

	if (!c)
		return false;
	*ret_dev = hierarchy_of(c)->dev;
	*ret_ino = c->ino;
	return true;
}

const char *cgroup_set_path(const struct cgroup_set *s, unsigned hierarchy)
{
	return hierarchy < CGROUP_HIERARCHIES && s->in[hierarchy] ? s->in[hierarchy]->path : NULL;
}
