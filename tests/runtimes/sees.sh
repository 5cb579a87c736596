# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For tests of what a container of a real runtime sees: a container of 256 MiB and CPU 0 (pinned, or
# by quota), whichever runtime started it. A test starts it and says how a program is run in it; all
# that is compared is compared here. Must not know of any runtime.
source "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"

# The README's lines hold as they stand: this mount namespace is the test's own.
MNT=/var/lib/lxcfs
RT_MADE_MNT=
[ -d $MNT ] || { mkdir -p $MNT && RT_MADE_MNT=yes; } || bail "no $MNT"

RT_BYTES=$((256 * MIB))
RT_KB=$((RT_BYTES / 1024))
RT_PROC="cpuinfo diskstats loadavg meminfo slabinfo stat swaps uptime" # what runc lets anybody mount over
RT_PRESSURE=
[ ! -e /proc/pressure ] || RT_PRESSURE=pressure

# read_all COMMAND...: every file, as one text, with one call of a program in the container.
read_all() {
	# shellcheck disable=SC2016 # for the shell in the container
	"$@" sh -c 'for f in /proc/cpuinfo /proc/diskstats /proc/loadavg /proc/meminfo /proc/slabinfo \
		/proc/stat /proc/swaps /proc/uptime /proc/pressure/cpu /sys/devices/system/cpu/online \
		/sys/devices/system/cpu/present /proc/self/mountinfo; do
		echo "==== $f"; cat "$f" 2>&1; done; echo "==== cpus"; ls -d /sys/devices/system/cpu/cpu[0-9]*; echo "==== end"'
}

part() { # FILE, of read_all's text on standard input
	sed -n "\\,^==== $1\$,,/^====/{/^====/!p}"
}

# Mount points of ours, as a sorted list of words.
bound_files() { awk '/ - fuse\.[a-z]* / || / - fuse\.lxcfs / { print $5 }' | grep -E '^/(proc|sys)/' | sort -u | xargs; }

wanted_files() { # NAME-OF-PROC...
	printf '/proc/%s\n' "$@" "" | grep -v '/$' | (cat; echo /$CPU_DIR) | sort | xargs
}

# what_differs TEXT MEMORY-KB [NAME-OF-PROC...]: nothing, or what is not what such a container must
# see. The names are those that must be bound, and none else; $RT_PROC if there are none.
what_differs() {
	local text=$1 kb=$2 total rows

	shift 2
	# shellcheck disable=SC2086 # a list of names
	[ $# -gt 0 ] || set -- $RT_PROC
	differs() { [ "$2" = "$3" ] || echo "$1: '$2', not '$3'"; }
	differs end "$(grep -c '^==== end' <<<"$text")" 1
	differs "bound files" "$(part /proc/self/mountinfo <<<"$text" | bound_files)" "$(wanted_files "$@")"
	differs MemTotal "$(part /proc/meminfo <<<"$text" | value MemTotal)" "$kb"
	differs processors "$(part /proc/cpuinfo <<<"$text" | grep -c '^processor')" 1
	differs "CPUs of stat" "$(part /proc/stat <<<"$text" | grep -c '^cpu[0-9]')" 1
	differs online "$(part /sys/devices/system/cpu/online <<<"$text")" 0
	differs present "$(part /sys/devices/system/cpu/present <<<"$text")" 0
	differs "cpu directories" "$(part cpus <<<"$text" | xargs)" /$CPU_DIR/cpu0
	awk -v t="$(part /proc/uptime <<<"$text")" -v h="$(cut -d' ' -f1 /proc/uptime)" 'BEGIN {
		split(t, a, " "); if (t !~ /^[0-9]+\.[0-9][0-9] [0-9]+\.[0-9][0-9]$/ || a[1] > 600 || a[1] + 0 > h + 0) print "uptime: " t }'
	total=$(part /proc/loadavg <<<"$text" | cut -d' ' -f4 | cut -d/ -f2)
	[ "${total:-999}" -lt 40 ] || echo "tasks of loadavg: $total"
	rows=$(part /proc/swaps <<<"$text" | sed 1d | awk '$1 != "none" || $2 != "virtual"')
	differs "swaps" "$rows" ""
	differs "slabinfo" "$(part /proc/slabinfo <<<"$text" | grep -c -E '^[a-z_]*claimable |Permission denied$' | sed s/1/2/)" 2
	awk 'NF && NF < 14 { print "diskstats: " $0 }' <<<"$(part /proc/diskstats <<<"$text")"
	[ "${*: -1}" != pressure ] || differs "pressure" "$(part /proc/pressure/cpu <<<"$text" | cut -d' ' -f1 | head -n 1)" some
}

RT_NAMES=()
declare -A RT_ENTER=() # name -> the command that runs another in it, as words
declare -A RT_SAW=()   # name -> the MemTotal that it must see

