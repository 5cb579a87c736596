/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ages, references and refreshing of snapshots, and the files behind them. Knows no file's format.
 */
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "formats.h"
#include "slow.h"

void host_put(const void *snapshot)
{
	struct host_snapshot *s = (struct host_snapshot *)snapshot;

	if (s && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
		s->destroy(s);
}

void host_cache_init(struct host_cache *c, struct host *host, const struct host_kind *kind)
{
	*c = (struct host_cache){ .host = host, .kind = kind };
	for (unsigned i = 0; i < HOST_FILES; i++)
		c->files[i].fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->refreshed, NULL);
}

void host_cache_destroy(struct host_cache *c)
{
	host_put(c->latest);
	for (unsigned i = 0; i < HOST_FILES; i++)
		cleanup_close(&c->files[i].fd);
	pthread_cond_destroy(&c->refreshed);
	pthread_mutex_destroy(&c->lock);
}

/* The latest one if it may be used now, with a reference; else NULL. Under the lock. */
static struct host_snapshot *usable(struct host_cache *c, uint64_t now_ns)
{
	struct host_snapshot *s = c->latest;
	uint64_t bound = c->kind->max_age_ns + (c->refreshing ? HOST_GRACE_NS : 0);

	if (!s || sat_sub(now_ns, s->made_ns) > bound)
		return NULL;
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

/* A usable snapshot, waiting for another thread's refresh where there is one. NULL in `ret`: the
 * caller is the refresher now. 0, or -EAGAIN of slow_ahead(). */
static int use_or_claim(struct host_cache *c, uint64_t now_ns, struct host_snapshot **ret)
{
	struct host_snapshot *s;
	bool told = false;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	while (!(s = usable(c, now_ns)) && c->refreshing && r == 0) {
		if (told) {
			pthread_cond_wait(&c->refreshed, &c->lock);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		r = slow_ahead();
		told = true;
		pthread_mutex_lock(&c->lock);
	}
	if (s)
		r = 0;
	else if (r == 0)
		c->refreshing = true;
	pthread_mutex_unlock(&c->lock);
	*ret = s;
	return r;
}

/* The refresher is done, `fresh` being NULL when it failed. */
static void publish(struct host_cache *c, struct host_snapshot *fresh)
{
	struct host_snapshot *old = NULL;

	pthread_mutex_lock(&c->lock);
	if (fresh) {
		old = c->latest;
		c->latest = fresh;
	}
	c->refreshing = false;
	pthread_cond_broadcast(&c->refreshed);
	pthread_mutex_unlock(&c->lock);
	host_put(old);
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot **ret)
{
	struct host_snapshot *s = calloc(1, c->kind->size);
	int r;

	if (!s)
		return -ENOMEM;
	s->destroy = c->kind->destroy;
	/* As of the request's begin: taken for older than it is, never for younger. */
	s->made_ns = now_ns;
	s->refs = 2; /* the cache's and the caller's */
	r = c->kind->load(c, now_ns, s);
	if (r < 0) {
		s->destroy(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* `s` stays NULL where it fails. */
static int refresh(struct host_cache *c, uint64_t now_ns, struct host_snapshot **s)
{
	uint64_t began_ns;
	int r = c->quick ? 0 : slow_ahead();

	if (r < 0)
		return r;
	began_ns = clock_monotonic_ns();
	r = load(c, now_ns, s);
	c->quick = clock_monotonic_ns() - began_ns <= SLOW_NS;
	return r;
}

int host_cache_get(struct host_cache *c, uint64_t now_ns, const struct host_snapshot **ret)
{
	struct host_snapshot *s;
	int r = use_or_claim(c, now_ns, &s);

	if (r == 0 && !s) {
		r = refresh(c, now_ns, &s);
		publish(c, s);
	}
	if (r == 0)
		*ret = s;
	return r;
}

void host_cache_expire(struct host_cache *c, const struct host_snapshot *s)
{
	struct host_snapshot *old = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->latest == s)
		old = steal_ptr(&c->latest);
	pthread_mutex_unlock(&c->lock);
	host_put(old);
}

/* Which directory of the root a path starts in, which is then cut off; -1: in none. */
static int directory_of(const struct root *root, const char **path)
{
	const struct {
		const char *prefix;
		int fd;
	} directories[] = { { "proc/", root->proc }, { "sys/", root->sys } };

	for (size_t i = 0; i < countof(directories); i++) {
		size_t n = strlen(directories[i].prefix);

		if (strncmp(*path, directories[i].prefix, n) != 0)
			continue;
		*path += n;
		return directories[i].fd;
	}
	return -1;
}

static int open_kept(const struct root *root, const char *path)
{
	int dir = directory_of(root, &path);
	int fd = dir < 0 ? -1 : openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (dir < 0)
		return -ENOENT;
	return fd < 0 ? -errno : fd;
}

int host_cache_read_by(
	struct host_cache *c, unsigned i, int (*read)(int fd, struct text *t), struct text *t)
{
	struct host_kept *f = &c->files[i];
	const size_t before = t->len;
	int r;

	if (f->fd < 0) {
		r = open_kept(c->host->root, c->kind->files[i]);
		if (r < 0)
			return r;
		f->fd = r;
	}
	/* One byte more, so that a file of the same size still ends in a short read. */
	text_reserve(t, f->size + 1);
	r = read(f->fd, t);
	f->size = r == 0 ? t->len - before : 0;
	if (r < 0) {
		cleanup_close(&f->fd);
		f->fd = -1;
	}
	return r;
}

int host_cache_read(struct host_cache *c, unsigned i, struct text *t)
{
	return host_cache_read_by(c, i, c->kind->iterated ? read_fd : read_fd_once, t);
}

int host_file(struct host *h, const char *path, struct text *t)
{
	int dir = directory_of(h->root, &path);

	return dir < 0 ? -ENOENT : read_file_at(dir, path, t);
}

int host_has(const struct root *root, const char *path)
{
	int dir = directory_of(root, &path);

	if (dir < 0 || faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return is_shortage(-errno) ? -errno : errno != ENOENT;
}

size_t host_count_lines(struct slice text)
{
	struct slice line;
	size_t n = 0;

	while (slice_line(&text, &line))
		n++;
	return n;
}

int host_new(const struct root *root, struct host **ret)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->root = root;
	host_set_compat32(h, HOST_HAS_COMPAT32 ? host_read_compat32 : NULL);
	host_cache_init(&h->cpuinfo, h, &host_kind_cpuinfo);
	host_cache_init(&h->cpuinfo32, h, &host_kind_cpuinfo32);
	host_cache_init(&h->stat, h, &host_kind_stat);
	host_cache_init(&h->meminfo, h, &host_kind_meminfo);
	host_cache_init(&h->hugepages, h, &host_kind_hugepages);
	host_cache_init(&h->swaps, h, &host_kind_swaps);
	host_cache_init(&h->slabinfo, h, &host_kind_slabinfo);
	host_cache_init(&h->diskstats, h, &host_kind_diskstats);
	host_cache_init(&h->cpus, h, &host_kind_cpus);
	for (unsigned i = 0; i < PRESSURES; i++)
		host_cache_init(&h->pressure[i], h, &host_kind_pressure[i]);
	*ret = h;
	return 0;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	host_cache_destroy(&h->cpuinfo);
	host_cache_destroy(&h->cpuinfo32);
	host_cache_destroy(&h->stat);
	host_cache_destroy(&h->meminfo);
	host_cache_destroy(&h->hugepages);
	host_cache_destroy(&h->swaps);
	host_cache_destroy(&h->slabinfo);
	host_cache_destroy(&h->diskstats);
	host_cache_destroy(&h->cpus);
	for (unsigned i = 0; i < PRESSURES; i++)
		host_cache_destroy(&h->pressure[i]);
	free(h);
}
