#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Containers that are started, and killed in the middle of their readings, while the worker is killed
# as well: each of them goes away at once, and nothing hangs. And the load average goes on, and the
# supervisor stays as small as it must be.
source "$(dirname "$0")/lib.sh"
plan 15

COUNT=1000
[ -z "$SHORT" ] || COUNT=100

prepare_churn
start_daemon
new_container c --memory=$((256 * MIB))

# ---- the load average
load() { in_container c cut -d' ' -f1 /proc/loadavg; }
load >/dev/null
for i in 1 2; do
	in_container c "$POKE" burn 1000 &
	background+=($!)
done

# ---- start and stop
worker=$(a_worker)
rate=${LXCFS_TEST_KILL_RATE:-$((SLOW > 1 ? 1 : 5))} # a second; a slow worker takes its time to start
"$BUILD/tests/mount/storm" kill "$DAEMON_PID" 1000 100000 "$rate" any 9 >/dev/null &
killer=$!
background+=($killer)
killed() { [ "$(a_worker)" != "$worker" ]; }
# As few as in the short form may all be gone before the first kill.
for rounds in {1..50}; do
	CTCHURN_CUT=1 "$BUILD/tests/mount/ctchurn" $COUNT 8 "$MNT" "$churn_limit" "${churn_dirs[@]}" >>"$WORK/churned"
	killed && break
done
kill $killer
read -r containers reads errors wrong longest <<<"$(awk '{ c += $1; r += $2; e += $3; w += $4; l = $5 > l ? $5 : l }
	END { print c, r, e, w, l }' "$WORK/churned")"
ok "the worker was killed" killed
is "$containers" $((rounds * COUNT)) "$COUNT containers were started and killed while they read"
between "$reads" $((rounds * COUNT)) 1000000000 "which they did"
is "$errors $wrong" "0 0" "without an error, another's limit or half a text"
between "$longest" 0 $((2000 * SLOW)) "each was gone soon after"
diag "longest wait for a killed container: $longest ms"
is "$(find "${churn_dirs[@]}" -mindepth 1 -type d | wc -l)" 0 "no cgroup is left over"
hung() { # of this test
	ps -eo state=,wchan:32=,pid=,cgroup:400=,args= | awk -v own="$CG_PARENT" '$1 == "D" && $2 ~ /fuse|request_wait/ && index($4, own)'
}
ok "no task hangs in the file system" wait_until 20 eval '[ -z "$(hung)" ]'

is_loaded() { awk -v l="$(load)" 'BEGIN { exit !(l > 0.3) }'; }
ok "the load of a container grows over all those deaths" wait_until 60 is_loaded
before=$(load)
kill_worker -KILL
after=$(load)
between "$after" "$(awk -v l="$before" 'BEGIN { print l * 0.8 }')" 100 "and goes on after one more"
end_background

# ---- the supervisor
own=$(awk '/^(Private_Clean|Private_Dirty):/ { n += $2 } END { print n }' "/proc/$DAEMON_PID/smaps_rollup")
unless_sanitized "memory" between "$(awk '/^Pss:/ { print $2 }' "/proc/$DAEMON_PID/smaps_rollup")" 1 2047 "the supervisor takes less than 2 MiB"
unless_sanitized "memory" between "$own" 1 2047 "also of its own"
diag "supervisor: $(grep -E '^(Rss|Pss|Private_Dirty|Anonymous)' "/proc/$DAEMON_PID/smaps_rollup" | xargs)"
is "$(ls "/proc/$DAEMON_PID/task" | wc -l)" 1 "it has one thread"
between "$(wc -l <"$TOP/src/daemon/supervisor.c")" 1 599 "it has less than 600 lines"
objects=()
for part in supervisor minder backoff connection handover pidfile heal heal_namespace heal_text takeover inherit \
	upgrade notify watchdog sandbox sandbox_filter sandbox_mounts; do
	objects+=("$BUILD"/src/liblxcfs-daemon.a.p/daemon_$part.c.o)
done
nm -u "${objects[@]}" >"$WORK/undefined"
is "$? $(grep -c ' fuse_' "$WORK/undefined")" "0 0" "and calls nothing of libfuse"
isnt "$(nm -u "$BUILD/src/liblxcfs-daemon.a.p/daemon_loop.c.o" | grep -c ' fuse_')" 0 "as the worker does"
