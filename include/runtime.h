/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What container runtimes call or read: the CDI spec and the OCI hook, both made from the registry,
 * so that what is served is what is bound. Nothing here talks to the daemon.
 */
#pragma once

#include "options.h"
#include "root.h"
#include "text.h"
#include "view.h"

/* lxcfs --cdi, --oci-hook and --oci-add-hook. The exit status; the hook's is always 0. */
int runtime_cdi(const struct options *options);
int runtime_oci_hook(const struct options *options);
int runtime_oci_add_hook(const struct options *options);

/* Whether a runtime binds this entry over the container's: files of proc one by one, directories of
 * proc and the one of CPUs as a whole. */
bool runtime_binds(const struct view *v);

/* Whether runc's list of names that may be mounted below /proc has it. */
bool runtime_runc_takes(const struct view *v);

/* Appends the CDI spec of what the kernel below `root` has, mounted at `dir`. 0 or -errno. */
int runtime_cdi_spec(const struct root *root, const char *dir, struct text *t);

/* What a hook must know of the container. Owned by the structure. */
struct oci_state {
	char *bundle;     /* NULL: not told */
	char *root;       /* crun alone tells it; NULL */
	const char *tree; /* below DIR: "", "quota" or "cpuset"; NULL: bind nothing */
	bool nested;      /* org.lxcfs.nested is "yes": runtimes inside get DIR itself */
	bool unknown;     /* org.lxcfs.view says something that is not known: as if it said "all" */
};

#define OCI_VIEW "org.lxcfs.view"
#define OCI_NESTED "org.lxcfs.nested"

/* From the JSON that a runtime writes to a hook's standard input. 0, -EINVAL or -ENOMEM. */
int oci_state_parse(struct slice json, struct oci_state *ret);
void oci_state_free(struct oci_state *s);

/* root.path of a bundle's config.json, to be freed. 0, -EINVAL or -ENOMEM. */
int oci_config_root(struct slice json, char **ret);

/* The text of a config.json with a createContainer hook added that runs `program --oci-hook dir`,
 * unless it has one of that program already (1, and nothing is appended). 0, 1, -EINVAL or
 * -ENOMEM. */
int oci_config_add_hook(struct slice json, const char *program, const char *dir, struct text *t);

/* Whether the mount of that number is in a peer group, as /proc/<pid>/mountinfo tells; true where
 * it does not tell. */
bool oci_mount_is_shared(struct slice mountinfo, uint64_t id);

/* Binds every entry of DIR/tree over its namesake in the container whose root is open at `rootfs`,
 * in the mount namespace that this process is in. A name that the container has not, or on which
 * something is mounted already, is left out; the container's links are never followed. Problems
 * are told on standard error, one a line. */
void oci_bind_all(int rootfs, const char *dir, const char *tree);

/* Binds DIR itself on the directory of that name in the container, if it has one on which nothing
 * is mounted. As above otherwise. */
void oci_bind_dir(int rootfs, const char *dir);
