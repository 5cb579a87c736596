#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Eight readers in four containers read all files while the worker is killed ten times a second, at
# random instants: nobody notices but by a clock. Then the same with so many readers that they queue.
# LXCFS=PROGRAM runs another build of the daemon (one with a sanitizer), LXCFS_TEST_KILLS=N goes on until
# that many kills instead of a minute (20 s where each takes its time).
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/storm.sh"
plan $((2 * STORM_TESTS + 6))

SECONDS_OF_KILLS=60
[ -z "$SHORT" ] || SECONDS_OF_KILLS=20
KILLS=1000000
RATE=$((SLOW > 1 ? 4 : 10))
if [ -n "${LXCFS_TEST_KILLS-}" ]; then
	SECONDS_OF_KILLS=3600
	KILLS=$LXCFS_TEST_KILLS
	RATE=${LXCFS_TEST_KILL_RATE:-5} # a second; a sanitized one takes its time to start
fi

start_daemon
storm_containers
storm_begin
kills=$("$STORM" kill "$DAEMON_PID" "$SECONDS_OF_KILLS" "$KILLS" "$RATE" any 9)
# Before INIT is shown to the session, or just behind it.
early=$("$STORM" kill "$DAEMON_PID" 10 24 4 early 9)
storm_end "$kills kills and $early early ones"
between "$kills" $((SECONDS_OF_KILLS < 3600 ? SECONDS_OF_KILLS * 4 / SLOW : KILLS)) 1000000 \
	"the worker was killed all the time"
between "$early" 6 25 "and a few times before it could serve"

# What waits in the backlog then is the next worker's.
storm_begin $((SLOW > 1 ? 10 : 30))
queued=$("$STORM" kill "$DAEMON_PID" $((SECONDS_OF_KILLS / 4)) $((KILLS < 20 ? KILLS : KILLS / 4)) "$RATE" any 9)
storm_end "$queued kills while readers queue" 15000
between "$queued" 5 1000000 "the worker was killed while they queued"
diag "the daemon's log: $(sed 's/worker [0-9]*/worker N/; s/pid [0-9]*/pid N/' "$DAEMON_LOG" | sort | uniq -c)"
is "$(grep -cE 'AddressSanitizer|runtime error|ThreadSanitizer' "$DAEMON_LOG")" 0 "no sanitizer complained"
is "$(grep -c 'please report' "$DAEMON_LOG")" 0 "nothing had to be given up in a takeover"
is "$(meminfo a MemTotal) $(meminfo b MemTotal)" "262144 131072" "afterwards all is as before"
