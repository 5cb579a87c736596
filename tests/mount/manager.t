#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# With a service manager: it is told how things stand, its watchdog replaces a worker that is stuck,
# and what a stop leaves in its store the next start goes on with. manager.py plays its part.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/manager.sh"
plan 72

unmounted() { ! is_mounted "$MNT"; }
busy() { awk '$1 == "cpu" { print $2 + $3 + $4 }'; }
shape() { sed 's/[0-9][0-9]*/N/g; s/  */ /g'; }
device() { in_container c stat -c %d /proc/meminfo; }

# ---- what is told
ok "a start is told to be ready" start_managed
ok "which it is" daemon_answers
is "$(messages "READY=1 MAINPID=$DAEMON_PID STATUS=Serving $MNT")" 1 "with its pid and what it does"
worker=$(worker_pid)
kill -KILL "$worker"
wait_until 10 another_worker "$worker" || bail "no other worker"
daemon_answers || bail "the other worker does not answer"
is "$(messages READY=1)" 1 "another worker is nothing to tell"
manager names
is "$answer" nothing "nothing is in the store while it runs"
kill -USR1 "$DAEMON_PID"
ok "an upgrade: ready again" wait_until 30 has_message READY=1 2
is "$(grep -c '^RELOADING=1 MONOTONIC_USEC=[0-9]* ' "$LOG")" 1 "after it was told to be under way"
is "$(messages "MAINPID=$DAEMON_PID")" 2 "with the same pid"
ok "and it serves" daemon_answers
is "$(messages WATCHDOG)" 0 "no watchdog, no message to it"

# ---- a restart
new_container c --memory=$((256 * MIB)) --cpus=0
in_container c "$POKE" burn 1
stat_1=$(in_container c cat /proc/stat)
device_1=$(device)
options_1=$(awk -v m="$MNT" '$5 == m { print $6 }' /proc/self/mountinfo)
mkfifo "$WORK/go"
in_container c "$POKE" half /proc/meminfo <"$WORK/go" >"$WORK/half" &
half=$!
exec 8>"$WORK/go"
wait_until 10 test -s "$WORK/half" || bail "no file is half read"
worker=$(worker_pid)
stop_managed SIGTERM
is "$answer" 0 "a stop: exit 0"
is "$(messages STOPPING=1)" 1 "which was told"
ok "nothing is at DIR" unmounted
ok "no worker is left" wait_until 5 gone "$worker"
ok "no pidfile" test ! -e "$PIDFILE"
manager names
matches "$answer" '^lxcfs1-clone0 .*lxcfs1-device lxcfs1-memory lxcfs1-mount$' "the connection is in the store"
in_container c cat /proc/meminfo >"$WORK/waited" &
waiting=$!
in_container c timeout -s KILL $((2 * SLOW)) cat /proc/uptime >/dev/null 2>&1
is $? 137 "who reads meanwhile waits, and can be killed"
ok "the next start is ready" start_managed
ok "and serves at DIR" daemon_answers
is "$(device)" "$device_1" "a container's file is of the same connection"
is "$(in_container c timeout $((10 * SLOW)) cat /proc/meminfo | value MemTotal)" 262144 "and answers"
wait $waiting
is "$(value MemTotal <"$WORK/waited")" 262144 "who has waited is answered"
echo >&8
exec 8>&-
wait $half
is "$(shape <"$WORK/half")" "$(shape </proc/meminfo)" "a file that was half read is read to its end"
between "$(in_container c cat /proc/stat | busy)" "$(busy <<<"$stat_1")" $((HZ * 600)) "CPU time goes on from where it was"
is "$(awk -v m="$MNT" '$5 == m { print $6 }' /proc/self/mountinfo)" "$options_1" "the mount's options are as before"
is "$(stat -c %d "$MNT/proc/meminfo")" "$device_1" "DIR is of that connection too"
manager names
is "$answer" nothing "the store is empty again"
is "$(log_lines "goes on with the connection from the service manager's store")" 1 "a line in the log tells of it"
kill -USR1 "$DAEMON_PID"
ok "an upgrade after a restart" wait_until 30 has_message READY=1 4
stop_managed SIGTERM
ok "a restart after an upgrade" start_managed +-o +noatime +--disable-uptime
is "$(device)" "$device_1" "is of the same connection"
host_uptime=$(cut -d. -f1 /proc/uptime)
between "$(in_container c cut -d. -f1 /proc/uptime)" "$host_uptime" "$(cut -d. -f1 /proc/uptime)" \
	"with other options these count"
matches "$(awk -v m="$MNT" '$5 == m { print $6 }' /proc/self/mountinfo)" 'noatime' "those of the mount too"

