#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Another version takes over, after SIGUSR1 or out of the service manager's store, on a machine that is
# out of memory, descriptors, processes or mounts, cannot read or cannot write, at any one call of it:
# the connection is never lost for that. What fails is chosen by a library preloaded into the daemon
# (faults.c).
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/upgrade.sh"
source "$TOP/tests/mount/faults.sh"
plan 18

connection() { stat -c %d "$MNT"; }

start() {
	start_faulty_daemon
	connection=$(connection)
}

outcomes() { grep -cE 'goes on with the connection|no upgrade, the running version|starting afresh' "$DAEMON_LOG"; }

# The next version is there, or it is told why not; or nobody is left.
has_outcome() { [ "$(outcomes)" != 0 ] || gone "$DAEMON_PID"; }

attempt() { # ERROR-TEXT
	empty_log
	kill -USR1 "$DAEMON_PID"
	wait_briefly 20 has_outcome || echo "nothing is told of it"
	wrong_answers "$1"
	! gone "$DAEMON_PID" || echo "it has ended"
	[ "$(connection)" = "$connection" ] || echo "it is another connection"
	grep -q "goes on with" "$DAEMON_LOG" || grep -qF "$1" "$DAEMON_LOG" || echo "it does not say why"
}

mend() {
	stop_daemon
	start
}

start_reader
start
attempt none >"$WORK/wrong"
is "$(cat "$WORK/wrong")" "" "with nothing short it goes on"
each_call $OPENING 24 "Too many open files" 1000 "descriptors"
many_calls $OPENING 24 "Too many open files" 1000 "descriptors"
each_call $READING 5 "Input/output error" 1000 "files that are read"
many_calls $READING 5 "Input/output error" 1000 "files that are read"
each_call $MOUNTING 12 "Cannot allocate memory" 1000 "mounts"
each_call $MOUNTING 28 "Cannot allocate memory" 1000 "as many mounts as there may be"
each_call $FORKING 11 "Resource temporarily unavailable" 1000 "processes and threads"
each_call $WRITING 28 "No space left on device" 1000 "writes"
# A sanitizer takes memory for itself, and ends what it has none for.
if [ -n "$SANITIZED" ]; then
	skip 3 "memory: the sanitizer's"
else
	each_call $MEMORY 12 "Cannot allocate memory" 30 "memory"
	many_calls $MEMORY 12 "Cannot allocate memory" 30 "memory"
fi
