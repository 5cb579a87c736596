/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines for the admin, on standard error (the service manager's journal, or the terminal).
 * Every line says what happened and, where there is one, what mends it. What a container can
 * cause goes through log_limited(), so that no container can fill the log, not even one that ends
 * the process which tells of it, over and over.
 */
#pragma once

#include <stdbool.h>

void log_set_debug(bool on);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* At most one line a minute for each `cause`: a string constant, or a byte of a static array, whose
 * address is the cause and is never followed. The next line that gets through tells how many were
 * held back. */
void log_limited(const char *cause, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes memory for the limits of this process's children, so that one which dies leaves them to the
 * next. Its own stay its own, for children are not trusted: whatever one writes there, its parent
 * logs as before, and its successors log a line too many or too few. Before the first child. 0 or
 * -errno. */
int log_share(void);

/* In a child: its limits are from now on those that its parent has made, if it has. */
void log_use_shared(void);
