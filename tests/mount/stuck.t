#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A request that crashes or holds its worker, and a worker that is stopped or cannot be ended: who
# asked for it is told EIO, everybody else is answered, and whoever is killed is gone at once. Where
# the harm is done is chosen by a library that is preloaded into the daemon (harm.c).
source "$(dirname "$0")/lib.sh"

FREEZER=${CG_V1[freezer]-}
plan $((59 + ${FREEZER:+5}0 / 10))

HARM=$WORK/harm
head -c 512 /dev/zero >"$HARM"

# harm RULE WHERE WHAT TIMES TEXT: see harm.c.
harm() {
	printf '%s %s %s %s\0' "$2" "$3" "$4" "$5" |
		dd of="$HARM" bs=128 seek="$1" conv=notrunc status=none
}

undone= # harms that nobody came by
no_harm() {
	local i

	for i in 0 1 2 3; do
		[ -z "$(words $i)" ] || [ "$(hits $i)" -gt 0 ] || undone+="$(words $i); "
	done
	head -c 512 /dev/zero | dd of="$HARM" bs=512 conv=notrunc status=none
}
words() { dd if="$HARM" bs=128 skip="$1" count=1 status=none | tr '\0' '\n' | head -n 1; }
hits() { od -An -tu4 -j $((128 * $1 + 124)) -N 4 "$HARM" | tr -d ' '; }
has_hit() { [ "$(hits "$1")" -ge "$2" ]; }
logged() { grep -cE "$1" "$DAEMON_LOG"; }
total() { value MemTotal; }

# What a container reads, or what cat(1) says instead.
reads() { in_container "$1" timeout $((60 * SLOW)) cat "/proc/$2" 2>&1; }

# The same in the background, into $WORK/late: the request has hit the rule 0 when this returns.
reads_late() {
	in_container "$1" timeout $((60 * SLOW)) cat "/proc/$2" >"$WORK/late" 2>&1 &
	late=$!
	wait_until 20 has_hit 0 1
}

# Signals that the test sends are no finding.
plain_signals=:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_abort=0
[ -z "$SANITIZED" ] || ASAN_OPTIONS+=$plain_signals UBSAN_OPTIONS+=$plain_signals TSAN_OPTIONS+=$plain_signals
start_harmed() { LD_PRELOAD=$BUILD/tests/mount/harm.so LXCFS_HARM=$HARM start_daemon; }
start_harmed
since=$SECONDS
new_container c --memory=$((256 * MIB)) --cpus=0
new_container d --memory=$((128 * MIB)) --cpus=1
is "$(reads c meminfo | total) $(reads d meminfo | total)" "262144 131072" "two containers are served"

# ---- a text that is made before it is asked for, which harms whoever makes it
failed_ahead() { logged 'made ahead of its READ has ended a worker'; }
# reads_ahead CONTAINER WHAT: one who reads over and over until it was done, for not every OPEN is followed by
# it, and none while others have to wait; what went wrong for him.
reads_ahead() {
	local i start errors broken

	start=$(reads "$1" meminfo | head -n 1)
	harm 0 ahead "$2" 1 "$CG_PARENT/$1/memory"
	for i in {1..15}; do
		in_container "$1" "$POKE" loop $((4 * SLOW)) "$start" /proc/meminfo >"$WORK/loop" 2>&1
		read -r _ errors broken _ <"$WORK/loop"
		[ "$errors $broken" = "0 0" ] || cat "$WORK/loop"
		! has_hit 0 1 || break
	done
	has_hit 0 1 || echo "it was not done"
	no_harm
}
is "$(reads_ahead c 11)" "" "a text that crashes whoever makes it before it is asked for: its reader is answered"
is "$(failed_ahead)" 1 "a line tells of it"
harm 0 read 11 1 "$CG_PARENT/c/memory"
is "$(reads c meminfo | total) $(failed_ahead)" "262144 1" "none is made any more"
no_harm

