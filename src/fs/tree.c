/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of names in shared memory and its private hash. Shared numbers are checked at every
 * use: whoever wrote them may have been killed in the middle.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "host.h"
#include "log.h"

#define DEPTH_MAX 16u /* of passed-through directories below the registry's */

struct tree {
	struct handover *shared;
	pthread_mutex_t lock; /* of the table's end and the hash */
	uint32_t *buckets;    /* open addressing; index + 1, 0: empty */
	size_t n_buckets;     /* a power of two, at least twice `known` */
	size_t known;
	bool *absent; /* entries of the registry that this machine has no file for */
};

/* A checked entry of the table. */
struct record {
	uint64_t parent;
	struct slice name;
	unsigned type;
};

unsigned tree_type(const struct view *v)
{
	return v->kind == VIEW_FILE ? DT_REG : DT_DIR;
}

bool tree_passes_through(const struct node *dir)
{
	return dir->type == DT_DIR && (!dir->view || dir->view->kind == VIEW_CPU_DIR);
}

/* What stands behind the last slash; `ret_dir` gets what stands before it. */
static struct slice split_path(const char *path, struct slice *ret_dir)
{
	const char *slash = strrchr(path, '/');

	*ret_dir = (struct slice){ path, slash ? (size_t)(slash - path) : 0 };
	return slice_str(slash ? slash + 1 : path);
}

/* The directories in the root of the mount that hold everything once more. */
static const char *const policy_dirs[TREE_POLICIES] = {
	[TREE_QUOTA] = "/quota",
	[TREE_CPUSET] = "/cpuset",
};

uint64_t tree_number_of(enum tree_policy policy, const struct view *v)
{
	return policy * VIEW_NODES + v->node;
}

static bool is_root(const struct node *node)
{
	return node->view && node->view->path[0] == '\0';
}

/* The entry at `position` of the registry, if it lies in `dir`. */
static bool registered_in(
	const struct tree *t, const struct node *dir, size_t position, struct tree_entry *ret)
{
	const struct view *v = &view_registry[position];
	struct slice parent, name = split_path(v->path, &parent);

	if (name.n == 0 || !slice_equal(parent, dir->view->path) || t->absent[position])
		return false;
	*ret = (struct tree_entry){ tree_number_of(dir->policy, v), dir->policy, v, name };
	return true;
}

/* The root of another policy, if `dir` holds it. */
static bool policy_root_in(const struct node *dir, enum tree_policy policy, struct tree_entry *ret)
{
	if (!is_root(dir) || dir->policy != TREE_DEFAULT || !policy_dirs[policy])
		return false;
	*ret = (struct tree_entry){ tree_number_of(policy, dir->view), policy, dir->view,
		slice_str(policy_dirs[policy] + 1) };
	return true;
}

bool tree_next_entry(
	const struct tree *t, const struct node *dir, size_t *position, struct tree_entry *ret)
{
	if (!dir->view)
		return false;
	while (*position < view_count + TREE_POLICIES) {
		const size_t at = (*position)++;

		if (at < view_count ? registered_in(t, dir, at, ret)
				    : policy_root_in(dir, (enum tree_policy)(at - view_count), ret))
			return true;
	}
	return false;
}

bool tree_entry(
	const struct tree *t, const struct node *dir, struct slice name, struct tree_entry *ret)
{
	struct tree_entry entry;
	size_t position = 0;

	while (tree_next_entry(t, dir, &position, &entry))
		if (slice_same(entry.name, name)) {
			*ret = entry;
			return true;
		}
	return false;
}

static bool name_possible(struct slice name)
{
	return name.n > 0 && name.n <= TREE_NAME && !slice_equal(name, ".") &&
		!slice_equal(name, "..") && !memchr(name.p, '/', name.n) &&
		!memchr(name.p, '\0', name.n);
}

static bool type_possible(unsigned type)
{
	return type == DT_DIR || type == DT_REG || type == DT_LNK;
}

/* No entry beyond these was ever published. */
static uint32_t nodes_used(const struct tree *t)
{
	uint32_t n = atomic_load_explicit(&t->shared->nodes_used, memory_order_acquire);

	return n < HANDOVER_NODES ? n : HANDOVER_NODES;
}

static bool record_at(const struct tree *t, uint64_t index, struct record *ret)
{
	const struct handover_node *n;

	if (index >= nodes_used(t))
		return false;
	n = &t->shared->nodes[index];
	if (n->name > HANDOVER_NAMES || n->name_len > HANDOVER_NAMES - n->name)
		return false;
	*ret = (struct record){ n->parent, { t->shared->names + n->name, n->name_len }, n->type };
	if (!name_possible(ret->name) || !type_possible(ret->type))
		return false;
	/* A parent is older than its children, so no chain is endless. */
	return ret->parent < HANDOVER_NODE_BASE + index;
}

