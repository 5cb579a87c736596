#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# LXC containers, privileged and not, with the README's mount entries: they see themselves, and go on
# doing so however the daemon's connection ends.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/lxc.sh"
plan $((CONNECTION_TESTS + 2 + GO_ON_TESTS + 1))

LXC=$WORK/lxc

end_runtime() {
	local name

	for name in a u; do
		[ ! -d "$LXC/$name" ] || lxc-stop -P "$LXC" -n "$name" -k >/dev/null 2>&1
	done
	remove_pivot
}

entries() {
	local file

	for file in $SERVED $CPU_DIR; do
		echo "lxc.mount.entry = $MNT/$file $file none bind 0 0"
	done
	[ ! -e "$MNT/proc/pressure" ] ||
		echo "lxc.mount.entry = $MNT/proc/pressure proc/pressure none bind 0 0"
}

new_lxc() { # NAME MEMORY [CONFIGURATION]
	local config=$WORK/$1.conf

	printf 'lxc.net.0.type = empty\n%s\n' "${3-}" >"$config"
	lxc-create -P "$LXC" -n "$1" -f "$config" -t busybox >"$WORK/$1.log" 2>&1 ||
		bail "lxc-create: $(cat "$WORK/$1.log")"
	lxc_limits "$1" "$2" >>"$LXC/$1/config"
	entries >>"$LXC/$1/config"
	lxc-start -P "$LXC" -n "$1" -o "$WORK/$1.log" -l WARN || bail "lxc-start: $(cat "$WORK/$1.log")"
	add_init "$1" $(($2 / 1024)) "$(lxc-info -P "$LXC" -n "$1" -p -H)" "-p -m${3:+ -U}"
}

start_daemon
mkdir "$LXC"
prepare_ids
new_lxc a $((256 * MIB))
new_lxc u $((128 * MIB)) "$LXC_IDMAP"
isnt "$(readlink "/proc/${CT_PID[u]}/ns/user")" "$(readlink /proc/self/ns/user)" "one has a user namespace"
all_go_on_reading
survive_all_ends
