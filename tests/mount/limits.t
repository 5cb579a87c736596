#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A container sees its own limits: memory, CPUs, age, quota; and two at once never see each other's.
source "$(dirname "$0")/lib.sh"
plan 40

# The CPU ids that one container's files show, each as "0 1 ...".
cpus_in_cpuinfo() { in_container "$1" cat /proc/cpuinfo | awk '$1 == "processor" { print $3 }' | xargs; }
cpus_in_stat() { in_container "$1" cat /proc/stat | sed -n 's/^cpu\([0-9][0-9]*\) .*/\1/p' | xargs; }
cpus_in_file() { expand_list "$(in_container "$1" cat "/$CPU_DIR/$2")"; }
cpus_in_listing() {
	in_container "$1" ls "/$CPU_DIR" | sed -n 's/^cpu\([0-9][0-9]*\)$/\1/p' | sort -n | xargs
}

sees_cpus() { # CONTAINER WANTED
	is "$(cpus_in_cpuinfo "$1")" "$2" "$1: cpuinfo has CPUs $2"
	is "$(cpus_in_stat "$1")" "$2" "$1: stat has CPUs $2"
	is "$(cpus_in_file "$1" online)" "$2" "$1: online has CPUs $2"
	is "$(cpus_in_file "$1" present)" "$2" "$1: present has CPUs $2"
	is "$(cpus_in_listing "$1")" "$2" "$1: the listing has CPUs $2"
}

start_daemon

made=$(now_ms)
new_container a --memory=$((100 * MIB)) --cpus=0
uptime=$(in_container a cat /proc/uptime | cut -d' ' -f1)
between "$uptime" 0 "$(awk -v ms=$(($(now_ms) - made)) 'BEGIN { print ms / 1000 + 0.02 }')" "uptime starts at the container's start"
new_container b --memory=$((300 * MIB)) --cpus=1
new_container c --memory=$((200 * MIB)) --cpus=0-1

is "$(meminfo a MemTotal)" 102400 "MemTotal is the limit"
is "$(meminfo b MemTotal)" 307200 "MemTotal is the other container's limit there"

# Both at once, many times: never the other's number.
mix() { # CONTAINER WANTED-KB: how many reads gave something else
	in_container "$1" bash -c 'for ((i = 0; i < $2; i++)); do
		read -r name kb unit </proc/meminfo
		[ "$kb" = "$1" ] || echo "$kb"
	done' - "$2" $((2000 / SLOW)) >"$WORK/$1.mix" 2>&1
}
mix a 102400 &
mix_a=$!
mix b 307200
wait $mix_a
is "$(sort "$WORK/a.mix" | uniq -c | head -n 3)" "" "read beside the other, one never sees another's MemTotal"
is "$(sort "$WORK/b.mix" | uniq -c | head -n 3)" "" "nor the other way about"

sees_cpus a "0"
sees_cpus b "1"
sees_cpus c "0 1"

is "$(in_container b cat /$CPU_DIR/offline)" \
	"$(expand_list "$(cat /sys/devices/system/cpu/possible)" | tr ' ' '\n' | grep -vx 1 | awk '
		function flush() { if (n) out = out (out == "" ? "" : ",") (a == b ? a : a "-" b) }
		{ if (n && $1 == b + 1) b = $1; else { flush(); a = b = $1; n = 1 } }
		END { flush(); print out }')" "offline is possible without online"
is "$(in_container b cat /$CPU_DIR/possible)" "$(cat /sys/devices/system/cpu/possible)" \
	"possible stays the kernel's"
is "$(in_container b cat /$CPU_DIR/kernel_max)" "$(cat /sys/devices/system/cpu/kernel_max)" \
	"kernel_max stays the kernel's"
is "$(in_container b nproc)" 1 "nproc agrees"
is "$(in_container b grep -c '^cpu cores.*: 1$' /proc/cpuinfo)" \
	"$(in_container b grep -c '^cpu cores' /proc/cpuinfo)" "cpu cores counts what is shown"

# The host's record of the CPU, its id included, byte for byte but for the counting and clock lines.
record() { awk -v RS= -v id="$1" '$0 ~ "processor\t: " id "\n"' | grep -vE '^(cpu MHz|siblings|cpu cores)'; }
is "$(in_container b cat /proc/cpuinfo | record 1)" "$(record 1 </proc/cpuinfo)" \
	"the record of CPU 1 is the host's"

# The limit of a parent counts where it is lower.
make_cgroup pod
set_limit pod memory $((150 * MIB))
new_container p --cgroup=pod/p --memory=$((400 * MIB)) --cpus=0
is "$(meminfo p MemTotal)" 153600 "a parent's lower limit is the effective one"
new_container q --cgroup=pod/q
is "$(meminfo q MemTotal)" 153600 "a parent's limit counts where the container has none"
between "$(meminfo q MemFree)" 0 153600 "and MemFree stays below it"
is "$(cpus_in_stat q)" "$(expand_list "$HOST_CPUS")" "no cpuset: every CPU of the host"

new_container unlimited
is "$(meminfo unlimited MemTotal)" "$HOST_MEM_KB" "no limit: the host's MemTotal"

new_container more --memory=$((1 << 50))
is "$(meminfo more MemTotal)" "$HOST_MEM_KB" "a limit above the host: the host's MemTotal"

# A quota does not change the CPUs by default; with --enable-cfs it does, in every file.
new_container half --quota=50000
is "$(cpus_in_stat half)" "$(expand_list "$HOST_CPUS")" "by default a quota takes no CPU away"
for name in "${!CT_PID[@]}"; do
	remove_container "$name"
done
stop_daemon
start_daemon --enable-cfs
new_container half --quota=50000 --cpus=0-1
sees_cpus half "0"
new_container more --quota=150000 --cpus=0-1
is "$(cpus_in_stat more)" "0 1" "--enable-cfs: a quota of 1.5 CPUs shows 2"
new_container last --quota=100000 --cpus=1
is "$(cpus_in_stat last)" "1" "--enable-cfs: the first of the cpuset, not of the host"
