#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Eight readers in four containers read all files while the worker is killed ten times a second, at
# random instants: nobody notices but by a clock. LXCFS=PROGRAM runs another build of the daemon (one
# with a sanitizer), LXCFS_TEST_KILLS=N goes on until that many kills instead of a minute.
source "$(dirname "$0")/lib.sh"
plan 13

SECONDS_OF_KILLS=60
KILLS=1000000
RATE=10
if [ -n "${LXCFS_TEST_KILLS-}" ]; then
	SECONDS_OF_KILLS=3600
	KILLS=$LXCFS_TEST_KILLS
	RATE=5 # a sanitized one takes its time to start
fi

STORM=$BUILD/tests/mount/storm
start_daemon
new_container a --memory=$((256 * MIB)) --cpus=0
new_container b --memory=$((128 * MIB)) --cpus=1
new_container c --memory=$((512 * MIB)) --quota=50000
new_container d --cgroupns

FILES=()
for file in $SERVED $CPU_DIR/online; do
	FILES+=("/$file")
done
for file in "$MNT"/proc/pressure/*; do
	[ ! -e "$file" ] || FILES+=("/proc/pressure/${file##*/}")
done
FILES+=("/$CPU_DIR")

# ---- the storm
readers=()
for name in a b c d; do
	in_container "$name" "$STORM" read "$WORK/stop" 2 "${FILES[@]}" \
		>"$WORK/read.$name" 2>"$WORK/errors.$name" &
	readers+=($!)
done
background+=("${readers[@]}")
sleep 1
kills=$("$STORM" kill "$DAEMON_PID" "$SECONDS_OF_KILLS" "$KILLS" "$RATE" any 9)
# Before INIT is shown to the session, or just behind it.
early=$("$STORM" kill "$DAEMON_PID" 10 24 4 early 9)
: >"$WORK/stop"
wait "${readers[@]}"

sum() { awk -v w="$1" '$1 == w { n += $2 } END { print n + 0 }' "$WORK"/read.?; }
# The stall that all readings but so many of a thousand stay below, in milliseconds.
stall() {
	cat "$WORK"/read.? | awk -v part="$1" '$1 == "ms" { at[$2] += $3; all += $3 }
		END { for (i = 0; i <= 20000; i++) { n += at[i]; if (n >= all * part) { print i + 1; exit } } }'
}
longest=$(awk '$1 == "longest-us" && $2 > n { n = $2 } END { printf "%.1f", n / 1000 }' "$WORK"/read.?)

between "$kills" $((SECONDS_OF_KILLS < 3600 ? SECONDS_OF_KILLS * 4 / SLOW : KILLS)) 1000000 \
	"the worker was killed all the time"
between "$early" 6 25 "and a few times before it could serve"
is "$(cat "$WORK"/read.? | grep -c ^readings)" 4 "every reader came to its end"
between "$(sum readings)" 1000 1000000000 "having read"
is "$(sum errors)" 0 "not one reading failed"
is "$(sum brief)" 0 "not one text was short"
is "$(sum backwards)" 0 "no counter went back"
is "$(sum mixed)" 0 "no handle gave pieces of two texts"
is "$(head -qn 3 "$WORK"/errors.?)" "" "nobody complained"
diag "$kills kills and $early early ones, $(sum readings) readings; stalls: 99.9% below $(stall 0.999) ms, 99% below $(stall 0.99) ms, longest $longest ms"
diag "the daemon's log: $(sed 's/worker [0-9]*/worker N/; s/pid [0-9]*/pid N/' "$DAEMON_LOG" | sort | uniq -c)"
between "${longest%.*}" 0 $((4000 * SLOW)) "nobody waited long"
is "$(grep -cE 'AddressSanitizer|runtime error|ThreadSanitizer' "$DAEMON_LOG")" 0 "no sanitizer complained"
is "$(grep -c 'please report' "$DAEMON_LOG")" 0 "nothing had to be given up in a takeover"
is "$(meminfo a MemTotal) $(meminfo b MemTotal)" "262144 131072" "afterwards all is as before"
