/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Node numbers. A file or directory of the registry has the number its entry says, and again a
 * number for each way of counting CPUs that a bind's source may ask for: DIR/proc/stat,
 * DIR/quota/proc/stat and DIR/cpuset/proc/stat are one entry. A name in a directory that is passed
 * through from sysfs gets the next number of the append-only table in the hand-over memory, and
 * keeps it for the life of the connection.
 * Nothing here asks the host whether a name exists: callers number only names they have seen.
 */
#pragma once

#include <stdint.h>

#include "handover.h"
#include "parse.h"
#include "root.h"
#include "view.h"

#define TREE_ROOT UINT64_C(1) /* FUSE_ROOT_ID */
#define TREE_PATH 1024u       /* of a host path with its NUL; longer ones are not served */
#define TREE_NAME 255u        /* NAME_MAX */

struct tree;

/* How the CPUs of a container are counted (SPEC 4). Part of the numbers: never changed. */
enum tree_policy {
	TREE_DEFAULT, /* as the command line says */
	TREE_QUOTA,   /* below DIR/quota: they follow the quota */
	TREE_CPUSET,  /* below DIR/cpuset: they do not */
	TREE_POLICIES,
};

/* What a number stands for. */
struct node {
	uint64_t number;
	enum tree_policy policy;
	const struct view *view; /* the registry's entry; NULL: a name passed through from sysfs */
	unsigned type;           /* DT_DIR, DT_REG or DT_LNK */
	char path[TREE_PATH];    /* below "/" on the host; "" is the root of each policy */
};

/* A name in a directory of the registry. */
struct tree_entry {
	uint64_t number;
	enum tree_policy policy;
	const struct view *view;
	struct slice name; /* of static storage */
};

/* Borrows `h` and takes over what its table holds; an entry that cannot be right is a number that
 * stands for nothing. Asks `root` which entries of the registry have a file on this machine: no
 * directory holds the others. 0 or -ENOMEM. */
int tree_new(struct handover *h, const struct root *root, struct tree **ret);
void tree_free(struct tree *t);

/* 0, or -ESTALE when the number stands for nothing. */
int tree_node(const struct tree *t, uint64_t number, struct node *ret);

/* What the number stands for, as a path below the mount, which it begins with "/". 0; -ESTALE;
 * -ENAMETOOLONG. */
int tree_path(const struct tree *t, uint64_t number, char *ret, size_t size);

/* The number of the directory that holds it; the root's is its own. */
uint64_t tree_parent(const struct tree *t, const struct node *node);

/* The number of a name that exists on the host below a passed-through directory. The type is part
 * of what is looked up: the kernel never lets a known number change it. 0; -ENFILE when the table
 * is full; -ENAMETOOLONG; -ENOENT for what cannot be a name there; -ENOMEM. */
int tree_number(
	struct tree *t, const struct node *parent, struct slice name, unsigned type, uint64_t *ret);

/* True for directories whose names come from sysfs. */
bool tree_passes_through(const struct node *dir);

/* The number of an entry of the registry. */
uint64_t tree_number_of(enum tree_policy policy, const struct view *v);

/* What is called `name` in `dir`; false when the registry has no such. */
bool tree_entry(
	const struct tree *t, const struct node *dir, struct slice name, struct tree_entry *ret);

/* The registry's names in `dir`, one after the other from *position (0 at first); false at the end.
 */
bool tree_next_entry(
	const struct tree *t, const struct node *dir, size_t *position, struct tree_entry *ret);

/* DT_DIR or DT_REG. */
unsigned tree_type(const struct view *v);
