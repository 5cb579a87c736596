#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Where the daemon and the cgroups are: in whatever cgroup or cgroup namespace it was started, wherever
# the hierarchies are mounted and whatever cgroups are called, containers see themselves.
source "$(dirname "$0")/lib.sh"
plan 43

PLACE="$WORK/another place"
test_cleanup() { unmount_place; }
unmount_place() { umount -l "$PLACE" 2>/dev/null; }

as_member() { # CGROUP COMMAND...
	(
		trap - EXIT INT TERM
		join_cgroup "$1" || exit
		shift
		exec "$@"
	)
}

# ---- names
odd=("a blank" "a:colon" "a,comma" 'back\slash' 'oct\040al' $'a\ttab' "ünïcode" "x (deleted)" "..dots" "...")
odd+=("$(printf 'long%.0s' {1..63})")

make_odd() { # NAME KB: what make_cgroup and set_limit do, for a name of any kind
	local root dir

	for root in "${CG_ROOTS[@]}"; do
		dir=$root/$CG_PARENT/$1
		mkdir "$dir" || return
		[ -e "$dir/cpuset.mems" ] && [ "$root" != "$CG_V2" ] || continue
		cat "$dir/../cpuset.cpus" >"$dir/cpuset.cpus"
		cat "$dir/../cpuset.mems" >"$dir/cpuset.mems"
	done
	if is_v2; then
		echo $(($2 * 1024)) >"$(cgdir memory "$1")/memory.max"
	else
		echo $(($2 * 1024)) >"$(cgdir memory "$1")/memory.limit_in_bytes"
	fi
}

# As a runtime makes them: with a pid namespace, a cgroup namespace and cgroup mounts of its own.
as_container() { # CGROUP
	as_member "$1" unshare -C -m -p -f --mount-proc bash -c \
		'source "$1"; mount_own_cgroups && exec cat "$2/proc/meminfo"' - "$WORK/state.sh" "$MNT"
}

start_daemon
make_cgroup service && set_limit service memory $((300 * MIB))
make_odd x 100000
kb=100000
for name in "${odd[@]}"; do
	kb=$((kb + 4000))
	make_odd "$name" $kb
	is "$(as_member "$name" cat "$MNT/proc/meminfo" | value MemTotal) $(as_container "$name" | value MemTotal)" "$kb $kb" \
		"a cgroup called \"${name:0:16}\": a service and a container in it see its limit"
done
is "$(as_member x cat "$MNT/proc/meminfo" | value MemTotal)" 100000 "\"x\" beside \"x (deleted)\" keeps its own"

