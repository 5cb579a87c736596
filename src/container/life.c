/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What records stand and fall with: an init, or a cgroup where there is none. Holds the descriptors
 * that tell of its end and keep its number from being used again, and nothing of a cgroup
 * namespace, which would pin dead cgroups. Knows no rules and no keys.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "log.h"

static struct life **bucket_of(struct container_cache *c, uint64_t id)
{
	return &c->lives[id % LIVES];
}

static bool same_life(const struct life *a, const struct life *b)
{
	return a->id == b->id && a->dev == b->dev && a->pid == b->pid &&
		a->start_ticks == b->start_ticks;
}

static void free_life(struct life *l)
{
	life_seen_free(&l->seen);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static struct life *new_life(uint64_t id)
{
	struct life *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->id = id;
	l->watch_fd = -1;
	l->ns_fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void life_seen_free(struct life_seen *s)
{
	text_free(&s->cgroup);
}

/* --- references and pins -------------------------------------------------------------------- */

void life_pin_locked(struct life *l)
{
	l->pins++;
}

static void go_live(struct container_cache *c, struct life *l, int *watch_fd, int *ns_fd)
{
	l->live = true;
	l->watch_fd = steal_fd(watch_fd);
	l->ns_fd = steal_fd(ns_fd);
	c->n_live++;
	if (l->parent)
		life_pin_locked(l->parent);
	l->unwatched = l->watch_fd >= 0 && watch_add(c->watch, l) < 0;
	if (l->unwatched)
		log_limited("container-watch",
			"cannot watch for the end of a container (pid %d): it will be noticed a "
			"minute late",
			(int)l->pid);
}

static void retire(struct container_cache *c, struct life *l)
{
	if (l->watch_fd >= 0)
		watch_remove(c->watch, l);
	cleanup_close(&l->watch_fd);
	cleanup_close(&l->ns_fd);
	l->watch_fd = -1;
	l->ns_fd = -1;
	if (l->pid)
		callers_forget(c->callers, l->id);
	l->live = false;
	c->n_live--;
	if (l->parent)
		life_unpin_locked(c, l->parent);
}

void life_unpin_locked(struct container_cache *c, struct life *l)
{
	if (--l->pins == 0 && l->live)
		retire(c, l);
}

void life_unref_locked(struct container_cache *c, struct life *l)
{
	while (l && --l->refs == 0) {
		struct life *parent = l->parent;
		struct life **link = bucket_of(c, l->id);

		while (*link && *link != l)
			link = &(*link)->next;
		if (*link)
			*link = l->next;
		if (l->owner)
			owner_unref(c, l->owner);
		free_life(l);
		l = parent;
	}
}

void life_put(struct container_cache *c, struct life *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&c->lock);
	life_unpin_locked(c, l);
	life_unref_locked(c, l);
	pthread_mutex_unlock(&c->lock);
}

bool life_try_pin(struct container_cache *c, struct life *l)
{
	bool live;

	pthread_mutex_lock(&c->lock);
	live = l->live;
	if (live) {
		l->refs++;
		life_pin_locked(l);
	}
	pthread_mutex_unlock(&c->lock);
	return live;
}

/* --- finding and making --------------------------------------------------------------------- */

static bool find_live(struct container_cache *c, uint64_t id, dev_t dev, struct life **ret)
{
	struct life *l;

	pthread_mutex_lock(&c->lock);
	for (l = *bucket_of(c, id); l; l = l->next)
		if (l->id == id && l->dev == dev && l->live && !l->dead)
			break;
	if (l) {
		l->refs++;
		life_pin_locked(l);
		*ret = l;
	}
	pthread_mutex_unlock(&c->lock);
	return l != NULL;
}

/* Puts a new life among the others, or gives its descriptors to the same one if that was known
 * already: two threads may have looked at once, and handles keep lives that have no key. Owns
 * `fresh`. */
static struct life *admit(struct container_cache *c, struct life *fresh, int *watch_fd, int *ns_fd)
{
	struct life **bucket = bucket_of(c, fresh->id);
	struct life *l;

	pthread_mutex_lock(&c->lock);
	for (l = *bucket; l && (l->dead || !same_life(l, fresh)); l = l->next)
		;
	if (l) {
		if (fresh->owner)
			owner_unref(c, fresh->owner);
		free_life(fresh);
	} else {
		l = fresh;
		l->next = *bucket;
		*bucket = l;
		if (l->parent)
			l->parent->refs++;
	}
	l->refs++;
	life_pin_locked(l);
	if (!l->live)
		go_live(c, l, watch_fd, ns_fd);
	pthread_mutex_unlock(&c->lock);
	return l;
}

/* Room for two more descriptors. */
static int make_room(struct container_cache *c)
{
	for (;;) {
		bool full;

		pthread_mutex_lock(&c->lock);
		full = c->n_live >= c->config.max_records;
		pthread_mutex_unlock(&c->lock);
		if (!full)
			return 0;
		if (!keys_evict_one(c)) {
			log_limited("container-records",
				"%u containers are being answered at once, which is all that the "
				"limit of open files allows; raise it (LimitNOFILE=)",
				c->config.max_records);
			return -ENFILE;
		}
	}
}

static int new_init_life(struct container_cache *c, uint64_t pid_ns, pid_t pid, struct life *parent,
	struct life **ret)
{
	struct life *l = new_life(pid_ns);
	int r;

	if (!l)
		return -ENOMEM;
	l->pid = pid;
	l->parent = parent;
	r = proc_start(c->config.root, pid, &l->start_ticks);
	if (r == 0) {
		l->start_ns = proc_ticks_to_ns(l->start_ticks);
		r = proc_boottime_offset(c->config.root, pid, &l->boottime_offset_s);
	}
	if (r == 0) {
		pthread_mutex_lock(&c->lock);
		l->owner = parent ? owner_ref(parent->owner)
				  : owner_get(c, l->start_ticks, (uint64_t)pid);
		pthread_mutex_unlock(&c->lock);
		if (!l->owner)
			r = -ENOMEM;
	}
	if (r < 0)
		free_life(l);
	else
		*ret = l;
	return r;
}

static int life_of_ns_fd(
	struct container_cache *c, int *ns_fd, uint64_t pid_ns, pid_t member, struct life **ret);

/* NULL where the parent pid namespace is the daemon's. */
static int find_parent(struct container_cache *c, int ns_fd, pid_t init, struct life **ret)
{
	autoclose int fd = -1;
	uint64_t ns;
	int r = initpid_parent_ns(ns_fd, &fd, &ns);

	if (r < 0)
		return r;
	if (ns == c->pid_ns) {
		*ret = NULL;
		return 0;
	}
	if (find_live(c, ns, 0, ret))
		return 0;
	return life_of_ns_fd(c, &fd, ns, init, ret);
}

/* Recursion is bounded by the kernel: 32 pid namespaces nest at most. */
static int life_of_ns_fd(
	struct container_cache *c, int *ns_fd, uint64_t pid_ns, pid_t member, struct life **ret)
{
	struct life *parent = NULL, *fresh;
	autoclose int pidfd = -1;
	pid_t pid;
	int r = make_room(c);

	if (r == 0)
		r = initpid_find(
			c->config.root, *ns_fd, pid_ns, member, c->config.no_ioctl, &pid, &pidfd);
	if (r == 0)
		r = find_parent(c, *ns_fd, pid, &parent);
	if (r == 0)
		r = new_init_life(c, pid_ns, pid, parent, &fresh);
	if (r == 0)
		*ret = admit(c, fresh, &pidfd, ns_fd);
	life_put(c, parent);
	return r;
}

int life_of_pid_ns(struct container_cache *c, pid_t tid, uint64_t pid_ns, struct life **ret)
{
	struct proc_path path = proc_path(tid, "ns/pid");
	autoclose int ns_fd = -1;
	struct stat st;

	if (find_live(c, pid_ns, 0, ret))
		return 0;
	ns_fd = openat(c->config.root->proc, path.s, O_RDONLY | O_CLOEXEC);
	if (ns_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (fstat(ns_fd, &st) < 0)
		return -errno;
	/* Another process by now: a pid namespace is never left. */
	if (st.st_ino != pid_ns)
		return -ESRCH;
	return life_of_ns_fd(c, &ns_fd, pid_ns, tid, ret);
}

/* cgroup.events of the unified hierarchy; -1 where only v1 knows the container. */
static int open_events(struct container_cache *c, const struct cgroup_paths *paths)
{
	const struct cgroup_layout *layout = c->config.layout;
	const char *path;
	char name[PATH_MAX];

	if (layout->unified < 0)
		return -1;
	path = cgroup_path_below(&layout->hierarchy[layout->unified], paths->path[layout->unified]);
	if (!path || (size_t)snprintf(name, sizeof(name), "%s/cgroup.events", path) >= sizeof(name))
		return -1;
	return openat(layout->hierarchy[layout->unified].dirfd, name, O_RDONLY | O_CLOEXEC);
}

int life_of_cgroup(struct container_cache *c, const struct cgroup_set *set,
	const struct cgroup_paths *paths, pid_t caller, struct owner *owner, struct life **ret)
{
	autoclose int events = -1, none = -1;
	struct life *l;
	dev_t dev;
	ino_t ino;
	int r;

	if (!cgroup_set_identity(set, &dev, &ino))
		return -ENODEV;
	if (find_live(c, ino, dev, ret))
		return 0;
	r = make_room(c);
	if (r < 0)
		return r;
	l = new_life(ino);
	if (!l)
		return -ENOMEM;
	l->dev = dev;
	r = start_of_cgroup(c, set, paths, caller, owner->use, &l->start_ns);
	if (r < 0) {
		free_life(l);
		return r;
	}
	events = open_events(c, paths);
	pthread_mutex_lock(&c->lock);
	l->owner = owner_ref(owner);
	pthread_mutex_unlock(&c->lock);
	*ret = admit(c, l, &events, &none);
	return 0;
}

int life_of_host(struct container_cache *c, struct life **ret)
{
	struct life *l = new_life(0);
	int none = -1;

	if (!l)
		return -ENOMEM;
	*ret = admit(c, l, &none, &none);
	return 0;
}

/* --- looking at init again (2.7) ------------------------------------------------------------ */

static int read_seen(struct container_cache *c, const struct life *l, struct life_seen *ret)
{
	const struct root *root = c->config.root;
	uint64_t parent_ns = 0;
	int r = proc_text(root, l->pid, "cgroup", CGROUP_TEXT_MAX, &ret->cgroup);

	if (r < 0)
		return r;
	r = proc_ns(root, l->pid, "ns/cgroup", &ret->cgroup_ns);
	if (is_shortage(r))
		return r;
	if (r < 0)
		ret->cgroup_ns = 0;
	/* Where the machine's PID 1 cannot be looked at, its namespace is taken to be ours. */
	r = proc_ns(root, l->parent ? l->parent->pid : 1, "ns/cgroup", &parent_ns);
	if (is_shortage(r))
		return r;
	if (r < 0)
		parent_ns = c->cgroup_ns;
	ret->short_keys = ret->cgroup_ns != 0 && ret->cgroup_ns != c->cgroup_ns &&
		ret->cgroup_ns != parent_ns;
	if (ret->short_keys || proc_ns(root, l->pid, "ns/mnt", &ret->mnt_ns) < 0)
		ret->mnt_ns = 0;
	return initpid_ended(l->watch_fd) ? -ESRCH : 0;
}

static bool same_seen(const struct life_seen *a, const struct life_seen *b)
{
	return a->cgroup_ns == b->cgroup_ns && a->short_keys == b->short_keys &&
		slice_same(slice_of(&a->cgroup), slice_of(&b->cgroup));
}

/* With l->lock held. */
static bool is_news(const struct life *l, const struct life_seen *now)
{
	return l->seen.generation == 0 || !same_seen(&l->seen, now);
}

/* Takes the text of `now` where it is news. Not of an init whose first thread has ended, or is
 * about to: nothing can be told of it then, and other threads may live for long. */
static int note_seen(struct container_cache *c, struct life *l, struct life_seen *now)
{
	bool news, known;
	int r;

	pthread_mutex_lock(&l->lock);
	news = is_news(l, now);
	known = l->seen.generation != 0;
	pthread_mutex_unlock(&l->lock);
	if (!news)
		return 0;
	r = proc_is_exiting(c->config.root, l->pid);
	if (is_shortage(r))
		return r;
	if (r != 0 && known)
		return 0;
	if (r != 0)
		return r < 0 ? r : -ESRCH; /* too late to find out */
	pthread_mutex_lock(&l->lock);
	if (is_news(l, now)) {
		struct life_seen old = l->seen;

		now->generation = old.generation + 1;
		l->seen = *now;
		atomic_store(&l->generation, now->generation);
		*now = old;
	}
	pthread_mutex_unlock(&l->lock);
	return 0;
}

int life_look(struct container_cache *c, struct life *l)
{
	struct life_seen now = { 0 };
	int r = read_seen(c, l, &now);

	if (r == 0) {
		/* Nothing can be told of it when its first thread has ended: the others stay there.
		 */
		if (now.mnt_ns != 0 || now.short_keys)
			atomic_store(&l->mnt_ns, now.mnt_ns);
		r = note_seen(c, l, &now);
	}
	if (r == 0) {
		atomic_store(&l->checked_ns, clock_monotonic_ns());
	} else if (r == -ESRCH) {
		pthread_mutex_lock(&c->lock);
		l->dead = true;
		pthread_mutex_unlock(&c->lock);
		keys_drop_life(c, l);
		watch_sweep_soon(c->watch);
	}
	life_seen_free(&now);
	return r;
}

int life_seen_copy(struct life *l, struct life_seen *ret)
{
	struct life_seen copy = { 0 };

	pthread_mutex_lock(&l->lock);
	copy.generation = l->seen.generation;
	copy.cgroup_ns = l->seen.cgroup_ns;
	copy.short_keys = l->seen.short_keys;
	text_add(&copy.cgroup, l->seen.cgroup.data, l->seen.cgroup.len);
	pthread_mutex_unlock(&l->lock);
	if (text_error(&copy.cgroup) < 0) {
		life_seen_free(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}
