# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Calls of a daemon that fail when a test says so, by the library faults.c; to be sourced behind lib.sh.

FAULTS=$WORK/faults
head -c 24 /dev/zero >"$FAULTS"
# as faults.c has them
MEMORY=1 OPENING=2 READING=4 WATCHING=16 FORKING=32 STORING=64 FILTERING=128 MOUNTING=256 WRITING=512
WHO_HEALS=1 WHO_SERVES=2

start_faulty_daemon() { # OPTION...
	LD_PRELOAD=$BUILD/tests/mount/faults.so LXCFS_FAULTS=$FAULTS start_daemon "$@"
}

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
# Of those since then.
failures() { od -An -tu4 -j20 -N4 "$FAULTS" | tr -d ' '; }
have_failed() { [ "$(failures)" -gt 0 ]; }

# The N-th of such calls fails, and no other.
fault_once() { # WHOSE WHICH ERROR N
	faults "$1" "$2" "$3" 1000000
	put 4 $((1000000 - $4))
}
# Counts them, and lets none fail.
count_calls() { # WHOSE WHICH
	faults "$1" "$2" 0 -2147483648
}
calls_made() { od -An -tu4 -j16 -N4 "$FAULTS" | tr -d ' '; }
# All from the N-th on.
faults_from() { # WHOSE WHICH ERROR N
	faults "$1" "$2" "$3" $((-$4))
}

THIN=${SHORT:+7}
THIN=${THIN:-1}
# Which of so many calls are failed: all of the first ones, and ever fewer behind them, for where there
# are thousands most are of one loop; fewer of all where there is little time.
chosen_of() { # CALLS ALL-UP-TO
	local n

	for ((n = 1; n <= $1; n += (n < $2 ? 1 : 1 + n / 12) * THIN)); do
		echo "$n"
	done
}
# A few, from the first to the last.
some_of() { # CALLS
	local n

	for ((n = 1; n <= $1; n += 1 + $1 / 3)); do
		echo "$n"
	done
}

# Each call of an attempt, which prints what is wrong with it, fails in turns. `mend` brings back what
# the next attempt takes; $calls says afterwards how many there are.
each_call() { # WHICH ERROR ERROR-TEXT ALL-UP-TO NAME
	local n

	count_calls $WHO_SERVES "$1"
	attempt none >"$WORK/wrong"
	no_faults
	calls=$(calls_made)
	ok "$5: there are some" [ "$calls" -gt 0 ]
	attempts=0 hits=0
	for n in $(chosen_of "$calls" "$4"); do
		fault_once $WHO_SERVES "$1" "$2" "$n"
		attempt "$3" >"$WORK/now.wrong"
		tell_wrong "call $n of $calls"
	done >>"$WORK/wrong"
	# How many there are depends on when it is looked.
	[ $((hits * 10)) -ge $((attempts * 9 - 10)) ] || echo "only $hits of $attempts have failed" >>"$WORK/wrong"
	is "$(cat "$WORK/wrong")" "" "$5: each of them may fail"
}
# From some of them on all do, for half a second.
many_calls() { # as each_call
	local n end

	for n in $(some_of "$calls"); do
		faults_from $WHO_SERVES "$1" "$2" "$n"
		(trap - EXIT INT TERM && wait_briefly 20 have_failed && sleep 0.5 && no_faults) &
		end=$!
		attempt "$3" >"$WORK/now.wrong"
		kill $end 2>/dev/null
		wait $end
		tell_wrong "calls from $n of $calls on"
	done >"$WORK/wrong"
	is "$(cat "$WORK/wrong")" "" "$5: all of them may, for a while"
}
tell_wrong() { # WHICH
	no_faults
	attempts=$((attempts + 1))
	! have_failed || hits=$((hits + 1))
	[ -s "$WORK/now.wrong" ] || return 0
	echo "$1: $(cat "$WORK/now.wrong" "$DAEMON_LOG")"
	mend
}

# What every attempt may be short of: 15 tests.
every_kind() { # FILES-ALL-UP-TO
	each_call $OPENING 24 "Too many open files" 1000 "descriptors"
	many_calls $OPENING 24 "Too many open files" 1000 "descriptors"
	each_call $READING 5 "Input/output error" "$1" "files that are read"
	many_calls $READING 5 "Input/output error" "$1" "files that are read"
	each_call $MOUNTING 12 "Cannot allocate memory" 1000 "mounts"
	each_call $FORKING 11 "Resource temporarily unavailable" 1000 "processes and threads"
	each_call $WRITING 28 "No space left on device" 1000 "writes"
	# A sanitizer takes memory for itself, and ends what it has none for.
	if [ -n "$SANITIZED" ]; then
		skip 3 "memory: the sanitizer's"
	else
		each_call $MEMORY 12 "Cannot allocate memory" 30 "memory"
		many_calls $MEMORY 12 "Cannot allocate memory" 30 "memory"
	fi
}

# As wait_until, for what comes at once and is waited for hundreds of times.
wait_briefly() { # SECONDS COMMAND...
	local tries=$(($1 * 50 * SLOW))

	shift
	while ! "$@"; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.02
	done
}

# A process of the cgroup c in a pid namespace of its own, that reads when it is told to: sets reader,
# and the descriptors 7 (what it says) and 8 (what it is told).
start_reader() {
	make_cgroup c
	set_limit c memory $((256 * MIB))
	set_limit c cpus 0
	mkfifo "$WORK/ask" "$WORK/said"
	(
		trap - EXIT INT TERM
		join_cgroup c || exit
		# shellcheck disable=SC2016 # for the shell inside
		exec unshare --kill-child=KILL -p -f bash -c 'while read -r number limit file; do
			LC_ALL=C timeout "$limit" cat "$file" >"$0" 2>&1 && echo "$number ok" || echo "$number error"
			done' "$WORK/text"
	) <"$WORK/ask" >"$WORK/said" 2>/dev/null &
	background+=($!)
	exec 8>"$WORK/ask" 7<"$WORK/said"
}

# One read of the container: "ok", or the error.
answer() {
	local number='' said asked=$BASHPID.$RANDOM

	echo "$asked $((20 * SLOW)) $MNT/proc/meminfo" >&8
	while [ "$number" != "$asked" ]; do # one that came too late is of an earlier one
		read -r -t $((30 * SLOW)) number said <&7 || { echo "no answer" && return; }
	done
	[ "$said" = ok ] || said=$(cat "$WORK/text")
	[ "$said" != ok ] || [ "$(value MemTotal <"$WORK/text")" = 262144 ] || said="not its own: $(cat "$WORK/text")"
	echo "${said##*: }"
}

# What is wrong with what the container reads: only the first read may meet the error.
wrong_answers() { # ERROR-TEXT
	local first second

	first=$(answer)
	[ "$first" = ok ] || [ "$first" = "$1" ] || echo "it reads: $first"
	no_faults
	second=$(answer)
	[ "$second" = ok ] || echo "it reads afterwards: $second"
}
