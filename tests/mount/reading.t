#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How the files behave as files: reads of every size, handles, modes, and nothing to be changed.
source "$(dirname "$0")/lib.sh"
plan 67

FILES="$SERVED $CPU_DIR/online $CPU_DIR/present $CPU_DIR/offline"

start_daemon
new_container c --memory=$((256 * MIB)) --cpus=1
new_container d --memory=$((128 * MIB)) --cpus=0
# An empty text has no pieces: the container reads a little from a disk, if there is one.
SCRATCH=$(mktemp -d "${LXCFS_TEST_SCRATCH:-/var/tmp}/lxcfs-test.XXXXXX")
test_cleanup() { rm -rf "$SCRATCH"; }
count_io_of "$(disk_of "$SCRATCH")"
in_container c dd if=/dev/zero of="$SCRATCH/file" bs=64k count=4 oflag=direct conv=fsync status=none

# ---- reads of every size, each on a fresh handle
for file in $FILES; do
	if [ -z "$(in_container c cat "/$file")" ]; then
		is "$file" "proc/diskstats" "$file: empty where nothing was read or written"
		is "$(in_container c "$POKE" read 1 "/$file")" "" "$file: byte by byte, too"
		continue
	fi
	ok "$file: byte by byte, by 4 KiB and whole agree" in_container c bash -c \
		'for size in 1 7 4096 131072 1048576; do "$1" chunk "$size" "/$2" || exit; done' - "$POKE" "$file"
	ok "$file: pread at any offset gives that snapshot" in_container c "$POKE" pread "/$file"
done
for file in proc/swaps $CPU_DIR/online; do
	is "$(in_container c "$POKE" read 1 "/$file")" "$(in_container c "$POKE" read 65536 "/$file")" \
		"$file: the same text on two handles"
done
shape() { sed 's/[0-9][0-9.]*/N/g; s/  */ /g'; }
is "$(in_container c "$POKE" read 1 /proc/meminfo | shape)" "$(in_container c "$POKE" read 1048576 /proc/meminfo | shape)" \
	"meminfo: the same lines on two handles"

# ---- lseek(0) renders afresh
mkfifo "$WORK/go"
in_container c "$POKE" again /proc/uptime <"$WORK/go" >"$WORK/again" &
again=$!
exec 8>"$WORK/go"
wait_until 10 test -s "$WORK/again"
sleep 1.1
echo >&8
exec 8>&-
wait $again
between "$(awk '{ print $1 - a; a = $1 }' "$WORK/again" | tail -n 1)" 1 60 "lseek to 0 and read: the time has moved on"

# ---- a handle passed on sees the opener's container
new_container opener --memory=$((192 * MIB))
in_container opener bash -c 'exec 7</proc/meminfo; : >"$1"; sleep 1000' - "$WORK/opened" &
background+=($!)
wait_until 10 test -e "$WORK/opened"
pid=$(last_descendant "${background[0]}")
is "$("$POKE" getfd "$pid" 7 | value MemTotal)" 196608 "a handle read by the host shows its opener's container"
is "$(in_container c cat <"$MNT/proc/cpuinfo" | grep -c ^processor)" "$(grep -c ^processor /proc/cpuinfo)" \
	"a handle read in the container shows its opener's host"
end_background

# ---- what stat(2) says
looks() { stat -c '%a %u %g' "$@"; }
for file in $SERVED $CPU_DIR/online $CPU_DIR/present; do
	is "$(in_container c stat -c '%u %g %s %h %F' "/$file")" "0 0 0 1 $(stat -c %F "/proc/version")" \
		"$file: root's, of size 0"
done
is "$(cd "$MNT" && stat -c '%n %a' $FILES)" "$(cd / && stat -c '%n %a' $FILES)" "the modes are the host's own"
is "$(in_container c setpriv --reuid 65534 --regid 65534 --clear-groups cat /proc/meminfo | value MemTotal)" 262144 \
	"anybody may read"
is "$(in_container c "$POKE" poll /proc/meminfo)" "IN RDNORM " "poll(2) answers at once, readable"

# ---- nothing can be changed
# What the VFS itself refuses about a kind of file is refused before the daemon is asked.
changed() { # PATH
	in_container c "$POKE" try "$1" | awk -v dir="$([ -d "$1" ] && echo 1)" '
		$2 ~ /^(EROFS|EACCES|EPERM)$/ { next }
		$1 == "rmdir" && !dir && $2 == "ENOTDIR" { next }
		dir && $2 == "EISDIR" { next }
		{ print }'
}
writable=$CPU_DIR/cpu1/online # root may write to it on the host, where it can be switched off at all
[ -e "/$writable" ] || writable=$CPU_DIR/cpu1/uevent
for path in proc/meminfo proc $CPU_DIR $CPU_DIR/online $CPU_DIR/cpu1 $writable; do
	before=$(looks "/$path"; ls -A "$(dirname "/$path")" | grep -v '^[0-9]')
	is "$(changed "$MNT/$path")" "" "$path: every change is refused"
	is "$(looks "/$path"; ls -A "$(dirname "/$path")" | grep -v '^[0-9]')" "$before" "$path: the host's is untouched"
done
for file in proc/meminfo proc/stat $CPU_DIR/online $writable; do
	is "$(in_container c "$POKE" try "/$file" | awk '/^(write-only|read-write|open-truncate)/ { print $2 }' | xargs)" \
		"EACCES EACCES EACCES" "$file: opening it for write is EACCES"
done

# ---- the directory of CPUs
is "$(in_container c ls -f "/$CPU_DIR" | sort | uniq -d)" "" "names in the cpu directory are unique"
is "$(in_container c ls "/$CPU_DIR" | grep -xv 'cpu[0-9]*')" "$(ls /$CPU_DIR | grep -xv 'cpu[0-9]*')" \
	"it has whatever else the kernel's has"
ok "a CPU outside the cpuset is found by name" in_container c test -d "/$CPU_DIR/cpu0"
ok "and one inside" in_container c test -d "/$CPU_DIR/cpu1"
is "$(in_container c cat "/$CPU_DIR/cpu0/topology/core_id")" "$(cat /$CPU_DIR/cpu0/topology/core_id)" \
	"what is below it is the kernel's"
ok "a CPU that the host has not is not found" bash -c '! "$@"' - nsenter -t "${CT_PID[c]}" -p -m -- test -e "/$CPU_DIR/cpu9999"
ok "crash_notes is not served" bash -c '! cat "$1"/crash_notes{,_size} 2>/dev/null | grep -q .' - "$MNT/$CPU_DIR/cpu0"
is "$(cd "$MNT/$CPU_DIR" && find . -type l -printf '%p %l\n' | sort)" \
	"$(cd /$CPU_DIR && find . -type l -printf '%p %l\n' | sort)" "symbolic links are the kernel's"
is "$(cd "$MNT/$CPU_DIR" && find . -path './cpu*/topology/*' -type f -exec cat {} + 2>&1)" \
	"$(cd /$CPU_DIR && find . -path './cpu*/topology/*' -type f -exec cat {} + 2>&1)" "topology passes through"
is "$(ls "$MNT")" "$(printf 'cpuset\nproc\nquota\nsys')" "the top holds proc and sys, and the two trees that hold them again"
