#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A container that takes all it can get: files opened and kept open, pollers, processes that read without
# end. It gets what one container may have, and its neighbour is served all the while, truthfully, and
# about as soon as in the quiet: within two powers of ten, where waiting behind all who came before is
# more than three. Closer figures are those of tests/bench/run, and that containers take turns is unit-backlog's.
source "$(dirname "$0")/lib.sh"

FLOOD=$BUILD/tests/mount/flood
OPENS=100000 POLLERS=10000 READERS=1000
[ -z "$SHORT" ] || { OPENS=20000 POLLERS=500 READERS=100; }
# Of the code: HANDLES_PER_CONTAINER, HANDLES_PAGES_PER_CONTAINER, TRIGGERS_PER_CONTAINER, KEYS_PER_OWNER,
# CALLERS_MAX.
HANDLES=4096 PAGES=8192 TRIGGERS=64 RECORDS=64 CALLERS=256
pressure=0
[ ! -e /proc/pressure/memory ] || [ -z "$CG_V2" ] || pressure=1
plan $((50 + 17 * pressure))

NEVER="full 2000000 2000000"
B_KB=131072

status_of() { value "$1" <"/proc/$worker/status"; } # in kB, of memory
descriptors() { ls "/proc/$worker/fd" | wc -l; }

# measure WHEN [UNTIL]: container b reads, until there is that file, and tells; any other limit than its
# own is wrong.
measure() {
	local out

	out=$(in_container b timeout $((200 * SLOW)) "$FLOOD" measure $((2 * SLOW)) "$b_line" /proc/meminfo "${@:2}")
	diag "$1: $out us"
	read -r _ reads _ wrong _ median _ p99 _ longest _ <<<"$out"
}

neighbour_serves() { # WHEN [UNTIL]
	measure "$@"
	is "$wrong" 0 "$1: every reading of the neighbour's is right"
	# 7 where it waits for all who came before it, thousands where containers take turns
	between "$reads" 100 1000000000 "it reads all the while"
	between "$median" 1 $((100 * quiet_median)) "mostly about as soon as in the quiet"
	between "$p99" 1 "$most_p99" "and seldom much later"
	between "$longest" 0 $((20000000 * SLOW)) "and none hangs"
	is "$(meminfo b MemTotal)" $B_KB "it sees its own limit"
}

# start_flood NAME OUTPUT ARGUMENT...: in container a; waits for what it got.
start_flood() {
	local out=$WORK/$1

	rm -f "$out"
	in_container a "$FLOOD" "$2" "$3" "$out" "${@:4}" </dev/null &
	background+=($!)
	wait_until 60 test -e "$out" || diag "the flood $1 does not come"
}

# taken: what the worker has now.
take_bounds() { taken=("$(status_of Threads)" "$(descriptors)" "$(status_of RssShmem)" "$(status_of RssAnon)"); }

within_bounds() { # WHEN
	between "${taken[0]}" 1 "$threads" "$1: the worker has no more threads"
	between "${taken[1]}" 1 $((descriptors + TRIGGERS + 3 * RECORDS + CALLERS)) "no more descriptors than a container's records, cgroup files, threads and triggers take"
	between "${taken[2]}" 0 $((shmem + 4 * PAGES + 4096)) "it keeps no more texts than a container may have"
	unless_sanitized "memory" between "${taken[3]}" 0 $((anonymous + 16384)) "and little else"
}

began=$(now_ms)
start_daemon --enable-psi-poll
worker=$(worker_pid)
new_container a --memory=$((1500 * MIB))
new_container b --memory=$((B_KB * 1024))
meminfo a MemTotal >/dev/null
b_line=$(in_container b head -n 1 /proc/meminfo)
matches "$b_line" "^MemTotal: +$B_KB kB\$" "the neighbour's file begins with its limit"
measure "quiet"
quiet_reads=$reads
quiet_median=$((median > 100 * SLOW ? median : 100 * SLOW))
# The machine may be busier later on: from 0.3 s to 2.
most_p99=$((SLOW * (p99 < 3000 ? 300000 : p99 < 20000 ? 100 * p99 : 2000000)))
threads=$(status_of Threads)
descriptors=$(descriptors)
shmem=$(status_of RssShmem)
anonymous=$(status_of RssAnon)
between "$threads" 1 32 "threads are a few from the start"

# ---- pollers
if [ $pressure = 1 ]; then
	start_flood pollers poll $POLLERS /proc/pressure/memory "$NEVER"
	is "$(cat "$WORK/pollers")" "armed $TRIGGERS polling $POLLERS" "$POLLERS threads of a container poll the triggers that it may have"
	is "$(status_of Threads)" "$threads" "for which the worker needs no thread"
	is "$(in_container b "$POKE" writes 1 1 "$NEVER" /proc/pressure/memory)" "done" "and another container arms its own"
fi
neighbour_serves "pollers"

