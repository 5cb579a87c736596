/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts as views use them: no place and no room are answers, and the admin is told.
 */
#include "kept.h"

#include <errno.h>

#include "log.h"

static void tell_full(int r)
{
	if (r == -ENOSPC)
		log_limited("accounts",
			"no room to keep a container's CPU or I/O times: they may stand still or "
			"start again. Too many files are held open in containers, or too many "
			"containers run");
	else if (r == -EDQUOT)
		log_limited("accounts of a container",
			"a container has all the CPU and I/O times that may be kept for one: those "
			"of further containers inside may stand still or start again. It makes "
			"very many cgroups, or pid namespaces in one cgroup");
}

int kept_begin(const struct view_args *a, enum account_kind kind, struct kept *ret)
{
	struct account_key key = a->subject->account;
	int r = 0;

	*ret = (struct kept){ .account = NULL };
	key.kind = kind;
	if (a->accounts)
		r = account_begin(a->accounts, &key, a->subject->use, &ret->old, &ret->predecessor,
			&ret->account);
	tell_full(r);
	if (r == 0 || account_is_full(r))
		return 0;
	text_free(&ret->old);
	text_free(&ret->predecessor);
	return r;
}

void kept_end(struct kept *k, const struct text *state)
{
	if (k->account)
		tell_full(account_end(
			k->account, state ? state->data : NULL, state ? state->len : 0));
	text_free(&k->old);
	text_free(&k->predecessor);
}
