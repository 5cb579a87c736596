#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the daemon's processes may do: nothing but what they are for, even when an attacker's code
# runs in the worker.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/faults.sh"
plan $((51${CG_V2:+ + 15}))

status_of() { # PID WORD
	value "$2" <"/proc/$1/status"
}

capabilities() { # PID: the five sets
	echo "$(status_of "$1" CapInh)" "$(status_of "$1" CapPrm)" "$(status_of "$1" CapEff)" \
		"$(status_of "$1" CapBnd)" "$(status_of "$1" CapAmb)"
}

# What a process could write to through its descriptors, but the device, what is the kernel's own
# notification, and the file $2 (the log).
writable() { # PID LOG
	local fd flags target

	for fd in $(ls "/proc/$1/fd"); do
		flags=$(awk '$1 == "flags:" { print $2 }' "/proc/$1/fdinfo/$fd" 2>/dev/null) || continue
		target=$(readlink "/proc/$1/fd/$fd") || continue
		# O_PATH opens nothing
		((0${flags#0} & 010000000)) && continue
		((0${flags#0} & 3)) || continue
		case $target in
		/dev/fuse | 'anon_inode:[eventfd]' | 'anon_inode:[eventpoll]' | 'anon_inode:[pidfd]' | "$2") ;;
		*) echo "$fd: $target" ;;
		esac
	done
}

mount_points() { # PID: of its mounts, and which of them can be written
	awk '{ print $5 }' "/proc/$1/mountinfo" | grep -v '^/sys/fs/cgroup\(/\|$\)' | sort | xargs
}

writable_mounts() { awk '$6 !~ /^ro(,|$)/ { print $5 }' "/proc/$1/mountinfo"; }

in_worker_mounts() { grep -q " $2 " "/proc/$1/mountinfo"; }

ptrace=0000000000080000
[ "$(uname -m)" != aarch64 ] || ptrace=0000000000080004
none=0000000000000000
allowed=$(status_of $$ CapBnd)
supervisor=$(printf '%016x' $((0x2c0104 & 0x$allowed)))

# ---- as it is
exec 7>"$WORK/of-the-starter"
start_daemon
new_container c --memory=$((256 * MIB)) --cpus=0
worker=$(worker_pid)
is "$(capabilities "$worker")" "$none $ptrace $ptrace $none $none" "the worker has CAP_SYS_PTRACE alone, and can get no other"
is "$(status_of "$worker" NoNewPrivs)" 1 "nor by executing anything"
is "$(status_of "$worker" Seccomp)" 2 "its system calls are filtered"
is "$(capabilities "$DAEMON_PID")" "$none $supervisor $supervisor $supervisor $none" "the supervisor has what mounting and its workers need"
is "$(mount_points "$worker")" "/ /proc /sys" "the worker sees /proc, /sys and cgroups"
is "$(writable_mounts "$worker")" "" "all of it read-only"
isnt "$(readlink "/proc/$worker/ns/mnt")" "$(readlink "/proc/$DAEMON_PID/ns/mnt")" "in a mount namespace of its own"
is "$(writable "$worker" "$DAEMON_LOG")" "" "it holds nothing to write to but the device and the log"
is "$(awk '$1 == "cpu" { n++ } END { print n }' < <(in_container c cat /proc/stat))" 1 "and serves"

# ---- mounts of the host that come and go
mkdir "$WORK/disk"
mount -t tmpfs none "$WORK/disk"
is "$(in_worker_mounts "$worker" "$WORK/disk"; echo $?)" 1 "what the host mounts elsewhere does not come to it"
umount "$WORK/disk"
make_cgroup later
set_limit later memory $((128 * MIB))
in_later() { (join_cgroup later && timeout $((20 * SLOW)) cat "$MNT/proc/meminfo" | value MemTotal); }
is "$(in_later)" 131072 "a cgroup made later is seen"
mount --bind "$MNT/proc/meminfo" /proc/meminfo
kill -KILL "$worker"
is "$(timeout $((20 * SLOW)) cat "$MNT/proc/meminfo" | value MemTotal)" "$HOST_MEM_KB" "our files bound over the host's own do not make a worker read itself"
is "$(in_container c timeout $((20 * SLOW)) cat /proc/meminfo | value MemTotal)" 262144 "nor change what a container is shown"
umount /proc/meminfo
stop_daemon

# ---- an attacker's code in the worker
echo untouched >"$WORK/file"
run_in_background sleep 1000
victim=$!
export LXCFS_INTRUDE_PID=$victim LXCFS_INTRUDE_FILE=$WORK/file
LXCFS_INTRUDE_CGROUP=$(cgdir memory c)
export LXCFS_INTRUDE_CGROUP

intruded() { # [OPTION...]
	empty_log
	LD_PRELOAD=$BUILD/tests/mount/intrude.so start_daemon "$@"
}

holds_socket_alone() { [ -z "$(writable "$1" "$DAEMON_LOG" | grep -v 'socket:')" ]; }

# Beside what the opener and the worker hold anyway.
trigger_is_all_there_is() {
	local armed

	if [ ! -d /proc/pressure ]; then
		skip 4 "this kernel has no pressure files"
		return
	fi
	new_container t
	in_container t "$POKE" trigger "some 200000 2000000" 1 $((600000 * SLOW)) - /proc/pressure/cpu \
		</dev/null >"$WORK/trigger" 2>&1 &
	armed=$! # ends with its container, too
	ok "a container arms a trigger" wait_until $((10 * SLOW)) holds 1
	matches "$(writable "$(worker_pid)" "$DAEMON_LOG" | grep -v 'socket:')" '^[0-9]+: [^ ]*/t/cpu\.pressure$' \
		"whose file the worker then has to write to, and nothing else"
	ok "while the process that opened it has not, soon after" wait_until $((10 * SLOW)) holds_socket_alone "$opener"
	kill_tree $armed
	wait $armed 2>/dev/null
	ok "it goes with who armed it" wait_until $((10 * SLOW)) holds 0
	remove_container t
}

refusals_expected=yes
for option in "" --enable-psi-poll; do
	intruded ${option:+"$option"}
	is "$(grep '^try ' "$DAEMON_LOG" | grep -v ': refused$')" "try clone3: ENOSYS" "${option:-by default} every call that it tries is refused, or there is none"
	between "$(grep -c '^try .*: refused$' "$DAEMON_LOG")" 40 100 "and there are many"
	is "$(cat "$WORK/file")" untouched "a file that it wanted to change is as it was"
	ok "a process that it wanted to change too" kill -0 $victim
	if [ "$option" = --enable-psi-poll ] && [ -n "$CG_V2" ]; then
		is_confined() { opener=$(children_of "$(worker_pid)" | xargs) && [ "$(status_of "$opener" Seccomp)" = 2 ]; }
		wait_until 10 is_confined
		is "$(cat "/proc/$opener/comm")" lxcfs-opener "pressure files are opened by a process beside the worker"
		is "$(capabilities "$opener")" "$none $none $none $none $none" "which has no capability"
		is "$(status_of "$opener" Seccomp)" 2 "and a filter of its own"
		ok "root without capabilities cannot look into it" bash -c '! "$@" 2>/dev/null' - \
			setpriv --bounding-set -all --inh-caps -all cat "/proc/$opener/environ"
		is "$(writable "$opener" "$DAEMON_LOG" | grep -v 'socket:')" "" "and nothing to write to"
		is "$(writable "$(worker_pid)" "$DAEMON_LOG" | grep -v 'socket:')" "" "nor has the worker, but the socket to it"
		trigger_is_all_there_is
	fi
	stop_daemon
done

# Its last try, and what the log has of it. Those of other ABIs are of calls that are allowed by their
# own number.
last=(ptrace ptrace own_handler rt_sigaction no_call "number 1000")
other_abis=(i386 "getpid of the i386 ABI" x32 "getppid of the x32 ABI" x32_of_no_name "number 1000 of the x32 ABI")
if [ "$(uname -m)" = x86_64 ]; then
	last+=("${other_abis[@]}")
else
	skip 9 "other ABIs: x86-64's"
fi
for ((i = 0; i < ${#last[@]}; i += 2)); do
	export LXCFS_INTRUDE_LAST=${last[i]}
	intruded
	is "$(grep '^try ' "$DAEMON_LOG")" "" "code that the daemon knows nothing of makes the call ${last[i + 1]} and is no more"
	is "$(grep -c "worker [0-9]* made the system call ${last[i + 1]}, which it may not" "$DAEMON_LOG")" 1 "the log names it"
	is "$(in_later)" 131072 "and another worker serves"
	stop_daemon
done

# It blocks the signal that a refused call is, and the kernel then ends it without a word of it.
export LXCFS_INTRUDE_LAST=blocked
intruded
is "$(grep '^try ' "$DAEMON_LOG")" "" "code that has blocked the signal of a refused call is no more either"
is "$(grep -c 'worker [0-9]* was killed by signal 31 .*made a system call that it may not' "$DAEMON_LOG")" 1 "which the log tells, though not the call"
is "$(in_later)" 131072 "and another worker serves"
stop_daemon

# It is asked for a file by whoever arms a trigger, which the next one then opens.
attack_opener() {
	local opened

	if [ ! -d /proc/pressure ]; then
		skip 5 "this kernel has no pressure files"
		return
	fi
	export LXCFS_INTRUDE_LAST=ptrace LXCFS_INTRUDE_OPENER=1
	intruded --enable-psi-poll
	new_container t
	opened=$(in_container t timeout $((20 * SLOW)) "$POKE" writes 1 1 "some 200000 2000000" /proc/pressure/cpu)
	is "$opened" "done" "whoever asks for a trigger that the opener is attacked by has it from the next one"
	is "$(grep -c 'the process that opens pressure files made the system call ptrace, which it may not' "$DAEMON_LOG")" 1 \
		"the log names the call that the opener may not make"
	is "$(grep -c 'worker [0-9]* ended with status 1: ' "$DAEMON_LOG")" 1 "and its worker has ended with it"
	kill -SYS "$(a_worker)"
	ok "another worker is ended by a signal of that kind that nobody's call is to blame for" \
		wait_until $((10 * SLOW)) grep -q 'worker [0-9]* was killed by signal 31 ' "$DAEMON_LOG"
	is "$(grep -c 'made the system call' "$DAEMON_LOG")" 1 "and is not said to have made that call"
	remove_container t
	stop_daemon
	unset LXCFS_INTRUDE_OPENER
}
[ -z "$CG_V2" ] || attack_opener

# ---- a filter that cannot be made, on a kernel that has filters
without_filter() {
	faults 0 $FILTERING 22 1
	mkdir -p "$MNT" "$WORK/run"
	empty_log
	LD_PRELOAD=$BUILD/tests/mount/faults.so LXCFS_FAULTS=$FAULTS \
		"$LXCFS" --runtime-dir="$WORK/run" --pidfile="$PIDFILE" "$MNT" </dev/null >>"$DAEMON_LOG" 2>&1 &
	DAEMON_PID=$!
	ok "where the filter cannot be made the log tells it" wait_until $((10 * SLOW)) logged 'Invalid argument'
	is "$(worker_pid)" 0 "and no worker serves without"
	stop_daemon
	no_faults
}
without_filter

# ---- the walls one by one
unset LXCFS_INTRUDE_LAST
export LXCFS_INTRUDE_ONLY="memory cgroup mount umount2 chroot is_dumpable"
intruded --no-seccomp
is "$(grep -c '^try .*: refused$' "$DAEMON_LOG")" 0 "with --no-seccomp no call is refused"
matches "$(cat "$DAEMON_LOG")" "no-seccomp: the worker may make every system call" "which the log tells"
is "$(status_of "$(worker_pid)" Seccomp)" 0 "there is no filter"
tried() { sed -n "s/^try $1: //p" "$DAEMON_LOG"; }
is "$(tried memory)" EROFS "but another process's memory can still not be opened for writing"
is "$(tried cgroup)" EROFS "nor a cgroup's file"
is "$(tried mount) $(tried umount2) $(tried chroot)" "EPERM EPERM EPERM" "nor mounts be changed"
is "$(tried is_dumpable)" EACCES "and its memory is in no core dump"
stop_daemon
