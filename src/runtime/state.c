/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The JSON of the OCI runtime specification: a container's state, and its bundle's config.json.
 * Text in, text out; nothing is opened.
 */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

#include "cleanup.h"
#include "runtime.h"

typedef struct json_object json;

/* `text` as an object, or NULL. */
static json *parse_object(struct slice text)
{
	struct json_tokener *tokener;
	json *j;

	if (text.n > INT_MAX)
		return NULL;
	tokener = json_tokener_new();
	if (!tokener)
		return NULL;
	j = json_tokener_parse_ex(tokener, text.p, (int)text.n);
	json_tokener_free(tokener);
	if (json_object_is_type(j, json_type_object))
		return j;
	json_object_put(j);
	return NULL;
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
	json *j = parse_object(text), *annotations = NULL;
	const char *nested;
	int r;

	if (!j)
		return -EINVAL;
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
	json *j = parse_object(text), *root = NULL;
	autofree char *path = NULL;
	int r;

	if (!j)
		return -EINVAL;
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

/* The member of that kind, made where there is none or null; NULL where it is something else, or
 * without memory. */
static json *member(json *of, const char *name, json_type type)
{
	json *j = NULL;

	if (json_object_object_get_ex(of, name, &j) && j)
		return json_object_is_type(j, type) ? j : NULL;
	j = type == json_type_array ? json_object_new_array() : json_object_new_object();
	if (j && json_object_object_add(of, name, j) == 0)
		return j;
	json_object_put(j);
	return NULL;
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

static bool append_hook(json *hooks, const char *program, const char *dir)
{
	const char *const words[] = { "lxcfs", "--oci-hook", dir };
	json *hook = json_object_new_object(), *args;
	bool ok = hook && json_object_array_add(hooks, hook) == 0;

	if (!ok) {
		json_object_put(hook);
		return false;
	}
	args = member(hook, "args", json_type_array);
	ok = args && json_object_object_add(hook, "path", json_object_new_string(program)) == 0;
	for (size_t i = 0; ok && i < countof(words); i++)
		ok = json_object_array_add(args, json_object_new_string(words[i])) == 0;
	return ok;
}

int oci_config_add_hook(struct slice text, const char *program, const char *dir, struct text *t)
{
	json *config = parse_object(text), *hooks;
	const char *s = NULL;
	int r = -EINVAL;

	if (!config)
		return -EINVAL;
	hooks = member(config, "hooks", json_type_object);
	hooks = hooks ? member(hooks, "createContainer", json_type_array) : NULL;
	if (hooks && has_hook(hooks, program))
		r = 1;
	else if (hooks && append_hook(hooks, program, dir))
		s = json_object_to_json_string_ext(
			config, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (s) {
		text_puts(t, s);
		r = text_error(t);
	}
	json_object_put(config);
	return r;
}
