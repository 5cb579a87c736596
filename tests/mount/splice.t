#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Readers that use sendfile(2) or the end of the file: since Linux 6.5 the kernel takes a FUSE
# file's size at its word there, and keeps what it reads in a cache that all containers share.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/faults.sh"
plan 26

start_faulty_daemon
new_container c --memory=$((256 * MIB))
new_container d --memory=$((128 * MIB))
c=262144
d=131072

# ---- a kernel that has no page for the byte that keeps a file from being empty
faults 0 $STORING 12 1
isnt "$(in_container c "$POKE" sendfile /proc/loadavg 2>/dev/null && echo done)" "done" "without memory there is an error, no empty file"
no_faults
isnt "$(in_container c "$POKE" sendfile /proc/loadavg)" "" "which is sent when there is memory again"

sent() { in_container "$1" "$POKE" sendfile "/$2"; }
size() { in_container c stat -c %s "/$1"; }

for file in proc/cpuinfo proc/meminfo proc/stat proc/uptime proc/swaps $CPU_DIR/online; do
	isnt "$(sent c $file)" "" "$file: sendfile does not say that it is empty"
	is "$(size $file)" 0 "$file: stat says 0 afterwards"
	isnt "$(sent c $file)" "" "$file: nor does sendfile after stat"
done
is "$(in_container c "$POKE" sendfile "$MNT/$CPU_DIR/kernel_max")" "$(cat /$CPU_DIR/kernel_max)" \
	"a file that is passed through can be sent too"

# ---- the page cache holds nobody's text
alternating() {
	local i

	for i in 1 2 3 4 5 6 7 8 9 10; do
		sent c proc/meminfo | value MemTotal
		sent d proc/meminfo | value MemTotal
	done | sort | uniq -c | xargs
}
is "$(alternating)" "10 $d 10 $c" "each container is sent its own file"

kill -KILL "$(worker_pid)"
wait_until 5 daemon_answers
is "$(size proc/meminfo)" 0 "with another worker: stat says 0"
is "$(sent c proc/meminfo | value MemTotal)" $c "with another worker: the file is sent"

# ---- the end of a file that has no size
is "$(in_container c tail -n 1 /proc/meminfo)" "$(in_container c sed -n '$p' /proc/meminfo)" "tail finds the last line"
is "$(in_container c wc -c /proc/swaps | awk '{ print $1 }')" "$(in_container c cat /proc/swaps | wc -c)" "wc counts the bytes"
