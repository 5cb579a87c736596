#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A connection is gone while the machine is out of memory, descriptors or processes, or cannot be read:
# what containers have bound is put right, or the log says whose is not, and what to do. Nobody heals by
# half what the next one then takes for whole.
source "$(dirname "$0")/lib.sh"
source "$TOP/tests/mount/faults.sh"
plan 56

start_faulty_daemon
new_container a --memory=$((256 * MIB)) --cpus=0
new_container u --userns --memory=$((128 * MIB)) --cpus=0
touch "$WORK/abort"

healer() { ps -o pid=,comm= --ppid "$DAEMON_PID" | awk '$2 == "lxcfs-heal" { print $1 }'; }
no_healer() { [ -z "$(healer)" ]; }

abort() { mount --bind "$MNT/proc/uptime" "$WORK/abort" && umount -f "$WORK/abort"; }

abort_connection() {
	abort
	wait_until 10 daemon_answers
}

# What is dead of the files of a and u.
dead() {
	local name

	for name in a u; do
		# shellcheck disable=SC2016 # for the shell inside
		nsenter -t "${CT_PID[$name]}" -m -- bash -c 'for f in $1; do cat "/$f" >/dev/null 2>&1 || echo "$2:$f"; done' \
			- "$SERVED $CPU_DIR/online" "$name"
	done
}
all_alive() { [ -z "$(dead)" ]; }
limits() { echo "$(meminfo a MemTotal) $(meminfo u MemTotal)"; }
told_of_crash() { grep 'puts dead binds right was ended by signal' "$WORK/earlier.log" "$DAEMON_LOG"; }
told() { grep -cE "restart (these |those )?(containers|whose)" "$DAEMON_LOG"; }

# The connection is gone while so many of the calls fail; prints what was neither put right nor told.
lose_connection() { # WHOSE WHICH ERROR EVERY
	local before

	before=$(told)
	faults "$@"
	abort_connection
	wait_until 10 have_failed || echo "nothing has failed"
	wait_until $((30 * SLOW)) no_healer || echo "it does not come to its end"
	no_faults
	all_alive || [ "$(told)" -gt "$before" ] || echo "nobody is told of $(dead | xargs)"
}

is "$(dead) $(limits)" " 262144 131072" "two containers are served"
abort_connection
ok "with nothing short all is put right" wait_until $((10 * SLOW)) all_alive
wait_until $((30 * SLOW)) no_healer

heals_afterwards() {
	abort_connection
	ok "and the next time all is put right" wait_until $((10 * SLOW)) all_alive
	is "$(limits)" "262144 131072" "each container's own"
}

short_of() { # WHAT WHICH ERROR
	is "$(lose_connection $WHO_HEALS "$2" "$3" 1)" "" "out of $1 for good: it is told what is dead"
	heals_afterwards
}
short_of memory $MEMORY 12
short_of descriptors $OPENING 24
short_of "what can be read" $READING 5
short_of processes $FORKING 11
is "$(for n in 3 17; do lose_connection $WHO_HEALS $((MEMORY + OPENING + READING + FORKING)) 5 $n; done)" "" \
	"of all that now and then: it is told, or put right"
# So many calls are made for each process alone.
is "$(lose_connection $WHO_HEALS $READING 5 17)" "" "of what tells of some processes: that is told"
matches "$(cat "$DAEMON_LOG")" "not every process could be looked at for dead binds: Input/output error: restart" "in these words"
heals_afterwards
# The worker's fork(2) is the first.
faults "$DAEMON_PID" $FORKING 11 2
abort_connection
ok "of a process to heal with: that is told" wait_until $((10 * SLOW)) \
	grep -q "cannot look for dead binds of running containers: Resource temporarily unavailable: trying again" "$DAEMON_LOG"
ok "and tried again" wait_until $((10 * SLOW)) all_alive
no_faults
heals_afterwards

# ---- no other connection can be had
TRIES="nothing is mounted on $MNT, and files in containers are dead: .*: trying again every second: free what"
lines() { grep -cE "$1" "$DAEMON_LOG"; }

# The calls of the supervisor fail, and there is no connection; then they do not.
no_connection() { # WHAT WHICH ERROR EVERY
	failing_since=$(now_ms)
	faults "$DAEMON_PID" "$2" "$3" "$4"
	abort
	wait_until 10 have_failed
	sleep 1.5
	ok "out of $1 for another connection: the supervisor stays" kill -0 "$DAEMON_PID"
	is "$(dead | wc -l)" "$(($(wc -w <<<"$SERVED $CPU_DIR/online") * 2))" "while every file is dead"
}
connects_afterwards() {
	no_faults
	ok "afterwards DIR is served again" wait_until 10 daemon_answers
	ok "and all is put right" wait_until $((10 * SLOW)) all_alive
	is "$(limits) $(awk -v m="$MNT" '$5 == m' /proc/self/mountinfo | wc -l)" "262144 131072 1" \
		"each container's own, and DIR is mounted once"
}

empty_log
since=$SECONDS
no_connection descriptors $OPENING 24 1
kill -USR2 "$DAEMON_PID"
ok "it answers signals" wait_until 5 logged "SIGUSR2: every file"
kill -USR2 "$DAEMON_PID"
kill -USR1 "$DAEMON_PID"
ok "hands nothing over" wait_until 5 logged "no upgrade, .* goes on: there is no connection to hand over"
is "$(lines "$TRIES") $(lines "cannot open /dev/fuse: Too many open files: the machine is short of it")" "1 1" \
	"and says once that it tries again"
between "$(failures)" 2 $((($(now_ms) - failing_since) / 1000 + 5)) "and is not busy with it"
connects_afterwards
no_connection "some of them" $OPENING 24 3
connects_afterwards
# Then the dead mount cannot be taken away either, which must not stay below the next.
no_connection "memory for mounts" $MOUNTING 12 1
connects_afterwards
no_connection "what can be read of DIR" $READING 5 1
connects_afterwards
is "$(once_a_minute "cannot unmount $MNT: (Cannot allocate memory|Input/output error): try umount -l" "$since")" "" \
	"which a line a minute tells"
is "$(lines 'modprobe|another directory')" 0 "nobody is told to load a module, or to mount elsewhere"

# ---- a container that does it all the time
empty_log
for _ in {1..6}; do abort_connection; done
ok "aborted without end, all is put right" wait_until $((10 * SLOW)) all_alive
wait_until $((30 * SLOW)) no_healer
between "$(lines 'put [0-9]+ dead binds right')" 1 2 "which is told at the end"
between "$(lines 'was aborted')" 0 2 "and the aborts once a minute"

# ---- the end without a connection
# A sanitizer's realpath(3) has memory of its own.
if [ -n "$SANITIZED" ]; then no_connection descriptors $OPENING 24 1; else no_connection memory $MEMORY 12 1; fi
pid=$DAEMON_PID
kill -TERM "$pid"
wait_until 10 gone "$pid" || kill -KILL "$pid"
wait "$pid"
is "$? $(is_mounted "$MNT" && echo mounted)" "0 " "SIGTERM ends it"
DAEMON_PID=
is "$(told_of_crash)" "" "nobody who heals has crashed"