# ---- depth
# As deep in the hierarchy of memory, from its root on; a process there, and in the service elsewhere.
at_depth() { # DEPTH
	(
		trap - EXIT INT TERM
		join_cgroup service
		dir=$(cgdir memory service)
		names=${dir#"${CG_V1[memory]-$CG_V2}"}
		names=${names//[!\/]/}
		dir=$dir$(printf '/d%.0s' $(seq $(($1 - ${#names}))))
		mkdir -p "$dir" && echo "$BASHPID" >"$dir/cgroup.procs" && exec cat "$MNT/proc/meminfo" 2>&1
	)
}
is "$(at_depth 128 | value MemTotal)" 307200 "a cgroup as deep as they may be sees the limit above it"
is "$(at_depth 129 | sed 's/.*: //')" "Input/output error" "a deeper one gets an error, for to look at it would take others' time"
matches "$(cat "$DAEMON_LOG")" 'of process [0-9]+ is more than 128 levels deep' "which the log tells"
find "$(cgdir memory service)/d" -depth -type d -delete
stop_daemon

# ---- places
REAL=$LXCFS
LXCFS=$WORK/elsewhere

hide_processes() { # a procfs of the daemon's own, for hidepid belongs to the superblock
	mount --make-rprivate /proc && mount -t proc -o hidepid=2 proc /proc
}

# The namespace's root is the cgroup above this one.
move_to_leaf() { join_cgroup nest/daemon && mount --make-rprivate /sys && mount_own_cgroups; }

mount_elsewhere() {
	local root

	mkdir "$PLACE" && mount -t tmpfs none "$PLACE" && mount --make-private "$PLACE" || return
	for root in "${CG_ROOTS[@]}"; do
		mount_cgroup "$root" "$PLACE/$(basename "$root")"$'\n\\ \t#' || return
	done
	mount --make-rprivate /sys && umount -R -l /sys/fs/cgroup
}

# What a runtime binds for a container without a cgroup namespace.
mount_part() {
	local root

	mount --make-rprivate /sys || return
	for root in "${CG_ROOTS[@]}"; do
		mount --bind "$root/$CG_PARENT/part" "$root" || return
	done
}

{
	cat "$WORK/state.sh"
	declare -p PLACE
	declare -f hide_processes move_to_leaf mount_elsewhere mount_part
} >"$WORK/places.sh"

# From now on the daemon is started from there: after joining a cgroup, with more namespaces than a
# mount namespace, when a function of those above was called.
elsewhere() { # CGROUP UNSHARE-FLAG FUNCTION
	cat >"$LXCFS" <<-END
		#!/bin/bash
		source "$WORK/places.sh"
		[ -z "$1" ] || join_cgroup "$1" || exit
		exec unshare -m --propagation unchanged $2 bash -c '
			source "$WORK/places.sh"
			$3 && exec "\$@"' - "$REAL" "\$@"
	END
	chmod 755 "$LXCFS"
}

# sees WHERE CGROUP: a container with an init, one in a cgroup namespace and a service.
sees() {
	new_container a --cgroup="$2a" --memory=$((100 * MIB)) --cpus=1
	new_container b --cgroup="$2b" --memory=$((200 * MIB)) --cpus=0 --cgroupns
	make_cgroup "$2service" && set_limit "$2service" memory $((300 * MIB))
	is "$(meminfo a MemTotal) $(meminfo b MemTotal)" "102400 204800" "$1: two containers see their limits"
	is "$(as_member "$2service" cat "$MNT/proc/meminfo" | value MemTotal)" 307200 "$1: a service sees its own"
	is "$(in_container a cat "/$CPU_DIR/online") $(in_container b cat "/$CPU_DIR/online")" "1 0" "$1: and their CPUs"
	is "$(in_container a awk '/^cpu[0-9]/ { print $1 }' /proc/stat | xargs)" cpu1 "$1: in stat as well"
	remove_container a
	remove_container b
}

elsewhere "" "" hide_processes
start_daemon
sees "where processes are hidden (hidepid=2)" ""
stop_daemon

make_cgroup daemon
elsewhere daemon "" true
start_daemon
sees "a daemon in a cgroup of its own" ""
stop_daemon

# On v2 a cgroup with processes cannot have controllers below it, so the daemon is in a leaf.
CG_NO_ENABLE=1 make_cgroup nest/daemon
elsewhere nest -C move_to_leaf
empty_log
start_unread # this shell is outside
sees "a cgroup namespace around the daemon and its containers" nest/
stop_daemon

elsewhere "" "" mount_elsewhere
start_daemon
sees "hierarchies mounted in strange places" ""
stop_daemon
unmount_place

told_of() { in_container a cat "/$1" 2>&1 | sed 's/.*: //'; }
tells_errors() { # WHERE: a container outside what the daemon has of cgroups
	new_container a --memory=$((100 * MIB))
	is "$(for file in $SERVED $CPU_DIR/online; do told_of "$file"; done | sort -u)" "Input/output error" \
		"$1: every file tells them an error, and nothing of the host"
	is "$(at_root cat "$MNT/proc/meminfo" | value MemTotal)" "$HOST_MEM_KB" "whoever is around it, in no cgroup, sees the host"
	remove_container a
}

# A part of the hierarchies cannot tell of those in another.
make_cgroup part
empty_log
elsewhere "" "" mount_part
start_unread
sees "a part of the hierarchies, around the containers" part/
tells_errors "a part of the hierarchies, beside the containers"
matches "$(cat "$DAEMON_LOG")" "those in [^ ]*/part alone are mounted here" "but the start says so"
matches "$(cat "$DAEMON_LOG")" 'of process [0-9]+ is outside .*-v /sys/fs/cgroup' "and so does the first who asks, and how to mend it"
stop_daemon

# Nor can a cgroup namespace that does not hold the containers.
empty_log
elsewhere daemon -C true
start_unread
tells_errors "a cgroup namespace beside the containers"
is "$(grep -c 'in the host.s cgroup namespace' "$DAEMON_LOG" | awk '{ print ($1 > 0) }')" 1 "but the start says so, and how to mend it"
matches "$(cat "$DAEMON_LOG")" 'of process [0-9]+ is outside the daemon.s cgroup namespace' "and so does the first who asks"
stop_daemon
