/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of poke share. Each command takes its words, says on standard output what came of
 * it, and returns an exit status; poke.c has the table of them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MOST (4u << 20) /* bytes; more than any file here */

extern char content[MOST];

/* Tells of errno and exits. */
_Noreturn void die(const char *what);
int open_or_die(const char *path);
/* CLOCK_MONOTONIC */
uint64_t now_ns(void);
/* From the handle's own position to the end, `chunk` bytes at a time; bytes read. */
size_t read_all(int fd, char *buffer, size_t chunk);
/* All of it to standard output. */
void put(const char *buffer, size_t length);

/* poke_pressure.c */
int poke_pollbits(char **args);
int poke_writes(char **args);
int poke_trigger(char **args);
int poke_trigread(char **args);

/* poke_each.c */
int poke_each(char **args);

/* poke_try.c */
int poke_try(char **args);

/* poke_mark.c */
int poke_mark(char **args);
int poke_pulse(char **args);
