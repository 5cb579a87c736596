/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a view's computation keeps of a container from one read to the next. Only around such a
 * computation: the account is locked meanwhile, so nothing of the kernel may be read.
 */
#pragma once

#include "view.h"

struct kept {
	struct text old, predecessor; /* as account_begin() gives them */
	struct account *account;      /* NULL: there is no place to keep anything */
};

/* Without a store, or with a full table, both texts are as at first sight. 0; -ENOMEM. */
int kept_begin(const struct view_args *a, enum account_kind kind, struct kept *ret);

/* Keeps `state` from now on; NULL, no bytes, or no room for them: the old ones stay. */
void kept_end(struct kept *k, const struct text *state);
