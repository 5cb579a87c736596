#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# diskstats: the container's own I/O, on the devices it used, and nothing of anyone else's.
source "$(dirname "$0")/lib.sh"
plan 14

SCRATCH=$(mktemp -d "${LXCFS_TEST_SCRATCH:-/var/tmp}/lxcfs-test.XXXXXX")
test_cleanup() { rm -rf "$SCRATCH"; }

# Columns by the kernel's numbering: 1 reads, 3 sectors read, 5 writes, 7 sectors written, 10 io_ticks.
column() { awk -v d="$disk" -v c="$1" '$3 == d { print $(c + 3); found = 1 } END { if (!found) print 0 }'; }

disk=$(disk_of "$SCRATCH")
if [ -z "$disk" ]; then
	skip 14 "$SCRATCH is not on a disk"
	exit 0
fi
dd if=/dev/zero of="$SCRATCH/file" bs=1M count=100 conv=fsync status=none

# What the kernel accounted to it: programs that are not in memory are read from the disk.
did_io() {
	if [ -n "${CG_V1[blkio]-}" ]; then
		grep -q '^[0-9].* [1-9][0-9]*$' "$(cgdir blkio "$1")/blkio.throttle.io_service_bytes_recursive"
	else
		grep -q 'bytes=[1-9]' "$(cgdir io "$1")/io.stat"
	fi
}

count_io_of "$disk"

start_daemon
new_container busy
for _ in 1 2 3 4 5; do
	new_container idle
	in_container idle cat /proc/diskstats >/dev/null
	did_io idle || break
	remove_container idle
done
is "$(in_container idle cat /proc/diskstats)" "" "a container that did no I/O sees no device"
before=$(in_container busy cat /proc/diskstats)
in_container busy dd if="$SCRATCH/file" of=/dev/null bs=1M iflag=direct status=none
after=$(in_container busy cat /proc/diskstats)
between $(($(column 3 <<<"$after") - $(column 3 <<<"$before"))) 204800 206900 "100 MiB read directly are 204,800 sectors"
between $(($(column 1 <<<"$after") - $(column 1 <<<"$before"))) 100 5000 "in at least a hundred reads"
between "$(column 2 <<<"$after")" 0 0 "none merged"
between $(($(column 7 <<<"$after") - $(column 7 <<<"$before"))) 0 2048 "and hardly anything written"
between "$(column 9 <<<"$after")" 0 0 "none in flight"

in_container busy dd if=/dev/zero of="$SCRATCH/written" bs=1M count=50 oflag=direct status=none
written=$(in_container busy cat /proc/diskstats)
between $(($(column 7 <<<"$written") - $(column 7 <<<"$after"))) 102400 106000 "50 MiB written directly are 102,400 sectors"
between "$(column 3 <<<"$written")" "$(column 3 <<<"$after")" "$(($(column 3 <<<"$after") + 8192))" "and no more read"
between "$(column 4 <<<"$written")" 1 600000 "reading took time"
between "$(column 10 <<<"$written")" "$(column 10 <<<"$after")" 600000 "io_ticks does not decrease"

is "$(in_container idle cat /proc/diskstats)" "" "the other container still sees none"
line=$(in_container busy grep -w "$disk" /proc/diskstats)
is "$(wc -w <<<"$line")" "$(grep -w "$disk" /proc/diskstats | head -n 1 | wc -w)" "as many columns as the kernel's"
is "$(awk '{ print $1, $2, $3 }' <<<"$line")" "$(awk -v d="$disk" '$3 == d { print $1, $2, $3 }' /proc/diskstats)" \
	"numbers and name are the host's"
is "$(in_container busy awk '{ print $3 }' /proc/diskstats)" \
	"$(awk '{ print $3 }' /proc/diskstats | grep -xF "$(in_container busy awk '{ print $3 }' /proc/diskstats)")" \
	"the devices are in the host's order"
