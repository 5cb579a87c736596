/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In the log's place, for targets whose inputs would fill the fuzzer's own with it (ld's --wrap).
 * Each line is put together nevertheless: what it names comes from the input.
 */
#include <stdarg.h>
#include <stdio.h>

void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_limited(const char *cause, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

__attribute__((format(printf, 1, 0))) static void make_line(const char *format, va_list args)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
}

void __wrap_log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	make_line(format, args);
	va_end(args);
}

void __wrap_log_limited(const char *cause, const char *format, ...)
{
	va_list args;

	(void)cause;
	va_start(args, format);
	make_line(format, args);
	va_end(args);
}
