# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For tests with real container runtimes: what they check alike, whichever runtime it is. A test starts
# containers of 256 MiB and CPU 0 (pinned, or by quota), says how a program is run in each, and ends them
# in end_runtime; all that is compared is compared here. A runtime's own state lies below $WORK, cgroups
# below the test's parent. Must not know of any runtime.
source "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../mount/upgrade.sh"

# Users of other namespaces run the program, too.
chmod 711 "$WORK"

# The README's lines hold as they stand: this mount namespace is the test's own.
MNT=${RT_MNT:-/var/lib/lxcfs}
RT_MADE_MNT=
[ -d $MNT ] || { mkdir -p $MNT 2>/dev/null && RT_MADE_MNT=yes; } ||
	{ mount -t tmpfs none /var/lib && mkdir $MNT; } || bail "no $MNT" # where nothing may be written

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

RT_NAMES=()            # containers, in the order in which they were added
declare -A RT_ENTER=() # name -> the command that runs another in it, as words
declare -A RT_SAW=()   # name -> the MemTotal that it must see, in kB

# add_container NAME LIMIT-KB COMMAND...: so that it is looked at with the others.
add_container() {
	local name=$1

	RT_NAMES+=("$name")
	RT_SAW[$name]=$2
	shift 2
	RT_ENTER[$name]=$*
}

# add_init NAME LIMIT-KB PID NSENTER-OPTIONS: the same of one that is entered by its init, as the host
# numbers it, which is told apart from another that is started in its place.
add_init() {
	[ -n "$3" ] || bail "container $1 has no init"
	CT_PID[$1]=$3
	CT_ENTER[$1]=$4
	add_container "$1" "$2" in_container "$1"
}

in_rt() { # NAME COMMAND...
	local name=$1

	shift
	# shellcheck disable=SC2086 # words
	${RT_ENTER[$name]} "$@"
}

# sees_itself NAME WANTED-PROC-NAMES COMMAND...: an assertion. Every file is what such a container
# must see. Adds it to the others.
sees_itself() {
	local name=$1 files=$2 text

	shift 2
	add_container "$name" "${KB:-$RT_KB}" "$@"
	text=$(read_all "$@")
	# shellcheck disable=SC2086 # a list of names
	is "$(what_differs "$text" "${KB:-$RT_KB}" $files)" "" "$name: it sees itself in every file" || diag "$(head -c 3000 <<<"$text")"
}

# ---- they go on reading

# For the shell in a container: tells its memory over and over, and what goes wrong with any file, until
# it finds /dev/end, which any root may make.
# shellcheck disable=SC2016
RT_READ='rm -f /dev/end; n=0
while [ ! -e /dev/end ] && [ $n -lt 5000 ]; do
	n=$((n + 1))
	sleep 0.05
	{ grep MemTotal: /proc/meminfo && cat /proc/cpuinfo /proc/stat /proc/uptime /proc/swaps \
		/proc/diskstats /proc/loadavg /sys/devices/system/cpu/online >/dev/null; } 2>&1
done
[ ! -e /dev/end ] || echo end'

rt_readers=()

start_reading() {
	local i

	for i in "${!RT_NAMES[@]}"; do
		(
			trap - EXIT INT TERM
			in_rt "${RT_NAMES[i]}" sh -c "$RT_READ"
		) </dev/null >"$WORK/reading.$i" 2>&1 &
		rt_readers+=($!)
	done
}

end_reading() {
	local name pid

	for name in "${RT_NAMES[@]}"; do
		in_rt "$name" sh -c ': >/dev/end' </dev/null >/dev/null 2>&1 &
		rt_readers+=($!)
	done
	for pid in "${rt_readers[@]}"; do
		wait "$pid"
	done
	rt_readers=()
}

count_readings() { wc -l "$WORK"/reading.* | awk '$2 != "total" { print $1 }'; }

# Twice more than that, so that one reading began and ended after whatever was done before.
all_read_beyond() { # COUNT, one a line
	paste <(count_readings) <(echo "$1") | awk '$1 < $2 + 2 { n++ } END { exit n }'
}

# An assertion for each container so far, and two: all go on reading while the process that answers is
# killed, and while another version takes the daemon's place. No file of theirs fails, and no value is
# another's.
GO_ON_TESTS=2
all_go_on_reading() {
	local i before stuck=

	before=$(a_worker)
	start_reading
	wait_until 30 all_read_beyond 0 || stuck="not all begin to read; "
	kill -KILL "$before"
	wait_until 20 all_read_beyond "$(count_readings)" || stuck+="not all go on after the kill; "
	isnt "$(a_worker)" "$before" "the worker was killed"
	install_binary
	upgrade
	is "$? $(stat -L -c %i "/proc/$DAEMON_PID/exe")" "0 $(stat -c %i "$LXCFS")" "the daemon was upgraded"
	wait_until 20 all_read_beyond "$(count_readings)" || stuck+="not all go on after the upgrade; "
	end_reading
	for i in "${!RT_NAMES[@]}"; do
		diag "${RT_NAMES[i]}: $(wc -l <"$WORK/reading.$i") readings"
		is "$stuck$(sort -u "$WORK/reading.$i" | xargs)" "MemTotal: ${RT_SAW[${RT_NAMES[i]}]} kB end" \
			"${RT_NAMES[i]}: it goes on reading while the worker is killed and the daemon upgraded"
	done
}

