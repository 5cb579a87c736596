# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For the mount tests: TAP, a daemon of the test's own, containers made with unshare(1) and child
# cgroups, alike on cgroup v1, hybrid and v2. Everything made is removed again by path and pid when
# the test ends, however it ends. Must not touch a cgroup, mount or process that it did not make.
set -u

if [ -z "${LXCFS_TEST_OWN_MOUNTS-}" ]; then
	# A mount namespace of the test's own, shared within itself as a systemd host's is.
	export LXCFS_TEST_OWN_MOUNTS=1
	exec unshare -m --propagation private bash -c 'mount --make-rshared / && exec bash "$@"' - "$0" "$@"
fi

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${LXCFS_BUILD:-$TOP/build}
LXCFS=${LXCFS:-$BUILD/src/lxcfs}
POKE=$BUILD/tests/mount/poke
SLOW=${LXCFS_TEST_SLOW:-1} # how much longer things may take here
SHORT=${LXCFS_TEST_SHORT-} # not empty: fewer rounds of what goes on for long
SANITIZED=                 # not empty: what the daemon is built with, as -fsanitize= and b_sanitize have it
! grep -qa __asan_init "$LXCFS" 2>/dev/null || SANITIZED=address,undefined
! grep -qa __tsan_init "$LXCFS" 2>/dev/null || SANITIZED=thread
if [ -n "$SANITIZED" ]; then
	# Leaks are looked for by ptrace(2), which a worker does not allow; what tests preload comes first; the
	# end of a process does not wait a second for its threads.
	export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:abort_on_error=1:verify_asan_link_order=0}
	export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1} TSAN_OPTIONS=${TSAN_OPTIONS:-atexit_sleep_ms=0}
fi
WORK=$(mktemp -d "${TMPDIR:-/tmp}/lxcfs-test.XXXXXX")
MNT=$WORK/mnt
PIDFILE=$WORK/lxcfs.pid
CG_PARENT=$(basename "$WORK")
CPU_DIR=sys/devices/system/cpu
SERVED="proc/cpuinfo proc/meminfo proc/stat proc/uptime proc/swaps proc/diskstats proc/loadavg proc/slabinfo"
SERVED_LATER="proc/pressure"
MIB=$((1024 * 1024))
HZ=$(getconf CLK_TCK)
HOST_CPUS=$(cat /sys/devices/system/cpu/online)
HOST_MEM_KB=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)

# ---- TAP -----------------------------------------------------------------------------------------

tests_run=0
tests_planned=0

plan() {
	tests_planned=$1
	echo "1..$1"
}

diag() { printf '%s\n' "$*" | sed 's/^/# /' >&2; }

pass() {
	tests_run=$((tests_run + 1))
	echo "ok $tests_run - $1"
}

