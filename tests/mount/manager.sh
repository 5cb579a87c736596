# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A service manager for the daemon, played by manager.py; to be sourced behind lib.sh.

LOG=$WORK/messages # of the daemon to the manager
touch "$LOG"
mkdir -p "$MNT" "$WORK/run"
export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES
unset LISTEN_PID LISTEN_FDS LISTEN_FDNAMES
coproc MANAGER {
	trap - EXIT INT TERM
	exec python3 "$TOP/tests/mount/manager.py" "$WORK/notify" "$LOG" "$DAEMON_LOG" \
		"$LXCFS" --runtime-dir="$WORK/run" --pidfile="$PIDFILE" "$MNT"
}
manager_pid=$MANAGER_PID
exec 5<&"${MANAGER[0]}" 6>&"${MANAGER[1]}"
# Ends the daemon's mount too, if it holds the last of it.
test_cleanup() {
	kill -KILL "$manager_pid" 2>/dev/null
	wait "$manager_pid" 2>/dev/null
	unmount_all "$WORK/held"
}

manager() { # COMMAND...: sets $answer
	echo "$*" >&6
	read -r answer <&5
}

messages() { grep -c -e "$1" "$LOG"; }
has_message() { [ "$(messages "$1")" -ge "$2" ]; }
log_lines() { grep -c -e "$1" "$DAEMON_LOG"; }

start_managed() { # [NAME=VALUE | +ARGUMENT]...
	local n

	n=$(messages READY=1)
	manager start "$@"
	DAEMON_PID=$answer
	wait_until 15 has_message READY=1 $((n + 1))
}

stop_managed() { # SIGNAL
	manager stop "$1"
	DAEMON_PID=
}
