#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# nsdelegate, which every init system sets, belongs to the only hierarchy of a machine with cgroup v2
# alone, and any mount of it from the first cgroup namespace changes it for all: whatever the daemon
# does and containers ask of it, the host's options stay what they were.
source "$(dirname "$0")/../mount/lib.sh"
plan 10

MUTATE=$BUILD/tests/mount/mutate

options() { awk -v p="$CG_V2" '$5 == p { for (i = 7; $i != "-"; i++); print $6, $(i + 3) }' /proc/self/mountinfo; }
tries() { # CONTAINER FILE
	in_container "$1" timeout $((60 * SLOW)) "$MUTATE" triggers "$2" </dev/null 2>&1
}
surprises() { grep -v '^paths '; }

# The machine's tests begin without.
before=$(options)
test_cleanup() { mount -o "remount,${before#* }" "$CG_V2"; }
mount -o "remount,${before#* },nsdelegate" "$CG_V2"
delegated=$(options)
matches "$delegated" nsdelegate "the machine has cgroup v2 with nsdelegate"

# The words of old for what touched the host's cgroup mounts are taken, and do nothing.
start_daemon --enable-cgroup --enable-nsdelegate --enable-psi-poll
is "$(options)" "$delegated" "a daemon that serves leaves it as it is"
new_container c --memory=$((256 * MIB)) --cgroupns
is "$(meminfo c MemTotal)" 262144 "a container with a cgroup mount of its own is answered"
is "$(options)" "$delegated" "and changes nothing"
for file in proc/pressure proc/meminfo; do
	tries c "$MNT/$file"
done >"$WORK/tries"
is "$(surprises <"$WORK/tries")" "" "its root may write triggers, and nothing else"
matches "$(grep '^paths ' "$WORK/tries" | xargs)" '^paths .* writable [1-9][0-9]* paths .* writable 0$' \
	"all of which was tried"
is "$(options)" "$delegated" "which leave it as it is"
kill -KILL "$(a_worker)"
is "$(meminfo c MemTotal)" 262144 "the next worker answers"
is "$(options)" "$delegated" "and leaves it as it is"
stop_daemon
is "$(options)" "$delegated" "so does the end"
