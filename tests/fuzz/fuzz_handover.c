/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory that a worker takes over, damaged or left in the middle of a change: whatever it says,
 * what is taken over of it is whole, stays as it is while it is used, and is found again by the
 * worker after that one. How an input says what is in it: handover_area.h. Its second byte: how
 * many devices there are, and two things that cost so much that most inputs do without them.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "handover_worker.h"
#include "machine.h"

#define TRIGGERS 4u

/* --- the machine, which stays ---------------------------------------------------------------- */

static const struct root *root;
static struct cgroup_layout *layout;
struct uses *uses;
struct container_cache *containers;
struct container *whose;

static void be_quiet(enum fuse_log_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
}

static void start_machine(void)
{
	struct container_config config = { .max_records = 64, .max_callers = 8, .no_ioctl = true };

	root = config.root = machine_root(machine_get(MACHINE_V2));
	FUZZ_ASSERT(cgroup_layout_new(root, &layout) == 0);
	FUZZ_ASSERT(cgroup_tree_new(layout, 16, &config.tree) == 0);
	FUZZ_ASSERT(uses_new(&uses) == 0);
	config.layout = layout;
	config.uses = uses;
	FUZZ_ASSERT(container_cache_new(&config, &containers) == 0);
	FUZZ_ASSERT(container_open(containers, MACHINE_PID, &whose) == 0);
	FUZZ_ASSERT(whose->subject.use);
	fuse_set_log_func(be_quiet);
}

/* --- a worker, as it starts ------------------------------------------------------------------ */

/* In the order of worker.c and loop.c. */
static void worker_start(struct worker *w, struct handover *h, unsigned options)
{
	struct load_config load = { .root = root, .layout = layout };

	*w = (struct worker){ .h = h, .options = options, .devices = 1 + options % HANDOVER_SLOTS };
	FUZZ_ASSERT(slab_new(h->pages, h->links, AREA_PAGES, &w->slab) == 0);
	FUZZ_ASSERT(
		account_store_new(h->accounts, AREA_ACCOUNTS, w->slab, uses, &w->accounts) == 0);
	load.accounts = w->accounts;
	FUZZ_ASSERT(load_new(&load, &w->load) == 0);
	FUZZ_ASSERT(tree_new(h, root, &w->fs.tree) == 0);
	FUZZ_ASSERT(handles_new(h, w->slab, uses, &w->fs.handles) == 0);
	if (options & WITH_TRIGGERS)
		FUZZ_ASSERT(triggers_new(&w->fs, TRIGGERS, &w->fs.triggers) == 0);
	slab_adopted(w->slab);
	FUZZ_ASSERT(backlog_new(h, w->devices, &w->backlog) == 0);
}

static void worker_end(struct worker *w)
{
	backlog_free(w->backlog);
	triggers_free(w->fs.triggers);
	handles_free(w->fs.handles);
	tree_free(w->fs.tree);
	load_free(w->load);
	account_store_free(w->accounts);
	slab_free(w->slab);
	FUZZ_ASSERT(uses_count(uses) == 1 && whose->subject.use->handles == 0);
	FUZZ_ASSERT(whose->subject.use->pages == 0 && whose->subject.use->accounts == 0);
}

/* --- one worker after the other -------------------------------------------------------------- */

/* All that the first has found or changed is there for the second. */
static void hand_on(struct worker *w)
{
	const uint32_t used = slab_used(w->slab);
	const unsigned open = handles_count(w->fs.handles);

	check_pages(w);
	check_uses(w);
	worker_end(w);
	worker_start(w, w->h, w->options);
	FUZZ_ASSERT(slab_used(w->slab) == used && handles_count(w->fs.handles) == open);
	check_pages(w);
	check_uses(w);
}

static enum account_fate fate_of(const struct account_key *key, void *data)
{
	(void)data;
	return (enum account_fate)(key->init_start % 3);
}

static void serve(struct handover *h, unsigned options)
{
	struct open_handle old[HANDLES];
	struct worker w;
	unsigned n;

	worker_start(&w, h, options);
	check_pages(&w);
	check_uses(&w);
	n = load_handles(&w, old);
	use_handles(&w, old, n);
	use_accounts(&w);
	check_nodes(&w);
	use_requests(&w);
	if (options & WITH_ANOTHER)
		hand_on(&w);
	for (unsigned i = 0; i < n; i++)
		check_handle(&w, &old[i]);
	close_handles(&w, old, n);
	account_sweep(w.accounts, fate_of, NULL);
	check_pages(&w);
	check_uses(&w);
	worker_end(&w);
	handover_forget_connection(h);
	FUZZ_ASSERT(!handover_is_busy(h, HANDOVER_SLOTS) && h->init.reply_len == 0);
	for (uint32_t i = 0; i < handles_used(h); i++)
		FUZZ_ASSERT(h->handles[i].fh == 0);
}

/* --- inputs ---------------------------------------------------------------------------------- */

static void take(int fd, unsigned options)
{
	struct handover_init init;
	struct handover *h;
	bool fresh, pass;
	int memory, r;

	FUZZ_ASSERT(handover_peek_init(fd, &init) == handover_peek_pass_through(fd, &pass));
	r = handover_take(fd, &memory, &h, &fresh);
	if (r < 0) {
		FUZZ_ASSERT(r == -EINVAL || r == -ESTALE);
		close(fd);
		return;
	}
	FUZZ_ASSERT(h->magic == HANDOVER_MAGIC);
	FUZZ_ASSERT(fresh == (memory != fd));
	for (uint32_t i = 0; fresh && i < handles_used(h); i++)
		FUZZ_ASSERT(pages_of(h->handles[i].snapshot) == 0);
	FUZZ_ASSERT(memcmp(&h->init, &init, sizeof(init)) == 0);
	FUZZ_ASSERT(pass == (atomic_load(&h->pass_through) != 0));
	for (size_t i = 0; i < HANDOVER_SLOTS; i++)
		FUZZ_ASSERT(h->slots[i].ahead == HANDOVER_AHEAD_NO);
	replay_init(&init);
	serve(h, options);
	handover_free(h);
	close(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!whose) {
		start_machine();
		area_learn(root, whose);
	}
	if (size >= AREA_HEAD)
		take(area_new(data, size), data[1]);
	return 0;
}