fail() { # NAME [WHY]
	tests_run=$((tests_run + 1))
	echo "not ok $tests_run - $1"
	[ $# -lt 2 ] || diag "$2"
	return 1
}

# ok NAME COMMAND...: the command succeeds.
ok() {
	local name=$1

	shift
	if "$@"; then
		pass "$name"
	else
		fail "$name" "failed: $*"
	fi
}

is() { # GOT WANTED NAME
	if [ "$1" = "$2" ]; then
		pass "$3"
	else
		fail "$3" "$(printf 'got:    %s\nwanted: %s' "$1" "$2")"
	fi
}

isnt() { # GOT UNWANTED NAME
	if [ "$1" != "$2" ]; then
		pass "$3"
	else
		fail "$3" "got what it must not be: $1"
	fi
}

matches() { # GOT EXTENDED-REGULAR-EXPRESSION NAME
	if [[ $1 =~ $2 ]]; then
		pass "$3"
	else
		fail "$3" "$(printf 'got:   %s\nmatch: %s' "$1" "$2")"
	fi
}

# between GOT LOW HIGH NAME: whole or decimal numbers, both ends included.
between() {
	if awk -v g="$1" -v l="$2" -v h="$3" \
		'BEGIN { exit !(g ~ /^-?[0-9]+(\.[0-9]+)?$/ && g + 0 >= l + 0 && g + 0 <= h + 0) }'; then
		pass "$4"
	else
		fail "$4" "got $1, wanted from $2 to $3"
	fi
}

skip() { # COUNT WHY
	local i

	for ((i = 0; i < $1; i++)); do
		tests_run=$((tests_run + 1))
		echo "ok $tests_run # SKIP $2"
	done
}

# unless_sanitized WHAT ASSERTION...: about WHAT a daemon built with a sanitizer says nothing.
unless_sanitized() {
	if [ -n "$SANITIZED" ]; then
		skip 1 "$1: the sanitizer's"
	else
		"${@:2}"
	fi
}

bail() {
	echo "Bail out! $*"
	exit 1
}

# ---- waiting -------------------------------------------------------------------------------------

# wait_until SECONDS COMMAND...: tries ten times a second; seconds are of this machine's speed.
wait_until() {
	local end=$((SECONDS + $1 * SLOW))

	shift
	while ! "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# Milliseconds since boot, for bounds on what goes by meanwhile on a machine that is busy.
now_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }

min() { echo $(($1 < $2 ? $1 : $2)); }
max() { echo $(($1 > $2 ? $1 : $2)); }

gone() { ! kill -0 "$1" 2>/dev/null; }

# An error, not a hang.
fails() { # COMMAND...
	local status

	timeout $((5 * SLOW)) "$@" >/dev/null 2>&1
	status=$?
	[ $status -ne 0 ] && [ $status -ne 124 ]
}

# ---- the daemon ----------------------------------------------------------------------------------

DAEMON_PID=
DAEMON_LOG=$WORK/daemon.log

is_mounted() { awk -v m="$1" '$5 == m { found = 1 } END { exit !found }' /proc/self/mountinfo; }

daemon_answers() { is_mounted "$MNT" && timeout $((5 * SLOW)) cat "$MNT/proc/meminfo" >/dev/null 2>&1; }

daemon_answers_or_died() { gone "$DAEMON_PID" || daemon_answers; }

# start_daemon [OPTION...]: mounts at $MNT; the test ends here when that does not come about.
start_daemon() {
	mkdir -p "$MNT" "$WORK/run"
	"$LXCFS" --runtime-dir="$WORK/run" --pidfile="$PIDFILE" "$@" "$MNT" \
		</dev/null >>"$DAEMON_LOG" 2>&1 &
	DAEMON_PID=$!
	wait_until 10 daemon_answers_or_died
	daemon_answers && return
	diag "the daemon does not serve; its log:"
	diag "$(cat "$DAEMON_LOG")"
	bail "no daemon"
}

logged() { grep -qE "$1" "$DAEMON_LOG"; } # PATTERN

# Lines of that in the log, which is empty since that second: as many as one cause may have.
once_a_minute() { # PATTERN SINCE
	local most=$(((SECONDS - $2) / 60 + 1)) n

	n=$(grep -cE "$1" "$DAEMON_LOG")
	[ "$n" -ge 1 ] && [ "$n" -le $most ] || echo "$n lines, of 1 to $most"
}

# Where nobody of ours can tell by reading that it serves; the log is to be empty.
start_unread() {
	mkdir -p "$MNT" "$WORK/run"
	"$LXCFS" --runtime-dir="$WORK/run" --pidfile="$PIDFILE" "$MNT" </dev/null >>"$DAEMON_LOG" 2>&1 &
	DAEMON_PID=$!
	wait_until 20 logged 'serving from' || bail "no daemon: $(cat "$DAEMON_LOG")"
	wait_until 20 is_mounted "$MNT" || bail "no mount"
}

# What a sanitizer has complained of stays known.
empty_log() {
	cat "$DAEMON_LOG" >>"$WORK/earlier.log"
	: >"$DAEMON_LOG"
}

# The process that answers: the supervisor's youngest child that has threads (one that heals containers'
# binds has none, and not its name from the first moment on) and is in its process group (the check of
# another version is not). One that was killed may stay beside it while its tracer lets it not end, and
# have the greater number.
worker_pid() {
	ps -o pid=,pgid=,nlwp=,stat=,comm= --sort=start_time --ppid "$DAEMON_PID" |
		awk '$1 != $2 && $3 > 1 && $4 !~ /^Z/ && $5 != "lxcfs-heal" { pid = $1 } END { print pid + 0 }'
}

another_worker() { # PID: there is one, and not that one
	local now

	now=$(worker_pid)
	[ "$now" != 0 ] && [ "$now" != "$1" ]
}

# worker_pid() that waits for one: between two workers there is none, and to kill(1) the pid 0 that it
# then says is the test's own process group.
a_worker() {
	local pid

	while pid=$(worker_pid) && [ "$pid" = 0 ]; do
		sleep 0.1
	done
	echo "$pid"
}

kill_worker() { # -SIGNAL
	kill "$1" "$(a_worker)"
}

# Descriptors of triggers that the worker holds: it opens pressure files for writing for nothing else.
held() {
	local proc

	proc=/proc/$(worker_pid)
	find "$proc/fd" -lname '*.pressure' -printf "$proc/fdinfo/%f\n" 2>/dev/null |
		xargs -r grep -hs '^flags:.*2$' | wc -l
}
holds() { [ "$(held)" = "$1" ]; }

unmount_all() { # everything stacked at the path
	while is_mounted "$1"; do
		umount -l "$1" || return
	done
}

stop_daemon() {
	[ -n "$DAEMON_PID" ] || return 0
	kill -TERM "$DAEMON_PID" 2>/dev/null
	if ! wait_until 10 gone "$DAEMON_PID"; then
		diag "the daemon does not stop; it is killed"
		# shellcheck disable=SC2046 # a list of pids
		kill -KILL $(children_of "$DAEMON_PID") "$DAEMON_PID" 2>/dev/null
	fi
	wait "$DAEMON_PID" 2>/dev/null
	DAEMON_PID=
	unmount_all "$MNT"
}

# ---- cgroups -------------------------------------------------------------------------------------

declare -A CG_V1=() # controller (or name=...) -> mount point
CG_V2=              # where cgroup2 is mounted; empty without
CG_ROOTS=()         # the mount point of every hierarchy

find_hierarchies() {
	local point type options word

	while read -r point type options; do
		if [ "$type" = cgroup2 ]; then
			CG_V2=$point
		elif [ "$type" = cgroup ]; then
			for word in ${options//,/ }; do
				CG_V1[$word]=$point
			done
		fi
		CG_ROOTS+=("$point")
	done < <(awk '$5 ~ "^/sys/fs/cgroup" {
		for (i = 7; $i != "-"; i++);
		if ($(i + 1) ~ /^cgroup2?$/) print $5, $(i + 1), $(i + 3) }' /proc/self/mountinfo)
	# words that are not controllers
	unset 'CG_V1[rw]' 'CG_V1[xattr]' 'CG_V1[clone_children]'
}

is_v2() { [ -z "${CG_V1[memory]-}" ]; }

# The directory of our cgroup $2 in the hierarchy that has the controller $1.
cgdir() { echo "${CG_V1[$1]-$CG_V2}/$CG_PARENT${2:+/$2}"; }

enabled_at_root=() # of the v2 hierarchy, by us

enable_controllers() { # DIRECTORY, of the v2 hierarchy
	local controller

	for controller in cpu cpuset io memory pids ${CG_MORE-}; do
		grep -qw $controller "$1/cgroup.controllers" || continue
		grep -qw $controller "$1/cgroup.subtree_control" && continue
		# fails where the directory has processes of its own
		echo "+$controller" 2>/dev/null >"$1/cgroup.subtree_control" || continue
		[ "$1" != "$CG_V2" ] || enabled_at_root+=("$controller")
	done
}

disable_controllers() {
	local controller

	for controller in ${enabled_at_root[@]+"${enabled_at_root[@]}"}; do
		echo "-$controller" 2>/dev/null >"$CG_V2/cgroup.subtree_control"
	done
}

make_cgroup_in() { # ROOT PATH-BELOW
	local root=$1 path= part

	for part in ${2//\// }; do
		if [ "$root" = "$CG_V2" ] && [ -z "${CG_NO_ENABLE-}" ]; then
			enable_controllers "$root$path"
		fi
		path=$path/$part
		[ -d "$root$path" ] || mkdir "$root$path" || return
		[ -e "$root$path/cpuset.mems" ] && [ "$root" != "$CG_V2" ] || continue
		# v1: a cpuset starts empty and takes nobody
		[ -n "$(cat "$root$path/cpuset.cpus")" ] || cat "$root$path/../cpuset.cpus" >"$root$path/cpuset.cpus"
		[ -n "$(cat "$root$path/cpuset.mems")" ] || cat "$root$path/../cpuset.mems" >"$root$path/cpuset.mems"
	done
}

# make_cgroup NAME: in every hierarchy, below our own parent.
make_cgroup() {
	local root

	for root in "${CG_ROOTS[@]}"; do
		make_cgroup_in "$root" "$CG_PARENT/$1" || return
	done
}

# join_cgroup NAME: moves this very shell, in every hierarchy. NAME may be empty: the parent (v1).
join_cgroup() {
	local root

	for root in "${CG_ROOTS[@]}"; do
		echo "$BASHPID" >"$root/$CG_PARENT/$1/cgroup.procs" || return
	done
}

# at_root COMMAND...: in no cgroup at all. For a subshell.
at_root() {
	local root

	for root in "${CG_ROOTS[@]}"; do
		echo "$BASHPID" >"$root/cgroup.procs" || return
	done
	exec "$@"
}

# join_path PATH-OF-HIERARCHY... : as the process $1 is.
join_cgroups_of() {
	local id controllers path root

	while IFS=: read -r id controllers path; do
		if [ "$id" = 0 ]; then
			root=$CG_V2
		else
			root=${CG_V1[${controllers%%,*}]-}
		fi
		[ -n "$root" ] && [ "$path" != / ] || continue
		echo "$BASHPID" >"$root$path/cgroup.procs" || return
	done <"/proc/$1/cgroup"
}

# Names of one file in both worlds: set_limit CGROUP WHAT VALUE.
set_limit() {
	local value=$3

	case $2 in
	memory)
		if is_v2; then
			echo "$value" >"$(cgdir memory "$1")/memory.max"
		else
			echo "${value/max/-1}" >"$(cgdir memory "$1")/memory.limit_in_bytes"
		fi
		;;
	memsw) echo "${value/max/-1}" >"$(cgdir memory "$1")/memory.memsw.limit_in_bytes" ;;
	swap) echo "$value" >"$(cgdir memory "$1")/memory.swap.max" ;;
	cpus) echo "$value" >"$(cgdir cpuset "$1")/cpuset.cpus" ;;
	quota) # microseconds of 100,000
		if is_v2; then
			echo "$value 100000" >"$(cgdir cpu "$1")/cpu.max"
		else
			echo "${value/max/-1}" >"$(cgdir cpu "$1")/cpu.cfs_quota_us"
		fi
		;;
	*) bail "no limit called $2" ;;
	esac
}

