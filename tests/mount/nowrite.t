#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# No write reaches the host: a container's root, and the root of a user namespace, try every call that
# could change anything on everything the mount holds, and the host is afterwards what it was before.
source "$(dirname "$0")/lib.sh"
plan 22

MUTATE=$BUILD/tests/mount/mutate

# Hierarchies' options as the kernel has them, whoever mounted what.
hierarchies() { awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) ~ /^cgroup2?$/) print $5, $6, $(i + 3) }' /proc/self/mountinfo; }

# What a write could have changed: names, kinds, modes, owners and targets of all files, contents of
# those that root may write or that tell which CPUs there are. (Others count something.)
host_cpus() {
	find "/$CPU_DIR" -printf '%P %y %m %U %G %l\n' | sort
	find "/$CPU_DIR" -type f -perm /222 -perm /444 | sort | xargs grep -s ''
	grep '' /$CPU_DIR/{online,offline,present,possible,kernel_max}
}

# Of the container's own cgroups: the files it could want to change through the mount.
cgroup_settings() {
	local root

	for root in "${CG_ROOTS[@]}"; do
		find "$root/$CG_PARENT/c" -printf '%P %y %m %U %G\n' | sort
		(cd "$root/$CG_PARENT/c" && grep -s '' memory.limit_in_bytes memory.max cpuset.cpus cpu.max cpu.cfs_quota_us \
			cgroup.subtree_control cgroup.type)
	done
}

files_of_proc() { (cd / && stat -c '%n %a %u %g %F' $SERVED proc/pressure proc/pressure/* 2>/dev/null); }

counted() { awk -v w="$1" '$1 == "paths" { for (i = 1; i < NF; i += 2) if ($i == w) print $(i + 1) }'; }

# What is wrong: one line for each call that was not refused, and whether not everything was tried. The
# counts are in $WORK/tries afterwards.
wrong() { # CONTAINER triggers|no-triggers DIR
	local status paths there

	in_container "$1" timeout $((60 * SLOW)) "$MUTATE" "$2" "$3" </dev/null >"$WORK/tries" 2>&1
	status=$?
	grep -v '^paths ' "$WORK/tries"
	[ $status = 0 ] || echo "exit status $status"
	paths=$(counted paths <"$WORK/tries")
	there=$(in_container "$1" find "$3" | wc -l)
	[ "$paths" = "$there" ] || echo "${paths:-none} of $there paths below $3 tried"
	[ $(($(counted calls <"$WORK/tries"))) -ge $((40 * there)) ] || echo "under 40 sorts of calls"
}

options=$(hierarchies)
cpus=$(host_cpus)
procs=$(files_of_proc)

# The words of old for what touched the host's cgroup mounts are taken, and do nothing.
start_daemon --enable-cgroup --enable-nsdelegate
worker=$(worker_pid)
new_container c --memory=$((256 * MIB)) --cpus=1
new_container u --memory=$((128 * MIB)) --cpus=0 --userns
settings=$(cgroup_settings)
is "$(hierarchies)" "$options" "a daemon that serves leaves the options of the host's hierarchies as they are"

is "$(wrong c no-triggers "$MNT")" "" "a container's root: over 40 sorts of calls on every single file of the mount, all refused"
is "$(wrong c no-triggers "$MNT/proc")" "" "those in its proc alone, too"
is "$(counted writable <"$WORK/tries")" "$(ls /proc/pressure 2>/dev/null | wc -l)" "pressure files alone are opened for writing, and take nothing"
is "$(wrong c no-triggers "/$CPU_DIR")" "" "what is bound over the container's own files refuses the same"
is "$(wrong u no-triggers "$MNT/proc")" "" "so does the mount to the root of a user namespace"
is "$(wrong u no-triggers "/$CPU_DIR")" "" "and what is bound there"

is "$(host_cpus)" "$cpus" "the host's CPUs have the same files, modes and values"
is "$(files_of_proc)" "$procs" "its files in /proc the same modes and owners"
is "$(cgroup_settings)" "$settings" "the container's cgroups the same settings"
is "$(hierarchies)" "$options" "the hierarchies the same options"
is "$(worker_pid)" "$worker" "and one worker has answered all of it"
is "$(meminfo c MemTotal) $(meminfo u MemTotal)" "262144 131072" "truthfully"
stop_daemon
is "$(hierarchies)" "$options" "a daemon that stopped leaves the options as they were"

# ---- where triggers may be written
start_daemon --enable-psi-poll
worker=$(worker_pid)
for name in c u; do
	wait_until 10 in_container $name test -e "$MNT/proc/meminfo" # healed
	is "$(wrong $name triggers "$MNT/proc")" "" "--enable-psi-poll: container $name writes nothing but triggers"
	is "$(counted writable <"$WORK/tries")" "$(ls /proc/pressure 2>/dev/null | wc -l)" "to pressure files alone"
done
is "$(host_cpus)" "$cpus" "the host's CPUs are as they were"
is "$(cgroup_settings)" "$settings" "the container's cgroups have the same settings"
is "$(hierarchies)" "$options" "the hierarchies the same options"
is "$(worker_pid)" "$worker" "and one worker has answered all of it"