reads_again() { # NAME
	[ "$(in_rt "$1" cat /proc/meminfo 2>/dev/null | value MemTotal)" = "${RT_SAW[$1]}" ]
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

# ---- whose connection ends (containers that were added by their init)

# Every file bound in it opens and reads; slabinfo is the machine's root's alone.
opens_all() { # NAME
	local files="$SERVED $CPU_DIR/online"

	[[ ${CT_ENTER[$1]} != *-U* ]] || files=${files/proc\/slabinfo/}
	# shellcheck disable=SC2046,SC2086 # a list of files
	in_rt "$1" cat $(printf '/%s ' $files) >/dev/null 2>&1
}

all_open() {
	local name

	for name in "${RT_NAMES[@]}"; do
		opens_all "$name" || return
	done
}

none_opens() {
	local name

	for name in "${RT_NAMES[@]}"; do
		! timeout $((5 * SLOW)) nsenter -t "${CT_PID[$name]}" -m -- cat /proc/meminfo >/dev/null 2>&1 || return
	done
}

# "262144 0 0", as each container should see itself: memory, CPUs of two kinds.
sights() {
	local name

	for name in "${RT_NAMES[@]}"; do
		echo "$name $(meminfo "$name" MemTotal) $(in_container "$name" cat "/$CPU_DIR/online")" \
			"$(in_container "$name" grep -c ^processor /proc/cpuinfo)"
	done
}

wanted_sights() {
	local name

	for name in "${RT_NAMES[@]}"; do
		echo "$name ${RT_SAW[$name]} 0 1"
	done
}

# That it is the same process, and what the kernel says of its start.
lives() {
	local name

	for name in "${RT_NAMES[@]}"; do
		echo "$name ${CT_PID[$name]} $(cut -d' ' -f22 "/proc/${CT_PID[$name]}/stat" 2>&1)"
	done
}

# Four assertions: the daemon serves again, and soon the containers are whole.
whole_again() { # WHAT
	local began

	began=$(now_ms)
	ok "$1: every file opens in every container" wait_until 10 all_open
	diag "$1: $(($(now_ms) - began)) ms from the daemon's answer"
	is "$(sights)" "$(wanted_sights)" "$1: each sees itself"
	is "$(lives)" "$lives_before" "$1: and none was restarted"
	is "$(for n in "${RT_NAMES[@]}"; do mounts_twice "$n"; done)" "" "$1: dead mounts do not pile up"
}

# Mount points of ours where more than two are stacked.
mounts_twice() {
	awk '/ - fuse.lxcfs / { n[$5]++ } END { for (p in n) if (n[p] > 2) print p, n[p] }' \
		"/proc/${CT_PID[$1]}/mountinfo"
}

connection_of() { # a path of ours: its directory in fusectl
	[ -e /sys/fs/fuse/connections/waiting ] || mountpoint -q /sys/fs/fuse/connections ||
		mount -t fusectl none /sys/fs/fuse/connections
	echo "/sys/fs/fuse/connections/$(($(stat -c %d "$1") & 0xff | ($(stat -c %d "$1") >> 12) & 0xfff00))"
}

answers_anew() { # the device number before
	[ "$(stat -c %d "$MNT" 2>/dev/null)" != "$1" ] && daemon_answers
}

# Sixteen and some assertions: the four ways in which a connection ends.
CONNECTION_TESTS=23
survive_all_ends() {
	local first=${RT_NAMES[0]} dev

	ok "every file opens" all_open
	is "$(sights)" "$(wanted_sights)" "each container sees itself"
	lives_before=$(lives)

	dev=$(stat -c %d "$MNT")
	# A mount of its own, that goes with it: the container's files stay bound.
	: >"/proc/${CT_PID[$first]}/root/tmp/own"
	in_container "$first" mount -o bind /proc/meminfo /tmp/own
	in_container "$first" umount -f /tmp/own 2>/dev/null
	ok "umount -f by a container: the daemon is back" wait_until 10 answers_anew "$dev"
	whole_again "umount -f by a container"

	dev=$(stat -c %d "$MNT")
	ok "the connection is aborted" bash -c 'echo 1 >"$1/abort"' - "$(connection_of "$MNT")"
	ok "fusectl abort: the daemon is back" wait_until 10 answers_anew "$dev"
	whole_again "fusectl abort"

	kill -KILL "$DAEMON_PID"
	wait "$DAEMON_PID" 2>/dev/null
	ok "the daemon killed: the files are dead" wait_until 10 none_opens
	start_daemon
	whole_again "killed and started"

	stop_daemon
	ok "the daemon stopped: the files are dead" wait_until 10 none_opens
	start_daemon
	whole_again "stopped and started"
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

end_runtime() { :; } # for a test to define: ends what it started

# What runtimes leave mounted would keep $WORK.
test_cleanup() {
	local point name

	end_runtime
	for name in "${!CT_PID[@]}"; do
		[ -n "${CT_PARENT[$name]-}" ] || kill -KILL "${CT_PID[$name]}" 2>/dev/null
	done
	for point in $(awk -v w="$WORK/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
		umount -l "$point"
	done
	[ -z "$RT_MADE_MNT" ] || { stop_daemon; rmdir $MNT; }
}
