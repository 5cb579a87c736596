/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SANITIZED: whether this was built with a sanitizer that watches memory or threads, which is slow
 * and makes threads and system calls of its own.
 */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* In front of a function: AddressSanitizer looks at nothing in it, and makes no system call before
 * one that does not return, as it does elsewhere, for a filter may refuse that. */
#define NO_CALLS_OF_ASAN __attribute__((no_sanitize_address))
