/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outermost containers below the daemon, to which everything that is limited is charged (SPEC 2.7),
 * so that no container can take what others need.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

#define PID_BITS 22u /* PID_MAX_LIMIT */
#define OF_CGROUPS (UINT64_C(1) << 63)

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
	use_put(o->use);
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
	return o->refs == 0 && mountinfo_debt(o, now) == 0 &&
		(!o->use || atomic_load(&o->use->loads_paid_ns) <= now);
}

/* The same in every worker; no start and pid are the number of another start and pid, nor of any
 * cgroups. */
static uint64_t number_of(uint64_t id0, uint64_t id1)
{
	return id1 ? (id0 << PID_BITS | id1) & ~OF_CGROUPS : id0 | OF_CGROUPS;
}

static struct owner *add_owner(struct container_cache *c, uint64_t id0, uint64_t id1)
{
	struct owner *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->id[0] = id0;
	o->id[1] = id1;
	if (use_get(c->config.uses, number_of(id0, id1), &o->use) < 0) {
		free(o);
		return NULL;
	}
	o->next = c->owners;
	c->owners = o;
	return o;
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
	if (!found)
		found = add_owner(c, id0, id1);
	return found ? owner_ref(found) : NULL;
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

/* Where the name ends that begins at path + i with a '/'. */
static size_t name_end(const char *path, size_t i)
{
	return path[i] == '/' ? i + 1 + strcspn(path + i + 1, "/") : i;
}

/* Nobody but root can make another one there: no user's directory, nor below one. 1, 0, or -errno
 * of a shortage. */
static int is_of_root(const struct cgroup_hierarchy *h, const char *path, size_t n)
{
	autofree char *prefix = strndup(path, n);
	const char *below = prefix ? cgroup_path_below(h, prefix) : NULL;
	struct stat st;

	if (!prefix)
		return -ENOMEM;
	if (below && fstatat(h->dirfd, below, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return is_shortage(-errno) ? -errno : 0;
	return below && st.st_uid == 0;
}

/* How much of a path names whose it is. Two names, as /system.slice/docker-<id>.scope has; and on
 * from there (/kubepods/burstable/pod<id>/<id>) through directories that only root can have made.
 * Not for users: root makes as many sessions as they like. 0 or -errno. */
static int outermost(const struct cgroup_hierarchy *h, const char *path, size_t *ret)
{
	size_t n = name_end(path, name_end(path, 0));
	int r = strncmp(path, "/user.slice/", strlen("/user.slice/")) != 0;

	for (unsigned depth = 2; r > 0 && path[n] == '/' && depth < CGROUP_DEPTH_MAX; depth++) {
		r = is_of_root(h, path, name_end(path, n));
		if (r > 0)
			n = name_end(path, n);
	}
	*ret = n;
	return r < 0 ? r : 0;
}

int owner_of_cgroups(struct container_cache *c, struct slice cgroup_text, struct owner **ret)
{
	const struct cgroup_layout *layout = c->config.layout;
	struct cgroup_paths paths = { 0 };
	uint64_t hash = HASH_START;
	int r = cgroup_paths_parse(layout, cgroup_text, &paths);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < layout->n; i++) {
		size_t n;

		if (paths.path[i]) {
			r = outermost(&layout->hierarchy[i], paths.path[i], &n);
			hash = hash_bytes(hash, paths.path[i], n);
		}
		hash = hash_bytes(hash, "\n", 1);
	}
	cgroup_paths_free(&paths);
	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	*ret = owner_get(c, hash, 0);
	pthread_mutex_unlock(&c->lock);
	return *ret ? 0 : -ENOMEM;
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
