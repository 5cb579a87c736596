#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Containers come and go by the thousand, read by twenty at once: each sees itself, and the worker
# keeps nothing of those that are gone.
source "$(dirname "$0")/lib.sh"
plan 10

COUNT=1000
[ -z "$SHORT" ] || COUNT=200
READERS=20

prepare_churn
churn() { "$BUILD/tests/mount/ctchurn" "$1" "$READERS" "$MNT" "$churn_limit" "${churn_dirs[@]}"; }
status() { awk -v w="$1:" '$1 == w { print $2 }' "/proc/$(worker_pid)/status"; }
descriptors() { ls "/proc/$(worker_pid)/fd" | wc -l; }
calm() { [ "$(descriptors)" -le "$1" ]; }

start_daemon
worker=$(worker_pid)
# What is shared is touched page by page; after this many, all that is ever used has been.
churn $((2 * COUNT)) >/dev/null
sleep 2

# The counters of what is gone are swept with a small share of the time.
settled() { [ -n "$SANITIZED" ] || [ $(($(status RssAnon) - anon)) -le 3072 ] && [ $(($(status RssShmem) - shared)) -le 3072 ]; }
# On a busy machine more may be open at once than ever before, and that much then stays for the next ones
# (src/base/slab.c); what is not given back grows every time.
errors=0 wrong=0
for _ in 1 2 3; do
	descriptors=$(descriptors)
	threads=$(status Threads)
	anon=$(status RssAnon)
	shared=$(status RssShmem)
	read -r containers reads more_errors more_wrong _ <<<"$(churn $COUNT)"
	errors=$((errors + more_errors)) wrong=$((wrong + more_wrong))
	wait_until 10 calm $((descriptors + 8))
	wait_until 30 settled && break
done
is "$containers" $COUNT "$COUNT containers were made and destroyed"
between "$reads" $((COUNT * 6)) $((COUNT * 6)) "each read its files"
is "$errors" 0 "without an error"
is "$wrong" 0 "and saw its own limit and whole texts"
between "$(descriptors)" 0 $((descriptors + 8)) "no descriptor is left over"
between "$(status Threads)" 1 $((threads + 1)) "no thread"
unless_sanitized "memory" between $(($(status RssAnon) - anon)) -100000 3072 "no memory: less than a page for each container of its own"
between $(($(status RssShmem) - shared)) -100000 3072 "and of what workers share"
is "$(worker_pid)" "$worker" "by the same worker as at the start"
new_container after --memory=$((200 * MIB))
is "$(meminfo after MemTotal)" 204800 "a new container is served as ever"
