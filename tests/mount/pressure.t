#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# /proc/pressure: a container's own stalls and nobody else's, and triggers that outlive a worker.
source "$(dirname "$0")/lib.sh"

if [ ! -d /proc/pressure ]; then
	plan 2
	start_daemon
	ok "a kernel without pressure: it is not there by name" test ! -e "$MNT/proc/pressure"
	is "$(ls "$MNT/proc" | grep pressure)" "" "nor in the listing"
	exit 0
fi
FILES=$(cd / && echo proc/pressure/*) # irq where the kernel counts it
plan $((64 + 2 * $(wc -w <<<"$FILES")))

CPU=proc/pressure/cpu
SOME="some 200000 2000000" # 200 ms in 2 s
NEVER="full 2000000 2000000"

total() { sed -n "s/^some .*total=\([0-9]*\)$/\1/p"; }
zeros() { sed 's/=[0-9]*\.[0-9]*/=0.00/g; s/=[0-9]*$/=0/'; }
results() { LC_ALL=C sort | uniq -c | xargs; } # "N ERROR M done"

# Two burners on the one CPU of container $1, for $2 seconds.
stall() {
	local i

	for i in 1 2; do
		in_container "$1" "$POKE" burn "$2" </dev/null >/dev/null 2>&1 &
		background+=($!)
	done
}

# arm FILE NAME TEXT EVENTS MILLISECONDS: in container NAME, results in FILE; sets $armed.
arm() {
	: >"$1"
	in_container "$2" "$POKE" trigger "$3" "$4" "$5" - "/$CPU" </dev/null >"$1" 2>&1 &
	armed=$!
	background+=($armed)
	wait_until 10 grep -q . "$1" || diag "not armed: $(cat "$1")"
	sleep 0.3 # until it sleeps in poll(2)
}

ended() { [ "$(wc -l <"$1")" -gt "$2" ]; }

# ---- without --enable-psi-poll
start_daemon
new_container a --cpus=0
new_container b --cpus=1

is "$(ls "$MNT/proc/pressure")" "$(ls /proc/pressure)" "the files are those of the kernel"
is "$(cd "$MNT" && stat -c '%n %a %u %s' $FILES)" "$(cd / && stat -c '%n %a %u %s' $FILES)" "with its modes"
is "$("$LXCFS" --list-files | grep pressure | sort | xargs)" "$(xargs -n1 <<<"$FILES" | sort | xargs)" "--list-files names them"
for file in $FILES; do
	is "$(in_container a cat "/$file" | zeros)" "$(zeros <"/$file")" "$file: in the kernel's format"
done
is "$(cat "$MNT/$CPU" | zeros)" "$(zeros </$CPU)" "the host reads its own"

before_a=$(in_container a cat /$CPU | total)
before_b=$(in_container b cat /$CPU | total)
kernel_before=$(total <"$CG_V2/$CG_PARENT/a/cpu.pressure")
stall a $((3 + SLOW / 2))
wait "${background[@]}"
background=()
after_a=$(in_container a cat /$CPU | total)
after_b=$(in_container b cat /$CPU | total)
between $((after_a - before_a)) 500000 60000000 "a stall in a container shows in its file"
between "$after_a" "$kernel_before" "$(total <"$CG_V2/$CG_PARENT/a/cpu.pressure")" "it is its own cgroup's number"
between $((after_b - before_b)) 0 $(((after_a - before_a) / 4)) "another container's is flat"
between "$(in_container b cat /proc/pressure/memory | total)" 0 \
	"$(total <"$CG_V2/$CG_PARENT/b/memory.pressure")" "so are other files"

if is_v2; then
	if [ -e "$CG_V2/$CG_PARENT/b/cgroup.pressure" ]; then
		in_container b cat /$CPU >/dev/null
		echo 0 >"$CG_V2/$CG_PARENT/b/cgroup.pressure"
		is "$(in_container b cat /$CPU)" "$(zeros </$CPU)" "where it is switched off: zeros"
		echo 1 >"$CG_V2/$CG_PARENT/b/cgroup.pressure"
	else
		skip 1 "it cannot be switched off here"
	fi
else
	zeros_at_root() { echo "$BASHPID" >"$(cgdir memory a)/cgroup.procs" && exec cat "$MNT/$CPU"; }
	is "$( (zeros_at_root) )" "$(zeros </$CPU)" "root on the unified hierarchy alone: zeros"
fi

for file in $FILES; do
	is "$(in_container a "$POKE" pollbits "/$file")" "$("$POKE" pollbits "/$file")" \
		"$file: without a trigger poll(2) says what the kernel's file does"
done
matches "$(in_container a "$POKE" pollbits /$CPU)" "IN.* PRI ERR$" "which is at once, and an error"
is "$(in_container a timeout 10 "$POKE" writes 1 2 "$SOME" /$CPU | xargs)" "EOPNOTSUPP EOPNOTSUPP" \
	"without --enable-psi-poll a write is refused"
is "$(in_container a "$POKE" pollbits /$CPU)" "$("$POKE" pollbits /$CPU)" "and poll goes on to be asked"
is "$(in_container a "$POKE" writes 1 1 x /proc/meminfo)" "EACCES" "other files cannot be opened for writing"
is "$(in_container a "$POKE" try /$CPU | awk '$2 == "done" { print $1 }' | xargs)" "write-only read-write open-truncate" \
	"these can be, and nothing else about them is changed"
remove_container a
remove_container b
stop_daemon

# ---- with it
start_daemon --enable-psi-poll
new_container a --cpus=0
new_container b --cpus=1

is "$(in_container a "$POKE" writes 1 3 "$SOME" /$CPU | xargs)" "done EBUSY EBUSY" "a second trigger on one handle: EBUSY"
is "$(in_container a "$POKE" writes 2 1 "full 2000000 2000000" /proc/pressure/memory | xargs)" "done done" "another handle takes one"
is "$("$POKE" writes 1 1 "$SOME" "$MNT/$CPU")" EOPNOTSUPP "the machine's own files take none: the kernel's do"
is "$(in_container a bash -c 'echo some 150000 2000000 >/proc/pressure/io && echo done' 2>&1)" done "a shell can write one"
while read -r text; do
	is "$(in_container a "$POKE" writes 1 1 "$text" /$CPU)" EINVAL "'$text' is no trigger"
done <<-'END'
	some 150000 1000000
	some 150000 400000
	some 150000 12000000
	some 0 2000000
	some 2000001 2000000
	some 4295117296 2000000
	some 150000
	other 150000 2000000
	some -150000 2000000
END
is "$(in_container a "$POKE" writes 1 2 "junk" /$CPU | xargs)" "EINVAL EINVAL" "after what is none, another can be tried"
in_container a "$POKE" trigread "$SOME" /$CPU >"$WORK/out" 2>"$WORK/err"
is "$(zeros <"$WORK/out")" "$(zeros </$CPU)" "reading on after the write gives the file from its start"
is "$(in_container a bash -c 'exec 3<>/proc/pressure/cpu; echo some 150000 2000000 >&3; dd bs=7 <&3 2>/dev/null' | zeros)" \
	"$(zeros </$CPU)" "in pieces, too"
ok "closed handles leave no trigger" wait_until 5 holds 0

# ---- events
arm "$WORK/never" a "$NEVER" 1 $((9000 * (1 + SLOW / 4)))
arm "$WORK/quiet" b "$SOME" 1 $((60000 * SLOW))
arm "$WORK/events" a "$SOME" 3 $((60000 * SLOW))
is "$(held)" 3 "each armed trigger is one of the kernel's"
ok "without a stall nothing is told" wait_until 10 ended "$WORK/never" 1
is "$(tail -n 1 "$WORK/never" | cut -d' ' -f2-)" timeout "not even late"
stall a $((12 * (1 + SLOW / 4)))
ok "a stall wakes who polls, again and again" wait_until 30 ended "$WORK/events" 3
is "$(tail -n 3 "$WORK/events" | cut -d' ' -f2- | xargs)" "PRI PRI PRI" "with POLLPRI"
between "$(sed -n 4p "$WORK/events" | cut -d' ' -f1)" 500 60000 "each event once"
is "$(cat "$WORK/quiet")" armed "another container's is told nothing"
end_background
ok "whoever is killed while polling leaves nothing" wait_until 5 holds 0

# As with the kernel's own file, a poll goes on and is over in time; an epoll forgets the handle.
is "$(in_container a timeout $((30 * SLOW)) python3 - <<-'END'
	import os, select, threading, time
	def armed():
	    fd = os.open("/proc/pressure/cpu", os.O_RDWR)
	    os.write(fd, b"full 2000000 2000000\0")
	    return fd
	fd = armed()
	p = select.poll()
	p.register(fd, select.POLLPRI)
	# POLLNVAL is what a poll that looks again says of a number that is none
	t = threading.Thread(target=lambda: print([e for _, e in p.poll(2000) if e != select.POLLNVAL]))
	t.start()
	time.sleep(0.5)
	os.close(fd)
	t.join()
	fd = armed()
	e = select.epoll()
	e.register(fd, select.EPOLLPRI)
	e.poll(0)
	os.close(fd)
	print(e.poll(1))
END
)" $'[]\n[]' "a handle that is closed while somebody polls is no event"
ok "and leaves nothing" wait_until 5 holds 0

