#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# DIR/quota and DIR/cpuset show the files of DIR with the CPU count of --enable-cfs and without it,
# whatever the daemon was started with.
source "$(dirname "$0")/lib.sh"
plan 33

cpus_in_cpuinfo() { in_container "$1" cat /proc/cpuinfo | awk '$1 == "processor" { print $3 }' | xargs; }
cpus_in_stat() { in_container "$1" cat /proc/stat | sed -n 's/^cpu\([0-9][0-9]*\) .*/\1/p' | xargs; }
cpus_in_file() { expand_list "$(in_container "$1" cat "/$CPU_DIR/$2")"; }
cpus_in_listing() {
	in_container "$1" ls "/$CPU_DIR" | sed -n 's/^cpu\([0-9][0-9]*\)$/\1/p' | sort -n | xargs
}

sees_cpus() { # CONTAINER WANTED
	is "$(cpus_in_cpuinfo "$1") / $(cpus_in_stat "$1") / $(cpus_in_file "$1" online) / $(cpus_in_file "$1" present) / $(cpus_in_listing "$1")" \
		"$2 / $2 / $2 / $2 / $2" "$1: cpuinfo, stat, online, present and the listing have CPUs $2"
}

# Name, type and mode of everything below; lines sorted.
everything() { (cd "$1" && find "${@:2}" -printf '%p %y %m\n' | LC_ALL=C sort); }

# What does not change from one read to the next and says nothing of single CPUs.
outline() {
	[ -e "$1" ] || return
	case $1 in
	*/proc/swaps) cat "$1" ;; # nothing is written to it meanwhile
	*/online | */offline | */present) ;;
	*/proc/cpuinfo) cut -d: -f1 "$1" | LC_ALL=C sort -u ;;
	*/proc/uptime | */proc/loadavg) wc -w <"$1" ;;
	*/proc/diskstats) awk '{ print $3, NF }' "$1" ;;
	*) awk '$1 !~ /^cpu[0-9]/ { print $1 }' "$1" ;;
	esac
}

for option in --disable-cfs --enable-cfs; do
	start_daemon $option
	case $option in
	--enable-cfs) default=0 ;;
	*) default="0 1" ;;
	esac
	for tree in quota cpuset; do
		new_container $tree --tree=$tree --quota=100000 --cpus=0-1 --memory=$((100 * MIB))
	done
	new_container default --quota=100000 --cpus=0-1 --memory=$((100 * MIB))
	diag "$option"
	sees_cpus quota 0
	sees_cpus cpuset "0 1"
	sees_cpus default "$default"
	set_limit quota quota 150000
	sees_cpus quota "0 1"
	set_limit quota quota 100000
	is "$(meminfo quota MemTotal) $(meminfo cpuset MemTotal)" "102400 102400" "both show the same limit"
	matches "$(in_container quota cat /$CPU_DIR/offline)" '^1([-,]|$)' "quota: CPU 1 is offline"

	# One container that looks at all of them.
	for tree in quota cpuset; do
		differing=
		for file in $("$LXCFS" --list-files); do
			a=$(in_container default bash -c "$(declare -f outline); outline $MNT/$file") || differing="$differing $file"
			b=$(in_container default bash -c "$(declare -f outline); outline $MNT/$tree/$file") || differing="$differing $file"
			[ "$a" = "$b" ] || differing="$differing $file"
		done
		is "$differing" "" "$tree: every file is there and says the same, but for the CPUs"
	done
	is "$(in_container default cat "$MNT"/quota/$CPU_DIR/possible)" "$(cat /sys/devices/system/cpu/possible)" \
		"what is the kernel's is so in each tree"

	# Times of a CPU that one tree does not show go on in the other.
	began=$(now_ms)
	a=$(in_container default grep ^cpu1 "$MNT/cpuset/proc/stat" | awk '{ print $2 + $3 + $4 + $5 }')
	in_container default cat "$MNT/quota/proc/stat" >"$WORK/once"
	sleep 1
	b=$(in_container default grep ^cpu1 "$MNT/cpuset/proc/stat" | awk '{ print $2 + $3 + $4 + $5 }')
	between $((b - a)) $((HZ * 9 / 10)) $((($(now_ms) - began) * HZ / 1000 + 3)) "reading one tree takes no time from the CPUs of the other"

	for tree in quota cpuset; do
		everything "$MNT/$tree" proc sys >"$WORK/$tree"
	done
	everything "$MNT" proc sys >"$WORK/default"
	ok "every file of DIR is in both trees, with its mode" \
		bash -c 'cmp "$1/default" "$1/quota" && cmp "$1/default" "$1/cpuset"' - "$WORK"
	is "$(ls "$MNT/quota" "$MNT/cpuset" | xargs)" "$MNT/cpuset: proc sys $MNT/quota: proc sys" "and no other tree"

	kill -KILL "$(worker_pid)"
	wait_until 10 daemon_answers
	sees_cpus quota 0
	sees_cpus cpuset "0 1"
	for tree in quota cpuset default; do
		remove_container $tree
	done
	stop_daemon
done

# ---- paths, numbers
start_daemon
is "$(cd "$MNT" && stat -c '%n %i' quota cpuset quota/proc/stat cpuset/proc/stat proc/stat)" "quota 65537
cpuset 131073
quota/proc/stat 65554
cpuset/proc/stat 131090
proc/stat 18" "the numbers are those that running containers hold"
is "$(cd "$MNT/quota/proc/.." && stat -c %i .) $(cd "$MNT/quota/.." && stat -c %i .)" "65537 1" "the way up stays in the tree, and ends at DIR"
is "$(find "$MNT/quota" -xdev -printf '%i\n' | sort | uniq -d | wc -l)" 0 "no number twice"
is "$(stat -c %h "$MNT" "$MNT/quota" "$MNT/cpuset" | xargs)" "6 4 4" "links count the directories"
is "$("$LXCFS" --list-files | grep -c -e quota -e cpuset)" 0 "--list-files names each file once"
