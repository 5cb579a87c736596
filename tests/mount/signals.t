#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# SIGUSR2 to the daemon: every file is the kernel's own until the next one, whoever dies meanwhile.
source "$(dirname "$0")/lib.sh"
plan 17

start_daemon
new_container c --memory=$((256 * MIB)) --cpus=0
host_age=$(cut -d. -f1 /proc/uptime)

shows() { [ "$(in_container c cat /proc/meminfo | value MemTotal)" = "$1" ]; }
age() { in_container c cut -d. -f1 /proc/uptime; }

ok "a container sees its limit" shows 262144
own=$(in_container c cat /proc/cpuinfo | grep -c ^processor)
is "$own" 1 "and its CPU"
exec 7<"$MNT/proc/meminfo"

kill -USR2 "$DAEMON_PID"
ok "SIGUSR2: it sees the machine's memory, not EIO" wait_until 5 shows "$HOST_MEM_KB"
is "$(in_container c grep -c ^processor /proc/cpuinfo)" "$(grep -c ^processor /proc/cpuinfo)" "the machine's processors"
is "$(in_container c cat /$CPU_DIR/online)" "$HOST_CPUS" "its CPU list"
is "$(in_container c ls /$CPU_DIR | sort)" "$(ls /$CPU_DIR | sort)" "its directory of CPUs"
between "$(age)" "$host_age" $((host_age + 600)) "and its uptime"
matches "$(cat <&7)" "MemTotal: *$HOST_MEM_KB kB" "as does a file that it had open before"
exec 7<&-
grep -q 'SIGUSR2: every file' "$DAEMON_LOG"
is $? 0 "a line in the log tells so"

worker=$(worker_pid)
kill -KILL "$worker"
ok "another worker knows it" wait_until 10 shows "$HOST_MEM_KB"
isnt "$(worker_pid)" "$worker" "and is another one"

kill -USR2 "$DAEMON_PID"
ok "the second SIGUSR2 brings its own memory back" wait_until 5 shows 262144
is "$(in_container c grep -c ^processor /proc/cpuinfo)" 1 "its CPU"
is "$(in_container c cat /$CPU_DIR/online)" 0 "its CPU list"
between "$(age)" 0 $((600 < host_age ? 600 : host_age)) "and its age"

worker=$(worker_pid)
kill -USR2 "$worker"
sleep 0.2
ok "to the worker it means nothing" shows 262144
is "$(worker_pid)" "$worker" "and does not end it"