memory_usage() { # CGROUP, in bytes
	if is_v2; then
		cat "$(cgdir memory "$1")/memory.current"
	else
		cat "$(cgdir memory "$1")/memory.usage_in_bytes"
	fi
}

cpu_usage_us() { # CGROUP
	if [ -n "${CG_V1[cpuacct]-}" ]; then
		echo $(($(cat "$(cgdir cpuacct "$1")/cpuacct.usage") / 1000))
	else
		awk '$1 == "usage_usec" { print $2 }' "$(cgdir cpu "$1")/cpu.stat"
	fi
}

# The disk that a path lies on; diskstats accounts a partition's I/O of a cgroup to its disk.
disk_of() {
	local dev link

	dev=$(stat -c %d "$1")
	link=$(readlink -f "/sys/dev/block/$((dev >> 8 & 0xfff)):$(((dev & 0xff) | (dev >> 12 & 0xfff00)))") || return
	[ ! -e "$link/partition" ] || link=$(dirname "$link")
	[ -d "$link" ] && basename "$link"
}

# From Linux 6.10 on cgroup v1 counts a device's I/O only once some cgroup has a throttle limit for
# it; this one limits nothing, and lasts as long as the cgroup.
count_io_of() { # DISK
	[ -n "$1" ] && [ -n "${CG_V1[blkio]-}" ] || return 0
	make_cgroup throttle
	echo "$(cat "/sys/block/$1/dev") 1000000000000" >"$(cgdir blkio throttle)/blkio.throttle.read_bps_device"
}

