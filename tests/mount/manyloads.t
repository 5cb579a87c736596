#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Load averages of as many containers as are sampled at once: 500 of 20 tasks each (what the virtual
# machine has memory for). What one of them does shows there, in time, and nowhere else.
source "$(dirname "$0")/lib.sh"
plan 5

CONTAINERS=500
[ "$SLOW" -eq 1 ] || CONTAINERS=60
TASKS=20
ROOT=${CG_V1[cpuacct]-$CG_V2} # one hierarchy makes a container
MANY=$ROOT/$CG_PARENT/many

loadavg() { # CONTAINER
	(
		trap - EXIT INT TERM
		echo "$BASHPID" >"$MANY/$1/cgroup.procs" && exec cat "$MNT/proc/loadavg"
	)
}
from_second() { # reads all but the container 0
	local i

	for ((i = 1; i < CONTAINERS; i++)); do
		loadavg $i
	done
}
tasks() { awk '{ sub(".*/", "", $4); print $4 }' "$1" | sort -u | xargs; }

start_daemon
make_cgroup_in "$ROOT" "$CG_PARENT/many"
(cd "$MANY" && seq 0 $((CONTAINERS - 1)) | xargs mkdir)
run_in_background "$BUILD/tests/mount/sleepers" $CONTAINERS $TASKS 0 "$MANY" >"$WORK/sleepers"
wait_until 60 grep -q all "$WORK/sleepers" || bail "no $CONTAINERS containers of $TASKS tasks"
before=$(loadavg 0 | cut -d' ' -f1)
from_second >"$WORK/before"
is "$(tasks "$WORK/before")" $((TASKS + 1)) "each of $CONTAINERS containers sees its own tasks and the reader"
# Some of so many looks meet whoever starts the reader, before it waits.
between "$(awk '$1 == 0' "$WORK/before" | wc -l)" $((SLOW > 1 ? 0 : CONTAINERS / 4)) $CONTAINERS "which sleep"

# The one that was read first of all, and that nobody reads while it changes.
(
	trap - EXIT INT TERM
	echo "$BASHPID" >"$MANY/0/cgroup.procs" && exec "$POKE" burn 600
) </dev/null &
background+=($!)
sleep 15
between "$(awk -v a="$(loadavg 0 | cut -d' ' -f1)" -v b="$before" 'BEGIN { print a - b * 0.85 }')" 0.1 1 \
	"a change in one shows within 15 s, though nobody read meanwhile"
from_second >"$WORK/after"
# One more look may have met a reader.
is "$(paste -d' ' "$WORK/before" "$WORK/after" | awk '$6 > $1 + 0.09' | wc -l)" 0 "and in no other"
matches "$(tasks "$WORK/after")" "^($TASKS |)$((TASKS + 1))$|^$TASKS$" "whose tasks are all there"
# One signal for ten thousand, before the test's end looks for them one by one.
kill -KILL "${background[0]}"
wait_until 60 bash -c '! grep -q . "$@"' - "$MANY"/{1..9}/cgroup.procs
