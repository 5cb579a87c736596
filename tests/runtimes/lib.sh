# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For tests with real container runtimes: what they check alike, whichever runtime it is. A test
# starts containers, tells where they are with add_container, and ends them in end_runtime. All of a
# runtime's own state lies below $WORK, all cgroups below the test's parent.
source "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"

RT_FILES=$SERVED     # what every runtime can bind, beside $CPU_DIR
RT_NAMES=()          # containers, in the order in which they were added
declare -A RT_MEM=() # name -> its limit in kB

# add_container NAME PID NSENTER-OPTIONS LIMIT-KB: PID is its init, as the host numbers it.
add_container() {
	[ -n "$2" ] || bail "container $1 has no init"
	CT_PID[$1]=$2
	CT_ENTER[$1]=$3
	RT_MEM[$1]=$4
	RT_NAMES+=("$1")
}

# Every file bound in it opens and reads; slabinfo is the machine's root's alone.
opens_all() { # NAME
	local files="$RT_FILES $CPU_DIR/online"

	[[ ${CT_ENTER[$1]} != *-U* ]] || files=${files/proc\/slabinfo/}
	# shellcheck disable=SC2086 # a list of files
	in_container "$1" cat $(printf '/%s ' $files) >/dev/null 2>&1
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
		! timeout 5 nsenter -t "${CT_PID[$name]}" -m -- cat /proc/meminfo >/dev/null 2>&1 || return
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
		echo "$name ${RT_MEM[$name]} 0 1"
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

end_runtime() { :; } # for a test to define

test_cleanup() {
	local name

	end_runtime
	for name in ${RT_NAMES[@]+"${RT_NAMES[@]}"}; do
		kill -KILL "${CT_PID[$name]}" 2>/dev/null
	done
}