# ---- once, by every signal
for signal in 11 6 7 4 8 31; do
	harm 0 read $signal 1 "$CG_PARENT/c/memory"
	is "$(reads c meminfo | total)" 262144 "a crash by signal $signal that does not come again goes unnoticed"
	no_harm
done
answering() { # the threads of worker $1 that do
	local task comm

	for task in /proc/"$1"/task/*; do
		comm=
		{ read -r comm <"$task/comm"; } 2>/dev/null
		[[ $comm != lxcfs-[0-9] ]] || echo "${task##*/}"
	done
}
# The thread that sleeps with the request takes the signal, if it may choose. Soon: it sleeps for a
# second.
kill_holder() { # -SIGNAL
	local worker holder wchan

	worker=$(a_worker)
	for holder in $(answering "$worker") "$worker"; do
		wchan=
		{ read -r wchan <"/proc/$holder/wchan"; } 2>/dev/null
		[[ $wchan != *nanosleep* ]] || break
	done
	kill "$1" "$holder"
}
twice_from_outside() { # SIGNAL: while a request is under way; what its reader is told, how often it was begun
	local i

	for i in {1..10}; do # this shell itself may be too late
		harm 0 read sleep 3 "$CG_PARENT/c/memory"
		reads_late c meminfo
		kill_holder "-$1"
		wait_until 20 eval 'has_hit 0 2 || ! kill -0 $late 2>/dev/null'
		kill_holder "-$1"
		wait $late
		[ "$(hits 0)" != 3 ] || break
		no_harm
	done
	echo "$(total <"$WORK/late") $(hits 0)"
	no_harm
}
for signal in SEGV ABRT TERM KILL; do
	is "$(twice_from_outside $signal)" "262144 3" "SIG$signal from outside, twice, is not the request's fault"
done
is "$(logged 'has ended 2 workers')" 0 "and is not taken for it"

# ---- a request that crashes whoever serves it
for i in {1..10}; do # this shell itself may be too late to be beside it
	harm 0 read sleep 3 "$CG_PARENT/d/memory" # in flight beside it, and whenever it is replayed
	harm 1 read 11 100 "$CG_PARENT/c/memory"
	reads_late d meminfo
	told=$(reads c meminfo)
	crashes=$(hits 1)
	wait $late
	[ "$(hits 0)" != 3 ] || break
	no_harm
done
matches "$told" "Input/output error" "a request that crashes every worker gets EIO"
is "$crashes" 2 "after the second one"
is "$(total <"$WORK/late") $(hits 0)" "131072 3" "who was in flight beside it, both times, is answered"
is "$(reads d meminfo | total)" 131072 "and so are others"
is "$(once_a_minute 'has ended 2 workers: it gets EIO' $since)" "" "one line tells of it"
matches "$(grep -m 1 'has ended 2' "$DAEMON_LOG")" "opcode 15, /proc/meminfo, from pid [0-9]+" "with its opcode, file and reader"
no_harm
is "$(reads c meminfo | total)" 262144 "the next one is answered again"
harm 1 read 11 100 "$CG_PARENT/c/memory"
matches "$(reads c meminfo) $(hits 1)" "Input/output error 2" "one more ends as many workers"
is "$(once_a_minute 'has ended 2 workers: it gets EIO' $since)" "" "but not another line in that minute, whoever would tell it"
no_harm

# ---- at every point of a request
# Of a file that nothing below waits for: the next worker may answer it once more when its reader has gone on.
for phase in "fetch 9" "fetch 11" "reply 9" "reply 11" "replied 9" "replied 11"; do
	read -r where signal <<<"$phase"
	harm 0 "$where" "$signal" 1 "$([ "$where" = fetch ] || echo Filename)"
	is "$(reads c swaps | head -c 8) $(hits 0)" "Filename 1" "signal $signal at the point \"$where\": answered, once"
	no_harm
done

