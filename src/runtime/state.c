/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The JSON of the OCI runtime specification: a container's state, and its bundle's config.json.
 * Text in, text out; nothing is opened.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cleanup.h"
#include "json.h"
#include "runtime.h"

/* `flags` are json_tokener_set_flags()'s. -EINVAL: `text` is no object, or the parser itself is
 * short of memory; -ENOMEM. */
static int parse_object(struct slice text, int flags, json **ret)
{
	struct json_tokener *tokener;
	json *j;

	if (text.n > INT_MAX)
		return -EINVAL;
	tokener = json_tokener_new();
	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, flags);
	j = json_tokener_parse_ex(tokener, text.p, (int)text.n);
	json_tokener_free(tokener);
	if (!json_object_is_type(j, json_type_object)) {
		json_object_put(j);
		return -EINVAL;
	}
	*ret = j;
	return 0;
}

/* A member that is a string without NULs; NULL. */
static const char *string_member(json *of, const char *name)
{
	json *j;
	const char *s;

	if (!json_object_is_type(of, json_type_object) ||
		!json_object_object_get_ex(of, name, &j) ||
		!json_object_is_type(j, json_type_string))
		return NULL;
	s = json_object_get_string(j);
	return strlen(s) == (size_t)json_object_get_string_len(j) ? s : NULL;
}

static int copy_member(json *of, const char *name, char **ret)
{
	const char *s = string_member(of, name);
	char *copy = NULL;

	if (s && *s) {
		copy = strdup(s);
		if (!copy)
			return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

static void choose_tree(const char *word, struct oci_state *s)
{
	static const struct {
		const char *word, *tree;
	} views[] = {
		{ "all", "" },
		{ "quota", "quota" },
		{ "cpuset", "cpuset" },
		{ "off", NULL },
	};

	s->tree = "";
	s->unknown = word != NULL;
	for (size_t i = 0; word && i < countof(views); i++)
		if (strcmp(views[i].word, word) == 0) {
			s->tree = views[i].tree;
			s->unknown = false;
		}
}

int oci_state_parse(struct slice text, struct oci_state *ret)
{
	struct oci_state s = { 0 };
	json *j, *annotations = NULL;
	const char *nested;
	int r = parse_object(text, 0, &j);

	if (r < 0)
		return r;
	json_object_object_get_ex(j, "annotations", &annotations);
	choose_tree(string_member(annotations, OCI_VIEW), &s);
	nested = string_member(annotations, OCI_NESTED);
	s.nested = nested && strcmp(nested, "yes") == 0;
	r = copy_member(j, "bundle", &s.bundle);
	if (r == 0)
		r = copy_member(j, "root", &s.root);
	json_object_put(j);
	if (r < 0)
		oci_state_free(&s);
	else
		*ret = s;
	return r;
}

void oci_state_free(struct oci_state *s)
{
	free(s->bundle);
	free(s->root);
	*s = (struct oci_state){ 0 };
}

int oci_config_root(struct slice text, char **ret)
{
	json *j, *root = NULL;
	autofree char *path = NULL;
	int r = parse_object(text, 0, &j);

	if (r < 0)
		return r;
	json_object_object_get_ex(j, "root", &root);
	r = copy_member(root, "path", &path);
	json_object_put(j);
	if (r < 0)
		return r;
	if (!path)
		return -EINVAL;
	*ret = steal_ptr(&path);
	return 0;
}

/* --- adding a hook ----------------------------------------------------------------------- */

/* The member of that kind, made where there is none or null. -EINVAL where it is something else;
 * -ENOMEM. */
static int member(json *of, const char *name, json_type type, json **ret)
{
	json *j = NULL;

	if (!json_object_object_get_ex(of, name, &j) || !j) {
		j = type == json_type_array ? json_object_new_array() : json_object_new_object();
		if (!json_add(of, name, j))
			return -ENOMEM;
	}
	if (!json_object_is_type(j, type))
		return -EINVAL;
	*ret = j;
	return 0;
}

static bool has_hook(json *hooks, const char *program)
{
	for (size_t i = 0; i < json_object_array_length(hooks); i++) {
		const char *path = string_member(json_object_array_get_idx(hooks, i), "path");

		if (path && strcmp(path, program) == 0)
			return true;
	}
	return false;
}

static json *hook_json(const char *program, const char *dir)
{
	json *hook = json_object_new_object(), *args = json_object_new_array();

	if (json_append(args, json_object_new_string("lxcfs")) &&
		json_append(args, json_object_new_string("--oci-hook")) &&
		json_append(args, json_object_new_string(dir)) &&
		json_add(hook, "args", steal_ptr(&args)) &&
		json_add(hook, "path", json_object_new_string(program)))
		return hook;
	json_object_put(args);
	json_object_put(hook);
	return NULL;
}

/* 1: it has the hook. */
static int add_hook(json *config, const char *program, const char *dir)
{
	json *hooks;
	int r = member(config, "hooks", json_type_object, &hooks);

	if (r == 0)
		r = member(hooks, "createContainer", json_type_array, &hooks);
	if (r < 0)
		return r;
	if (has_hook(hooks, program))
		return 1;
	return json_append(hooks, hook_json(program, dir)) ? 0 : -ENOMEM;
}

static int write_json(json *config, struct text *t)
{
	const char *s = json_object_to_json_string_ext(
		config, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (!s)
		return -ENOMEM;
	text_puts(t, s);
	return text_error(t);
}

/* json-c leaves out what it has no memory for, both ways, and does not tell. */
static int check_says(struct slice text, json *config)
{
	json *again;
	int r = parse_object(text, JSON_TOKENER_STRICT, &again);

	if (r < 0)
		return r;
	r = json_object_equal(config, again) ? 0 : -ENOMEM;
	json_object_put(again);
	return r;
}

int oci_config_add_hook(struct slice text, const char *program, const char *dir, struct text *t)
{
	const size_t before = t->len;
	json *config;
	/* What is nearly JSON would be written as something else. */
	int r = parse_object(text, JSON_TOKENER_STRICT, &config);

	if (r < 0)
		return r;
	r = check_says(text, config);
	if (r == 0)
		r = add_hook(config, program, dir);
	if (r == 0) {
		r = write_json(config, t);
		if (r == 0)
			r = check_says((struct slice){ t->data + before, t->len - before }, config);
	}
	json_object_put(config);
	return r;
}
