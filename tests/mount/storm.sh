# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Eight readers, or more, in four containers or more, over all served files, who notice everything: for tests of
# what must go unnoticed. Sourced behind lib.sh; must not know what happens meanwhile, but that no limit
# of theirs changes.

STORM=$BUILD/tests/mount/storm
STORM_TESTS=8 # of storm_end
storm_readers=()
storm_names=(a b c d)

storm_containers() {
	new_container a --memory=$((256 * MIB)) --cpus=0
	new_container b --memory=$((128 * MIB)) --cpus=1
	new_container c --memory=$((512 * MIB)) --quota=50000
	new_container d --cgroupns
}

storm_begin() { # [READERS-IN-EACH]
	local files=() file name

	for file in $SERVED $CPU_DIR/online; do
		files+=("/$file")
	done
	for file in "$MNT"/proc/pressure/*; do
		[ ! -e "$file" ] || files+=("/proc/pressure/${file##*/}")
	done
	files+=("/$CPU_DIR")
	rm -f "$WORK/stop"
	for name in "${storm_names[@]}"; do
		in_container "$name" "$STORM" read "$WORK/stop" "${1-2}" "${files[@]}" \
			>"$WORK/read.$name" 2>"$WORK/errors.$name" &
		storm_readers+=($!)
	done
	background+=("${storm_readers[@]}")
	sleep 1
}

storm_sum() { awk -v w="$1" '$1 == w { n += $2 } END { print n + 0 }' "$WORK"/read.?; }

# what_readers_told [CONTAINER...]
what_readers_told() {
	[ $# -gt 0 ] || set -- "${storm_names[@]}"
	cat "${@/#/$WORK/read.}"
}

# storm_stall PART [CONTAINER...]: the stall that so large a part of all readings stay below, in
# milliseconds.
storm_stall() {
	what_readers_told "${@:2}" | awk -v part="$1" '$1 == "ms" { at[$2] += $3; all += $3 }
		END { for (i = 0; i <= 20000; i++) { n += at[i]; if (n >= all * part) { print i + 1; exit } } }'
}

# storm_moment PART [CONTAINER...]: the same of moments, at which a reading goes on that takes so long:
# whoever is held up for a second reads once, not a thousand times.
storm_moment() {
	what_readers_told "${@:2}" | awk -v part="$1" '$1 == "ms" { at[$2] += ($2 + 0.5) * $3; all += ($2 + 0.5) * $3 }
		END { for (i = 0; i <= 20000; i++) { n += at[i]; if (n >= all * part) { print i + 1; exit } } }'
}

storm_stop() {
	: >"$WORK/stop"
	wait "${storm_readers[@]}"
	storm_readers=()
}

# storm_end WHAT [MILLISECONDS]: ends the readers, tests what they noticed, and tells how long they
# waited, which is never that long (4 s).
storm_end() {
	local longest

	storm_stop
	longest=$(awk '$1 == "longest-us" && $2 > n { n = $2 } END { printf "%.1f", n / 1000 }' "$WORK"/read.?)
	is "$(cat "$WORK"/read.? | grep -c ^readings)" ${#storm_names[@]} "$1: every reader came to its end"
	between "$(storm_sum readings)" $((1000 / SLOW)) 1000000000 "having read"
	is "$(storm_sum errors) $(storm_sum brief)" "0 0" "not one reading failed or was short"
	is "$(storm_sum backwards)" 0 "no counter went back"
	is "$(storm_sum limits)" 0 "nobody was shown another limit or other CPUs than at first"
	is "$(storm_sum mixed)" 0 "no handle gave pieces of two texts"
	is "$(head -qn 3 "$WORK"/errors.?)" "" "nobody complained"
	between "${longest%.*}" 0 $((${2:-4000} * SLOW)) "nobody waited long"
	diag "$1: $(storm_sum readings) readings; stalls: 99.9% below $(storm_stall 0.999) ms, 99% below $(storm_stall 0.99) ms, longest $longest ms"
}
