/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts the parts together: the machine, the containers, the file system, the session, and the
 * threads around it. Nothing is ever taken apart again: the process ends as a whole.
 */
#include "worker.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "account.h"
#include "cgroup.h"
#include "cleanup.h"
#include "container.h"
#include "fs.h"
#include "host.h"
#include "load.h"
#include "log.h"
#include "loop.h"
#include "opener.h"
#include "parse.h"
#include "reply.h"
#include "report.h"
#include "root.h"
#include "sandbox.h"
#include "sanitized.h"
#include "slab.h"
#include "watch.h"

/* Those of a thousand containers that are read all the time; each may cost the kernel a page. */
#define CGROUP_FILES_MAX 8192u
#define RECORDS_MAX 65536u
#define CALLERS_MAX 256u

/* Everything that a request may need, for the life of the process. */
struct worker {
	const struct options *options;
	int opener; /* opener.h; negative: none */
	struct handover *handover;
	struct root root;
	struct cgroup_layout *layout;
	struct cgroup_tree *tree;
	struct host *host;
	struct slab *slab;
	struct uses *uses;
	struct account_store *accounts;
	struct container_cache *containers;
	struct load *load; /* NULL: --disable-loadavg */
	struct fs *fs;
	struct fuse_session *session;
	struct loop *loop;
};

/* Of the descriptors that we may have, a quarter each for records (two in each), cgroup files and
 * triggers, whose share goes to the files where there are none; of the rest callers have at
 * most a half, and everything else has what is left. */
static unsigned descriptor_share(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 256;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_limited("descriptors", "cannot use all descriptors that are allowed: %m");
	return (unsigned)min_u64(limit.rlim_max / 4, UINT64_C(2) * RECORDS_MAX);
}

static unsigned cgroup_files_max(const struct options *o, unsigned share)
{
	return (unsigned)min_u64(o->enable_psi_poll ? share : 2 * share, CGROUP_FILES_MAX);
}

static int look_at_machine(struct worker *w, unsigned share)
{
	int r = root_open("/", &w->root);

	if (r == 0)
		r = cgroup_layout_new(&w->root, &w->layout);
	if (r == 0)
		r = cgroup_tree_new(w->layout, cgroup_files_max(w->options, share), &w->tree);
	if (r == 0)
		r = host_new(&w->root, &w->host);
	return r;
}

static int take_over_load(struct worker *w)
{
	const struct load_config config = {
		.root = &w->root, .layout = w->layout, .accounts = w->accounts
	};

	return w->options->disable_loadavg ? 0 : load_new(&config, &w->load);
}

static int take_over(struct worker *w, unsigned share)
{
	struct handover *h = w->handover;
	struct container_config containers = { .root = &w->root,
		.tree = w->tree,
		.layout = w->layout,
		.max_records = share / 2,
		.max_callers = (unsigned)min_u64(share / 2, CALLERS_MAX) };
	struct fs_config fs = { .options = w->options,
		.root = &w->root,
		.host = w->host,
		.layout = w->layout,
		.handover = h,
		.max_triggers = share };
	int r = slab_new(h->pages, h->links, HANDOVER_PAGES, &w->slab);

	if (r == 0)
		r = uses_new(&w->uses);
	if (r == 0)
		r = account_store_new(
			h->accounts, HANDOVER_ACCOUNTS, w->slab, w->uses, &w->accounts);
	if (r < 0)
		return r;
	containers.accounts = w->accounts;
	containers.uses = w->uses;
	r = container_cache_new(&containers, &w->containers);
	if (r == 0)
		r = take_over_load(w);
	if (r < 0)
		return r;
	fs.containers = w->containers;
	fs.uses = w->uses;
	fs.accounts = w->accounts;
	fs.slab = w->slab;
	fs.load = w->load;
	r = fs_new(&fs, &w->fs);
	slab_adopted(w->slab);
	return r == 0 && w->load ? load_start(w->load) : r;
}

static int open_session(struct worker *w, int device)
{
	char name[] = "lxcfs", debug[] = "-odebug";
	char *argv[] = { name, debug, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(w->options->debug ? 2 : 1, argv);
	int r;

	w->session = fuse_session_new(&args, &fs_operations, sizeof(fs_operations), w->fs);
	fuse_opt_free_args(&args);
	if (!w->session)
		return -ENOMEM;
	r = fuse_session_custom_io(w->session, &reply_io, device);
	if (r == 0)
		r = fs_attach(w->fs, w->session);
	return r < 0 ? r : loop_replay_init(w->session, &w->handover->init);
}

/* Without triggers, or without pressure of cgroups, there is nothing to open. */
static int start_opener(struct worker *w)
{
	if (!w->options->enable_psi_poll)
		return 0;
	w->opener = opener_start(w->options);
	return w->opener == -ENOENT || w->opener >= 0 ? 0 : w->opener;
}

static int start(struct worker *w, const int *devices, unsigned n)
{
	const unsigned share = descriptor_share();
	int r = start_opener(w);

	if (r == 0)
		r = sandbox_enter(w->options, devices, n, w->opener);
	if (r == 0)
		r = look_at_machine(w, share);
	if (r == 0 && w->opener >= 0)
		cgroup_tree_set_writer(w->tree, opener_ask, &w->opener);
	if (r == 0)
		r = take_over(w, share);
	/* The first of its supervisor: those after it look at the same machine. */
	if (r == 0 && atomic_load(&w->handover->generation) == 0)
		report_log(&w->root, w->layout, container_sees_everybody(w->containers));
	if (r == 0)
		r = open_session(w, devices[0]);
	if (r == 0)
		r = loop_start(&(struct loop_config){ w->session, w->fs, w->handover, devices, n,
				       w->options->disable_polling },
			&w->loop);
	return r;
}

/* While one thing is short, another is a cause of its own. */
static void tell_no_start(int error)
{
	static const char causes[256];

	log_limited(&causes[(unsigned)error % countof(causes)],
		"the worker cannot start: %s: trying again", strerror(error));
}

void worker_run(
	const struct options *options, struct handover *handover, const int *devices, unsigned n)
{
	struct worker w = {
		.options = options, .opener = -1, .handover = handover, .root = ROOT_NONE
	};
	const bool patient = options->debug || SANITIZED;
	int r;

	watch_install();
	r = start(&w, devices, n);
	if (r < 0) {
		tell_no_start(-r);
		_exit(WORKER_EXIT_CANNOT_START);
	}
	watch_run(handover, w.loop, n, patient ? WATCH_LIMIT_PATIENT_S : WATCH_LIMIT_S);
}
