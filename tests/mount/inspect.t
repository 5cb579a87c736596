#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# lxcfs --inspect PID: which container, which limits, from where, and why, in words and as JSON.
source "$(dirname "$0")/lib.sh"
plan 44

inspect() { "$LXCFS" --pidfile="$PIDFILE" --inspect "$@" 2>"$WORK/err"; }
# look PID: asks for JSON and keeps each value as a line "limits.memory.levels.0.says=...", read by a
# parser that is not ours.
look() {
	inspect "$1" --json >"$WORK/json" && python3 - "$WORK/json" >"$WORK/flat" <<-'E'
		import json, sys
		def walk(v, path):
		    if isinstance(v, (dict, list)):
		        for k, w in v.items() if isinstance(v, dict) else enumerate(v):
		            walk(w, path + [str(k)])
		    else:
		        print(".".join(path) + "=" + str(v))
		walk(json.load(open(sys.argv[1])), [])
	E
}

# json PATH: the value at that place, or those of the list there.
json() { sed -n "s/^$1\(\.[0-9]*\)\{0,1\}=//p" "$WORK/flat"; }

# ---- without a daemon
make_cgroup plain
sleep 600 <&- >"$WORK/sleep" 2>&1 &
background+=($!)
is_sleep() { [ "$(cat "/proc/$1/comm")" = sleep ]; } # and not the shell that becomes it
wait_until 10 is_sleep ${background[-1]}
plain=$!
for root in "${CG_ROOTS[@]}"; do
	echo "$plain" >"$root/$CG_PARENT/plain/cgroup.procs"
done
set_limit plain memory $((64 * MIB))
ok "it needs no daemon" look "$plain"
is "$(json daemon.runs)" False "and says that none runs"
is "$(json process.name)" sleep "it names the process"
is "$(json memory.total)" $((64 * MIB)) "a process without a pid namespace of its own sees its cgroup's limit"
is "$(json container.init)" None "and has no init of its own"
is "$(json limits.memory.cgroup)" "/$CG_PARENT/plain" "the limit's cgroup is named"
matches "$(json limits.memory.file)" '^memory\.(max|limit_in_bytes)$' "and its file"
matches "$(json cpus.why)" 'No file of lxcfs lies over its /proc/cpuinfo' "that nothing is bound comes first"
is "$(json cpus.visible)" "$HOST_CPUS" "without a cpuset it sees every CPU"
matches "$(json cpus.why)" 'No cpuset restricts it' "because nothing restricts it"
matches "$(json cpus.why)" 'No CPU quota limits it' "neither does a quota"

# ---- a container with limits, and one above it
start_daemon
make_cgroup outer
set_limit outer memory $((96 * MIB))
new_container c --cgroup=outer/c --memory=$((200 * MIB)) --cpus=0 --quota=50000
init=${CT_PID[c]}
look "$init"
is "$(json daemon.pid)" "$DAEMON_PID" "the running daemon is found by its pidfile"
is "$(json container.init)" "$init" "the container's init"
is "$(json container.host)" False "which is no host"
between "$(json container.age)" 0 600 "its age"
is "$(json limits.memory.value)" $((96 * MIB)) "the least limit of all counts"
is "$(json limits.memory.cgroup)" "/$CG_PARENT/outer" "and the cgroup above is named for it"
is "$(json limits.memory.levels.0.cgroup)" "/$CG_PARENT/outer/c" "its own stands among the levels"
is "$(json limits.memory.levels.0.says)" $((200 * MIB)) "with what its file says"
is "$(json memory.total)" "$(($(meminfo c MemTotal) * 1024))" "MemTotal is what the file shows"
is "$(json cpus.visible)" "$(in_container c cat /$CPU_DIR/online)" "so are the CPUs"
matches "$(json limits.cpuset.file)" '^cpuset\.' "the cpuset's file is named"
is "$(json limits.cpuset.cgroup)" "/$CG_PARENT/outer/c" "and its cgroup"
is "$(json limits.quota.value)" 1 "the quota in whole CPUs"
matches "$(json cpus.why)" 'quotas count only with --enable-cfs' "and that it does not count, and why"
between "$(json usage.memory)" 1 $((96 * MIB)) "its usage"
matches "$(sed -n 's/^container.cgroups.*.rule=//p' "$WORK/flat" | sort -u | xargs)" '^(init|own|mount)$' \
	"the rule that chose its cgroups"
is "$(grep -A 1 -E '\.path=proc/(meminfo|cpuinfo|stat)$' "$WORK/flat" | sed -n 's/.*bound=//p' | sort -u)" True \
	"its files are seen to be bound"
text=$(inspect "$init")
matches "$text" "memory +98304 kB +memory\.[a-z_]+ of /$CG_PARENT/outer" "as text: the limit and where it comes from"
matches "$text" "The cpuset decides: cpuset\.[a-z_.]+ of /$CG_PARENT/outer/c is 0" "and why it sees these CPUs"
is "$(cat "$WORK/err")" "" "with nothing on standard error"

# ---- SIGUSR2
kill -USR2 "$DAEMON_PID"
passes() { look "$init" && [ "$(json daemon.pass_through)" = True ]; }
ok "it knows that SIGUSR2 was sent" wait_until 5 passes
matches "$(json memory.why)" 'SIGUSR2' "and says so"
is "$(json memory.total)" $((HOST_MEM_KB * 1024)) "with the number that is shown"
stop_daemon

# ---- options of the running daemon, not of this command line
start_daemon --enable-cfs -u
look "$init"
is "$(json cpus.quota_counts)" True "the running daemon's options count"
matches "$(json cpus.why)" 'started with --enable-cfs' "and are the reason given"
matches "$(json swap.why)" 'started with --disable-swap' "--disable-swap too"
is "$(meminfo c SwapTotal)" 0 "which is what its -u says: the container is shown no swap"

# ---- errors
bash -c 'exit' &
dead=$!
wait $dead
inspect "$dead" >"$WORK/out"
is "$? $(wc -l <"$WORK/err")" "1 1" "no such process: exit 1, one line"
matches "$(cat "$WORK/err")" "no process $dead" "that says so"
chmod 755 "$WORK"
setpriv --reuid 65534 --regid 65534 --clear-groups "$LXCFS" --inspect $$ >"$WORK/out" 2>"$WORK/err2"
is "$? $(wc -l <"$WORK/err2")" "1 1" "not root: exit 1, one line"
matches "$(cat "$WORK/err2")" "root" "that says so"

# ---- a cgroup that its owner has called something for a terminal to obey
new_container e --bare --cgroup=$'odd\e[2J\377' --memory=$((100 * MIB))
inspect "${CT_PID[e]}" >"$WORK/words"
is "$(LC_ALL=C tr -d ' -~\n' <"$WORK/words" | od -An -c) $(grep -c 'odd?\[2J?' "$WORK/words" | awk '{ print ($1 > 0) }')" " 1" \
	"what it prints has no byte that a terminal obeys, whatever a cgroup is called"
ok "and its JSON can be read" look "${CT_PID[e]}"
