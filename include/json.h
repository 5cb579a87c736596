/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Putting JSON together. json-c gives NULL without memory, takes that back as JSON's null, and ends
 * the process where there is nothing to add to: here all three are failures.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

typedef struct json_object json;

/* These take `value` in any case. False without memory, for `to` and for `value`, too. */
static inline bool json_add(json *to, const char *name, json *value)
{
	if (to && value && json_object_object_add(to, name, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static inline bool json_append(json *to, json *value)
{
	if (to && value && json_object_array_add(to, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static inline bool json_add_null(json *to, const char *name)
{
	return to && json_object_object_add(to, name, NULL) == 0;
}
