#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A daemon that is kept from seeing things: processes it may not look at (what an LSM that denies
# ptrace reads does, see vm/lsm.t), a mount namespace without /sys, a pid and a cgroup namespace of its own, and
# containers without /sys. Each answer is the container's own or an error that the log explains.
source "$(dirname "$0")/lib.sh"
plan 14

PLACE=$WORK/place
REAL=$LXCFS
LXCFS=$WORK/confined
test_cleanup() { umount -l "$PLACE" 2>/dev/null; }

# The daemon is started by this shell text from now on, "$@" being its command line.
confined() {
	printf '#!/bin/bash\nsource "%s"\n%s\n' "$WORK/confined.sh" "$1" >"$LXCFS"
	chmod 755 "$LXCFS"
	empty_log
}

# The root directory of the emulated machine is that of the machine around it, /sys and all.
hide_sys() {
	mount --make-rprivate /sys && umount -R -l /sys || return
	[ ! -e /sys/devices ] || mount -t tmpfs none /sys
}

mount_elsewhere() {
	local root

	mkdir -p "$PLACE" && mount -t tmpfs none "$PLACE" && mount --make-private "$PLACE" || return
	for root in "${CG_ROOTS[@]}"; do
		mount_cgroup "$root" "$PLACE/$(basename "$root")" || return
	done
}

{
	cat "$WORK/state.sh"
	declare -p PLACE REAL
	declare -f hide_sys mount_elsewhere
} >"$WORK/confined.sh"

total() { value MemTotal; }

# ---- processes that it may not look at
confined 'exec setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$REAL" "$@"'
start_unread
make_cgroup service && set_limit service memory $((300 * MIB))
as_service() { (
	trap - EXIT INT TERM
	join_cgroup service && exec "$@"
); }
as_service cat "$MNT/proc/meminfo" >"$WORK/out" 2>"$WORK/err"
is "$(total <"$WORK/out")" "" "who may not be looked at is not shown the host's values"
matches "$(cat "$WORK/err")" 'Permission denied|Input/output error|Operation not permitted' "but told an error"
ok "the log says of whom, and how to mend it" logged 'does not let us see the namespaces of thread [0-9]+.*give the daemon CAP_SYS_PTRACE'
ok "and so did the start" logged 'CAP_SYS_PTRACE is not allowed here'
stop_daemon

# ---- no /sys around the daemon, but cgroups
confined 'exec unshare -m --propagation unchanged bash -c '\''source "$0"; mount_elsewhere && hide_sys && exec "$@"'\'' '"$WORK/confined.sh"' "$REAL" "$@"'
start_daemon
new_container a --bare --memory=$((100 * MIB)) --cpus=0
here() { in_container a cat "$MNT/$1"; }
is "$(here proc/meminfo | total)" 102400 "without /sys, but with cgroups elsewhere, a container sees its limit"
is "$(here proc/stat | awk '/^cpu[0-9]/ { print $1 }' | xargs)" cpu0 "and its CPUs in stat"
is "$(here proc/cpuinfo | awk '$1 == "processor" { print $3 }' | xargs)" 0 "and in cpuinfo"
is "$(here "$CPU_DIR/online" 2>&1 | sed 's/.*: //')" "No such file or directory" "but there is no directory of CPUs, which is made of the host's"
remove_container a
stop_daemon
umount -l "$PLACE"

# ---- no /sys in the container
confined 'exec "$REAL" "$@"'
start_daemon
new_container a --bare --memory=$((100 * MIB)) --cpus=0
unseen() { in_container a unshare -m sh -c 'umount -R -l /sys && exec cat "$1"' - "$MNT/$1"; }
is "$(unseen proc/meminfo | total)" 102400 "a container that has no /sys sees its limit"
is "$(unseen proc/stat | awk '/^cpu[0-9]/ { print $1 }' | xargs)" cpu0 "and its CPUs"
remove_container a
stop_daemon

# ---- a container around the daemon: it can tell its own containers apart, and nobody else
CG_NO_ENABLE=1 make_cgroup nest/daemon
confined 'join_cgroup nest; exec unshare -C -m --propagation unchanged bash -c '\''source "$0"
	join_cgroup nest/daemon && mount --make-rprivate /sys && mount_own_cgroups && exec "$@"'\'' '"$WORK/confined.sh"' \
	unshare -p -f -m --propagation unchanged --mount-proc "$REAL" "$@"'
start_unread
supervisor=$(children_of "$DAEMON_PID" | awk '{ print $1; exit }') # behind an unshare(1) that waits for it
make_cgroup nest/inner && set_limit nest/inner memory $((200 * MIB))
inside() { # COMMAND...: in a container of its own, below the daemon's pid namespace
	(
		trap - EXIT INT TERM
		join_cgroup nest/inner || exit
		exec nsenter -t "$supervisor" -p unshare -C -p -f -m --mount-proc "$@"
	)
}
is "$(inside cat "$MNT/proc/meminfo" | total)" 204800 "in a pid and a cgroup namespace of its own the daemon tells its containers"
cat "$MNT/proc/meminfo" >"$WORK/out" 2>"$WORK/err"
is "$(total <"$WORK/out")" "" "whoever is outside of them is not shown what belongs to somebody else"
matches "$(cat "$WORK/err")" 'Input/output error' "but told an error"
ok "which the log explains" logged 'opened a file and cannot be told from others'
kill -TERM "$supervisor"
