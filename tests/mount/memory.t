#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# meminfo and swaps: what counts as used and as available, limits that change, parents whose limit
# others are using up, and swap.
source "$(dirname "$0")/lib.sh"
# A limit below the usage can be set on v2 alone; swap is what the machine has.
if ! is_v2; then
	plan 34
else
	plan 42
fi

SIZE=500 # MiB, of the file that is read
[ -z "$SHORT" ] || SIZE=200
SCRATCH=$(mktemp -d "${LXCFS_TEST_SCRATCH:-/var/tmp}/lxcfs-test.XXXXXX")
HOST_SWAP_KB=$(awk '/^SwapTotal:/ { print $2 }' /proc/meminfo)
mkdir "$WORK/tmpfs"

test_cleanup() { rm -rf "$SCRATCH"; }

fill_tmpfs() { # CONTAINER MIB: stays until the container ends
	in_container "$1" dd if=/dev/zero of="$WORK/tmpfs/fill" bs=1M count="$2" status=none
}
mount_tmpfs() { in_container "$1" mount -t tmpfs -o size=1g none "$WORK/tmpfs"; }

start_daemon

# ---- page cache is available, tmpfs is not
dd if=/dev/zero of="$SCRATCH/file" bs=1M count=$SIZE conv=fsync status=none
dd if="$SCRATCH/file" iflag=nocache count=0 status=none
new_container m --memory=$((2 * SIZE * MIB))
is "$(meminfo m MemTotal)" $((2 * SIZE * 1024)) "MemTotal is the limit"
available=$(meminfo m MemAvailable)
free=$(meminfo m MemFree)
cached=$(meminfo m Cached)
in_container m cat "$SCRATCH/file" >/dev/null
# Until it shows: the kernel may sum up memory.stat every other second only.
gained() { # LINE KB-BEFORE KB
	after=$(in_container m cat /proc/meminfo)
	[ $(($(value "$1" <<<"$after") - $2)) -ge "$3" ]
}
wait_until 5 gained Cached "$cached" $((SIZE * 1024 * 9 / 10))
between $(($(value Cached <<<"$after") - cached)) $((SIZE * 1024 * 9 / 10)) $((SIZE * 1024 * 11 / 10)) \
	"a file that is read shows in Cached"
between $((free - $(value MemFree <<<"$after"))) $((SIZE * 1024 * 9 / 10)) $((SIZE * 1024 * 12 / 10)) \
	"and is gone from MemFree"
between $((available - $(value MemAvailable <<<"$after"))) -16384 16384 "but not from MemAvailable"

mount_tmpfs m
available=$(meminfo m MemAvailable)
shmem=$(meminfo m Shmem)
fill_tmpfs m 100
wait_until 5 gained Shmem "$shmem" $((98 * 1024))
between $((available - $(value MemAvailable <<<"$after"))) $((95 * 1024)) $((108 * 1024)) \
	"100 MiB in tmpfs are gone from MemAvailable"
between $(($(value Shmem <<<"$after") - shmem)) $((98 * 1024)) $((102 * 1024)) "and show in Shmem"

anon=$(meminfo m AnonPages)
in_container m "$POKE" hold $((60 * MIB)) "$WORK/held" &
background+=($!)
wait_until 10 test -e "$WORK/held"
wait_until 5 gained AnonPages "$anon" $((58 * 1024))
between $(($(value AnonPages <<<"$after") - anon)) $((58 * 1024)) $((64 * 1024)) "60 MiB of anonymous memory show in AnonPages"

# ---- every line is the kernel's, and within bounds
shape() { awk '{ print $1, length($0) }' "$@"; }
is "$(in_container m cat /proc/meminfo | shape)" "$(shape /proc/meminfo)" \
	"the lines, their order and widths are the running kernel's"
is "$(in_container m cat /proc/meminfo | awk '
	$1 == "MemTotal:" { total = $2 }
	$1 ~ /^(Swap|Vmalloc|CommitLimit|Committed_AS|HugePages_|Huge[a-z])/ { next }
	$2 !~ /^[0-9]+$/ || $2 + 0 > total + 0')" "" "nothing is negative or above MemTotal"
is "$(in_container m cat /proc/meminfo | awk '
	/^(Buffers|Mlocked|NFS_Unstable|Bounce|WritebackTmp|HardwareCorrupted|CmaTotal|CmaFree):/ && $2 != 0')" \
	"" "what a container cannot have is 0"
now=$(in_container m cat /proc/meminfo)
is "$(value DirectMap4k <<<"$now")" "$(value DirectMap4k </proc/meminfo | grep -q . && value MemTotal <<<"$now")" \
	"DirectMap4k is MemTotal"
is "$(value SReclaimable <<<"$now")" "$(value KReclaimable <<<"$now")" "KReclaimable is SReclaimable"
between "$(($(value SReclaimable <<<"$now") + $(value SUnreclaim <<<"$now") - $(value Slab <<<"$now")))" -1 0 "and the two slabs make Slab"
commit=$(($(value SwapTotal <<<"$now") + $(value MemTotal <<<"$now") * $(cat /proc/sys/vm/overcommit_ratio) / 100))
between "$(value CommitLimit <<<"$now")" $((commit - 4)) $((commit + 4)) \
	"CommitLimit follows the container's memory"
is "$(value VmallocTotal <<<"$now")" "$(value VmallocTotal </proc/meminfo)" "VmallocTotal is the host's"
remove_container m

