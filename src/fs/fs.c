/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes and unmakes the state behind a session, and the buffers of its threads.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A file of a machine with thousands of CPUs leaves no such buffer behind. */
#define SCRATCH_KEEP (1u << 20)

static void scratch_free(void *p)
{
	struct scratch *s = p;

	text_free(&s->content);
	text_free(&s->reply);
	shared_free(&s->shared);
	ahead_free(&s->ahead);
	free(s);
}

static void reuse(struct text *t)
{
	if (t->capacity > SCRATCH_KEEP)
		text_free(t);
	text_reset(t);
}

struct scratch *fs_scratch(struct fs *fs)
{
	struct scratch *s = pthread_getspecific(fs->scratch);

	if (s) {
		reuse(&s->content);
		reuse(&s->reply);
		return s;
	}
	s = calloc(1, sizeof(*s));
	if (s && pthread_setspecific(fs->scratch, s) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

int fs_new(const struct fs_config *config, struct fs **ret)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int e;

	if (!fs)
		return -ENOMEM;
	e = -pthread_key_create(&fs->scratch, scratch_free);
	if (e < 0) {
		free(fs);
		return e;
	}
	fs->config = *config;
	fs->user_hz = (unsigned)sysconf(_SC_CLK_TCK);
	fs->page_size = (unsigned)sysconf(_SC_PAGESIZE);
	e = tree_new(config->handover, config->root, &fs->tree);
	if (e == 0)
		e = handles_new(config->handover, config->slab, config->uses, &fs->handles);
	if (e == 0)
		e = attr_init(fs);
	if (e == 0)
		e = splice_init(fs);
	if (e == 0 && config->options->enable_psi_poll)
		e = triggers_new(fs, config->max_triggers, &fs->triggers);
	if (e < 0) {
		fs_free(fs);
		return e;
	}
	*ret = fs;
	return 0;
}

int fs_attach(struct fs *fs, struct fuse_session *session)
{
	fs->session = session;
	return fs->triggers ? triggers_start(fs->triggers) : 0;
}

int fs_path(const struct fs *fs, uint64_t number, char *ret, size_t size)
{
	return tree_path(fs->tree, number, ret, size);
}

void fs_free(struct fs *fs)
{
	struct scratch *mine;

	if (!fs)
		return;
	mine = pthread_getspecific(fs->scratch);
	if (mine)
		scratch_free(mine);
	pthread_key_delete(fs->scratch);
	triggers_free(fs->triggers);
	handles_free(fs->handles);
	tree_free(fs->tree);
	free(fs->registered);
	free(fs->sized);
	free(fs);
}
