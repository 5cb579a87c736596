#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A crash of the worker goes unnoticed, a stop leaves nothing behind, and a start clears away what a
# killed daemon left.
source "$(dirname "$0")/lib.sh"
plan 33

PIDFILE=$WORK/run/lxcfs.pid # where it is by default

start_daemon
new_container c --memory=$((256 * MIB)) --cpus=0
new_container d --memory=$((128 * MIB)) --cpus=1

# ---- one kill
worker=$(worker_pid)
isnt "$worker" 0 "the daemon has a worker"
mkfifo "$WORK/go"
in_container c "$POKE" half /proc/meminfo <"$WORK/go" >"$WORK/half" &
half=$!
exec 8>"$WORK/go"
wait_until 10 test -s "$WORK/half" || bail "no file is half read"
stat_1=$(in_container c cat /proc/stat)
kill -KILL "$worker"
is "$(in_container c timeout $((10 * SLOW)) cat /proc/meminfo | value MemTotal)" 262144 "the next read after kill -9 of the worker answers"
is "$(in_container d timeout $((10 * SLOW)) cat /proc/meminfo | value MemTotal)" 131072 "another container's too"
wait_until 10 another_worker "$worker"
isnt "$(worker_pid)" "$worker" "by another worker"
echo >&8
exec 8>&-
wait $half
shape() { sed 's/[0-9][0-9]*/N/g; s/  */ /g'; }
is "$(shape <"$WORK/half")" "$(shape </proc/meminfo)" "a handle that was half read before is read to its end"
stat_2=$(in_container c cat /proc/stat)
between "$(awk '$1 == "cpu" { print $2 + $3 + $4 + $5 }' <<<"$stat_2")" \
	"$(awk '$1 == "cpu" { print $2 + $3 + $4 + $5 }' <<<"$stat_1")" $((HZ * 600)) "CPU time goes on from where it was"
between "$(awk '$1 == "cpu" { print $2 + $3 + $4 }' <<<"$stat_2")" \
	"$(awk '$1 == "cpu" { print $2 + $3 + $4 }' <<<"$stat_1")" $((HZ * 600)) "so does busy time"

# ---- many, under readers
seconds=$((8 + 4 * SLOW))
start_readers $seconds "c meminfo MemTotal:         262144 kB" "d meminfo MemTotal:         131072 kB" \
	"c stat cpu" "d cpuinfo processor"
kills=0
end=$((SECONDS + seconds - 2))
while [ $SECONDS -lt $end ]; do
	sleep 0.$((SLOW > 1 ? 9 : 3)) # a slow one takes its time to start
	worker=$(worker_pid)
	[ "$worker" != 0 ] && kill -KILL "$worker" && kills=$((kills + 1))
done
wait "${readers[@]}"
between $kills 5 1000 "the worker was killed many times under readers"
diag "$kills kills; reads, errors, broken, longest stall in ms: $(cat "$WORK"/loop.? | xargs)"
is "$(cat "$WORK"/loop.? | wc -l)" 4 "every reader came to its end"
is "$(awk '{ n += $2 } END { print n }' "$WORK"/loop.?)" 0 "not one read failed"
is "$(cat "$WORK"/loop.?.errors | head -n 3)" "" "nor complained"
is "$(awk '{ n += $3 } END { print n }' "$WORK"/loop.?)" 0 "nor was one short, empty or another's"
between "$(awk '$4 > n { n = $4 } END { print n }' "$WORK"/loop.?)" 0 $((4000 * SLOW)) "nobody waited long"
between "$(awk '{ n += $1 } END { print n }' "$WORK"/loop.?)" 100 1000000000 "they did read"
is "$(in_container c cat /proc/meminfo | value MemTotal)" 262144 "afterwards all is as before"

# ---- the whole connection aborted from inside
in_container d umount -f /proc/uptime 2>/dev/null
ok "umount -f by a container aborts it" wait_until 10 logged 'the connection of .* was aborted'
ok "and DIR serves again" wait_until 10 daemon_answers

# ---- a second daemon on one pidfile
mkdir "$WORK/mnt2"
"$LXCFS" --runtime-dir="$WORK/run" --pidfile="$PIDFILE" "$WORK/mnt2" >"$WORK/out" 2>"$WORK/err" </dev/null &
second=$!
wait_until 5 gone $second
gone $second || kill $second
wait $second
is $? 1 "a second daemon on one pidfile: exit 1"
is "$(wc -l <"$WORK/err")" 1 "with one line"
matches "$(cat "$WORK/err")" "$PIDFILE|$DAEMON_PID" "that names the file or the process"
ok "and the first goes on" daemon_answers
ok "mounting nothing" bash -c '! grep -q "$1" /proc/self/mountinfo' - "$WORK/mnt2"

# ---- kill -9 of the supervisor, and a start over what it leaves
old=$DAEMON_PID
worker=$(worker_pid)
kill -KILL "$old"
wait "$old" 2>/dev/null
ok "without its supervisor a worker ends" wait_until 10 gone "$worker"
DAEMON_PID=
is "$(timeout $((5 * SLOW)) cat "$MNT/proc/meminfo" >/dev/null 2>&1; echo $(($? == 124)))" 0 "what is left at DIR does not hang a reader"
start_daemon
is "$(awk -v m="$MNT" '$5 == m' /proc/self/mountinfo | wc -l)" 1 "started over a dead mount, there is one mount at DIR"
ok "and it serves" daemon_answers
remove_container c
new_container c --memory=$((256 * MIB)) --cpus=0

# ---- SIGTERM
worker=$(worker_pid)
pid=$DAEMON_PID
in_container c "$POKE" loop 4 MemTotal: /proc/meminfo >/dev/null 2>&1 &
reader=$!
sleep 0.5
kill -TERM "$pid"
wait_until 10 gone "$pid" || kill -KILL "$pid"
wait "$pid"
is $? 0 "SIGTERM: exit 0"
DAEMON_PID=
ok "no mount is left" bash -c '! grep -q "$1" /proc/self/mountinfo' - "$MNT"
ok "no worker" wait_until 5 gone "$worker"
ok "no pidfile" test ! -e "$PIDFILE"
is "$(ls -A "$WORK/run")" "" "nothing in the runtime directory"
ok "who reads in a container meanwhile does not hang" wait_until 10 gone $reader
ok "a container that still reads gets an error, not a hang" fails nsenter -t "${CT_PID[c]}" -p -m -- cat /proc/meminfo