# ---- limits that change
new_container live --memory=$((200 * MIB))
is "$(meminfo live MemTotal)" 204800 "before: the first limit"
set_limit live memory $((120 * MIB))
is "$(meminfo live MemTotal)" 122880 "a lowered limit shows at once"
set_limit live memory $((350 * MIB))
is "$(meminfo live MemTotal)" 358400 "a raised limit shows at once"
set_limit live memory max
is "$(meminfo live MemTotal)" "$HOST_MEM_KB" "no limit any more: the host's MemTotal"
# A handle that is open all the time.
set_limit live memory $((200 * MIB))
mkfifo "$WORK/go"
in_container live "$POKE" again /proc/meminfo <"$WORK/go" >"$WORK/again" &
again=$!
exec 8>"$WORK/go"
wait_until 10 grep -q DirectMap "$WORK/again"
set_limit live memory $((100 * MIB))
echo >&8
exec 8>&-
wait $again
is "$(grep '^MemTotal' "$WORK/again" | awk '{ print $2 }' | xargs)" "204800 102400" \
	"on an open handle the next read from 0 has the new limit"
is "$(in_container live awk '/^MemFree/ { print ($2 <= 102400) }' /proc/meminfo)" 1 "MemFree follows"
remove_container live

# ---- a limit below what is used
# A process that belongs to the cgroup could not run, so the reader is one that does not: in a
# cgroup namespace of the container it is still the container's. cgroup v1 refuses such a limit.
new_container full --memory=$((300 * MIB)) --cgroupns
mount_tmpfs full
if is_v2; then
	set_limit full swap 0
	for pid in "${CT_PID[full]}" "${CT_PARENT[full]}"; do
		echo -1000 >"/proc/$pid/oom_score_adj"
	done
	fill_tmpfs full 120
	set_limit full memory $((80 * MIB))
	now=$(enter full "-p -m -C" cat /proc/meminfo)
	is "$(value MemTotal <<<"$now")" 81920 "below usage: MemTotal is the limit"
	is "$(value MemFree <<<"$now")" 0 "below usage: nothing is free"
	is "$(value MemAvailable <<<"$now")" 0 "below usage: nothing is available"
	set_limit full memory $((300 * MIB))
else
	fill_tmpfs full 120
fi
between "$(enter full "-p -m -C" cat /proc/meminfo | value MemFree)" $((170 * 1024)) $((181 * 1024)) \
	"within the limit, what is left is free"
remove_container full

# ---- a parent's limit that another uses up
make_cgroup pod
set_limit pod memory $((300 * MIB))
new_container greedy --cgroup=pod/greedy
new_container frugal --cgroup=pod/frugal --memory=$((250 * MIB))
mount_tmpfs greedy
fill_tmpfs greedy 200
is "$(meminfo frugal MemTotal)" 256000 "MemTotal is the container's own limit"
between "$(meminfo frugal MemFree)" $((80 * 1024)) $((100 * 1024)) "MemFree is what the sibling left"
between "$(meminfo frugal MemAvailable)" $((80 * 1024)) $((101 * 1024)) "so is MemAvailable"
remove_container greedy
between "$(meminfo frugal MemFree)" $((200 * 1024)) $((250 * 1024)) "and it is back when the sibling is gone"
remove_container frugal

# ---- swap
new_container s --memory=$((128 * MIB))
is "$(in_container s head -n 1 /proc/swaps)" "$(head -n 1 /proc/swaps)" "swaps: the kernel's header"
if is_v2; then
	set_limit s swap $((64 * MIB))
	wanted=$(min 65536 "$HOST_SWAP_KB")
else
	set_limit s memsw $((192 * MIB)) 2>/dev/null
	wanted=$(min $((192 * 1024)) "$HOST_SWAP_KB")
fi
is "$(meminfo s SwapTotal)" "$wanted" "SwapTotal is the limit, at most the host's"
between "$(meminfo s SwapFree)" 0 "$wanted" "SwapFree is within SwapTotal"
if [ "$wanted" -gt 0 ]; then
	is "$(in_container s sed 1d /proc/swaps | xargs)" "none virtual $wanted 0 0" "swaps: one row with the total"
else
	is "$(in_container s sed 1d /proc/swaps)" "" "swaps: no row without swap"
fi
if is_v2 && [ "$HOST_SWAP_KB" -eq 0 ]; then
	skip 5 "the machine has no swap"
elif is_v2; then
	mount_tmpfs s
	fill_tmpfs s 150
	now=$(in_container s cat /proc/meminfo)
	swap_kb=$(($(cat "$(cgdir memory s)/memory.swap.current") / 1024))
	between $((wanted - $(value SwapFree <<<"$now"))) $((swap_kb - 8192)) $((swap_kb + 8192)) "used swap is the container's"
	between "$(in_container s awk 'NR == 2 { print $4 }' /proc/swaps)" 15000 "$wanted" "swaps: and is shown there"
	is "$(value MemTotal <<<"$now")" 131072 "swapping leaves MemTotal"
	remove_container s
	new_container s --memory=$((128 * MIB)) --swap=0
	is "$(meminfo s SwapTotal)" 0 "a swap limit of 0 shows 0"
	set_limit s swap max
	is "$(meminfo s SwapTotal)" "$HOST_SWAP_KB" "no swap limit: the host's SwapTotal"
fi
remove_container s
stop_daemon

start_daemon --disable-swap
new_container none --memory=$((128 * MIB))
is "$(meminfo none SwapTotal)" 0 "--disable-swap: SwapTotal is 0"
is "$(meminfo none SwapFree)" 0 "--disable-swap: SwapFree is 0"
is "$(in_container none cat /proc/swaps)" "$(head -n 1 /proc/swaps)" "--disable-swap: swaps is the header alone"
is "$(meminfo none CommitLimit)" $((131072 * $(cat /proc/sys/vm/overcommit_ratio) / 100)) \
	"--disable-swap: CommitLimit has none"
