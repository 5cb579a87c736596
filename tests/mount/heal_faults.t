#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A connection is gone while the machine is out of memory, descriptors or processes, or cannot be read:
# what containers have bound is put right, or the log says whose is not, and what to do. Nobody heals by
# half what the next one then takes for whole.
source "$(dirname "$0")/lib.sh"
source "$TOP/tests/mount/faults.sh"
plan 24

start_faulty_daemon
new_container a --memory=$((256 * MIB)) --cpus=0
new_container u --userns --memory=$((128 * MIB)) --cpus=0
touch "$WORK/abort"

healer() { ps -o pid=,comm= --ppid "$DAEMON_PID" | awk '$2 == "lxcfs-heal" { print $1 }'; }
no_healer() { [ -z "$(healer)" ]; }

abort_connection() {
	mount --bind "$MNT/proc/uptime" "$WORK/abort" && umount -f "$WORK/abort"
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
told_of_crash() { grep 'puts dead binds right was ended by signal' "$DAEMON_LOG"; }
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
is "$(told_of_crash)" "" "nobody who heals has crashed"