# So that the container's diskstats have a line.
read_from_disk() { # NAME
	local file=/var/tmp/$CG_PARENT

	count_io_of "$(disk_of /var/tmp)"
	dd if=/dev/zero of="$file" bs=1M count=1 conv=fsync status=none
	in_container "$1" dd if="$file" of=/dev/null bs=1M count=1 iflag=direct status=none
	rm "$file"
}

# For ctchurn: in which cgroups below ours, "churn", it makes its containers, and the file that limits
# their memory. A cpuset of v1 takes nobody before it is filled in; the rest is enough.
prepare_churn() {
	local controller

	churn_dirs=()
	make_cgroup churn
	for controller in memory cpuacct cpu blkio; do
		churn_dirs+=("$(cgdir $controller churn)")
	done
	[ -z "$CG_V2" ] || churn_dirs+=("$CG_V2/$CG_PARENT/churn")
	mapfile -t churn_dirs < <(printf '%s\n' "${churn_dirs[@]}" | awk '!seen[$0]++')
	[ "${#churn_dirs[@]}" -gt 1 ] || enable_controllers "${churn_dirs[0]}"
	churn_limit=$(is_v2 && echo memory.max || echo memory.limit_in_bytes)
}

kill_in_cgroup() { # DIRECTORY, one of ours
	local pid

	for pid in $(cat "$1/cgroup.procs" 2>/dev/null); do
		[ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null
	done
}

# Empties and removes our cgroup NAME (all of them when empty) with everything below it.
remove_cgroup() {
	local root dir

	for root in "${CG_ROOTS[@]}"; do
		[ -d "$root/$CG_PARENT/$1" ] || continue
		find "$root/$CG_PARENT/$1" -depth -type d | while read -r dir; do
			kill_in_cgroup "$dir"
			wait_until 5 rmdir "$dir" 2>/dev/null || diag "$dir stays"
		done
	done
}

# ---- containers ----------------------------------------------------------------------------------

declare -A CT_PID=()    # name -> init, as the host numbers it
declare -A CT_PARENT=() # name -> the unshare(1) that made it
declare -A CT_CG=()     # name -> its cgroup below our parent
declare -A CT_ENTER=()  # name -> nsenter's options

# Runs as the container's init until the files are bound, then becomes an init that only reaps.
container_start() { # READY-FIFO KIND TREE
	local file

	if [ "$2" = cgmount ]; then
		mount_own_cgroups || exit
	fi
	if [ "$2" != bare ]; then
		bind_files "$MNT${3:+/$3}" || exit
	fi
	exec "$POKE" init "$1"
}

# Mounts a hierarchy once more; in a cgroup namespace its own part of it.
mount_cgroup() { # WHERE-IT-IS DIRECTORY
	local options

	mkdir -p "$2"
	if [ "$1" = "$CG_V2" ]; then
		mount -t cgroup2 none "$2"
	else
		options=$(awk -v p="$1" '$5 == p { print $NF }' "$WORK/mountinfo")
		mount -t cgroup -o "${options#rw,}" none "$2"
	fi
}

# What a runtime does in a cgroup namespace: the container's own cgroup is all it can see.
mount_own_cgroups() {
	local root

	mount -t tmpfs none /sys/fs/cgroup || return
	for root in "${CG_ROOTS[@]}"; do
		mount_cgroup "$root" "$root" || return
	done
}

bind_files() { # FROM
	local file

	for file in $SERVED $CPU_DIR; do
		mount --bind "$1/$file" "/$file" || return
	done
	for file in $SERVED_LATER; do
		[ ! -e "$1/$file" ] || mount --bind "$1/$file" "/$file" || return
	done
}

# new_container NAME [OPTION...]: makes its cgroup and starts its init.
#   --memory=BYTES --memsw=BYTES --swap=BYTES --cpus=LIST --quota=US   limits
#   --cgroup=NAME   its cgroup, when it is not called like the container
#   --leaf=NAME     init sits in this cgroup below the container's own
#   --cgroupns      a cgroup namespace (made in the container's cgroup, before init moves to the
#                   leaf) with cgroup mounts of its own
#   --userns        a user namespace, root mapped to root
#   --boottime=N    a time namespace whose boottime is N seconds ahead (below 0: behind)
#   --bare          no files bound
#   --tree=NAME     the files come from DIR/NAME (quota, cpuset) instead of DIR
new_container() {
	local name=$1 cgroup=$1 leaf= kind=plain option limits=() flags=(-p -f -m --mount-proc)
	local enter="-p -m" tree=

	shift
	for option in "$@"; do
		case $option in
		--memory=* | --memsw=* | --swap=* | --cpus=* | --quota=*) limits+=("${option#--}") ;;
		--cgroup=*) cgroup=${option#*=} ;;
		--leaf=*) leaf=${option#*=} ;;
		--cgroupns) kind=cgmount enter="$enter -C" ;;
		--userns) flags=(-U -r "${flags[@]}") enter="$enter -U" ;;
		--boottime=*) flags+=(--time --boottime "${option#*=}") enter="$enter -T" ;;
		--bare) kind=bare ;;
		--tree=*) tree=${option#*=} ;;
		*) bail "new_container: $option" ;;
		esac
	done
	make_cgroup "$cgroup" || bail "no cgroup $cgroup"
	for option in ${limits[@]+"${limits[@]}"}; do
		set_limit "$cgroup" "${option%%=*}" "${option#*=}" || bail "cannot set $option"
	done
	if [ -n "$leaf" ]; then
		CG_NO_ENABLE=1 make_cgroup "$cgroup/$leaf" || bail "no cgroup $cgroup/$leaf"
	fi
	CT_CG[$name]=$cgroup
	CT_ENTER[$name]=$enter
	spawn_init "$name" "$cgroup" "$leaf" "$kind" "$tree" "${flags[@]}"
}

