#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A daemon starts on a machine that is out of memory, descriptors, processes or mounts, cannot read or
# cannot write, at any one call of its start, its worker's and its opener's: it serves as it always does,
# or it ends, says why and leaves nothing. What fails is chosen by a library preloaded into it (faults.c).
source "$(dirname "$0")/lib.sh"
source "$TOP/tests/mount/faults.sh"
plan 24

is_mounted_or_gone() { is_mounted "$MNT" || gone "$DAEMON_PID"; }

start() {
	empty_log
	mkdir -p "$MNT" "$WORK/run"
	LD_PRELOAD=$BUILD/tests/mount/faults.so LXCFS_FAULTS=$FAULTS \
		"$LXCFS" --runtime-dir="$WORK/run" --pidfile="$PIDFILE" --enable-psi-poll "$MNT" </dev/null >>"$DAEMON_LOG" 2>&1 &
	DAEMON_PID=$!
}

# The processes, what they may do, their threads and mounts, and what is served.
describe() {
	local worker pid

	worker=$(a_worker)
	for pid in "$DAEMON_PID" "$worker" $(children_of "$worker"); do
		cat "/proc/$pid/comm"
		grep -E '^(Cap|NoNewPrivs|Seccomp:|Uid|Threads)' "/proc/$pid/status"
		[ "$pid" = "$DAEMON_PID" ] || awk '{ print $5, $6 }' "/proc/$pid/mountinfo"
	done
	(cd "$MNT" && find . -path "./$CPU_DIR/*/*" -prune -o -print | LC_ALL=C sort)
	[ "$(cat "$PIDFILE")" = "$DAEMON_PID" ] && echo "a pidfile"
}

# It has ended by itself: what is wrong with that.
wrong_end() { # ERROR-TEXT
	local status

	wait_briefly 10 gone "$DAEMON_PID" || {
		echo "it neither serves nor ends"
		kill -KILL "$DAEMON_PID"
	}
	wait "$DAEMON_PID"
	status=$?
	[ $status = 1 ] || echo "it ended with $status"
	grep -qF "$1" "$DAEMON_LOG" || echo "it ended and did not say why"
	[ ! -e "$PIDFILE" ] || flock --nonblock "$PIDFILE" true || echo "its pidfile is held"
}

end() {
	local status

	kill -TERM "$DAEMON_PID"
	wait "$DAEMON_PID"
	status=$?
	[ $status = 0 ] || echo "its end: $status"
}

attempt() { # ERROR-TEXT
	local answers

	start
	# Whoever reads then waits for the worker. DIR is mounted for a moment where no worker comes.
	wait_briefly 20 is_mounted_or_gone
	answers=$(wrong_answers "$1")
	if is_mounted "$MNT" && ! gone "$DAEMON_PID"; then
		[ -z "$answers" ] || echo "$answers"
		describe >"$WORK/now"
		[ -e "$WORK/right" ] || cp "$WORK/now" "$WORK/right"
		cmp -s "$WORK/right" "$WORK/now" || diff "$WORK/right" "$WORK/now" | head -n 5
		end
	else
		wrong_end "$1"
		[ ! -e "$PIDFILE" ] || echo "it left a pidfile"
	fi
	DAEMON_PID=
	! is_mounted "$MNT" || { echo "DIR is left mounted" && unmount_all "$MNT"; }
}

mend() { :; }

touch "$DAEMON_LOG"
start_reader
attempt none >"$WORK/wrong"
is "$(cat "$WORK/wrong")" "" "with nothing short it serves, and ends"
every_kind 1000
each_call $WATCHING 12 "Cannot allocate memory" 1000 "what is watched"
each_call $FILTERING 12 "Cannot allocate memory" 4 "the filter"

nobody_left() { ! pgrep -f -- "--runtime-dir=$WORK/run" >/dev/null; }
ok "no process is left of all of them" wait_until 5 nobody_left

# ---- for good
# Before there is a mount for which somebody may wait.
ends() { # WHICH ERROR ERROR-TEXT
	faults_from $WHO_SERVES "$1" "$2" 1
	start
	wrong_end "$3"
	no_faults
	DAEMON_PID=
	! is_mounted "$MNT" || echo "DIR is left mounted"
}
# A pidfile that cannot be looked at is left, for it may be another's.
is "$(ends $OPENING 24 "Too many open files")" "" "without any descriptor it ends and says so"
is "$(ends $READING 5 "Input/output error")" "" "without reading anything"
is "$(ends $MEMORY 12 "Cannot allocate memory")" "" "without any memory"
