# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For tests that put another version into the running daemon's place: the daemon gets a file of its
# own, that can be replaced. Comes after lib.sh. Must not touch the file that was built.

original=$LXCFS
mkdir -p "$WORK/bin"
LXCFS=$WORK/bin/lxcfs

install_binary() { # as a package manager does it
	cp "$original" "$WORK/bin/new" && mv "$WORK/bin/new" "$LXCFS"
}

log_lines() { grep -c -e "$1" "$DAEMON_LOG"; }
log_has() { [ "$(log_lines "$1")" -ge "$2" ]; }

# The version that lies there takes over, and has said so.
upgrade() {
	local n done_line="goes on with the connection from the version before"

	n=$(log_lines "$done_line")
	kill -USR1 "$DAEMON_PID"
	wait_until 30 log_has "$done_line" $((n + 1))
}

install_binary
