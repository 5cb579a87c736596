/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each served file says. A view is one line in view_registry.h and one source file with its
 * renderer: gather values from typed getters, compute, print. Views never see FUSE, never open
 * a file, never look at a clock and keep nothing between calls but what accounts hold for them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "account.h"
#include "cgroup.h"
#include "host.h"
#include "options.h"
#include "text.h"
#include "view_registry.h"

/* What a view may know of the container that asks. */
struct subject {
	struct cgroup_set *cgroups; /* NULL only together with is_host */
	bool is_host;               /* its cgroup is the root in every hierarchy */
	uint64_t start_ns; /* CLOCK_BOOTTIME of init's start, or of the oldest process (7) */
	int64_t boottime_offset_s; /* of its time namespace: added to CLOCK_BOOTTIME inside */
	struct account_key account;
	struct use *use; /* what its outermost container is charged in; NULL: not limited (the host)
			  */
	/* Set by view_render() when a file was rendered from the cgroup: from then on the host's
	 * values are refused (SPEC 3). Bits are node numbers. */
	_Atomic uint64_t *virtualised; /* may be NULL */
};

struct load; /* load.h */

struct view_args {
	const struct options *options;
	struct host *host;
	const struct cgroup_layout *layout;
	struct account_store *accounts; /* may be NULL: no memory */
	struct load *load;              /* NULL: nobody is sampled (--disable-loadavg) */
	const struct subject *subject;
	uint64_t now_ns;  /* CLOCK_BOOTTIME */
	unsigned user_hz; /* sysconf(_SC_CLK_TCK) */
	unsigned page_size;
	bool quota;        /* the CPU count follows the quota (--enable-cfs) */
	bool compat32;     /* the caller is a 32-bit task (arm64) */
	bool pass_through; /* the admin wants the kernel's own files everywhere (SIGUSR2); known to
			      view_render() and listings, not to renderers */
};

enum view_kind {
	VIEW_FILE,    /* rendered */
	VIEW_DIR,     /* holds entries of the registry and nothing else */
	VIEW_CPU_DIR, /* the kernel's directory passed through, with the registry's entries on top
		       */
};

/* The registry's numbers are below; what fs/ adds to them is a multiple. */
#define VIEW_NODES UINT64_C(0x10000)

struct view {
	uint64_t node;    /* never changed, never reused: containers' binds outlive the binary */
	const char *path; /* below the mount, and below "/" on the host: "proc/meminfo" */
	enum view_kind kind;
	mode_t mode; /* where the host's own file cannot be asked */
	unsigned
		needs; /* CGROUP_BITs: with none of them on this machine the kernel's file passes */
	bool follows_init; /* rendered even for a container that is_host (uptime) */
	int (*render)(const struct view_args *a, struct text *t);
	const char *says; /* one line for people */
};

extern const struct view view_registry[];
extern const size_t view_count;

/* The entry with this number or path; NULL. */
const struct view *view_by_node(uint64_t node);
const struct view *view_by_path(const char *path);

/* A renderer's answers besides 0 and -errno: "for this container the kernel's own file is right",
 * and "this text is made of the host's values, for the container has none". */
#define VIEW_KERNELS_OWN 1
#define VIEW_OF_HOST 2

/*
 * Appends the whole file. Decides between rendering and the kernel's bytes (SPEC 2.4, 3). 0;
 * -ENODEV when a cgroup vanished (find the container again, once); -EIO for a container that was
 * virtualised and now would get the host's; -errno. The text is not to be used after an error.
 */
int view_render(const struct view *v, const struct view_args *a, struct text *t);

/* Section 4: the CPUs this caller sees, in every file and listing alike. Every CPU of the host for
 * a subject that is_host. 0 or -errno. */
int view_visible_cpus(const struct view_args *a, struct cpumask *ret);

/* True for the files of proc/pressure, which alone are open for writing (SPEC 12). */
bool view_pressure(const struct view *v, enum pressure *ret);

/* A renderer for each file of view_registry.h. */
#define VIEW_DECLARE_DIR(node, path, kind, says)
#define VIEW_DECLARE_FILE(node, path, mode, needs, follows_init, render, says)                     \
	int render(const struct view_args *a, struct text *t);
VIEW_REGISTRY(VIEW_DECLARE_DIR, VIEW_DECLARE_FILE)
#undef VIEW_DECLARE_DIR
#undef VIEW_DECLARE_FILE