static int node_of_view(uint64_t number, struct node *ret)
{
	const uint64_t policy = number / VIEW_NODES;
	const struct view *v = view_by_node(number % VIEW_NODES);
	size_t n;

	if (!v || policy >= TREE_POLICIES)
		return -ESTALE;
	n = strlen(v->path);
	if (n >= sizeof(ret->path))
		return -ESTALE;
	ret->number = number;
	ret->policy = (enum tree_policy)policy;
	ret->view = v;
	ret->type = tree_type(v);
	memcpy(ret->path, v->path, n + 1);
	return 0;
}

static bool append_name(struct node *dir, struct slice name)
{
	size_t n = strlen(dir->path);

	if (name.n + 2 > sizeof(dir->path) - n)
		return false;
	dir->path[n] = '/';
	memcpy(dir->path + n + 1, name.p, name.n);
	dir->path[n + 1 + name.n] = '\0';
	return true;
}

/* Walks up to the registry's directory and down again. */
static int node_of_record(const struct tree *t, uint64_t number, struct node *ret)
{
	struct record chain[DEPTH_MAX];
	unsigned depth = 0;

	for (uint64_t at = number; at >= HANDOVER_NODE_BASE; depth++) {
		if (depth == DEPTH_MAX || !record_at(t, at - HANDOVER_NODE_BASE, &chain[depth]))
			return -ESTALE;
		if (depth > 0 && chain[depth].type != DT_DIR)
			return -ESTALE;
		at = chain[depth].parent;
	}
	if (node_of_view(chain[depth - 1].parent, ret) < 0 || ret->view->kind != VIEW_CPU_DIR)
		return -ESTALE;
	while (depth-- > 0)
		if (!append_name(ret, chain[depth].name))
			return -ESTALE;
	ret->number = number;
	ret->view = NULL;
	ret->type = chain[0].type;
	return 0;
}

int tree_node(const struct tree *t, uint64_t number, struct node *ret)
{
	return number >= HANDOVER_NODE_BASE ? node_of_record(t, number, ret)
					    : node_of_view(number, ret);
}

int tree_path(const struct tree *t, uint64_t number, char *ret, size_t size)
{
	struct node node;
	int e = tree_node(t, number, &node);
	const char *dir;

	if (e < 0)
		return e;
	dir = policy_dirs[node.policy];
	e = snprintf(ret, size, "%s/%s", dir ? dir : "", node.path);
	return (size_t)e < size ? 0 : -ENAMETOOLONG;
}

uint64_t tree_parent(const struct tree *t, const struct node *node)
{
	struct record record;
	struct slice dir;

	if (!node->view)
		return record_at(t, node->number - HANDOVER_NODE_BASE, &record) ? record.parent
										: TREE_ROOT;
	if (is_root(node))
		return TREE_ROOT;
	split_path(node->view->path, &dir);
	for (size_t i = 0; i < view_count; i++)
		if (slice_equal(dir, view_registry[i].path))
			return tree_number_of(node->policy, &view_registry[i]);
	return TREE_ROOT;
}

/* --- the hash ---------------------------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
	return hash;
}

static size_t hash_record(const struct record *r)
{
	uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325), r->name.p, r->name.n);

	hash = hash_bytes(hash, &r->parent, sizeof(r->parent)) + r->type;
	return (size_t)(hash ^ hash >> 32);
}

static bool same_record(const struct record *a, const struct record *b)
{
	return a->parent == b->parent && a->type == b->type && slice_same(a->name, b->name);
}

/* Where the record is, or where it would go. */
static uint32_t *bucket_of(const struct tree *t, const struct record *r)
{
	for (size_t i = hash_record(r);; i++) {
		uint32_t *bucket = &t->buckets[i & (t->n_buckets - 1)];
		struct record there;

		if (*bucket == 0 || (record_at(t, *bucket - 1, &there) && same_record(&there, r)))
			return bucket;
	}
}

static int hash_grow(struct tree *t)
{
	struct tree bigger = *t;

	bigger.n_buckets = t->n_buckets ? t->n_buckets * 2 : 1024;
	bigger.buckets = calloc(bigger.n_buckets, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_buckets; i++) {
		struct record r;

		if (t->buckets[i] && record_at(t, t->buckets[i] - 1, &r))
			*bucket_of(&bigger, &r) = t->buckets[i];
	}
	free(t->buckets);
	t->buckets = bigger.buckets;
	t->n_buckets = bigger.n_buckets;
	return 0;
}

/* Makes sure that one more entry can be added. */
static int hash_reserve(struct tree *t)
{
	return t->known * 2 < t->n_buckets ? 0 : hash_grow(t);
}