# ---- triggers being closed, for which the kernel waits for every CPU, those of a file one after the other
if [ $pressure = 1 ]; then
	end_background
	wait_until 20 holds 0
	in_container a "$FLOOD" rearm 1 "$WORK/closed" /proc/pressure/memory "$NEVER" </dev/null >"$WORK/rearmed" &
	rearming=$!
	background+=($!)
	sleep 1
	neighbour_serves "triggers being closed"
	# One in thirty and less where whoever serves requests closes them.
	between "$reads" $((quiet_reads / 10)) 1000000000 "and reads about as often as in the quiet"
	take_bounds
	: >"$WORK/closed"
	wait $rearming
	background=()
	within_bounds "triggers being closed"
	read -r _ rearmed <"$WORK/rearmed"
	between "$rearmed" $((TRIGGERS + 1)) 1000000000 "which were armed again all the while"
	ok "none of them stays" wait_until 20 holds 0
	start_flood again poll 10 /proc/pressure/memory "$NEVER"
	is "$(cat "$WORK/again")" "armed $TRIGGERS polling 10" "and the container may have as many as before"
fi

# ---- files being opened, and then kept open
held=$((TRIGGERS * pressure))
in_container a "$FLOOD" open $OPENS "$WORK/files" /proc/stat "$WORK/opened" "$WORK/all" </dev/null &
background+=($!)
neighbour_serves "files being opened" "$WORK/files"
ok "while $OPENS were opened and more" test -e "$WORK/files" -a ! -e "$WORK/all"
: >"$WORK/opened"
wait_until 20 test -e "$WORK/all"
read -r _ tried opened <"$WORK/all"
between "$tried" $((OPENS + 1)) 1000000000 "which did not end before the neighbour's readings did"
is "$opened" "opened $((HANDLES - held)) ENFILE" "a container that opens $OPENS files gets $HANDLES handles"
start_flood nested open 10 /proc/stat
is "$(cat "$WORK/nested")" "tried 10 opened 0 ENFILE" "another process of its gets none"
for kind in "-p -f" "-U -r -p -f -C"; do
	rm -f "$WORK/nested"
	# shellcheck disable=SC2086 # words
	in_container a unshare $kind --kill-child=KILL "$FLOOD" open 10 "$WORK/nested" /proc/stat </dev/null &
	background+=($!)
	wait_until 20 test -e "$WORK/nested"
	is "$(cat "$WORK/nested")" "tried 10 opened 0 ENFILE" "nor a container inside ($kind): they are charged to the outermost one"
done
is "$(in_container b cat /proc/stat | grep -c '^cpu ')" 1 "the neighbour still opens files"
take_bounds
within_bounds "files kept open"
neighbour_serves "files kept open"

# ---- long texts: the kernel's own, for a container's take few pages on a machine with few CPUs
end_background
new_container c
kill -USR2 "$DAEMON_PID"
wait_until 10 logged 'SIGUSR2: every file' || bail "SIGUSR2 has no effect"
in_container c "$FLOOD" open $HANDLES "$WORK/long" /proc/slabinfo </dev/null &
background+=($!)
wait_until 60 test -e "$WORK/long"
kill -USR2 "$DAEMON_PID"
wait_until 10 logged 'SIGUSR2: containers' || bail "another SIGUSR2 has no effect"
read -r _ _ _ opened refused <"$WORK/long"
is "$refused" ENFILE "a container that keeps long texts is refused more"
# What its file takes may have become a page more or less.
each=$((($(wc -c </proc/slabinfo) + 4095) / 4096))
between "$opened" $((PAGES / (each + 1))) $((PAGES / (each - 1))) "when they take $PAGES pages"
end_background
remove_container c

# ---- processes that read
in_container a "$FLOOD" read $READERS "$WORK/enough" /proc/stat /proc/meminfo /proc/cpuinfo /proc/pressure/cpu </dev/null &
readers_of_a=$!
background+=($!)
sleep 1
neighbour_serves "$READERS readers"
take_bounds
ok "they have read all the while" kill -0 $readers_of_a
: >"$WORK/enough"
wait $readers_of_a # to look for a thousand children one by one would take longer
background=()
within_bounds "$READERS readers"

# ---- afterwards
is "$(worker_pid)" "$worker" "one worker has served all the while"
given_back() { holds 0 && in_container a "$POKE" times 1 /proc/stat && [ "$(descriptors)" -le $((descriptors + 3 * RECORDS + CALLERS)) ]; }
ok "what was taken is given back" wait_until 20 given_back
start_flood again open $HANDLES /proc/stat
is "$(cat "$WORK/again")" "tried $HANDLES opened $HANDLES" "all of it: the container may open as many files again"
end_background
measure "afterwards"
is "$wrong" 0 "and its neighbour reads on"
# A line a minute and cause.
minutes=$((($(now_ms) - began) / 60000 + 1))
most=$(grep -o '[0-9]* files open, which is all\|pressure triggers armed\|no room is left' "$DAEMON_LOG" | sort | uniq -c | awk '$1 > n { n = $1 } END { print n + 0 }')
between "$most" 1 $((minutes + 1)) "the log has a line a minute for what was refused"
between "$(wc -l <"$DAEMON_LOG")" 1 40 "and few in all"
