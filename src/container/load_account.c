/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a later worker needs to go on sampling: the state, and the cgroup's path behind it. Bytes
 * that cannot be right count as none.
 */
#include "load_private.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"

#define VERSION 1u

struct head {
	uint64_t version;
	struct load_state state;
};

/* Far more than any load, and far less than would overflow. */
#define AVERAGE_MAX (LOAD_ONE << 32)

static bool is_sane(const struct head *h)
{
	if (h->version != VERSION || h->state.sampled == 0 ||
		h->state.sampled > load_period(clock_monotonic_ns()) ||
		h->state.read_ns > clock_monotonic_ns())
		return false;
	for (unsigned i = 0; i < LOAD_SPANS; i++)
		if (h->state.values.averages[i] > AVERAGE_MAX)
			return false;
	return true;
}

static int parse(const struct text *bytes, struct load_state *ret, char **ret_cgroup)
{
	struct head head;

	if (bytes->len < sizeof(head))
		return -ENOENT;
	memcpy(&head, bytes->data, sizeof(head));
	if (!is_sane(&head))
		return -ENOENT;
	if (ret_cgroup) {
		*ret_cgroup = strndup(bytes->data + sizeof(head), bytes->len - sizeof(head));
		if (!*ret_cgroup)
			return -ENOMEM;
	}
	*ret = head.state;
	return 0;
}

int load_restore(struct account_store *accounts, const struct account_key *key,
	struct load_state *ret, char **ret_cgroup, struct use **ret_use)
{
	autotext bytes = { 0 };
	autotext predecessor = { 0 };
	struct account *account;
	int r = accounts ? account_begin(accounts, key, NULL, &bytes, &predecessor, &account)
			 : -ENOENT;

	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	r = parse(&bytes, ret, ret_cgroup);
	if (r == 0 && ret_use)
		*ret_use = use_ref(account_use(account));
	account_end(account, NULL, 0);
	return r;
}

void load_keep(struct account_store *accounts, const struct load_place *place,
	const struct load_state *state)
{
	const struct head head = { VERSION, *state };
	autotext bytes = { 0 };
	autotext old = { 0 };
	struct account *account;
	int r;

	text_add(&bytes, &head, sizeof(head));
	if (place->cgroup)
		text_puts(&bytes, place->cgroup);
	if (!accounts || text_error(&bytes) < 0)
		return;
	r = account_begin(accounts, &place->key, place->use, &old, &old, &account);
	if (r == 0)
		r = account_end(account, bytes.data, bytes.len);
	if (r < 0)
		log_limited("load-accounts",
			"a container's load average cannot be kept (%s): it starts again with the "
			"next worker. Too many files are held open in containers, or too many "
			"containers run",
			strerror(-r));
}