static void hash_add(struct tree *t, const struct record *r, uint32_t index)
{
	uint32_t *bucket = bucket_of(t, r);

	if (*bucket == 0) {
		*bucket = index + 1;
		t->known++;
	}
}

/* --- the table --------------------------------------------------------------------------- */

/* Published by nodes_used, last: killed before it, the bytes are lost and no number was given. */
static int append(struct tree *t, struct record *r, uint32_t *ret_index)
{
	struct handover *h = t->shared;
	const uint32_t index = nodes_used(t);
	const uint32_t at = atomic_load_explicit(&h->names_used, memory_order_relaxed);

	if (index >= HANDOVER_NODES || at > HANDOVER_NAMES || r->name.n > HANDOVER_NAMES - at) {
		log_limited("nodes full",
			"the table of file names below /sys/devices/system/cpu is full, so new "
			"ones cannot be opened: stop and start lxcfs to begin with an empty one");
		return -ENFILE;
	}
	memcpy(h->names + at, r->name.p, r->name.n);
	h->nodes[index] = (struct handover_node){
		.parent = r->parent,
		.name = at,
		.name_len = (uint16_t)r->name.n,
		.type = (uint16_t)r->type,
	};
	r->name.p = h->names + at;
	atomic_store_explicit(&h->names_used, at + (uint32_t)r->name.n, memory_order_release);
	atomic_store_explicit(&h->nodes_used, index + 1, memory_order_release);
	*ret_index = index;
	return 0;
}

/* A name deeper than tree_node() would follow must not get a number. */
static int check_depth(const struct tree *t, const struct node *parent, struct slice name)
{
	struct record record;
	unsigned depth = 1;

	for (uint64_t at = parent->number; at >= HANDOVER_NODE_BASE; at = record.parent)
		if (!record_at(t, at - HANDOVER_NODE_BASE, &record) || ++depth > DEPTH_MAX)
			return -ENAMETOOLONG;
	return strlen(parent->path) + name.n + 2 > TREE_PATH ? -ENAMETOOLONG : 0;
}

static int number_locked(struct tree *t, struct record *r, uint64_t *ret)
{
	uint32_t index = *bucket_of(t, r);
	int e = 0;

	if (index) {
		*ret = HANDOVER_NODE_BASE + index - 1;
		return 0;
	}
	e = hash_reserve(t);
	if (e == 0)
		e = append(t, r, &index);
	if (e < 0)
		return e;
	hash_add(t, r, index);
	*ret = HANDOVER_NODE_BASE + index;
	return 0;
}

int tree_number(
	struct tree *t, const struct node *parent, struct slice name, unsigned type, uint64_t *ret)
{
	struct record r = { parent->number, name, type };
	int e;

	if (!tree_passes_through(parent) || !name_possible(name) || !type_possible(type))
		return -ENOENT;
	e = check_depth(t, parent, name);
	if (e < 0)
		return e;
	pthread_mutex_lock(&t->lock);
	e = number_locked(t, &r, ret);
	pthread_mutex_unlock(&t->lock);
	return e;
}

/* Entries that cannot be right stay as numbers that stand for nothing. */
static int adopt(struct tree *t)
{
	const uint32_t used = nodes_used(t);
	uint32_t broken = 0;

	for (uint32_t index = 0; index < used; index++) {
		struct record r;
		struct node node;
		int e = hash_reserve(t);

		if (e < 0)
			return e;
		if (tree_node(t, HANDOVER_NODE_BASE + index, &node) == 0 && record_at(t, index, &r))
			hash_add(t, &r, index);
		else
			broken++;
	}
	if (broken)
		log_limited("nodes taken over",
			"%u of %u file numbers that were handed over are not usable; what was "
			"open under them answers ESTALE",
			broken, used);
	return 0;
}

/* What the kernel does not have cannot be bound over, and has no text to learn a format from. */
static int find_absent(struct tree *t, const struct root *root)
{
	t->absent = calloc(view_count, sizeof(*t->absent));
	if (!t->absent)
		return -ENOMEM;
	for (size_t i = 0; i < view_count; i++) {
		const int has = host_has(root, view_registry[i].path);

		if (has < 0)
			return has;
		t->absent[i] = !has;
	}
	return 0;
}

int tree_new(struct handover *h, const struct root *root, struct tree **ret)
{
	struct tree *t = calloc(1, sizeof(*t));
	int e;

	if (!t)
		return -ENOMEM;
	t->shared = h;
	pthread_mutex_init(&t->lock, NULL);
	e = find_absent(t, root);
	if (e == 0)
		e = hash_grow(t);
	if (e == 0)
		e = adopt(t);
	if (e < 0) {
		tree_free(t);
		return e;
	}
	*ret = t;
	return 0;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->buckets);
	free(t->absent);
	free(t);
}
