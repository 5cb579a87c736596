/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a handle to what its container is shown: asks the view or passes the host's bytes, and
 * keeps the answer as the handle's snapshot.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>

#include "clock.h"
#include "listing.h"
#include "slow.h"
#include "sysdir.h"

struct question;

/* Appends the answer. -ENODEV: a cgroup vanished, find the container again. */
typedef int (*answer_fn)(struct fs *fs, const struct view_args *args, const struct question *q);

struct question {
	uint64_t fh;
	const struct node *node;
	struct scratch *scratch;
	struct text *out;  /* its content */
	bool pass_through; /* the kernel's bytes (SIGUSR2) */
	answer_fn answer;
};

static struct question question_of(const struct fs *fs, uint64_t fh, const struct node *node,
	struct scratch *s, answer_fn answer)
{
	return (struct question){
		.fh = fh,
		.node = node,
		.scratch = s,
		.out = &s->content,
		.pass_through = atomic_load(&fs->config.handover->pass_through) != 0,
		.answer = answer,
	};
}

/* SPEC 4: the bind's source decides, else the command line. */
static bool follows_quota(const struct fs *fs, const struct node *node)
{
	return node->policy == TREE_DEFAULT ? fs->config.options->enable_cfs
					    : node->policy == TREE_QUOTA;
}

static int ask_once(
	struct fs *fs, struct container *c, const struct handle_info *info, void *question)
{
	const struct question *q = question;
	const struct fs_config *config = &fs->config;
	const struct view_args args = {
		.options = config->options,
		.host = config->host,
		.layout = config->layout,
		.accounts = config->accounts,
		.load = config->load,
		.subject = &c->subject,
		.now_ns = clock_boottime_ns(),
		.user_hz = fs->user_hz,
		.page_size = fs->page_size,
		.quota = follows_quota(fs, q->node),
		.compat32 = info->flags & HANDOVER_COMPAT32,
		.pass_through = q->pass_through,
	};

	text_reset(q->out);
	return q->answer(fs, &args, q);
}

static int keep(struct fs *fs, uint64_t fh, const struct text *t)
{
	int e = text_error(t);

	return e < 0 ? e : handles_store(fs->handles, fh, t, handover_my_slot());
}

/* --- files ------------------------------------------------------------------------------- */

static int answer_view(struct fs *fs, const struct view_args *args, const struct question *q)
{
	(void)fs;
	return view_render(q->node->view, args, q->out);
}

static struct shared_key key_of(
	const struct container *c, const struct handle_info *info, const struct question *q)
{
	return (struct shared_key){ container_number(c), q->node->number, info->flags,
		q->pass_through };
}

static struct ahead_question question_now(const struct fs *fs, const struct container *c,
	const struct handle_info *info, const struct question *q)
{
	return (struct ahead_question){
		.fh = q->fh,
		.key = key_of(c, info, q),
		.told = atomic_load(&fs->told),
		.at_ns = clock_monotonic_ns(),
	};
}

static bool was_made_ahead(struct fs *fs, const struct container *c, const struct handle_info *info,
	const struct question *q)
{
	struct ahead *ahead = &q->scratch->ahead;
	struct ahead_question now;

	if (!ahead_has(ahead, q->fh))
		return false;
	now = question_now(fs, c, info, q);
	return ahead_take(ahead, &now, q->out);
}

/* The same, or what another reader was told since this one asked, or what was made for it. */
static int tell_view(
	struct fs *fs, struct container *c, const struct handle_info *info, void *question)
{
	const struct question *q = question;
	struct shared_text *shared = &q->scratch->shared;
	const struct shared_key key = key_of(c, info, q);
	int e = 0;

	text_reset(q->out);
	if (shared_find(shared, &key, q->out))
		return 0;
	if (!was_made_ahead(fs, c, info, q)) {
		e = ask_once(fs, c, info, question);
		if (e == 0 && text_error(q->out) == 0)
			shared_keep(shared, q->out);
	}
	atomic_fetch_add(&fs->told, 1);
	return e;
}

static void make_ahead(
	struct fs *fs, struct container *c, const struct handle_info *info, struct question *q)
{
	const struct ahead_question made = question_now(fs, c, info, q);

	if (ask_once(fs, c, info, q) == 0 && text_error(q->out) == 0)
		ahead_keep(&q->scratch->ahead, &made, clock_monotonic_ns(), q->out);
}

bool content_ahead(struct fs *fs, uint64_t fh, const struct node *node, struct scratch *s)
{
	struct question q = question_of(fs, fh, node, s, answer_view);
	struct handle_info info;
	struct container *c;

	if (!ahead_due(&s->ahead) || handles_get(fs->handles, fh, &info, &c, NULL) < 0 || !c)
		return false;
	make_ahead(fs, c, &info, &q);
	container_unref(c);
	return true;
}

/* Some files of sysfs ask the hardware (scaling_cur_freq). */
static int pass_file(struct fs *fs, const struct node *node, struct text *ret)
{
	slow_ahead();
	return host_file(fs->config.host, node->path, ret);
}

int content_file(struct fs *fs, uint64_t fh, const struct node *node, struct scratch *s)
{
	struct question q = question_of(fs, fh, node, s, answer_view);
	int e = node->view ? bound_use(fs, fh, tell_view, &q) : pass_file(fs, node, &s->content);

	return e < 0 ? e : keep(fs, fh, &s->content);
}

/* --- directories ------------------------------------------------------------------------- */

static void list_registered(const struct fs *fs, const struct node *dir, struct text *ret)
{
	struct tree_entry entry;
	size_t position = 0;

	while (tree_next_entry(fs->tree, dir, &position, &entry))
		listing_add(ret, entry.number, tree_type(entry.view), entry.name);
}

static void list_dots(const struct fs *fs, const struct node *dir, struct text *ret)
{
	listing_add(ret, dir->number, DT_DIR, slice_str("."));
	listing_add(ret, tree_parent(fs->tree, dir), DT_DIR, slice_str(".."));
}

/* A machine without that directory in sysfs has the registry's entries alone. */
static int list_cpus(
	struct fs *fs, const struct node *dir, const struct cpumask *show, struct text *ret)
{
	int e = sysdir_list(fs->tree, fs->config.root, dir, show, ret);

	return e == -ESTALE && dir->view ? 0 : e;
}

static int answer_cpu_dir(struct fs *fs, const struct view_args *args, const struct question *q)
{
	struct cpumask visible;
	int e = args->pass_through ? 0 : view_visible_cpus(args, &visible);

	if (e < 0)
		return e;
	list_dots(fs, q->node, q->out);
	list_registered(fs, q->node, q->out);
	return list_cpus(fs, q->node, args->pass_through ? NULL : &visible, q->out);
}

/* Any directory that says the same to everybody. */
static int list_plain(struct fs *fs, const struct node *dir, struct text *ret)
{
	list_dots(fs, dir, ret);
	list_registered(fs, dir, ret);
	return tree_passes_through(dir) ? list_cpus(fs, dir, NULL, ret) : 0;
}

int content_dir(struct fs *fs, uint64_t fh, const struct node *node, struct scratch *s)
{
	struct question q = question_of(fs, fh, node, s, answer_cpu_dir);
	const bool per_container = node->view && node->view->kind == VIEW_CPU_DIR;
	int e = per_container ? bound_use(fs, fh, ask_once, &q) : list_plain(fs, node, &s->content);

	return e < 0 ? e : keep(fs, fh, &s->content);
}