spawn_init() { # NAME CGROUP LEAF KIND TREE UNSHARE-FLAG...
	local name=$1 cgroup=$2 leaf=$3 kind=$4 tree=$5 ready=$WORK/$1.ready

	shift 5
	rm -f "$ready"
	(
		trap - EXIT INT TERM
		join_cgroup "$cgroup" || exit
		if [ "$kind" = cgmount ]; then
			# -C apart from the rest: init may then move to its leaf and keep this root
			exec unshare -C bash -c 'source "$1"; join_cgroup "$2"; shift 2; exec "$@"' - \
				"$WORK/state.sh" "$cgroup${leaf:+/$leaf}" \
				unshare --kill-child=KILL "$@" bash -c 'source "$1"; container_start "$2" "$3" "$4"' - \
				"$WORK/state.sh" "$ready" "$kind" "$tree"
		fi
		[ -z "$leaf" ] || join_cgroup "$cgroup/$leaf" || exit
		exec unshare --kill-child=KILL "$@" bash -c 'source "$1"; container_start "$2" "$3" "$4"' - \
			"$WORK/state.sh" "$ready" "$kind" "$tree"
	) </dev/null >"$WORK/$name.log" 2>&1 &
	CT_PARENT[$name]=$!
	if ! wait_until 10 test -e "$ready"; then
		diag "container $name does not start:"
		diag "$(cat "$WORK/$name.log")"
		bail "no container"
	fi
	CT_PID[$name]=$(ps -o pid= --ppid "${CT_PARENT[$name]}" | awk '{ print $1 }')
	[ -n "${CT_PID[$name]}" ] || bail "container $name has no init"
}

