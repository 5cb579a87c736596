#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a warm open, read to the end, close costs the worker besides its talk with FUSE: at most 8
# system calls (9 for memory on v2, where each level tells its own limits, those of swap apart), none
# of which opens, clones or connects anything.
source "$(dirname "$0")/lib.sh"
FILES="proc/meminfo proc/stat proc/uptime proc/swaps proc/diskstats"
[ -n "$SHORT" ] || FILES="$FILES proc/cpuinfo proc/loadavg $CPU_DIR/online"
plan $((4 * $(wc -w <<<"$FILES") + 2))

CYCLES=300
[ "$SLOW" -eq 1 ] || CYCLES=60
# What threads do because a request takes long: on a slow machine under strace each one does.
by_time='^[0-9]* *\(futex\|clock_nanosleep\|poll\|restart_syscall\|epoll_wait\)('

# Once a second, however many cycles that is, init's cgroups are looked at again: at most a dozen calls.
recheck='"[0-9]*/\(cgroup\|stat\)"\|</proc/[0-9]*/\(cgroup\|stat\)>'

# The threads that serve requests. The load of containers is sampled by another, every five seconds.
servers() {
	local task

	for task in "/proc/$(worker_pid)/task/"*; do
		[[ $(<"$task/comm") != lxcfs-[0-9]* ]] || echo "$task"
	done
}

# A cycle is longer than the host's own files are kept.
is_slow() { [ "$SLOW" -gt 1 ] || [ $took_ms -gt $((10 * CYCLES)) ]; }

# Everything they do while the container reads, without what concerns /dev/fuse.
trace() { # FILE [CONTAINER]
	local tracer status tasks began

	mapfile -t tasks < <(servers)
	strace -y -qq -o "$WORK/trace" "${tasks[@]/#*\//-p}" >"$WORK/strace.log" 2>&1 &
	tracer=$!
	background+=($tracer)
	wait_until 10 awk '$1 == "TracerPid:" && $2 == 0 { none = 1 } END { exit none }' \
		"${tasks[@]/%/\/status}"
	sleep 0.3
	began=$(now_ms)
	in_container "${2:-c}" "$POKE" times $CYCLES "/$1"
	status=$?
	took_ms=$(($(now_ms) - began))
	kill -INT $tracer
	wait $tracer 2>/dev/null
	# A call that was interrupted is told of twice. The clock is a system call only where the
	# machine's cannot be read from user space, as on an emulated one.
	grep -av -e "$recheck" -e 'resumed>' -e '/dev/fuse' -e ' +++ ' -e ' --- ' -e ' clock_gettime(' "$WORK/trace" |
		if is_slow; then grep -av "$by_time"; else cat; fi >"$WORK/calls"
	rechecks=$(grep -ac -e "$recheck" "$WORK/trace") most_rechecks=$((12 * (took_ms / 1000 + 2)))
	requests=$(grep -ac /dev/fuse "$WORK/trace")
	return $status
}

names() { sed 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/' "$WORK/calls" | sort | uniq -c | sort -rn | head -n 12; }

start_daemon
# With a cgroup namespace of its own the container is known by its namespaces alone.
new_container c --memory=$((128 * MIB)) --cpus=1 --cgroupns

# What was slow makes threads wake each other; so there is something on top, and the best of three
# tries counts. On a slow or busy machine reading up to three of the host's own files again comes on
# top of each cycle.
set_most() { # FILE
	local calls=8

	is_v2 && [[ $1 =~ meminfo|swaps ]] && calls=9
	! is_slow || calls=$((calls + 3))
	most=$((CYCLES * calls + CYCLES * calls / 20 + 20))
}
opens() { grep -acE '^[0-9]* *open(at|at2)?\(' "$WORK/calls"; }
cheap() { [ "$(wc -l <"$WORK/calls")" -le $most ] && [ "$(opens)" -le $((CYCLES / 20 + 5)) ] && [ "$rechecks" -le $most_rechecks ]; }

for file in $FILES; do
	for _ in 1 2 3; do
		in_container c "$POKE" times 50 "/$file"
		trace "$file"
		status=$?
		set_most "$file"
		cheap && break
	done
	is "$status $((requests >= 2 * CYCLES))" "0 1" "$file: read under strace" || diag "$requests calls about requests"
	calls=$(wc -l <"$WORK/calls")
	between "$calls" $CYCLES $most "$file: few system calls a cycle" || diag "$(names)"
	between "$rechecks" 0 $most_rechecks "$file: init's cgroups are looked at once a second"
	diag "$file: $(awk -v c="$calls" -v n="$CYCLES" 'BEGIN { printf "%.2f", c / n }') calls a cycle"
	is "$(grep -acE '^[0-9]* *(clone|clone3|fork|vfork|socket|connect|execve)\(' "$WORK/calls") $(($(opens) > CYCLES / 20 + 5))" \
		"0 0" "$file: it opens, clones and connects nothing" || diag "$(grep -aE '(open(at|at2)?|clone|socket)\(' "$WORK/calls" | head -n 8)"
done

# Nothing limits it, so all levels up to the root are looked at; there the kernel sums up the machine.
new_container unlimited
trace proc/meminfo unlimited
between "$(grep -ac "$CG_PARENT/unlimited/memory\.stat" "$WORK/calls")" 1 $((CYCLES * 3)) "memory.stat of a container is read"
is "$(grep -ac -e "<${CG_V1[memory]-$CG_V2}/memory\.stat>" -e '"memory\.stat"' "$WORK/calls")" 0 "that of the root never"
