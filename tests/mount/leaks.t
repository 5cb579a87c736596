#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# No value of the host's and none of another container's: two containers of different sizes and loads
# on a busy host, and every value of every file compared. What may be the same is in leaks.list.
source "$(dirname "$0")/lib.sh"
pressure=0
[ ! -e /proc/pressure/cpu ] || [ -z "$CG_V2" ] || pressure=1
plan $((35 + 2 * pressure))

ROUNDS=3
SCRATCH=$(mktemp -d "${LXCFS_TEST_SCRATCH:-/var/tmp}/lxcfs-test.XXXXXX")
test_cleanup() {
	rm -rf "$SCRATCH"
	unmount_all "$WORK/hang"
}

LEAKS="timeout $((100 * SLOW)) /usr/bin/python3 $TOP/tests/mount/leaks.py"
export LEAKS_SOCKET=$WORK/socket LEAKS_MOUNT=$MNT

# hold_in CONTAINER MIB: memory that is kept.
hold_in() {
	rm -f "$WORK/held.$1"
	in_container "$1" "$POKE" hold $(($2 * MIB)) "$WORK/held.$1" &
	background+=($!)
	wait_until 20 test -e "$WORK/held.$1" || bail "$1 does not get its memory"
}

sleepers_in() { # CONTAINER COUNT
	in_container "$1" bash -c 'for ((i = 0; i < $1; i++)); do sleep 1000 & done; exec sleep 1000' - "$2" &
	background+=($!)
}

direct_io() { # MIB: on the disk
	dd if=/dev/zero of="$SCRATCH/file.$BASHPID" bs=1M count="$1" oflag=direct conv=fsync status=none
}

# What is served here besides the directory of CPUs; of the rest a container has what lib.sh binds.
mapfile -t files < <("$LXCFS" --list-files | grep -v "^$CPU_DIR/")
sorted() { LC_ALL=C sort | xargs; }

# The host has more of everything than a container can, long enough before them that its averages say so.
# What hangs goes first: one of those that wait for it can not be killed before.
mkdir "$WORK/hang"
run_in_background "$BUILD/tests/mount/hangfs" "$WORK/hang"
hangs=("$!")
wait_until 20 test -e "$WORK/hang/f"
run_in_background "$POKE" mark "$WORK/marked" "$SCRATCH/mark" "$WORK/hang/f"
hangs+=("$!")
wait_until 20 test -e "$WORK/marked"
start_daemon
swap=()
if [ "$(awk '/^SwapTotal:/ { print $2 }' /proc/meminfo)" != 0 ]; then
	is_v2 && swap=(--swap=$((9 * MIB)) --swap=$((17 * MIB))) || swap=(--memsw=$((150 * MIB)) --memsw=$((280 * MIB)))
fi
new_container a --memory=$((139 * MIB)) --cpus=0 ${swap[0]+"${swap[0]}"}
hold_in a 27
sleepers_in a 7
# b is younger by more than three readings take, and stays behind, for its CPU is busy.
sleep $((2 + 2 * SLOW))
new_container b --memory=$((271 * MIB)) --cpus=1 ${swap[1]+"${swap[1]}"}
hold_in b 61
sleepers_in b 23
run_in_background "$POKE" hold $((83 * MIB)) "$WORK/held"
run_in_background "$POKE" hold $((208 * MIB)) "$WORK/held.extra"
extra=$!
wait_until 20 test -e "$WORK/held.extra" || bail "the host does not get its memory"
run_in_background bash -c 'for i in {1..57}; do sleep 1000 & done; exec sleep 1000'
# Its CPU is waited for during little of the time, the host's always; its load is 3 at all times.
run_in_background in_container b nice -n 19 "$POKE" pulse 3 600
for _ in {1..3}; do
	run_in_background in_container b "$POKE" blocked 600
done
count_io_of "$(disk_of "$SCRATCH")"
direct_io 3
(join_cgroup b && direct_io 12)
in_container b dd if=/dev/zero of="$SCRATCH/cached" bs=1M count=6 conv=fsync status=none
(join_cgroup a && direct_io 2)

# ---- every value of every file
is "$(printf '%s\n' "${files[@]}" | grep -v "^$SERVED_LATER/" | sorted)" "$(tr ' ' '\n' <<<"$SERVED" | sorted)" \
	"every file that is served is bound over the container's own"
mkdir "$WORK/audit"
for who in a b; do
	# shellcheck disable=SC2086 # words
	run_in_background in_container $who $LEAKS answer "$LEAKS_SOCKET.$who"
	wait_until 20 test -S "$LEAKS_SOCKET.$who"