# ---- a file that is open meanwhile
# Some bytes, the rest when told to, and all of it again: the first piece's answer has reached its
# reader when the worker dies, and the file says something else by then.
hold() { # FILE
	rm -f "$WORK/go" "$WORK/held"
	in_container c bash -c 'exec 7<"/proc/$1"; dd bs=12 count=1 status=none <&7
		until [ -e "$2" ]; do sleep 0.1; done; cat <&7' - "$1" "$WORK/go" >"$WORK/held" &
	held=$!
}
harm 0 replied sleep 1 MemTotal:
hold meminfo
wait_until 20 has_hit 0 1
set_limit c memory $((512 * MIB))
kill_worker -KILL
is "$(reads c meminfo | total)" 524288 "a worker dies after it has answered; a limit was raised"
touch "$WORK/go"
wait $held
is "$(total <"$WORK/held")" 262144 "who has the first bytes gets the rest of the same text"
set_limit c memory $((256 * MIB))
no_harm

without_clock() { grep -v MHz; }
whole=$(reads c cpuinfo | without_clock)
hold cpuinfo
wait_until 20 test -s "$WORK/held"
kill_worker -KILL
kill -USR2 "$DAEMON_PID"
wait_until 10 eval '[ "$(reads c meminfo | total)" = "$HOST_MEM_KB" ]'
touch "$WORK/go"
wait $held
is "$(without_clock <"$WORK/held")" "$whole" "a text whose length changed has no stray bytes at its end"
kill -USR2 "$DAEMON_PID"
wait_until 10 eval '[ "$(reads c meminfo | total)" = 262144 ]'
mkfifo "$WORK/more"
in_container c "$POKE" again /proc/meminfo <"$WORK/more" >"$WORK/again" &
again=$!
exec 8>"$WORK/more"
wait_until 20 test -s "$WORK/again"
set_limit c memory $((512 * MIB))
kill_worker -KILL
echo >&8
exec 8>&-
wait $again
is "$(total <"$WORK/again") $(sed 1,20d "$WORK/again" | total)" "262144 524288" "read again from its start it says what holds by then"
set_limit c memory $((256 * MIB))
is "$("$POKE" poll "$MNT/proc/meminfo")" "IN RDNORM " "poll(2) answers at once"

# ---- stuck
harm 0 read hang 2 "$CG_PARENT/c/memory"
reads_late c meminfo
is "$(reads d meminfo | total)" 131072 "while one request hangs others are answered"
ok "without waiting for it" kill -0 $late
wait $late
matches "$(cat "$WORK/late")" "Input/output error" "a request that hangs twice gets EIO"
matches "$(grep 'is not answered after' "$DAEMON_LOG")" "opcode 15, /proc/meminfo, from pid" "a line names it"
no_harm
harm 0 read spin 1 "$CG_PARENT/c/memory"
is "$(reads c meminfo | total)" 262144 "one that computes for ever, once, is answered by the next worker"
no_harm

# A new worker's first look at the host, which others wait for. Were both blamed, two hangs would be the
# end of both.
harm 0 read hang 3 /proc/stat
kill_worker -KILL
reads_late c stat
reads d stat >"$WORK/second" &
second=$!
wait $late $second
is "$(hits 0) $(cat "$WORK/late" "$WORK/second" | grep -c 'Input/output error')" "3 1" "who waits for the one that hangs is not blamed"
no_harm
is "$(once_a_minute 'is not answered after' $since)" "" "six workers in a row have ended so: a line a minute tells of it"

# How long who reads and is killed after so many milliseconds takes to be gone.
killed_with_request() { # MILLISECONDS WHAT
	local i took

	for i in 1 2 3 4 5; do # may be too early
		harm 0 read "$2" 1 "$CG_PARENT/c/memory"
		took=$(in_container c "$POKE" killed "$1" /proc/meminfo)
		[ "$(hits 0)" = 0 ] || break
	done
	echo "$took"
}
worker=$(a_worker)
between "$(killed_with_request 300 hang)" 0 $((1000 * SLOW)) "a killed reader is gone within a second, whoever holds its request"
is "$(hits 0)" 1 "the worker still holding it"
ok "which is replaced" wait_until 10 another_worker "$worker"
is "$(reads c meminfo | total)" 262144 "by one that answers"
no_harm

