/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a start tells the admin of the machine: what it serves from, and what will go wrong.
 */
#pragma once

#include <stdbool.h>

#include "cgroup.h"
#include "root.h"
#include "text.h"

/* Appends one line for each fact. `sees_everybody`: of container_sees_everybody(). */
void report_lines(const struct root *root, const struct cgroup_layout *layout, bool sees_everybody,
	struct text *t);

/* The same into the log. */
void report_log(const struct root *root, const struct cgroup_layout *layout, bool sees_everybody);
