# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For tests with LXC: what its containers' configurations have in common, and what it leaves behind.
# Comes after lib.sh.

# LXC leaves a cgroup of its own behind, by which it gets out of a container's that ends.
note_pivot() { PIVOT=$(ls -d "${CG_ROOTS[0]}/lxc.pivot" 2>/dev/null); }

remove_pivot() {
	local root

	[ -z "$PIVOT" ] || return
	for root in "${CG_ROOTS[@]}"; do
		rmdir "$root/lxc.pivot" 2>/dev/null
	done
}

# Ids for containers of another user, in this mount namespace alone.
prepare_ids() {
	echo root:100000:65536 >"$WORK/subid"
	mount --bind "$WORK/subid" /etc/subuid && mount --bind "$WORK/subid" /etc/subgid || bail "no subordinate ids"
}

LXC_IDMAP="lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536"

lxc_limits() { # CGROUP BYTES
	if is_v2; then
		printf 'lxc.cgroup2.memory.max = %s\nlxc.cgroup2.cpuset.cpus = 0\n' "$2"
	else
		printf 'lxc.cgroup.memory.limit_in_bytes = %s\nlxc.cgroup.cpuset.cpus = 0\n' "$2"
	fi
	printf 'lxc.cgroup.dir = %s\n' "$CG_PARENT/$1"
}

# fill_in FILE-OF-SHARE DIRECTORY [WHERE-IT-WILL-BE]: as meson install does, with programs and hooks where the test has them.
fill_in() {
	sed "s,@bindir@,$WORK/bin,; s,@pkgdatadir@,${3:-$2}," "$TOP/share/lxc/$1.in" >"$2/$1"
	chmod 755 "$2/$1"
}

note_pivot
