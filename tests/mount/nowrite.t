#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# No write reaches the host: a container's root, and the root of a user namespace, try every call that
# could change anything on everything the mount holds, and the host is afterwards what it was before.
source "$(dirname "$0")/lib.sh"
plan 21

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

# One line for each call that was not refused, and the counts.
tries() { # CONTAINER triggers|no-triggers DIR
	in_container "$1" timeout $((60 * SLOW)) "$MUTATE" "$2" "$3" </dev/null 2>&1
}
surprises() { grep -v '^paths '; }
counted() { awk -v w="$1" '$1 == "paths" { for (i = 1; i < NF; i += 2) if ($i == w) print $(i + 1) }'; }

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

tries c no-triggers "$MNT" >"$WORK/tries"
is "$(surprises <"$WORK/tries")" "" "a container's root: every call on every file of the mount is refused"
paths=$(counted paths <"$WORK/tries")
is "$paths" "$(in_container c find "$MNT" | wc -l)" "on every single one"
between "$(counted calls <"$WORK/tries")" $((40 * paths)) 10000000 "with over 40 sorts of calls"
tries c no-triggers "$MNT/proc" >"$WORK/proc"
is "$(counted writable <"$WORK/proc")" "$(ls /proc/pressure 2>/dev/null | wc -l)" "pressure files alone are opened for writing, and take nothing"
is "$(tries c no-triggers "/$CPU_DIR" | surprises)" "" "what is bound over the container's own files refuses the same"
tries u no-triggers "$MNT/proc" >"$WORK/user"
tries u no-triggers "/$CPU_DIR" >>"$WORK/user"
is "$(surprises <"$WORK/user")" "" "so it does to the root of a user namespace"

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
	tries $name triggers "$MNT/proc" >"$WORK/tries.$name"
	is "$(surprises <"$WORK/tries.$name")" "" "--enable-psi-poll: container $name writes nothing but triggers"
done
is "$(counted writable <"$WORK/tries.c")" "$(ls /proc/pressure 2>/dev/null | wc -l)" "to pressure files alone"
is "$(host_cpus)" "$cpus" "the host's CPUs are as they were"
is "$(cgroup_settings)" "$settings" "the container's cgroups have the same settings"
is "$(hierarchies)" "$options" "the hierarchies the same options"
is "$(worker_pid)" "$worker" "and one worker has answered all of it"
