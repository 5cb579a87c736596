/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is said to the service manager (sd_notify(3)), and descriptors left in its store. Without
 * one every function does nothing.
 */
#pragma once

#include <stdbool.h>

#include "inherit.h"

/* Somebody listens. */
bool notify_is_heard(void);

/* Lines "NAME=value\n...". 0, also where nobody listens; -errno after a line in the log, one a
 * minute. */
int notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Puts every descriptor of `in` into the store under its name. 0; -ENOTCONN without a listener,
 * -errno. Whether the store takes them nobody tells: it may be full, or not there. */
int notify_store(const struct inherited *in);

/* Takes the names of `in` out of the store: they are in use again. As notify(). */
int notify_unstore(const struct inherited *in);
