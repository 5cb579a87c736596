#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A worker that runs out of memory or descriptors, or cannot read: whoever reads meanwhile gets a
# whole text of its own or an error, never a short or empty one or the host's, the next one is
# answered, and nothing grows. What fails is chosen by a library preloaded into the daemon (faults.c).
source "$(dirname "$0")/lib.sh"
plan 14

FAULTS=$WORK/faults
head -c 24 /dev/zero >"$FAULTS"
ROUNDS=$((6 / SLOW > 2 ? 6 / SLOW : 2))
ERRORS='Input/output error|Cannot allocate memory|Too many open files( in system)?'

put() { # INDEX INT...: into the file
	local at=$1 n

	shift
	for n in "$@"; do
		# shellcheck disable=SC2059 # bytes
		printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((n & 255)) $((n >> 8 & 255)) $((n >> 16 & 255)) $((n >> 24 & 255)))"
	done | dd of="$FAULTS" bs=4 seek="$at" conv=notrunc status=none
}

no_faults() { put 3 0; }

# whose which error every: see faults.c.
faults() { no_faults; put 0 "$1" "$2" "$3"; put 4 0 0; put 3 "$4"; }
failed() { od -An -tu4 -j 20 -N 4 "$FAULTS" | tr -d ' '; }

# The files of a container, each again and again: NAME.N.out, .err and what cat(1) ended with.
# shellcheck disable=SC2016 # for the shell inside
READER='for ((i = 0; i < $2; i++)); do
	for file in $3; do
		cat "/$file" >"$1/${file//\//.}.$i.out" 2>"$1/${file//\//.}.$i.err" ||
			echo "$?" >"$1/${file//\//.}.$i.failed"
	done
done'
FILES="proc/meminfo proc/stat proc/cpuinfo proc/uptime proc/diskstats proc/swaps proc/loadavg $CPU_DIR/online $CPU_DIR/cpu0/topology/core_id"

read_all() { # DIRECTORY ROUNDS
	rm -rf "$1"
	mkdir "$1"
	in_container c timeout $((120 * SLOW)) bash -c "$READER" - "$1" "$2" "$FILES"
}

# What is wrong with what was read into the directory, compared with $WORK/right in what does not change
# from one moment to the next (MemTotal and the CPUs are the container's own). An error may come behind
# a text, from the read(2) that looks for its end.
wrong() {
	awk -v right="$WORK/right" -v errors="($ERRORS)" '
		function shape(file, line, all, column) {
			all = ""
			while ((getline line <file) > 0) {
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
					bad = shape(base ".err") == "" || shape(base ".err") !~ errors_line()
				if (bad)
					print name ": " text shape(base ".err")
			}
		}
		function errors_line() { return errors "\n$" }' "$1"/*.out | head -n 10
}

errors_in() { find "$1" -name '*.failed' | wc -l; }
descriptors() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
anonymous_kb() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$1/status"; }

LD_PRELOAD=$BUILD/tests/mount/faults.so LXCFS_FAULTS=$FAULTS start_daemon
new_container c --memory=$((256 * MIB)) --cpus=0
worker=$(a_worker)
read_all "$WORK/right" 1
is "$(errors_in "$WORK/right") $(meminfo c MemTotal)" "0 262144" "a container is served"

sweep() { # WHICH ERROR EVERY...
	local which=$1 error=$2 every

	shift 2
	for every in "$@"; do
		faults "$worker" "$which" "$error" "$every"
		read_all "$WORK/now" "$ROUNDS"
		no_faults
		wrong "$WORK/now"
		read_all "$WORK/now" 1
		[ "$(errors_in "$WORK/now")" = 0 ] || echo "an error afterwards: $(cat "$WORK"/now/*.err)"
		wrong "$WORK/now"
	done
}

# Of everything, every second, and at ever other places.
EVERY="1 2 7 29"
# shellcheck disable=SC2086 # a list
{
	is "$(sweep 1 12 $EVERY)" "" "out of memory: a whole text or an error, and all is right afterwards"
	growth_from=$(anonymous_kb "$worker") open_from=$(descriptors "$worker")
	is "$(sweep 2 24 $EVERY)" "" "so where the process is out of descriptors"
	is "$(sweep 2 23 $EVERY)" "" "and where the machine is"
	is "$(sweep 4 5 $EVERY)" "" "and where no file can be read"
	is "$(sweep 7 5 $EVERY)" "" "and where all of that happens at once"
	is "$(sweep 1 12 $EVERY)" "" "and when memory is short once more"
}
faults "$worker" 4 5 1
read_all "$WORK/now" 1
no_faults
between "$(errors_in "$WORK/now")" 1 100 "the errors do come to readers"
is "$(a_worker)" "$worker" "it is still the same worker"
between "$(descriptors "$worker")" 1 $((open_from + 8)) "that has no more descriptors open than before"
unless_sanitized "memory" between "$(($(anonymous_kb "$worker") - growth_from))" -1000000 1024 "and no more memory"

# ---- a worker that cannot even start
faults -"$DAEMON_PID" 1 12 3
kill -KILL "$worker"
in_container c timeout $((120 * SLOW)) cat /proc/meminfo >"$WORK/late" 2>&1 &
late=$!
cannot_start() { grep -qE 'cannot start: Cannot allocate memory' "$DAEMON_LOG"; }
ok "without memory no worker starts, which is logged" wait_until 20 cannot_start
no_faults
wait $late
is "$(value MemTotal <"$WORK/late")" 262144 "who waits for one meanwhile is answered when there is memory"
is "$(meminfo c MemTotal)" 262144 "and so is the next one"
