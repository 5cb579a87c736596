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
every_kind 1000
each_call $MOUNTING 28 "Cannot allocate memory" 1000 "as many mounts as there may be"
