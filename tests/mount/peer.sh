# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Debian's lxcfs, for tests that look at what it does or use what comes with it: unpacked from its
# package, never installed. Sourced behind lib.sh.

PEER=$WORK/stock
PEER_VERSION=

# What a network gives is asked for more than once.
download_peer() {
	(cd "$PEER" && apt-get download -q lxcfs && dpkg-deb -x lxcfs_*.deb .) >"$WORK/download.log" 2>&1
}

unpack_peer() {
	mkdir "$PEER"
	wait_until 60 download_peer || bail "$(cat "$WORK/download.log")"
	PEER_VERSION=$(basename "$PEER"/lxcfs_*.deb | cut -d_ -f2)
}

# start_peer DIR: in its own mount namespace it finds a /run that is the test's.
start_peer() {
	mkdir -p "$1"
	LD_LIBRARY_PATH=$(dirname "$(find "$PEER/usr/lib" -name liblxcfs.so | head -n 1)") \
		"$PEER/usr/bin/lxcfs" -f -p "$WORK/peer.pid" "$1" </dev/null >>"$WORK/peer.log" 2>&1 &
	peer_pid=$!
	wait_until 20 test -e "$1/proc/meminfo" || bail "Debian's lxcfs does not serve: $(cat "$WORK/peer.log")"
}