# What a container's start needs of this file, without making it run again.
save_state() {
	{
		declare -p WORK MNT POKE CPU_DIR SERVED SERVED_LATER CG_PARENT CG_ROOTS CG_V2 CG_V1
		declare -f container_start mount_cgroup mount_own_cgroups bind_files join_cgroup
	} >"$WORK/state.sh"
	cat /proc/self/mountinfo >"$WORK/mountinfo"
}

# enter NAME FLAGS COMMAND...: in namespaces of the container only, in the cgroups the shell is in.
enter() {
	local name=$1 flags=$2

	shift 2
	# shellcheck disable=SC2086 # flags are words
	nsenter -t "${CT_PID[$name]}" $flags -- "$@"
}

# in_container NAME COMMAND...: in its namespaces and in its init's cgroups.
in_container() {
	local name=$1

	shift
	(
		trap - EXIT INT TERM
		join_cgroups_of "${CT_PID[$name]}" || exit 125
		# shellcheck disable=SC2086 # options are words
		exec nsenter -t "${CT_PID[$name]}" ${CT_ENTER[$name]} -- "$@"
	)
}

# in_cgroup_of NAME SUBGROUP COMMAND...: in its namespaces, in a cgroup below its own.
in_subgroup() {
	local name=$1 group=$2

	shift 2
	(
		trap - EXIT INT TERM
		join_cgroup "${CT_CG[$name]}${group:+/$group}" || exit 125
		# shellcheck disable=SC2086 # options are words
		exec nsenter -t "${CT_PID[$name]}" ${CT_ENTER[$name]} -- "$@"
	)
}

