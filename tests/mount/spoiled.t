#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Whoever runs code in a worker can write anything into the memory that workers share. It harms that
# worker: the next one, another version and the next start have what the supervisor has decided.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/manager.sh"
plan 28

area() { "$BUILD/tests/mount/area" "$DAEMON_PID" "$@"; } # MEMBER [VALUE]
spoil() { area "$1" "$2" || bail "cannot write $1"; }     # MEMBER VALUE

# What every reader of the area looks at first, and what belongs to the connection.
spoil_all() {
	local member

	for member in magic version header_size size boot_id init.request_len dev; do
		spoil $member 99
	done
	spoil draining 1
}

memory() { in_container c timeout $((5 * SLOW)) cat /proc/meminfo 2>/dev/null | value MemTotal; }
shows() { [ "$(memory)" = "$1" ]; }
device() { in_container c timeout $((5 * SLOW)) stat -c %d /proc/meminfo; }
went_on() { log_lines 'goes on with the connection from'; }

upgrade_managed() {
	local n

	n=$(messages READY=1)
	kill -USR1 "$DAEMON_PID"
	wait_until 30 has_message READY=1 $((n + 1))
}

start_managed || bail "no daemon"
new_container c --memory=$((256 * MIB)) --cpus=0
device_1=$(device)
ok "a container is shown its own" shows 262144

# ---- the next worker
spoil pass_through 1
ok "what is written there is believed by the worker that runs" wait_until 5 shows "$HOST_MEM_KB"
spoil pass_through 0
# replaced MEMBER VALUE: the worker that may have written it is no more. Each tells of itself alone.
replaced() {
	local worker before

	worker=$(a_worker)
	before=$(area "$1")
	spoil "$1" "$2"
	kill -KILL "$worker"
	ok "$1 $2: another worker starts" wait_until 10 another_worker "$worker"
	ok "$1 $2: and shows a container its own" wait_until 5 shows 262144
	spoil "$1" "$before"
}
replaced pass_through 1
replaced draining 1
replaced init.request_len 0
replaced init.request_len 4000000000
replaced init.reply_len 0
worker=$(a_worker)
daemon_answers
spoil given_up $(($(area generation) + 1))
kill -KILL "$worker"
wait_until 10 another_worker "$worker"
daemon_answers
worker=$(a_worker)
kill -CHLD "$DAEMON_PID"
sleep 1
is "$(worker_pid)" "$worker" "no worker is ended for what the one before has said of it"

# ---- SIGUSR2
spoil pass_through 1
kill -USR2 "$DAEMON_PID"
ok "SIGUSR2 means what it meant before" wait_until 5 logged 'SIGUSR2: every file is the kernel'
spoil pass_through 0
kill_worker -KILL
ok "and what it has decided the next worker keeps to" wait_until 10 shows "$HOST_MEM_KB"
spoil pass_through 0
upgrade_managed
ok "as does the next version" wait_until 10 shows "$HOST_MEM_KB"
kill -USR2 "$DAEMON_PID"
ok "until the next SIGUSR2" wait_until 5 shows 262144

# ---- another version
n=$(went_on)
spoil_all
spoil pass_through 1
upgrade_managed
is "$(went_on)" $((n + 1)) "memory that is spoiled: another version goes on with the connection"
ok "and shows a container its own" wait_until 10 shows 262144
is "$(device)" "$device_1" "through the file that it has had"

# ---- another start
n=$(went_on)
spoil_all
spoil pass_through 1
stop_managed SIGTERM
start_managed || bail "no start"
is "$(went_on)" $((n + 1)) "so does another start"
ok "which shows a container its own too" wait_until 10 shows 262144
is "$(device)" "$device_1" "through that file"
is "$(log_lines 'starting afresh') $(log_lines 'another layout') $(log_lines 'no upgrade')" "0 0 0" "nobody has had to do without something"

# ---- whose mount is at DIR
spoil dev 99
upgrade_managed
in_container c umount -f /proc/uptime 2>/dev/null
ok "dev 99: an abort is still told from an unmount" wait_until 10 logged 'the connection of .* was aborted'
ok "and DIR serves again" wait_until 10 daemon_answers
isnt "$(stat -c %d "$MNT")" "$device_1" "by a fresh connection"
n=$(went_on)
spoil_all
upgrade_managed
is "$(went_on)" $((n + 1)) "which another version goes on with as well"

stop_managed SIGTERM
manager drop
