/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of host/: the parsers, apart from where their text comes from, so that tests and fuzzers
 * can feed them anything. Each fills a structure whose `text` is set and the rest zero; its slices
 * point into that text. 0; -EBADMSG when it cannot be that file; -ENOMEM. What was allocated
 * belongs to the structure in any case.
 */
#pragma once

#include "host.h"

int host_cpuinfo_parse(struct host_cpuinfo *c);
int host_stat_parse(struct host_stat *s);
int host_meminfo_parse(struct host_meminfo *m);
int host_diskstats_parse(struct host_diskstats *d);

/* What /proc/<tid>/personality says; false where it is no such text. */
bool host_personality_is_compat32(struct slice text);

/* How many lines there are, an unfinished last one included. */
size_t host_count_lines(struct slice text);
