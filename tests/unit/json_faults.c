/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands in front of json-c, beside faults.c: what the library allocates by itself never comes
 * there. Counts its objects as blocks, but for those within what is parsed, and fractions.
 */
#include <errno.h>
#include <json-c/json.h>

#include "faults.h"

static void gone(struct json_object *j, void *data)
{
	(void)j;
	(void)data;
	fault_hold(-1);
}

static struct json_object *counted(struct json_object *j)
{
	if (j) {
		fault_hold(1);
		json_object_set_userdata(j, NULL, gone);
	}
	return j;
}

#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

/* Object makers of one argument. */
#define WRAP_NEW(name, type)                                                                       \
	WRAP(struct json_object *, json_object_new_##name, type value)                             \
	{                                                                                          \
		return fault_fails(FAULT_MEMORY) ? NULL                                            \
						 : counted(__real_json_object_new_##name(value));  \
	}

WRAP_NEW(string, const char *)
WRAP_NEW(int, int32_t)
WRAP_NEW(int64, int64_t)
WRAP_NEW(uint64, uint64_t)
WRAP_NEW(boolean, json_bool)

WRAP(struct json_object *, json_object_new_object, void)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_json_object_new_object());
}

WRAP(struct json_object *, json_object_new_array, void)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_json_object_new_array());
}

WRAP(struct json_object *, json_object_new_string_len, const char *s, int n)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_json_object_new_string_len(s, n));
}

/* Its userdata is how many digits it is printed with. */
WRAP(struct json_object *, json_object_new_double, double value)
{
	return fault_fails(FAULT_MEMORY) ? NULL : __real_json_object_new_double(value);
}

WRAP(int, json_object_object_add, struct json_object *to, const char *name, struct json_object *j)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_json_object_object_add(to, name, j);
}

WRAP(int, json_object_array_add, struct json_object *to, struct json_object *j)
{
	return fault_fails(FAULT_MEMORY) ? -1 : __real_json_object_array_add(to, j);
}

WRAP(const char *, json_object_to_json_string_ext, struct json_object *j, int flags)
{
	return fault_fails(FAULT_MEMORY) ? NULL : __real_json_object_to_json_string_ext(j, flags);
}

WRAP(struct json_tokener *, json_tokener_new, void)
{
	struct json_tokener *t = fault_fails(FAULT_MEMORY) ? NULL : __real_json_tokener_new();

	fault_hold(t != NULL);
	return t;
}

WRAP(void, json_tokener_free, struct json_tokener *t)
{
	fault_hold(-1);
	__real_json_tokener_free(t);
}

WRAP(struct json_object *, json_tokener_parse_ex, struct json_tokener *t, const char *s, int n)
{
	return fault_fails(FAULT_MEMORY) ? NULL : counted(__real_json_tokener_parse_ex(t, s, n));
}