# The kernel's own file tells an event here: it counts the stalls from before.
arm "$WORK/old" a "some 2000000 2000000" 1 $((6000 * (1 + SLOW / 4)))
sleep 1
stall a 0.2
ok "stalls from before a trigger was armed are no event" wait_until 30 ended "$WORK/old" 1
is "$(tail -n 1 "$WORK/old" | cut -d' ' -f2-)" timeout "with however little after it"
end_background

# ---- a worker dies
arm "$WORK/never" a "$NEVER" 2 $((6000 * SLOW))
arm "$WORK/events" a "$SOME" 3 $((60000 * SLOW))
kill -KILL "$(worker_pid)"
ok "kill -9 of the worker: whoever polls is woken" wait_until 10 ended "$WORK/never" 1
is "$(sed -n 2p "$WORK/never" | cut -d' ' -f2-)" PRI "as by an event, for one may have been missed"
between "$(sed -n 2p "$WORK/never" | cut -d' ' -f1)" 0 $((4500 * SLOW)) "and not because its time was over"
ok "the new worker has armed all again" wait_until 10 holds 2
ok "and tells nothing more" wait_until 30 ended "$WORK/never" 2
is "$(sed -n 3p "$WORK/never" | cut -d' ' -f2-)" timeout "but time goes by"
stall a $((12 * (1 + SLOW / 4)))
ok "a stall after it is told" wait_until 30 ended "$WORK/events" 3
is "$(sed -n 2,4p "$WORK/events" | cut -d' ' -f2- | xargs)" "PRI PRI PRI" "with POLLPRI"
end_background
for i in 1 2 3; do
	arm "$WORK/many.$i" b "$NEVER" 5 $((60000 * SLOW))
