/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines for the admin, on standard error (the service manager's journal, or the terminal).
 * Every line says what happened and, where there is one, what mends it. What a container can
 * cause goes through log_limited(), so that no container can fill the log.
 */
#pragma once

#include <stdbool.h>

void log_set_debug(bool on);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* At most one line a minute for each `cause` (a string constant: the pointer is the cause). The
 * next line that gets through tells how many were held back. */
void log_limited(const char *cause, const char *format, ...) __attribute__((format(printf, 2, 3)));
