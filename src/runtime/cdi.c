/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CDI spec (Container Device Interface): for a runtime that injects by name what it is told in
 * a file of /etc/cdi. Lists nothing that this machine's kernel has not.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "json.h"
#include "runtime.h"

static bool add_string(json *to, const char *name, const char *value)
{
	return json_add(to, name, json_object_new_string(value));
}

/* The flags are the mount's own: a runtime that clears one in a user namespace is refused. Pressure
 * triggers are written, so it is not read-only where these may be. */
static json *mount_options(const struct view *v)
{
	json *all = json_object_new_array();
	bool ok = all && json_append(all, json_object_new_string("bind")) &&
		json_append(all, json_object_new_string("nosuid")) &&
		json_append(all, json_object_new_string("nodev")) &&
		json_append(all, json_object_new_string("noexec"));

	if (ok && strcmp(v->path, "proc/pressure") != 0)
		ok = json_append(all, json_object_new_string("ro"));
	if (ok)
		return all;
	json_object_put(all);
	return NULL;
}

static json *mount_json(const struct view *v, const char *dir, const char *tree)
{
	json *mount = json_object_new_object();
	autofree char *host = NULL;

	if (asprintf(&host, "%s/%s%s%s", dir, tree, *tree ? "/" : "", v->path) < 0)
		host = NULL; /* it may be anything */
	/* the second is the first's end, with its slash */
	if (host && add_string(mount, "hostPath", host) &&
		add_string(mount, "containerPath", host + strlen(host) - strlen(v->path) - 1) &&
		json_add(mount, "options", mount_options(v)))
		return mount;
	json_object_put(mount);
	return NULL;
}

struct device {
	const char *name;
	const char *tree;
	bool runc; /* only what runc takes */
};

/* What a spec is made of, and why it could not be made. */
struct maker {
	const struct root *root;
	const char *dir;
	int error;
};

static json *mounts_json(struct maker *m, const struct device *d)
{
	json *mounts = json_object_new_array();

	for (size_t i = 0; mounts && i < view_count; i++) {
		const struct view *v = &view_registry[i];
		int has;

		if (!runtime_binds(v) || (d->runc && !runtime_runc_takes(v)))
			continue;
		has = host_has(m->root, v->path);
		if (has == 0)
			continue;
		if (has < 0)
			m->error = has;
		if (has < 0 || !json_append(mounts, mount_json(v, m->dir, d->tree))) {
			json_object_put(mounts);
			return NULL;
		}
	}
	return mounts;
}

static json *device_json(struct maker *m, const struct device *d)
{
	json *device = json_object_new_object(), *edits = json_object_new_object();
	bool ok =
		json_add(edits, "mounts", mounts_json(m, d)) && add_string(device, "name", d->name);

	/* takes `edits` */
	if (ok && json_add(device, "containerEdits", steal_ptr(&edits)))
		return device;
	json_object_put(edits);
	json_object_put(device);
	return NULL;
}

static json *devices_json(struct maker *m)
{
	static const struct device devices[] = {
		{ "all", "", false },
		{ "runc", "", true },
		{ "quota", "quota", false },
		{ "quota-runc", "quota", true },
	};
	json *all = json_object_new_array();

	for (size_t i = 0; all && i < countof(devices); i++)
		if (!json_append(all, device_json(m, &devices[i]))) {
			json_object_put(all);
			return NULL;
		}
	return all;
}

int runtime_cdi_spec(const struct root *root, const char *dir, struct text *t)
{
	struct maker m = { root, dir, -ENOMEM };
	json *spec = json_object_new_object();
	const char *s = NULL;

	/* the oldest version that has all this, for readers are strict about newer ones */
	if (add_string(spec, "cdiVersion", "0.3.0") && add_string(spec, "kind", "lxcfs.org/view") &&
		json_add(spec, "devices", devices_json(&m)))
		s = json_object_to_json_string_ext(
			spec, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (s)
		text_printf(t, "%s\n", s);
	json_object_put(spec);
	return s ? text_error(t) : m.error;
}

int runtime_cdi(const struct options *options)
{
	struct root root = ROOT_NONE;
	autotext t = { 0 };
	int r;

	if (options->dir[0] != '/') {
		fprintf(stderr,
			"lxcfs: '%s' is not a whole path: --cdi needs one that starts with /\n",
			options->dir);
		return 2;
	}
	r = root_open("/", &root);
	if (r == 0)
		r = runtime_cdi_spec(&root, options->dir, &t);
	root_close(&root);
	if (r < 0) {
		fprintf(stderr,
			"lxcfs: cannot make the CDI spec: %s: try again when that is over\n",
			strerror(-r));
		return 1;
	}
	if (fwrite(t.data, 1, t.len, stdout) != t.len || fflush(stdout) == EOF) {
		fprintf(stderr, "lxcfs: cannot write: %m: is the disk full?\n");
		return 1;
	}
	return 0;
}
