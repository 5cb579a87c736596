/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ring of descriptors and the thread that empties it.
 */
#include "closing.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "slow.h"
#include "thread.h"

struct closing {
	closed_fn then;
	void *data;
	unsigned max;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool started, stop;
	unsigned first, n;
	struct closed *ring; /* `max` of them, touched where used */
};

static void close_one(const struct closing *c, const struct closed *closed)
{
	if (closed->fd >= 0)
		close(closed->fd);
	c->then(c->data, closed);
}

static bool put(struct closing *c, const struct closed *closed)
{
	bool room;

	pthread_mutex_lock(&c->lock);
	room = c->started && c->n < c->max;
	if (room) {
		c->ring[(c->first + c->n++) % c->max] = *closed;
		pthread_cond_signal(&c->wake);
	}
	pthread_mutex_unlock(&c->lock);
	return room;
}

void closing_take(struct closing *c, const struct closed *closed)
{
	if (put(c, closed))
		return;
	slow_ahead();
	close_one(c, closed);
}

/* Waits for one; false when there will be none any more. */
static bool get(struct closing *c, struct closed *ret)
{
	bool got;

	pthread_mutex_lock(&c->lock);
	while (c->n == 0 && !c->stop)
		pthread_cond_wait(&c->wake, &c->lock);
	got = c->n > 0;
	if (got) {
		*ret = c->ring[c->first];
		c->n--;
		c->first = c->n == 0 ? 0 : (c->first + 1) % c->max;
	}
	pthread_mutex_unlock(&c->lock);
	return got;
}

static void *run(void *data)
{
	struct closing *c = data;
	struct closed closed;

	while (get(c, &closed))
		close_one(c, &closed);
	return NULL;
}

int closing_new(unsigned max, closed_fn then, void *data, struct closing **ret)
{
	struct closing *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->ring = calloc(max, sizeof(*c->ring));
	if (!c->ring) {
		free(c);
		return -ENOMEM;
	}
	c->then = then;
	c->data = data;
	c->max = max;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	*ret = c;
	return 0;
}

int closing_start(struct closing *c)
{
	int e = thread_start(&c->thread, "lxcfs-closing", run, c);

	if (e < 0)
		return e;
	pthread_mutex_lock(&c->lock);
	c->started = true;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static void stop(struct closing *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
}

void closing_free(struct closing *c)
{
	if (!c)
		return;
	if (c->started)
		stop(c);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c->ring);
	free(c);
}