done
told_all() { # TIMES
	ended "$WORK/many.1" "$1" && ended "$WORK/many.2" "$1" && ended "$WORK/many.3" "$1"
}
for kills in 1 2 3 4 5; do
	kill_worker -KILL
	wait_until 20 told_all $kills || break
done
ok "many kills: nobody is left waiting" told_all 5
is "$(cat "$WORK"/many.? | cut -d' ' -f2- | results)" "15 PRI 3 armed" "each is told once of each, and nobody an error"
end_background

# ---- the cgroup goes
make_cgroup d
: >"$WORK/removed"
(
	join_cgroup d
	exec "$POKE" trigger "$NEVER" 2 $((20000 * SLOW)) "$CG_V2/cgroup.procs" "$MNT/$CPU"
) </dev/null >"$WORK/removed" 2>&1 &
removed=$!
background+=($removed)
wait_until 10 grep -q . "$WORK/removed"
wait_until 5 bash -c '! [ -n "$(cat "$1/cgroup.procs")" ]' - "$CG_V2/$CG_PARENT/d"
ok "a cgroup with a trigger on it can be removed" rmdir "$CG_V2/$CG_PARENT/d"
ok "which wakes who polls" wait_until 5 ended "$WORK/removed" 2
is "$(tail -n 2 "$WORK/removed" | cut -d' ' -f2- | xargs)" "PRI ERR PRI ERR" "with POLLERR, as the kernel's file does, for good"
end_background

# ---- limits
is "$(in_container a "$POKE" writes 66 1 "$NEVER" /proc/pressure/memory | results)" "2 ENOSPC 64 done" "a container has 64 at most"
matches "$(cat "$DAEMON_LOG")" "pressure triggers" "and the log says so"
is "$(cat "/proc/$(worker_pid)/task/"*/comm | grep -c lxcfs-triggers)" 1 "one thread has waited for all of them"
ok "which are all free again later" wait_until 5 holds 0
chown 65534 "$CG_V2/$CG_PARENT/b/cpu.pressure"
is "$(in_container b "$POKE" writes 1 1 "$SOME" /$CPU)" EACCES "where the cgroup is a user's the write is refused"
matches "$(cat "$DAEMON_LOG")" "cpu.pressure of cgroup /$CG_PARENT/b: Permission denied" "and the log says which"
remove_container a
remove_container b
stop_daemon
ulimit -n 160
start_daemon --enable-psi-poll
new_container a
is "$(in_container a "$POKE" writes 42 1 "$NEVER" /proc/pressure/memory | results)" "2 ENOSPC 40 done" \
	"all together have a quarter of the daemon's descriptors"
is "$(in_container a cat /$CPU | zeros)" "$(zeros </$CPU)" "and files are served all the while"