# sees_itself NAME WANTED-PROC-NAMES COMMAND...: an assertion. Every file is what such a container
# must see. Notes it for all_go_on_reading.
sees_itself() {
	local name=$1 files=$2 text

	shift 2
	RT_NAMES+=("$name")
	RT_ENTER[$name]=$*
	RT_SAW[$name]=${KB:-$RT_KB}
	text=$(read_all "$@")
	# shellcheck disable=SC2086 # a list of names
	is "$(what_differs "$text" "${KB:-$RT_KB}" $files)" "" "$name: it sees itself in every file" || diag "$(head -c 3000 <<<"$text")"
}

# An assertion for each container so far: it goes on reading while the process that answers is
# killed, which is once for all of them.
all_go_on_reading() {
	local i before

	before=$(worker_pid)
	for i in "${!RT_NAMES[@]}"; do
		(
			trap - EXIT INT TERM
			# shellcheck disable=SC2086,SC2016 # words; for the shell in the container
			${RT_ENTER[${RT_NAMES[i]}]} sh -c 'n=0; while [ $n -lt 40 ]; do n=$((n + 1))
				cat /proc/meminfo /proc/stat /proc/uptime /sys/devices/system/cpu/online 2>&1 >/dev/null
				[ $n -gt 1 ] || echo begun; done; echo read'
		) </dev/null >"$WORK/reading.$i" 2>&1 &
		background+=($!)
	done
	for i in "${!RT_NAMES[@]}"; do
		wait_until 20 test -s "$WORK/reading.$i"
	done
	kill -KILL "$before"
	for i in "${background[@]}"; do
		wait "$i"
	done
	background=()
	for i in "${!RT_NAMES[@]}"; do
		is "$(xargs <"$WORK/reading.$i")" "begun read" "${RT_NAMES[i]}: it goes on reading while the worker is killed"
	done
	wait_until 10 daemon_answers
	isnt "$(worker_pid)" "$before" "it was killed"
}

reads_again() { # NAME
	# shellcheck disable=SC2086 # words
	[ "$(${RT_ENTER[$1]} cat /proc/meminfo 2>/dev/null | value MemTotal)" = "${RT_SAW[$1]}" ]
}

# An assertion: a daemon that is stopped and started anew serves every container again.
all_are_healed() {
	local name not=

	stop_daemon
	start_daemon "$@"
	for name in "${RT_NAMES[@]}"; do
		wait_until 10 reads_again "$name" || not="$not, $name"
	done
	is "$not" "" "stopped and started, it serves every container again"
}

# ---- what the README says

# Its commands, one a line, lines joined where a backslash says so.
readme_commands() { sed -n 's/^    //p' "$TOP/README.md" | sed ':a; /\\$/{N; s/ *\\\n */ /; ba}'; }

# readme_options PATTERN: of the one command that matches, what stands between "run" and "debian".
readme_options() {
	local line

	line=$(readme_commands | grep -E -- "$1")
	[ "$(grep -c . <<<"$line")" = 1 ] || bail "the README has not one command that matches $1"
	sed -E 's/^[a-z]+ run //; s/ debian .*//' <<<"$line"
}

# ---- what containers are made of

# The program where users of other namespaces may run it too.
public_program() {
	chmod 711 "$WORK"
	mkdir -p "$WORK/bin"
	cp "$LXCFS" "$WORK/bin/lxcfs"
}

# A root directory without an image: empty but for what a busybox has.
busybox_root() { # DIRECTORY
	local name

	mkdir -p "$1"/{bin,proc,sys,dev,tmp,etc,root,run,var}
	cp "$(command -v busybox)" "$1/bin/busybox"
	"$1/bin/busybox" --install -s "$1/bin" 2>/dev/null
	for name in "$1"/bin/*; do
		[ ! -L "$name" ] || ln -sf busybox "$name"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
	echo 'root:x:0:' >"$1/etc/group"
}

# LXC leaves a cgroup of its own behind, by which it gets out of a container's that ends.
note_pivot() { PIVOT=$(ls -d "${CG_ROOTS[0]}/lxc.pivot" 2>/dev/null); }

remove_pivot() {
	local root

	[ -z "$PIVOT" ] || return
	for root in "${CG_ROOTS[@]}"; do
		rmdir "$root/lxc.pivot" 2>/dev/null
	done
}

end_runtime() { :; } # for a test to define: ends what it started

# What runtimes leave mounted would keep $WORK.
test_cleanup() {
	local point

	end_runtime
	for point in $(awk -v w="$WORK/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
		umount -l "$point"
	done
	[ -z "$RT_MADE_MNT" ] || { stop_daemon; rmdir $MNT; }
}