stop_container() { # NAME; its cgroup stays
	local pid

	for pid in "${CT_PID[$1]-}" "${CT_PARENT[$1]-}"; do
		[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	done
	[ -z "${CT_PARENT[$1]-}" ] || wait "${CT_PARENT[$1]}" 2>/dev/null
	unset "CT_PID[$1]" "CT_PARENT[$1]"
}

remove_container() {
	stop_container "$1"
	remove_cgroup "${CT_CG[$1]}"
	unset "CT_CG[$1]" "CT_ENTER[$1]"
}

# ---- what the files say --------------------------------------------------------------------------

# number FILE WORD: the number after the word at the start of a line of standard input's kind.
value() { # WORD, of "Word: 123 kB" on standard input
	awk -v w="$1:" '$1 == w { print $2; exit }'
}

meminfo() { # CONTAINER FIELD, in kB
	in_container "$1" cat /proc/meminfo | value "$2"
}

# expand_list 0-2,5 -> "0 1 2 5"
expand_list() {
	local part out=

	for part in ${1//,/ }; do
		out="$out $(seq -s ' ' "${part%-*}" "${part#*-}")"
	done
	echo "${out# }"
}

# start_readers SECONDS "CONTAINER FILE START"...: reads over and over files of /proc that begin with
# START, in the background: sets readers. What each tells of it is in $WORK/loop.N (see poke loop).
start_readers() {
	local seconds=$1 what name start file i=0

	shift
	readers=()
	for what in "$@"; do
		read -r name file start <<<"$what"
		i=$((i + 1))
		in_container "$name" "$POKE" loop "$seconds" "$start" "/proc/$file" \
			>"$WORK/loop.$i" 2>"$WORK/loop.$i.errors" &
		readers+=($!)
	done
}

# ---- the end -------------------------------------------------------------------------------------

background=() # pids to end, of processes that the test started itself

run_in_background() { # COMMAND...; sets $!
	"$@" </dev/null &
	background+=($!)
}

children_of() { ps -o pid= --ppid "$1"; }

# What a background command really is, behind subshells and nsenter.
last_descendant() {
	local pid=$1 next

	while next=$(children_of "$pid" | awk '{ print $1; exit }') && [ -n "$next" ]; do
		pid=$next
	done
	echo "$pid"
}

# nsenter(1) does not take its child with it. Without processes of its own, for there may be a hundred.
kill_tree() {
	local list children child

	for list in "/proc/$1/task/"*/children; do
		children=()
		{ read -ra children <"$list"; } 2>/dev/null
		for child in ${children[@]+"${children[@]}"}; do
			kill_tree "$child"
		done
	done
	kill -KILL "$1" 2>/dev/null
}

end_background() {
	local pid

	for pid in ${background[@]+"${background[@]}"}; do
		# not whoever has got the number of one that ended
		! grep -qs "^PPid:[[:space:]]*$$\$" "/proc/$pid/status" || kill_tree "$pid"
		wait "$pid" 2>/dev/null
	done
	background=()
}

test_cleanup() { :; } # for a test to define

refusals_expected= # not empty: the filter is attacked

# A daemon built with one goes on after a race, and a new worker after anything else. In whichever
# file: some tests have more than one daemon. Of a complaint the filter may leave nothing but the name
# of the call it was to be made with.
no_sanitizer_complains() {
	local logs signs='Sanitizer:|runtime error:'

	[ -n "$SANITIZED" ] || return 0
	[ -n "$refusals_expected" ] || signs+='|made the system call'
	mapfile -t logs < <(find "$WORK" -maxdepth 1 -type f -exec grep -lE "$signs" {} +)
	[ ${#logs[@]} -gt 0 ] || return 0
	diag "a sanitizer complains of the daemon:"
	diag "$(grep -hE -A 60 "$signs" "${logs[@]}" | head -n 300)"
	return 1
}

# What a sanitizer says of a daemon that this init script starts goes where the script's own words go.
show_complaints() { # SCRIPT
	[ -n "$SANITIZED" ] || return 0
	grep -q -e --background "$1" || bail "$1 starts the daemon another way"
	sed -i 's/--background/& --no-close/' "$1"
}

cleanup() {
	local status=$? name

	trap '' INT TERM
	trap - EXIT
	test_cleanup
	end_background
	for name in "${!CT_PARENT[@]}"; do
		stop_container "$name"
	done
	stop_daemon
	remove_cgroup ""
	disable_controllers
	unmount_all "$MNT"
	if [ "$tests_planned" -ne "$tests_run" ]; then
		diag "$tests_planned tests planned, $tests_run run"
		status=1
	fi
	no_sanitizer_complains || status=1
	[ $status -eq 0 ] || [ ! -s "$DAEMON_LOG" ] || diag "$(tail -n 20 "$DAEMON_LOG")"
	rm -rf --one-file-system "$WORK"
	exit $status
}

trap cleanup EXIT
trap 'exit 1' INT TERM HUP

[ "$(id -u)" = 0 ] || bail "the mount tests need root"
[ -x "$LXCFS" ] || bail "no daemon at $LXCFS: build it first (meson setup build; ninja -C build)"
[ -x "$POKE" ] || bail "no $POKE: build it first"
find_hierarchies
[ ${#CG_ROOTS[@]} -gt 0 ] || bail "no cgroup hierarchy below /sys/fs/cgroup"
make_cgroup "" || bail "no cgroup of our own"
save_state