done
in_trees() { # PATH...
	printf '%s\n' "$@" "${@/#/quota/}" "${@/#/cpuset/}"
}
# The host's newest pid grows until pids begin anew, which is to be in none of the rounds.
pids=/proc/sys/kernel
[ "$(cat $pids/ns_last_pid)" -lt $(($(cat $pids/pid_max) / 2)) ] || echo 300 >$pids/ns_last_pid
for ((round = 1; round <= ROUNDS; round++)); do
	# What is free is no sum: should the host have as much as a container, it has more in the last round.
	[ $round != $ROUNDS ] || kill_tree "$extra"
	sleep 1
	# shellcheck disable=SC2046 # words
	$LEAKS collect "$WORK/audit" $round $(in_trees "${files[@]}" "$CPU_DIR")
done
for pid in "${hangs[@]}"; do
	kill_tree "$pid"
done
if [ "$(awk 'END { print NR }' /proc/swaps)" = 1 ]; then
	# for the test of the test, as the kernel writes it
	for text in "$WORK"/audit/*.host.*; do
		jq '."proc/swaps" += "/dev/zram9                              partition\t1048572\t\t1234\t\t-2\n"' "$text" >"$WORK/planted"
		mv "$WORK/planted" "$text"
	done
fi
is "$(ls "$WORK/audit" | wc -l)" $((9 * ROUNDS)) "all was read in $ROUNDS rounds"
collected() { # WHO PATH-EXPRESSION
	jq -r --arg e "$2" 'keys[] | select(test($e))' "$WORK/audit/1.$1.2" | sorted
}
for who in a b; do
	is "$(collected $who "^(?!.*$CPU_DIR/)")" "$(in_trees "${files[@]}" | sorted)" "container $who: every file, in each of the trees"
done
$LEAKS audit "$WORK/audit" "$TOP/tests/mount/leaks.list" >"$WORK/leaks" 2>"$WORK/audited"
status=$?
diag "$(cat "$WORK/audited")"
is "$(cat "$WORK/leaks")" "" "no value is the host's or the neighbour's but what the list says"
is $status 0 "so the audit says"
between "$(sed -n 's/^compared //p' "$WORK/audited")" 2000 10000000 "of very many"
# It would find what was not there, at whatever moment it was read.
blind() { # FROM TO WHOSE FILE:_LINE,_COLUMN_N... : what it does not find of these
	local tree what missing=

	$LEAKS audit "$WORK/audit" "$TOP/tests/mount/leaks.list" "$1" "$2" >"$WORK/blind.$1" 2>/dev/null
	for tree in "" quota/ cpuset/; do
		for what in "${@:4}"; do
			grep -q "^$2: ${tree}proc/$what: the $3's" "$WORK/blind.$1" || missing="$missing [$tree$what]"
		done
	done
	echo "$missing"
}
moving=("meminfo: MemTotal, column 1" "stat: cpu, column 1" "stat: cpu, column 4" "uptime: 0, column 1"
	"uptime: 0, column 2" "loadavg: 0, column 3" "diskstats: .*, column 9")
[ $pressure = 0 ] || moving+=("pressure/cpu: some, column 8")
of_host=("stat: ctxt, column 1" "stat: procs_running, column 1" "stat: procs_blocked, column 1"
	"loadavg: 0, column 4" "loadavg: 0, column 5" "cpuinfo: lines, column 1" "swaps: .*, column 0" "swaps: .*, column 2")
for line in MemFree MemAvailable Cached 'Active(anon)' 'Active(file)' 'Inactive(file)' AnonPages Mapped Shmem PageTables; do
	of_host+=("meminfo: $line, column 1")
done
[ $pressure = 0 ] || of_host+=("pressure/cpu: some, column 2")
is "$(blind host a host "${moving[@]}" "${of_host[@]}")" "" "it finds the host's values where they are shown"
is "$(grep ": blind to" "$WORK/blind.host" | grep -v proc/slabinfo)" "" "every number of the host's but those in rows of slabs"
is "$(blind b a neighbour "${moving[@]}" "loadavg: 0, column 5")" "" "and the neighbour's"
# What passes through is about CPUs that the container has.
for who in a b; do
	cpu=$([ $who = a ] && echo 0 || echo 1) wanted="$cpu $cpu"
	is "$(jq -r '.[keys[] | select(endswith("proc/cpuinfo"))]' "$WORK/audit/1.$who.2" | awk '$1 == "processor" { print $3 }' | xargs)" \
		"$cpu $cpu $cpu" "container $who: cpuinfo has its CPU alone, in each of the trees"
	is "$(collected $who "cpu/cpu[0-9]+/uevent") $(jq -r '.[keys[] | select(test("cpu/(online|present)$"))]' "$WORK/audit/1.$who.2" | xargs)" \
		"$(in_trees $CPU_DIR/cpu$cpu/uevent | sorted) $wanted $wanted $wanted" "so has the directory of CPUs"
done

# ---- what others do moves nothing
snapshot() { # FILE; all that a runs meanwhile
	now_ms >"$1.begin"
	cpu_usage_us a >"$1.before"
	in_container a grep -H "" "${files[@]/#//}" | sed 's|^/proc/\([^:]*\):|\1 |' >"$1"
	cpu_usage_us a >"$1.after"
	now_ms >"$1.end"
}
# ms_between MOMENT MOMENT [PLUS]: such as quiet.end storm.begin.
ms_between() { echo $(($(cat "$WORK/$2") - $(cat "$WORK/$1") + ${3-0})); }
# most_gained EXPRESSION COLUMN...: of these columns of the lines that match (of "total=1" and "1/2" the
# last number) the most that any has gained.
most_gained() {
	awk -v lines="$1" -v columns="${*:2}" 'BEGIN { n = split(columns, column) }
		FNR == 1 { line = 0 }
		$0 ~ lines {
			line++
			for (i = 1; i <= n; i++) {
				word = $column[i]
				sub(".*[=/]", "", word)
				if (NR == FNR) { old[line, i] = word; continue }
				if (!(any++) || word - old[line, i] > most) most = word - old[line, i]
			}
		}
		END { if (any) printf "%.2f", most }' "$WORK/quiet" "$WORK/storm"
}
moved() { # AWK-PROGRAM over "file name..." lines of the second, with the first's in a[]
	awk "NR == FNR { old[\$1, \$2] = \$3; next } $1" "$WORK/quiet" "$WORK/storm"
}
sleep 0.2
snapshot "$WORK/quiet"
used=$(cat "$WORK/quiet.before")
tasks=$(awk '$2 == "processes" { print $3 }' "$WORK/quiet")
b_stalled() { in_container b sed -n 's/^some.*total=//p' /proc/pressure/cpu; }
[ $pressure = 0 ] || stalled=$(b_stalled)
b_load=$(in_container b cut -d' ' -f1 /proc/loadavg)
run_in_background nice -n 19 "$POKE" threads 4 600
run_in_background in_container b nice -n 19 "$POKE" threads 12 600
hold_in b 97
run_in_background "$POKE" hold $((211 * MIB)) "$WORK/held2"
wait_until 20 test -e "$WORK/held2" || bail "the host does not get more memory"
direct_io 32
(join_cgroup b && direct_io 32)
for _ in {1..300}; do /bin/true; done
in_container b bash -c 'for _ in {1..100}; do /bin/true; done'
sampled() { in_container b awk -v was="$b_load" '{ exit !($1 > was + 0.3) }' /proc/loadavg; }
ok "what others do is in the neighbour's load" wait_until 30 sampled
has_stalled() { [ $(($(b_stalled) - stalled)) -ge 1000000 ]; }
[ $pressure = 0 ] || ok "and in its pressure" wait_until 10 has_stalled
snapshot "$WORK/storm"
between "$(moved '$1 == "meminfo" { d = $3 - old[$1, $2]; if (d < 0) d = -d; if (d > most) { most = d; line = $2 } }
		END { print most; print "# most moves " line " by " most " kB" >"/dev/stderr" }')" \
	0 $((64 * 1024)) "others take hundreds of MiB: no line of its meminfo moves by many"
# user, nice and system of the first line, in hundredths
busy() { awk -v hz="$HZ" '$1 == "stat" && $2 == "cpu" { print int(($3 + $4 + $5) * 100 / hz) }' "$1"; }
between $(($(busy "$WORK/storm") - $(busy "$WORK/quiet"))) 0 $((($(cat "$WORK/storm.after") - used) / 10000 + 10)) \
	"others burn CPUs: its stat gains what its own processes did"
between $(($(awk '$2 == "processes" { print $3 }' "$WORK/storm") - tasks)) 0 60 "others start hundreds of processes: its count gains its own few"
between "$(awk -v s="$(most_gained ^uptime 2)" 'BEGIN { print s * 1000 }')" "$(ms_between quiet.end storm.begin -20)" "$(ms_between quiet.begin storm.end 20)" \
	"its age gains what goes by"
busy_ms=$((($(cat "$WORK/storm.after") - used) / 1000))
between "$(awk -v s="$(most_gained ^uptime 3)" 'BEGIN { print s * 1000 }')" "$(ms_between quiet.end storm.begin -$((busy_ms + 100)))" "$(ms_between quiet.begin storm.end 20)" \
	"all of it idle but for what its own processes ran"
between "$(most_gained ^loadavg 2 3 4)" -100 0.4 "others load the CPUs: its load does not grow"
between "$(most_gained ^loadavg 5)" -5 5 "nor its threads"
between "$(most_gained ^loadavg 6)" 0 30 "and its newest task is one of its own few"
# Its own wait, too: those that took the snapshots.
[ $pressure = 0 ] || between "$(most_gained ^pressure/ 6)" 0 $((1000 * ($(ms_between quiet.begin quiet.end) + $(ms_between storm.begin storm.end) + 100))) \
	"others wait for CPUs: its pressure gains what its own processes can at most"
is "$(grep -E '^stat (ctxt|intr) ' "$WORK/storm")" "$(grep -E '^stat (ctxt|intr) ' "$WORK/quiet")" "its switches and interrupts stand still"
sectors() { awk '$1 == "diskstats" { n += $7 + $11 } END { print n + 0 }' "$1"; }
between $(($(sectors "$WORK/storm") - $(sectors "$WORK/quiet"))) 0 16384 "others use the disk: its diskstats gain 8 MiB at most"
end_background

# ---- handles that are passed on over a socket
share() { # FROM
	rm -f "$LEAKS_SOCKET"
	# shellcheck disable=SC2086 # words
	in_container "$1" $LEAKS pass </dev/null &
	giver=$!
	background+=("$giver")
	wait_until 20 test -S "$LEAKS_SOCKET"
}

# Asks the sharing container for a file's handle, and reads it here and again after a line.
received() { # TO FILE
	mkfifo "$WORK/again.$2"
	# shellcheck disable=SC2086 # words
	if [ "$1" = host ]; then
		$LEAKS receive "/proc/$2"
	else
		in_container "$1" $LEAKS receive "/proc/$2"
	fi <"$WORK/again.$2" >"$WORK/got.$2" 2>&1 &
	background+=($!)
	receivers+=($!)
}
receivers=()
share a
for file in meminfo cpuinfo stat; do
	received b $file
done
exec 5>"$WORK/again.meminfo" 6>"$WORK/again.cpuinfo" 7>"$WORK/again.stat"
have_read() { # TIMES
	[ "$(cat "$WORK"/got.{meminfo,cpuinfo,stat} | grep -c ==)" -ge $((3 * $1)) ]
}
wait_until 20 have_read 1
cpus_of() { awk '$1 == "processor" { print $3 } /^cpu[0-9]/ { sub("cpu", "", $1); print $1 }' "$@" | xargs; }
is "$(value MemTotal <"$WORK/got.meminfo")" $((139 * 1024)) "a handle of another container's shows its opener's memory"
is "$(cpus_of "$WORK/got.cpuinfo" "$WORK/got.stat")" "0 0" "and its CPU"
is "$(meminfo b MemTotal)" $((271 * 1024)) "whoever got it still sees their own"
kill_tree $giver 2>/dev/null
echo | tee /dev/fd/5 /dev/fd/6 >&7
wait_until 20 have_read 2
is "$(grep -c "^MemTotal: *$((139 * 1024)) kB" "$WORK/got.meminfo") $(cpus_of "$WORK/got.cpuinfo" "$WORK/got.stat")" "2 0 0 0 0" \
	"the opener's end changes nothing"
remove_container a
echo | tee /dev/fd/5 /dev/fd/6 >&7
exec 5>&- 6>&- 7>&-
wait "${receivers[@]}"
is "$(cat "$WORK"/got.{meminfo,cpuinfo,stat} | grep -c ==)" 9 "each handle was read once more when its container had ended"
# The opener's container or an error, never anything else.
is "$(sed -n 's/^MemTotal: *//p' "$WORK/got.meminfo" | sort -u)" "$((139 * 1024)) kB" "nor does its container's end make it another's"
is "$(cpus_of "$WORK/got.cpuinfo" "$WORK/got.stat" | tr ' ' '\n' | sort -u | xargs)" 0 "nor its CPUs"
matches "$(grep -v == "$WORK/got.meminfo" | tail -n 1)" '^(DirectMap.*|Hugetlb.*|.* kB|Input/output error|Stale file handle)$' "it is that container or an error"
new_container a --memory=$((99 * MIB)) --cpus=0
rm -f "$WORK"/again.*
receivers=()
share b
received host meminfo
: >"$WORK/again.meminfo"
wait "${receivers[@]}"
is "$(value MemTotal <"$WORK/got.meminfo")" $((271 * 1024)) "the host, too, reads what the opener would"
rm -f "$WORK"/again.*
receivers=()
received a stat
: >"$WORK/again.stat"
wait "${receivers[@]}"
is "$(cpus_of "$WORK/got.stat")" 1 "a container's child that is passed on"
