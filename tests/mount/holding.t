#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What one container may hold is the same whichever worker serves it, and however many cgroups and pid
# namespaces it makes: open files, and what is remembered of its counters. That a full table of others' is
# never met is unit-account's.
source "$(dirname "$0")/lib.sh"
plan 12

FLOOD=$BUILD/tests/mount/flood
INITS=$BUILD/tests/mount/inits
# Of the code: HANDLES_PER_CONTAINER, ACCOUNT_OF_OWNER.
HANDLES=4096 ACCOUNTS=4096
# ACCOUNT_SIBLINGS: of one kind in one cgroup. Each init has two at once: for stat in either tree. That for
# loadavg takes a look at all tasks, for which so many have not the time (SPEC 10).
SIBLINGS=64 CGROUPS=$((ACCOUNTS / (2 * 64) + 2))

# opened NAME COUNT PATH: in container a; what is kept is kept until end_background.
opened() {
	local out=$WORK/$1

	in_container a "$FLOOD" open "$2" "$out" "$3" </dev/null &
	background+=($!)
	wait_until $((60 * SLOW)) test -e "$out"
	OPENED=$(sed "s/^tried [0-9]* //" "$out")
}

ends_worker() { # -SIGNAL
	worker=$(worker_pid)
	kill "$1" "$worker"
	wait_until $((20 * SLOW)) is_another
}
is_another() { [ "$(worker_pid)" != "$worker" ] && daemon_answers; }

start_daemon
new_container a
new_container b

# ---- open files
opened first $((HANDLES + 10)) /proc/stat
is "$OPENED" "opened $HANDLES ENFILE" "a container has $HANDLES files open"
ends_worker -KILL
opened second 10 /proc/stat
is "$OPENED" "opened 0 ENFILE" "and with the next worker no more, which has read none of them yet"
ends_worker -TERM
opened third 10 "$MNT/$CPU_DIR/online"
is "$OPENED" "opened 0 ENFILE" "nor after another restart"
is "$(in_container b cat /proc/stat | grep -c '^cpu ')" 1 "the neighbour still opens files"
end_background
ends_worker -KILL
wait_until 20 in_container a cat /proc/uptime >"$WORK/uptime"
ok "closed, it may open files again" in_container a cat /proc/stat

passed=$(find "/sys/devices/system/cpu" -type f -perm -444 -path '*/topology/core_id' | head -n 1)
opened sysfs $((HANDLES + 10)) "$MNT$passed"
is "$OPENED" "opened $HANDLES ENFILE" "so it is with files that are passed through"
ends_worker -KILL
opened after 10 "$MNT$passed"
is "$OPENED" "opened 0 ENFILE" "which are nobody's to read again"
end_background

# ---- counters
for ((i = 0; i < CGROUPS; i++)); do
	CG_NO_ENABLE=1 make_cgroup "a/$i"
	in_subgroup a $i "$INITS" $SIBLINGS "$WORK/inits.$i" /proc/{stat,loadavg} "$MNT/quota/proc/stat" </dev/null &
	background+=($!)
done
not_full() { ! logged "no room to keep a container.s CPU or I/O times"; }
all_are_there() { [ "$(find "$WORK" -name 'inits.*' | wc -l)" = $CGROUPS ]; }
ok "a container's $CGROUPS cgroups have $SIBLINGS pid namespaces each, which all read" wait_until $((120 * SLOW)) all_are_there
ok "the log says that no more of its counters are kept" logged "a container has all the CPU and I/O times that may be kept for one"
ok "which are not all there can be" not_full
new_container c
before=$(in_container c awk '$1 == "cpu" { print $2 + $3 + $4 + $5 }' /proc/stat)
ends_worker -KILL
sleep 0.3
after=$(in_container c awk '$1 == "cpu" { print $2 + $3 + $4 + $5 }' /proc/stat)
between "$after" $((before + 1)) 1000000000 "a container that starts then has counters that go on with the next worker"
end_background
ok "everybody reads on" in_container b cat /proc/stat
