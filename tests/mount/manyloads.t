#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Load averages of about as many containers as are sampled at once: 490 of 20 tasks each (what the virtual
# machine has memory for), and a few for whoever reads. What one of them does shows there, in time, and nowhere
# else; and beside another one that asks for too much.
source "$(dirname "$0")/lib.sh"
plan 7

CONTAINERS=490
[ "$SLOW" -eq 1 ] || CONTAINERS=60
TASKS=20
ROOT=${CG_V1[cpuacct]-$CG_V2} # one hierarchy makes a container
MANY=$ROOT/$CG_PARENT/many

loadavg() { # CONTAINER, or nothing: the one that has all of them inside it
	(
		trap - EXIT INT TERM
		echo "$BASHPID" >"$MANY/${1-}/cgroup.procs" && exec cat "$MNT/proc/loadavg"
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
# Its tasks are the last that were started: they may not have come to sleep.
all_sleep() { ! xargs -I{} sed -n 's/.*) \(.\) .*/\1/p' /proc/{}/stat <"$MANY/0/cgroup.procs" | grep -q '[RD]'; }
wait_until 20 all_sleep
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
burnt=$(loadavg 0 | cut -d' ' -f1)
between "$(awk -v a="$burnt" -v b="$before" 'BEGIN { print a - b * 0.85 }')" 0.1 1 \
	"a change in one shows within 15 s, though nobody read meanwhile"
from_second >"$WORK/after"
# One more look may have met a reader.
is "$(paste -d' ' "$WORK/before" "$WORK/after" | awk '$6 > $1 + 0.09' | wc -l)" 0 "and in no other"
matches "$(tasks "$WORK/after")" "^($TASKS |)$((TASKS + 1))$|^$TASKS$" "whose tasks are all there"
# One that alone has as many tasks as all of these, and reads without end. Nobody else reads until what changed
# has ended again, so whoever is not sampled does not show it.
(
	trap - EXIT INT TERM
	echo "$BASHPID" >"$MANY/cgroup.procs" && exec "$BUILD/tests/mount/flood" read 1 "$WORK/stop" "$MNT/proc/loadavg"
) </dev/null &
background+=($!)
sleep 11
kill -KILL "${background[1]}"
wait "${background[1]}" 2>/dev/null
between "$(awk -v a="$(loadavg 0 | cut -d' ' -f1)" -v b="$burnt" 'BEGIN { print a - b }')" 0.04 1 \
	"a container goes on being sampled beside one of very many tasks that reads without end"
between "$(tasks <(loadavg))" $((CONTAINERS * TASKS)) $((CONTAINERS * TASKS + 10)) "which is told all of its tasks"
touch "$WORK/stop"
# One signal for ten thousand, before the test's end looks for them one by one.
kill -KILL "${background[0]}"
wait_until 60 bash -c '! grep -q . "$@"' - "$MANY"/{1..9}/cgroup.procs
