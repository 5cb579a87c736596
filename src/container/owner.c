/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outermost containers below the daemon, to which everything that is limited is charged (SPEC 2.7),
 * so that no container can take what others need.
 */
#include "private.h"

#include <stdlib.h>

struct owner *owner_ref(struct owner *o)
{
	o->refs++;
	return o;
}

static void unlink_owner(struct container_cache *c, struct owner *o)
{
	struct owner **link = &c->owners;

	while (*link != o)
		link = &(*link)->next;
	*link = o->next;
	free(o);
}

/* What it owes for mount tables at this moment: every second pays MOUNTINFO_NS back. */
static uint64_t mountinfo_debt(const struct owner *o, uint64_t now)
{
	uint64_t paid = mul_div(sat_sub(now, o->owed_at_ns), MOUNTINFO_NS, NS_PER_S);

	return sat_sub(o->owed_ns, paid);
}

/* An unused owner stays for as long as it owes: else a new one with the same name would begin
 * without debts. */
static bool forgettable(const struct owner *o, uint64_t now)
{
	return o->refs == 0 && mountinfo_debt(o, now) == 0;
}

struct owner *owner_get(struct container_cache *c, uint64_t id0, uint64_t id1)
{
	struct owner *found = NULL, *next;
	uint64_t now = clock_monotonic_ns();

	for (struct owner *o = c->owners; o; o = next) {
		next = o->next;
		if (o->id[0] == id0 && o->id[1] == id1)
			found = o;
		else if (forgettable(o, now))
			unlink_owner(c, o);
	}
	if (!found) {
		found = calloc(1, sizeof(*found));
		if (!found)
			return NULL;
		found->id[0] = id0;
		found->id[1] = id1;
		found->next = c->owners;
		c->owners = found;
	}
	return owner_ref(found);
}

void owner_unref(struct container_cache *c, struct owner *o)
{
	if (--o->refs == 0 && forgettable(o, clock_monotonic_ns()))
		unlink_owner(c, o);
}

void owners_free(struct container_cache *c)
{
	while (c->owners)
		unlink_owner(c, c->owners);
}

/* The text up to the third '/' of the path in a line of /proc/<pid>/cgroup. */
static struct slice outermost(struct slice line)
{
	unsigned slashes = 0;

	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '/' && ++slashes == 3)
			return (struct slice){ line.p, i };
	return line;
}

struct owner *owner_of_cgroups(struct container_cache *c, struct slice cgroup_text)
{
	uint64_t hash = HASH_START;
	struct slice line;
	struct owner *o;

	while (slice_line(&cgroup_text, &line)) {
		struct slice name = outermost(line);

		hash = hash_bytes(hash, name.p, name.n);
		hash = hash_bytes(hash, "\n", 1);
	}
	pthread_mutex_lock(&c->lock);
	o = owner_get(c, hash, 0);
	pthread_mutex_unlock(&c->lock);
	return o;
}

uint64_t owner_mountinfo_left(struct container_cache *c, const struct owner *o, uint64_t now)
{
	uint64_t debt;

	pthread_mutex_lock(&c->lock);
	debt = mountinfo_debt(o, now);
	pthread_mutex_unlock(&c->lock);
	return sat_sub(MOUNTINFO_NS, debt);
}

void owner_mountinfo_charge(
	struct container_cache *c, struct owner *o, uint64_t now, uint64_t cpu_ns)
{
	pthread_mutex_lock(&c->lock);
	o->owed_ns = sat_add(mountinfo_debt(o, now), cpu_ns);
	o->owed_at_ns = now;
	pthread_mutex_unlock(&c->lock);
}

void owner_put(struct container_cache *c, struct owner *o)
{
	if (!o)
		return;
	pthread_mutex_lock(&c->lock);
	owner_unref(c, o);
	pthread_mutex_unlock(&c->lock);
}
