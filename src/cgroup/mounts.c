/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which mounts of a mountinfo can be reached. The order of lines says nothing about it (mounts are
 * moved, copied into namespaces, and sorted by number since Linux 6.8): only the parents do. Work
 * stays near-linear in the text, since a container writes it.
 */
#include "mounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

bool mount_path_within(struct slice path, struct slice ancestor)
{
	if (path.n < ancestor.n || (ancestor.n && memcmp(path.p, ancestor.p, ancestor.n) != 0))
		return false;
	return path.n == ancestor.n || slice_equal(ancestor, "/") || path.p[ancestor.n] == '/';
}

/* "36 31 0:33 / /sys/fs/cgroup/devices rw,relatime shared:9 - cgroup cgroup rw,devices". Parts are
 * cut at single blanks, for a source that is the empty string leaves two in a row. */
static bool parse_line(struct slice line, struct mount *ret)
{
	struct slice id, parent, major, minor, part;
	struct mount m = { 0 };

	if (!slice_cut(&line, ' ', &id) || !slice_cut(&line, ' ', &parent) ||
		!slice_cut(&line, ':', &major) || !slice_cut(&line, ' ', &minor) ||
		!slice_cut(&line, ' ', &m.root) || !slice_cut(&line, ' ', &m.point) ||
		!slice_cut(&line, ' ', &m.flags))
		return false;
	if (!slice_u64(id, &m.id) || !slice_u64(parent, &m.parent) || !slice_u64(major, &m.major) ||
		!slice_u64(minor, &m.minor) || !slice_starts(m.point, "/"))
		return false;
	do {
		if (!slice_cut(&line, ' ', &part))
			return false;
	} while (!slice_equal(part, "-"));
	if (m.parent == m.id) /* rootfs, which hangs on nothing */
		m.parent = UINT64_MAX;
	if (!slice_cut(&line, ' ', &m.type) || !slice_cut(&line, ' ', &part) ||
		!slice_cut(&line, ' ', &m.options))
		return false;
	*ret = m;
	return true;
}

static int compare_slices(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n ? memcmp(a.p, b.p, n) : 0;

	return r ? r : (a.n > b.n) - (a.n < b.n);
}

static int by_parent_and_point(const void *a, const void *b)
{
	const struct mount *x = a, *y = b;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return compare_slices(x->point, y->point);
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool has_child_at(const struct mounts *m, uint64_t parent, struct slice point)
{
	const struct mount key = { .parent = parent, .point = point };

	return bsearch(&key, m->list, m->n, sizeof(key), by_parent_and_point) != NULL;
}

/* The first mount that lies on `parent`, as an index; its others follow. */
static size_t first_child(const struct mounts *m, uint64_t parent)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->list[middle].parent < parent)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Whether a sibling lies on a directory above `child`, the mount point `from` of their parent
 * included: a lookup then enters the sibling and never comes to `child`. */
static bool is_hidden(const struct mounts *m, const struct mount *child, struct slice from)
{
	for (size_t i = 1; i < child->point.n; i++) {
		struct slice above = { child->point.p, i };

		if (child->point.p[i] != '/' && i != 1)
			continue;
		if (above.n >= from.n && has_child_at(m, child->parent, above))
			return true;
	}
	return false;
}

/* What a lookup that has reached a mount goes through next. */
struct queue {
	size_t *index;
	size_t n;
};

static void reach(struct mounts *m, struct queue *q, size_t i, struct slice from)
{
	struct mount *child = &m->list[i];

	if (child->queued || is_hidden(m, child, from))
		return;
	child->queued = true;
	child->visible = true;
	q->index[q->n++] = i;
}

static void reach_children(struct mounts *m, struct queue *q, struct mount *parent)
{
	for (size_t i = first_child(m, parent->id); i < m->n && m->list[i].parent == parent->id;
		i++) {
		reach(m, q, i, parent->point);
		if (slice_same(m->list[i].point, parent->point))
			parent->visible = false;
	}
}

/* Mounts whose parent is not in the list hang on the process's root directory. */
static void reach_tops(struct mounts *m, struct queue *q, const uint64_t *ids)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mount *top = &m->list[i];

		if (!bsearch(&top->parent, ids, m->n, sizeof(*ids), by_number))
			reach(m, q, i, slice_str("/"));
	}
}

static int find_visible(struct mounts *m)
{
	autofree uint64_t *ids = calloc(m->n + 1, sizeof(*ids));
	autofree size_t *index = calloc(m->n + 1, sizeof(*index));
	struct queue q = { index, 0 };

	if (!ids || !index)
		return -ENOMEM;
	qsort(m->list, m->n, sizeof(*m->list), by_parent_and_point);
	for (size_t i = 0; i < m->n; i++)
		ids[i] = m->list[i].id;
	qsort(ids, m->n, sizeof(*ids), by_number);
	reach_tops(m, &q, ids);
	for (size_t i = 0; i < q.n; i++)
		reach_children(m, &q, &m->list[q.index[i]]);
	return 0;
}

static size_t count_lines(struct slice text)
{
	struct slice line;
	size_t n = 0;

	while (slice_line(&text, &line))
		n++;
	return n;
}

int mounts_parse(struct slice text, bool (*wanted)(struct slice point), struct mounts *ret)
{
	struct mounts m = { calloc(count_lines(text) + 1, sizeof(struct mount)), 0 };
	struct slice line;

	if (!m.list)
		return -ENOMEM;
	while (slice_line(&text, &line))
		if (parse_line(line, &m.list[m.n]) && (!wanted || wanted(m.list[m.n].point)))
			m.n++;
	if (find_visible(&m) < 0) {
		mounts_free(&m);
		return -ENOMEM;
	}
	*ret = m;
	return 0;
}

void mounts_free(struct mounts *m)
{
	free(m->list);
	*m = (struct mounts){ 0 };
}
