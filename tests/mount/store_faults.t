#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A restart by a service manager that keeps the connection meanwhile, on a machine that is out of memory,
# descriptors, processes or mounts, cannot read or cannot write, at any one call of the stop or of the
# start: the connection is never lost for that. What fails is chosen by a library preloaded into the
# daemon (faults.c).
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/manager.sh"
source "$TOP/tests/mount/faults.sh"
plan 18

connection() { stat -c %d "$MNT"; }

# Sets $connection.
start() {
	start_managed "LD_PRELOAD=$BUILD/tests/mount/faults.so" "LXCFS_FAULTS=$FAULTS"
	connection=$(connection)
}

is_ready_or_gone() { has_message READY=1 "$1" || grep -q '^State:.*Z' "/proc/$DAEMON_PID/status"; }

attempt() { # ERROR-TEXT
	local n

	empty_log
	stop_managed SIGTERM
	[ "$answer" = 0 ] || echo "its end: $answer"
	n=$(messages READY=1)
	manager start "LD_PRELOAD=$BUILD/tests/mount/faults.so" "LXCFS_FAULTS=$FAULTS"
	DAEMON_PID=$answer
	wait_briefly 15 is_ready_or_gone $((n + 1)) || echo "it is not ready"
	wrong_answers "$1"
	[ "$(connection)" = "$connection" ] || echo "it is another connection"
	connection=$(connection)
	manager names
	[ "$answer" = nothing ] || echo "the store has $answer while it runs"
}

mend() {
	stop_managed SIGTERM
	unmount_all "$MNT"
	start
}

start_reader
start
attempt none >"$WORK/wrong"
is "$(cat "$WORK/wrong")" "" "with nothing short it goes on"
every_kind 40
each_call $MOUNTING 28 "Cannot allocate memory" 1000 "as many mounts as there may be"
stop_managed SIGKILL