# ---- many, under readers
seconds=$((12 * (SLOW > 1 ? 2 : 1)))
start_readers $seconds "c meminfo MemTotal:         262144 kB" "c stat cpu" "c cpuinfo processor"
restarts=0
end=$((SECONDS + seconds - 2))
while [ $SECONDS -lt $end ]; do
	stop_managed SIGTERM
	start_managed && restarts=$((restarts + 1))
done
wait "${readers[@]}"
between $restarts 3 1000 "many restarts under readers"
diag "$restarts restarts; reads, errors, broken, longest stall in ms: $(cat "$WORK"/loop.? | xargs)"
is "$(awk '{ n += $2 + $3 } END { print NR, n }' "$WORK"/loop.?)" "3 0" "not one read failed or was short"
is "$(cat "$WORK"/loop.?.errors | head -n 3)" "" "nor complained"

# ---- a stop for good: the manager drops what it has
stop_managed SIGTERM
manager drop
in_container c timeout $((10 * SLOW)) cat /proc/meminfo >/dev/null 2>&1
status=$?
ok "the store dropped: a container's file gives an error, not a hang" test $status -ne 0 -a $status -ne 124
ok "nothing dead is at DIR" unmounted
is "$(grep -c "$MNT" /proc/self/mountinfo)" 0 "nor anywhere in the host's mounts"
start_managed
ok "the next start is a fresh one" daemon_answers
is "$(log_lines 'starting afresh')" 0 "and nothing to complain of"

# ---- a store that is not what it was
# afresh NAME PATTERN COMMAND...: a stop, that command of the manager, and a start
touch "$WORK/held"
afresh() {
	local name=$1 pattern=$2 n device

	shift 2
	device=$(stat -c %d "$MNT")
	mount --bind "$MNT/proc/uptime" "$WORK/held" # the old connection lives on, as by a container
	stop_managed SIGTERM
	manager "$@"
	n=$(log_lines 'starting afresh')
	ok "$name: starts" start_managed
	matches "$(grep 'starting afresh' "$DAEMON_LOG" | tail -n 1)" "cannot go on with what comes from the service manager's store: .*$pattern" \
		"$name: one line says why it starts afresh"
	is "$(log_lines 'starting afresh') $(stat -c %d "$MNT" | grep -c -x "$device")" "$((n + 1)) 0" "$name: and it has another connection"
	unmount_all "$WORK/held"
}
afresh "no memory" "is missing" drop lxcfs1-memory
afresh "memory that is none" "its memory is something else" memory lxcfs1-memory
afresh "no mount" "its mount is missing" drop lxcfs1-mount
afresh "a mount that is none" "its mount is missing or of another" file lxcfs1-mount /dev/null
afresh "a device that is none" "something else" file lxcfs1-device /dev/null
afresh "a device without connection" "something else|is dead" file lxcfs1-device /dev/fuse
afresh "a clone too few" "something else" drop lxcfs1-clone0
is "$(awk -v m="$MNT" '$5 == m' /proc/self/mountinfo | wc -l)" 1 "after all that one mount is at DIR"
stop_managed SIGTERM
manager file somebody-elses /dev/null
ok "a descriptor with another name: starts" start_managed
is "$(find "/proc/$DAEMON_PID/fd" -name '[0-9]*' ! -name '[012]' -lname /dev/null)" "" "and does not keep it"

# ---- the watchdog
manager drop somebody-elses
stop_managed SIGINT
manager names
is "$answer" nothing "SIGINT leaves nothing in the store"
limit=$((4 * SLOW))
start_managed WATCHDOG_USEC=$((limit * 1000000))
ok "a watchdog: an idle daemon tells that it is well" wait_until $((limit * 3)) has_message WATCHDOG=1 3
new_container d --memory=$((128 * MIB))
worker=$(worker_pid)
# strace(1) is stopped, and holds every thread of the worker at its next system call: nothing of it
# moves, and nobody is told.
strace -f -o "$WORK/strace" -p "$worker" 2>/dev/null &
tracer=$!
background+=($tracer)
all_traced() { ! grep -L "^TracerPid:[[:space:]]*$tracer$" "/proc/$worker"/task/*/status | grep -q .; }
wait_until 20 all_traced
kill -STOP $tracer
is "$(in_container d timeout $((limit * 4)) cat /proc/meminfo | value MemTotal)" 131072 "a worker whose every thread is stuck is replaced"
isnt "$(worker_pid)" "$worker" "by another one"
is "$(log_lines 'requests wait and none is answered')" 1 "a line in the log says why"
n=$(messages WATCHDOG=1)
ok "the manager is told that all is well again" wait_until $((limit * 3)) has_message WATCHDOG=1 $((n + 1))
kill -KILL $tracer
wait $tracer 2>/dev/null
stop_managed SIGTERM
manager drop
ok "at the end nothing is left" unmounted
