#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# meminfo's rarer lines: every one of the running kernel's is one that was thought about; huge
# pages, zswap, committed memory. What a machine must be set up for is tested in the virtual one.
source "$(dirname "$0")/lib.sh"

# Setting up zswap and huge pages changes the whole machine: for the virtual one alone.
ours=
[ -z "${LXCFS_TEST_VM-}" ] || ours=yes
plan $((7 + 0${ours:+ + 11}))

lines() { awk -F: '{ print $1 }'; }

start_daemon
new_container c --memory=$((200 * MIB))

CK_RUN_CASE=audit "$BUILD/tests/unit/unit-meminfo" >"$WORK/audit" 2>&1
is $? 0 "every line of the running kernel's meminfo is in the table, or known to pass" || diag "$(cat "$WORK/audit")"
is "$(in_container c cat /proc/meminfo | lines)" "$(lines </proc/meminfo)" "and is shown, in the kernel's order"
for line in VmallocTotal VmallocChunk Hugepagesize; do
	is "$(meminfo c $line)" "$(value $line </proc/meminfo)" "$line is the host's"
done

# Of one read: Committed_AS without what is anonymous or shared is what was swapped out.
now=$(in_container c cat /proc/meminfo)
between $(($(value Committed_AS <<<"$now") - $(value AnonPages <<<"$now") - $(value Shmem <<<"$now"))) \
	0 "$(value SwapTotal <<<"$now")" "Committed_AS is anonymous and shared memory and used swap"
between "$(value SwapCached <<<"$now")" 0 204800 "SwapCached is within MemTotal"
remove_container c

# ---- zswap
ZSWAP=/sys/module/zswap/parameters/enabled
if [ -n "$ours" ]; then
	echo Y >$ZSWAP
	# In Linux 6.1 zswap leaves huge pages to the device behind it.
	echo never >/sys/kernel/mm/transparent_hugepage/enabled
	swapping_container() {
		rm -f "$WORK/held"
		new_container z --memory=$((48 * MIB))
		in_container z "$POKE" hold $((80 * MIB)) "$WORK/held" &
		background+=($!)
		wait_until 20 test -e "$WORK/held"
	}
	zswapped() { # the kernel sums up memory.stat every other second
		now=$(in_container z cat /proc/meminfo)
		[ "$(value Zswapped <<<"$now")" -ge 16384 ]
	}
	swapping_container
	ok "what is in zswap shows in Zswapped" wait_until 5 zswapped
	between "$(value Zswap <<<"$now")" 0 "$(value Zswapped <<<"$now")" "and what it takes in Zswap"
	between $(($(value SwapTotal <<<"$now") - $(value SwapFree <<<"$now"))) 16384 65536 "it counts as swapped out"
	end_background
	remove_container z
	stop_daemon
	start_daemon --disable-zswap
	swapping_container
	is "$(in_container z awk '/^Zswap/ { print $2 }' /proc/meminfo | xargs)" "0 0" "--disable-zswap: none of it"
	end_background
	remove_container z
	echo N >$ZSWAP
fi

# ---- huge pages
huge() { # CONTAINER: the pool as it sees it
	in_container "$1" awk '/^HugePages_|^Hugetlb:/ { print $2 }' /proc/meminfo | xargs
}
if [ -n "$ours" ]; then
	export CG_MORE=hugetlb
	stop_daemon
	start_daemon
	# The kernel gives as many as it can find just then.
	has_pool() { echo 16 >/proc/sys/vm/nr_hugepages && [ "$(cat /proc/sys/vm/nr_hugepages)" = 16 ]; }
	ok "a pool of 16 huge pages" wait_until 10 has_pool
	new_container h
	new_container other
	is "$(huge h)" "16 16 0 0 32768" "no limit: the host's pool"
	limit=$(cgdir hugetlb h)/hugetlb.2MB.max
	echo $((8 * MIB)) >"$limit"
	is "$(huge h)" "4 4 0 0 8192" "a limit of 8 MiB: 4 pages"
	in_container h mount -t hugetlbfs none /mnt
	in_container h fallocate -l 4M /mnt/file
	is "$(huge h)" "4 2 0 0 8192" "two are in use"
	is "$(huge other)" "16 14 0 0 32768" "of the host's pool, for who has no limit"
	in_container h rm /mnt/file
	in_container h umount /mnt
	echo 0 >"$limit" # the kernel refuses one below what is in use
	is "$(huge h)" "0 0 0 0 0" "a limit of 0: none"
	echo max >"$limit"
	is "$(huge h)" "16 16 0 0 32768" "and all again"
	remove_container h
	remove_container other
	echo 0 >/proc/sys/vm/nr_hugepages
fi
