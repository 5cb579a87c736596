/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Node numbers. A file or directory of the registry has the number its entry says; a name in a
 * directory that is passed through from sysfs gets the next one of the append-only table in the
 * hand-over memory, and keeps it for the life of the connection.
 * Nothing here asks the host whether a name exists: callers number only names they have seen.
 */
#pragma once

#include <stdint.h>

#include "handover.h"
#include "parse.h"
#include "view.h"

#define TREE_ROOT UINT64_C(1) /* FUSE_ROOT_ID */
#define TREE_PATH 1024u       /* of a host path with its NUL; longer ones are not served */
#define TREE_NAME 255u        /* NAME_MAX */

struct tree;

/* What a number stands for. */
struct node {
	uint64_t number;
	const struct view *view; /* the registry's entry; NULL: a name passed through from sysfs */
	unsigned type;           /* DT_DIR, DT_REG or DT_LNK */
	char path[TREE_PATH];    /* below "/" on the host; "" is the root */
};

/* Borrows `h` and takes over what its table holds; an entry that cannot be right is a number that
 * stands for nothing. 0 or -ENOMEM. */
int tree_new(struct handover *h, struct tree **ret);
void tree_free(struct tree *t);

/* 0, or -ESTALE when the number stands for nothing. */
int tree_node(const struct tree *t, uint64_t number, struct node *ret);

/* The number of the directory that holds it; the root's is its own. */
uint64_t tree_parent(const struct tree *t, const struct node *node);

/* The number of a name that exists on the host below a passed-through directory. The type is part
 * of what is looked up: the kernel never lets a known number change it. 0; -ENFILE when the table
 * is full; -ENAMETOOLONG; -ENOENT for what cannot be a name there; -ENOMEM. */
int tree_number(
	struct tree *t, const struct node *parent, struct slice name, unsigned type, uint64_t *ret);

/* True for directories whose names come from sysfs. */
bool tree_passes_through(const struct node *dir);

/* The registry's entry called `name` in `dir`; NULL. */
const struct view *tree_entry(const struct node *dir, struct slice name);

/* The registry's entries in `dir`, one after the other from *position (0 at first); NULL at the
 * end. `ret_name` points into the entry's path. */
const struct view *tree_next_entry(
	const struct node *dir, size_t *position, struct slice *ret_name);

/* DT_DIR or DT_REG. */
unsigned tree_type(const struct view *v);
