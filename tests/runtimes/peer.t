#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The README's table of differences: what it says of lxcfs 5 is what Debian's 5.0.3 does, seen from
# outside, and this daemon, beside it on the same containers, does what it says of itself. Must not
# look into that package.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/../mount/peer.sh"
plan 16

peer_pid=
end_runtime() {
	kill -KILL $peer_pid "$(cat "$WORK/peer.pid")" 2>/dev/null
	unmount_all "$WORK/peer"
}

# both WHAT OURS THEIRS COMMAND...: two assertions; the command finds the files below $1, its last word.
both() {
	local what=$1 ours=$2 theirs=$3

	shift 3
	is "$("$@" "$MNT" 2>&1)" "$ours" "$what: this daemon"
	if [[ $PEER_VERSION = 5.0.3* ]]; then
		is "$("$@" "$WORK/peer" 2>&1)" "$theirs" "$what: lxcfs 5.0.3"
	else
		skip 1 "Debian has $PEER_VERSION now"
	fi
}

server() { [ "$1" = "$MNT" ] && worker_pid || echo $peer_pid; }
in_c() { in_container c timeout $((10 * SLOW)) "$@"; }

cpu_ids() { # cpuinfo, stat, and how often "online" is listed
	echo "$(in_c cat "$1/proc/cpuinfo" | awk '$1 == "processor" { print $3 }' | xargs)" \
		"$(in_c cat "$1/proc/stat" | sed -n 's/^cpu\([0-9]\) .*/\1/p' | xargs)" \
		"$(in_c ls "$1/$CPU_DIR" | grep -c '^online$')"
}
pressure() { [ -e "$1/proc/pressure/cpu" ] && echo served || echo none; }
slab_mode() { stat -c %A "$1/proc/slabinfo"; }
filtered() { awk '/^Seccomp:/ { print $2 }' "/proc/$(server "$1")/status"; }
may() { # how many capabilities the process that answers has
	local n=0 bits
	bits=$((16#$(awk '/^CapEff:/ { print $2 }' "/proc/$(server "$1")/status")))
	while [ $bits -ne 0 ]; do n=$((n + (bits & 1))) bits=$((bits >> 1)); done
	[ $n -le 1 ] && echo one || echo many
}
# A container's bind, after the process that answers was killed and, if need be, the daemon started.
# This daemon puts right the other's binds as well: that one is looked at alone.
after_kill() {
	[ "$1" = "$MNT" ] || stop_daemon
	kill -KILL "$(server "$1")"
	[ "$1" = "$MNT" ] || { wait_until 10 gone "$peer_pid"; umount -l "$1"; start_peer "$1"; } 2>/dev/null
	wait_until 3 bound "$1"
	bound "$1" && echo reads || echo dead
}
# What was bound in the container reads, and from that very daemon: another one here may put it right.
bound() {
	local file=$WORK/theirs

	[ "$1" != "$MNT" ] || file=$WORK/ours
	in_c cat "$file" >/dev/null 2>&1 && [ "$(in_c stat -c %d "$file")" = "$(stat -c %d "$1/proc/meminfo")" ]
}
explains() { # --inspect
	local program
	[ "$1" = "$MNT" ] && program=$LXCFS || program="env LD_LIBRARY_PATH=$(dirname "$(find "$PEER/usr/lib" -name liblxcfs.so | head -n 1)") $PEER/usr/bin/lxcfs"
	timeout 20 $program --inspect $$ >/dev/null 2>&1 && echo yes || echo no
}
two_trees() { [ -d "$1/quota" ] && [ -d "$1/cpuset" ] && echo yes || echo no; }

unpack_peer
mount -t tmpfs none /run || bail "no /run"
start_daemon
start_peer "$WORK/peer"
new_container c --memory=$RT_BYTES --cpus=1 --bare
: >"$WORK/ours"
: >"$WORK/theirs"
in_c mount --bind "$MNT/proc/meminfo" "$WORK/ours" && in_c mount --bind "$WORK/peer/proc/meminfo" "$WORK/theirs" || bail "no binds"

both "a container on CPU 1 sees CPU 1, once" "1 1 1" "0 1 2" cpu_ids
both "pressure of the container" served none pressure
both "slabinfo is root's" -r-------- -r--r--r-- slab_mode
both "a filter of system calls (0 none, 2 a filter)" 2 0 filtered
both "capabilities of the process that answers" one many may
both "--inspect" yes no explains
both "CPUs by quota and by cpuset at once" yes no two_trees
both "killed and started, a running container's file" reads dead after_kill
