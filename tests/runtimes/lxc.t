#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# LXC containers, privileged and not, with the README's mount entries: they see themselves, and go on
# doing so however the daemon's connection ends.
source "$(dirname "$0")/lib.sh"
plan $((CONNECTION_TESTS + 1))

LXC=$WORK/lxc

end_runtime() {
	local name

	for name in a u; do
		[ ! -d "$LXC/$name" ] || lxc-stop -P "$LXC" -n "$name" -k >/dev/null 2>&1
	done
}

limits() { # CGROUP MEMORY
	if is_v2; then
		printf 'lxc.cgroup2.memory.max = %s\nlxc.cgroup2.cpuset.cpus = 0\n' "$2"
	else
		printf 'lxc.cgroup.memory.limit_in_bytes = %s\nlxc.cgroup.cpuset.cpus = 0\n' "$2"
	fi
	printf 'lxc.cgroup.dir = %s\n' "$CG_PARENT/$1"
}

entries() {
	local file

	for file in $RT_FILES $CPU_DIR; do
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
	limits "$1" "$2" >>"$LXC/$1/config"
	entries >>"$LXC/$1/config"
	lxc-start -P "$LXC" -n "$1" -o "$WORK/$1.log" -l WARN || bail "lxc-start: $(cat "$WORK/$1.log")"
	add_container "$1" "$(lxc-info -P "$LXC" -n "$1" -p -H)" "-p -m${3:+ -U}" $(($2 / 1024))
}

start_daemon
chmod 711 "$WORK"
mkdir "$LXC"
echo root:100000:65536 >"$WORK/subid"
mount --bind "$WORK/subid" /etc/subuid && mount --bind "$WORK/subid" /etc/subgid || bail "no subordinate ids"
new_lxc a $((256 * MIB))
new_lxc u $((128 * MIB)) "lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536"
isnt "$(readlink "/proc/${CT_PID[u]}/ns/user")" "$(readlink /proc/self/ns/user)" "one has a user namespace"
survive_all_ends