# ---- stopped
worker=$(a_worker)
between "$(killed_with_request 50 19)" 0 $((1000 * SLOW)) "so is one whose worker stops with its request"
no_harm
is "$(reads c meminfo | total)" 262144 "another is answered"
wait_until 10 another_worker "$worker"
isnt "$(worker_pid)" "$worker" "by a new worker"
is "$(logged 'was stopped by signal')" 1 "a line tells why"
for i in {1..10}; do # this shell itself may be too late
	harm 0 read sleep 2 "$CG_PARENT/c/memory"
	reads_late c meminfo
	kill_worker -STOP
	wait $late
	[ "$(hits 0)" != 2 ] || break
	no_harm
done
is "$(total <"$WORK/late") $(hits 0)" "262144 2" "a request that was in it is answered, by the next one"
no_harm
for i in {1..10}; do # this shell itself may be too late
	worker=$(a_worker)
	kill -STOP "$worker"
	kill -CONT "$worker"
	sleep 0.5
	[ "$(worker_pid)" != "$worker" ] || break
done
is "$(worker_pid)" "$worker" "one that goes on at once is left alone"
harm 0 read 19 1 /cgroup.controllers # of the hierarchy, as each new worker begins
kill -KILL "$worker"
is "$(reads c meminfo | total)" 262144 "one that is stopped before it serves is replaced too"
no_harm

# ---- out of memory
oom=$(cgdir memory oom)
make_cgroup oom
worker=$(a_worker)
echo "$worker" >"$oom/cgroup.procs"
set_limit oom memory 4096 2>/dev/null || set_limit oom memory $((64 * 1024))
fill() { # records are memory of the worker's own
	in_container c bash -c 'for i in 1 2 3 4 5 6 7 8; do exec {fd}</proc/cpuinfo; cat <&$fd; done' >/dev/null
	another_worker "$worker"
}
wait_until 30 fill
isnt "$(worker_pid)" "$worker" "a worker that is out of memory is killed by the kernel"
is "$(reads c meminfo | total)" 262144 "and nobody notices"

# ---- not to be ended
# A frozen task of cgroup v1 does not even obey SIGKILL.
if [ -n "$FREEZER" ]; then
	test_cleanup() { echo THAWED >"$(cgdir freezer ice)/freezer.state"; } 2>/dev/null
	make_cgroup ice
	worker=$(a_worker)
	for task in $(answering "$worker"); do
		echo "$task" >"$(cgdir freezer ice)/tasks"
	done
	harm 0 read hang 1 "$CG_PARENT/c/memory"
	reads_late c meminfo
	echo FROZEN >"$(cgdir freezer ice)/freezer.state"
	wait $late
	is "$(total <"$WORK/late")" 262144 "a request whose thread the kernel holds for ever is answered"
	ok "a line tells of what is left of its worker" [ "$(logged 'worker [0-9]+ cannot be ended')" -ge 1 ]
	isnt "$(a_worker)" "$worker" "another one serves"
	is "$(reads d meminfo | total)" 131072 "everybody"
	echo THAWED >"$(cgdir freezer ice)/freezer.state"
	ok "what was left goes when the kernel lets it" wait_until 10 gone "$worker"
	no_harm
fi

# ---- the same, and it never comes to an end
stop_daemon
empty_log
start_harmed
new_container e --memory=$((192 * MIB))
worker=$(a_worker)
is "$(reads_ahead e hang)" "" "a text that is made before it is asked for, and hangs: its reader is answered"
is "$(failed_ahead)" 1 "a line tells of it"
isnt "$(a_worker)" "$worker" "another worker serves"
is "$undone" "" "each harm was done"
