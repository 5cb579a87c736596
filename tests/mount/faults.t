#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A worker that runs out of memory or descriptors, or cannot read: whoever reads, lists or looks up
# meanwhile gets a whole answer of its own or an error, never a short or empty one or the host's,
# whoever polls is told, the next one is answered, and nothing grows. What fails is chosen by a library
# preloaded into the daemon (faults.c).
source "$(dirname "$0")/lib.sh"
source "$TOP/tests/mount/faults.sh"
plan 46

ROUNDS=$((6 / SLOW > 2 ? 6 / SLOW : 2))
ERRORS='Input/output error|No such device|Cannot allocate memory|Too many open files( in system)?'

FILES="proc/meminfo proc/stat proc/cpuinfo proc/uptime proc/diskstats proc/swaps proc/loadavg proc/slabinfo
	$CPU_DIR/online $CPU_DIR/offline $CPU_DIR/present $CPU_DIR/possible $CPU_DIR/cpu0/topology/core_id"
PRESSURE= # where the kernel has it
[ ! -d /proc/pressure ] || PRESSURE=$(cd / && echo proc/pressure/*)
# Of the directories that are made up and of those that are passed through.
DIRECTORIES="ls:${MNT#/} ls:${MNT#/}/proc ls:$CPU_DIR ls:$CPU_DIR/cpu0/topology
	stat:${MNT#/}/proc stat:$CPU_DIR stat:$CPU_DIR/cpu0 stat:$CPU_DIR/cpu0/topology/core_id
	look:$CPU_DIR/online look:$CPU_DIR/cpu0 look:$CPU_DIR/cpu0/topology/core_id"
FILES=$(xargs <<<"$FILES $DIRECTORIES $PRESSURE")

# The container's files, each so often: see poke each.
read_all() { # DIRECTORY ROUNDS
	rm -rf "$1"
	mkdir "$1"
	in_container c timeout $((120 * SLOW)) "$POKE" each "$1" "$2" "$FILES"
}

# What is wrong with what was read into the directory, compared with $WORK/right in what does not change
# from one moment to the next (MemTotal and the CPUs are the container's own). An error may come behind
# a text, from the read(2) that looks for its end.
wrong() {
	awk -v right="$WORK/right" -v errors="^($ERRORS)\n$" '
		function shape(file, line, all, column) {
			all = ""
			while ((getline line <file) > 0) {
				if (file ~ /\/(ls|stat):/) {
					all = all line "\n"
					continue # nothing of it changes
				}
				if (file ~ /diskstats/ && split(line, column) >= 14)
					continue # there once the container has read from the disk
				if (line ~ /^cpu[0-9]/) sub(/ .*/, "", line)
				else if (line !~ /^(MemTotal|processor)/) gsub(/[0-9.]+/, "N", line)
				gsub(/ +/, " ", line)
				all = all line "\n"
			}
			close(file)
			return all
		}
		function is_there(file, line) { line = (getline line <file) >= 0; close(file); return line }
		BEGIN {
			for (i = 1; i < ARGC; i++) {
				base = name = ARGV[i]
				sub(/\.out$/, "", base)
				sub(/.*\//, "", name)
				sub(/\.[0-9]+\.out$/, "", name)
				text = shape(ARGV[i])
				if (!is_there(base ".failed") || text != "")
					bad = text != shape(right "/" name ".0.out")
				else
					bad = shape(base ".failed") !~ errors
				if (bad)
					print name ": " text shape(base ".failed")
			}
		}' "$1"/*.out | head -n 10
}

errors_in() { find "$1" -name '*.failed' | wc -l; }
# But for those of known callers, of whom a bounded number is kept.
descriptors() { find "/proc/$1/fd" -mindepth 1 ! -lname '/proc/*/ns' | wc -l; }
anonymous_kb() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$1/status"; }

start_faulty_daemon
new_container c --memory=$((256 * MIB)) --cpus=0
worker=$(a_worker)
read_all "$WORK/right" 1
is "$(errors_in "$WORK/right") $(meminfo c MemTotal)" "0 262144" "a container is served"
# shellcheck disable=SC2012 # names of the kernel's
is "$(cut -d' ' -f1 "$WORK/right/ls:${CPU_DIR//\//.}.0.out" | xargs)" \
	"$(LC_ALL=C ls -a /$CPU_DIR | grep -vE '^(cpu[1-9][0-9]*|crash_notes.*)$' | xargs)" "and is listed its own CPU and all that is none"

sweep() { # WHICH ERROR EVERY...
	local which=$1 error=$2 every

	shift 2
	for every in "$@"; do
		faults "$worker" "$which" "$error" "$every"
		read_all "$WORK/now" "$ROUNDS" || echo "not all was read"
		no_faults
		have_failed || echo "nothing has failed: $which, every $every."
		wrong "$WORK/now"
		read_all "$WORK/now" 1 || echo "not all was read afterwards"
		[ "$(errors_in "$WORK/now")" = 0 ] || echo "an error afterwards: $(cat "$WORK"/now/*.failed)"
		wrong "$WORK/now"
	done
}

# Of everything, every second, and at ever other places.
EVERY="1 2 7 29"
# shellcheck disable=SC2086 # a list
{
	is "$(sweep 17 12 $EVERY)" "" "out of memory: a whole text or an error, and all is right afterwards"
	growth_from=$(anonymous_kb "$worker") open_from=$(descriptors "$worker")
	is "$(sweep 2 24 $EVERY)" "" "so where the process is out of descriptors"
	is "$(sweep 2 23 $EVERY)" "" "and where the machine is"
	is "$(sweep 4 5 $EVERY)" "" "and where no file can be read"
	is "$(sweep 6 19 $EVERY)" "" "and where every file is said to be gone"
	is "$(sweep 23 5 $EVERY)" "" "and where all of that happens at once"
	is "$(sweep 17 12 $EVERY)" "" "and when memory is short once more"
}
faults "$worker" 4 5 1
read_all "$WORK/now" 1
no_faults
between "$(errors_in "$WORK/now")" 1 100 "the errors do come to readers"
is "$(a_worker)" "$worker" "it is still the same worker"
between "$(descriptors "$worker")" 1 $((open_from + 8)) "that has no more descriptors open than before"
unless_sanitized "memory" between "$(($(anonymous_kb "$worker") - growth_from))" -1000000 1024 "and no more memory"

# ---- a worker that cannot even start
# The supervisor meets the same.
cannot_start() { # WHOSE WHICH ERROR EVERY LOG-LINE
	local late

	faults "$1" "$2" "$3" "$4"
	kill -KILL "$(a_worker)"
	in_container c timeout $((120 * SLOW)) cat /proc/meminfo >"$WORK/late" 2>&1 &
	late=$!
	ok "no worker starts, which is logged: $5" wait_until 20 grep -q "$5" "$DAEMON_LOG"
	no_faults
	wait $late
	is "$(value MemTotal <"$WORK/late")" 262144 "who waits for one meanwhile is answered when that is over"
	is "$(meminfo c MemTotal)" 262144 "and so is the next one"
}
cannot_start 0 $MEMORY 12 3 "the worker cannot start: Cannot allocate memory"
cannot_start 0 $OPENING 24 3 "the worker cannot start: Too many open files"
cannot_start 0 $READING 5 3 "the worker cannot start: Input/output error"
cannot_start "$DAEMON_PID" $FORKING 11 1 "cannot start a worker: Resource temporarily unavailable"

# One call fails, the N-th of those that the next worker makes at its start: the supervisor's are not
# counted.
fail_once() { # WHICH ERROR N
	faults -"$DAEMON_PID" "$1" "$2" 1000000
	put 4 $((1000000 - $3))
}
start_with_less() {
	local n

	for n in 1 2 3 5 8 12; do
		fail_once "$1" "$2" "$n"
		kill -KILL "$(a_worker)"
		[ "$(meminfo c MemTotal)" = 262144 ] || echo "no answer after call $n failed"
		have_failed || echo "call $n has not failed"
		no_faults
		[ "$(readlink "/proc/$(a_worker)/ns/mnt")" != "$(readlink "/proc/$DAEMON_PID/ns/mnt")" ] ||
			echo "a worker has the host's mounts after call $n failed"
	done
}
is "$(start_with_less 1 12)" "" "a worker that lacks memory for a moment gets mounts of its own, or the next one does"
is "$(start_with_less 2 24)" "" "so with one that lacks a descriptor"

# ---- triggers
if [ -z "$PRESSURE" ]; then
	skip 19 "a kernel without pressure"
	exit 0
fi
remove_container c
stop_daemon
start_faulty_daemon --enable-psi-poll
new_container c --memory=$((256 * MIB)) --cpus=0
worker=$(a_worker)
has_opener() { opener=$(pgrep -P "$worker" lxcfs-opener); }
wait_until 10 has_opener || bail "nobody opens pressure files"
read_all "$WORK/right" 1

# Three triggers on each file, and what came of each write: "N ERROR M done".
arm_all() {
	# shellcheck disable=SC2016 # for the shell inside
	in_container c bash -c 'for file in $2; do timeout 60 "$1" writes 3 1 "full 2000000 2000000" "/$file"; done' \
		- "$POKE" "$PRESSURE" 2>&1 | LC_ALL=C sort | uniq -c | xargs
}
ALL_DONE="$((3 * $(wc -w <<<"$PRESSURE"))) done"

sweep_triggers() { # WHICH ERROR EVERY...
	local which=$1 error=$2 every ROUNDS=2

	shift 2
	for every in "$@"; do
		faults "$worker" "$which" "$error" "$every"
		arm_all | grep -vxE '([0-9]+ (E(NOMEM|MFILE|NFILE|IO|NODEV)|done) ?)+'
		no_faults
		have_failed || echo "nothing has failed of triggers: $which, every $every."
		[ "$(arm_all)" = "$ALL_DONE" ] || echo "cannot be armed afterwards"
		wait_until 5 holds 0 || echo "triggers stay"
		sweep "$which" "$error" "$every"
	done
}

# As many as a container may have: none that failed counts.
arm_most() { in_container c "$POKE" writes 64 1 "full 2000000 2000000" /proc/pressure/cpu | sort | uniq -c | xargs; }

is "$(arm_all)" "$ALL_DONE" "with --enable-psi-poll triggers are armed"
faults "$worker" 16 12 1
is "$(arm_all)" "${ALL_DONE/done/ENOMEM}" "none is that nobody would watch"
no_faults
is "$(sweep_triggers 17 12 2 7)" "" "out of memory: they are, or an error is told, and all is right afterwards"
open_from=$(descriptors "$worker")
is "$(sweep_triggers 2 24 2 5)" "" "so where the process is out of descriptors"
is "$(sweep_triggers 4 5 2 5)" "" "and where no file can be read"
is "$(sweep_triggers 6 19 2 5)" "" "and where every file is said to be gone"
faults "$opener" 8 24 1
is "$(in_container c "$POKE" writes 2 2 "full 2000000 2000000" /proc/pressure/cpu | uniq -c | xargs)" "4 EMFILE" \
	"where who opens the cgroup's files is out of them: that is the error, however often it is tried"
no_faults
is "$(arm_most)" "64 done" "a container may have as many as before"
ok "and leaves none of them" wait_until 5 holds 0
is "$(a_worker)" "$worker" "it is still the same worker"
between "$(descriptors "$worker")" 1 $((open_from + 8)) "that has no more descriptors open than before"

# ---- a worker that cannot arm again
# What opens the cgroup's files is a process of its own.
cannot_start "-$DAEMON_PID" $FORKING 11 1 "the worker cannot start: Resource temporarily unavailable"
is "$(arm_all)" "$ALL_DONE" "and triggers can be armed"
worker=$(a_worker)
for i in 1 2 3; do
	in_container c "$POKE" trigger "full 2000000 2000000" 2 60000 - /proc/pressure/cpu \
		</dev/null >"$WORK/poll.$i" 2>&1 &
	background+=($!)
done
ok "three poll" wait_until 10 holds 3
faults -"$DAEMON_PID" 8 24 1
kill -KILL "$worker"
wait "${background[@]}"
background=()
no_faults
is "$(tail -qn 1 "$WORK"/poll.? | cut -d' ' -f2- | uniq -c | xargs)" "3 PRI ERR" \
	"a worker dies, and the next one cannot arm again: whoever polls is told"
matches "$(cat "$DAEMON_LOG")" "could not be armed again by a new worker: Too many open files" "and the log says so"
is "$(arm_all)" "$ALL_DONE" "all can be armed anew"
