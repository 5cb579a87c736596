#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The load of containers: who is counted, when it shows, what survives a worker, and what it costs
# where nobody asks.
source "$(dirname "$0")/lib.sh"
plan $(is_v2 && echo 39 || echo 37) # cgroup v1 has no threaded cgroups

# On a slow machine whoever starts the reader may still run at the first look, and is counted too.
SPARE=$((SLOW > 1))
# loads LINE COUNT NAME: the averages are all COUNT, as at a first look.
loads() {
	between "$(cut -d' ' -f1 <<<"$1")" "$2" $(($2 + SPARE)) "$3"
}

SHAPE='^[0-9]+\.[0-9][0-9] [0-9]+\.[0-9][0-9] [0-9]+\.[0-9][0-9] [0-9]+/[0-9]+ [0-9]+$'

loadavg() { in_container "$1" cat /proc/loadavg; } # CONTAINER
field() { awk -v f="$1" '{ gsub("/", " "); print $f }'; }
# What a reader is shown that has been there for a while: of one that has just been started the first look may
# meet whoever starts it, still running.
first_look() { # CONTAINER
	rm -f "$WORK/look"
	mkfifo "$WORK/look"
	in_container "$1" sh -c 'read -r _ <"$1"; exec cat /proc/loadavg' - "$WORK/look" >"$WORK/looked" &
	wait_until 10 waits $! || { kill_tree $! && return; } # else nobody would ever read the line
	echo >"$WORK/look"
	wait $!
	cat "$WORK/looked"
}
waits() { grep -qs '^[0-9]* (sh) S' "/proc/$(last_descendant "$1")/stat" && sleep $((SLOW > 1)).3; }

first_average_of() { loadavg "$1" | field 1; }
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }
rises_above() { above "$(first_average_of "$1")" "$2"; }
falls_below() { above "$2" "$(first_average_of "$1")"; }

within_15_s() { # COMMAND...
	local end=$((SECONDS + 15 + 5 * (SLOW - 1)))

	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.3
	done
}

burners() { # COUNT CONTAINER SUBGROUP: and waits until they run
	local i before=${#background[@]}

	for ((i = 0; i < $1; i++)); do
		in_subgroup "$2" "$3" "$POKE" burn 600 &
		background+=($!)
	done
	for ((i = before; i < before + $1; i++)); do
		wait_until 10 burns "${background[i]}" || diag "a burner does not start"
	done
}

# It is poke, and no longer waits for pages of its own.
burns() { grep -qs "^[0-9]* (poke) R \([-0-9]* \)\{10\}[1-9]" "/proc/$(last_descendant "$1")/stat"; }

# What the worker's threads have used, in ticks.
worker_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$(worker_pid)/stat"; }

# How often the sampler has gone to sleep.
sampler_sleeps() {
	local thread

	for thread in "/proc/$(worker_pid)/task/"*; do
		[ "$(cat "$thread/comm")" != lxcfs-load ] ||
			awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "$thread/status"
	done
}

# ---- nobody asks
start_daemon
new_container c
new_container other
in_container c cat /proc/meminfo >/dev/null
sleep 2
sleeps=$(sampler_sleeps)
ticks=$(worker_ticks)
is "$(wc -w <<<"$sleeps")" 1 "the sampler is a thread"
sleep 11
is "$(sampler_sleeps)" "$sleeps" "where nobody reads, it sleeps"
unless_sanitized "a thread of its own" between $(($(worker_ticks) - ticks)) 0 $((HZ * SLOW / 50)) "and the daemon uses no CPU"

# ---- an idle one
words=$(first_look c)
matches "$words" "$SHAPE" "the kernel's format"
loads "$words" 0 "an idle container has no load"
one_runs() { [ "$(loadavg c | field 4)" = 1 ]; } # a look of every 5 s may meet whoever starts another
ok "but one that runs: the reader" within_15_s one_runs
between "$(loadavg c | field 5)" 2 4 "threads are its own"

# ---- a change
# Both are sampled from before the burners on: what one of them counts more, the other may not. One look
# may meet readers, a task of which is 0.08; two burners are 0.4 by then.
others_before=$(first_average_of other)
before=$(first_average_of c)
burners 2 c ""
ok "a change shows within 15 s" within_15_s rises_above c "$(awk -v b="$before" 'BEGIN { print b + 0.07 }')"
run_2_to_4() { [[ $(loadavg c | field 4) = [234] ]]; } # the test's own reads may, too
ok "the fourth field tells those that run" within_15_s run_2_to_4
stat_2_to_4() { in_container c grep -q '^procs_running [234]$' /proc/stat; }
ok "so does procs_running" within_15_s stat_2_to_4
none_blocked() { in_container c grep -q '^procs_blocked 0$' /proc/stat; } # a look may meet one that reads a file
ok "none is blocked" within_15_s none_blocked
sleep 11 # two more looks
between "$(first_average_of other)" 0 "$(awk -v b="$others_before" 'BEGIN { print b + 0.3 }')" "another container has nothing of it"
end_background
highest=$(first_average_of c)
ok "and an end does" within_15_s falls_below c "$highest"

# ---- who is counted, from the first read on
new_container deep
CG_NO_ENABLE=1 make_cgroup deep/1/2/3/4/5/6
burners 1 deep 1/2/3/4/5/6
first=$(first_look deep)
is "$(field 2 <<<"$first") $(field 3 <<<"$first")" "$(field 1 <<<"$first") $(field 1 <<<"$first")" "the first sample is all three averages"
loads "$first" 1 "a task at depth 6 counts"
end_background
new_container many
in_container many "$POKE" threads 3 600 &
background+=($!)
threads_run() { [ "$(ls "/proc/$(last_descendant "$1")/task" 2>/dev/null | wc -l)" = 4 ]; }
wait_until 10 threads_run "${background[-1]}"
loads "$(first_look many)" 3 "threads count one by one"
between "$(loadavg many | field 5)" 5 10 "in the fourth field, too"
end_background
new_container blocked
in_container blocked "$POKE" blocked 600 &
background+=($!)
# The child of vfork(2) sleeps; it is the parent that is in state D.
is_blocked() { grep -q '^State:.*D' "/proc/$(awk '/^PPid:/ { print $2 }' "/proc/$(last_descendant "$1")/status")/status"; }
wait_until 10 is_blocked "${background[-1]}"
loads "$(first_look blocked)" 1 "a task in state D counts"
one_blocked() { in_container blocked grep -q '^procs_blocked 1$' /proc/stat; }
ok "procs_blocked tells it" within_15_s one_blocked
end_background

# ---- what a look costs: a container that runs is looked at, each of its processes
new_container cost
for i in 1 2 3 4; do
	in_container cost sleep 600 &
	background+=($!)
done
burners 1 cost ""
procs=$(cgdir cpu cost)/cgroup.procs
have_all() { [ "$(wc -l <"$procs")" -ge 6 ]; } # and init
wait_until 10 have_all
loadavg cost >/dev/null
sampler() {
	for thread in "/proc/$(worker_pid)/task/"*; do
		[ "$(cat "$thread/comm")" != lxcfs-load ] || basename "$thread"
	done
}
timeout -s INT $((12 + 3 * SLOW)) strace -y -qq -e trace=open,openat,openat2,read,pread64 -o "$WORK/looks" -p "$(sampler)" 2>"$WORK/strace"
# Init's start is compared first, so its file is read twice. The trace may begin or end within a sample.
looks() { # EXTENDED-REGULAR-EXPRESSION, PID standing for a number: how often it was met, a line for each process
	while read -r pid; do
		echo "$(grep -cE "${1//PID/$pid}" "$WORK/looks") $([ "$pid" != "${CT_PID[cost]}" ] || echo init)"
	done <"$procs" | sort -n
}
opens=$(looks 'open.*"PID/stat"')
reads=$(looks 'read(64)?\([0-9]*</proc/PID/stat>, .*, 1024\) = [1-9]')
is "$(awk '!$2 { if (!n++) least = $1; most = $1 } $2 { init = $1 }
	END { print (n >= 5 && least >= 1 && most - least <= 1 && init >= least && init <= 2 * most) }' <<<"$opens")" 1 \
	"each sample opens one file of each process" || diag "$opens"
all() { awk '{ n += $1 } END { print n }'; }
between "$(all <<<"$reads")" $(($(all <<<"$opens") - 1)) $(($(all <<<"$opens") + 1)) "and reads it once, a little"
is "$(grep -c '/task' "$WORK/looks")" 0 "and asks nobody with one thread for others"
end_background
remove_container cost

# ---- threaded cgroups: a domain tells its processes, such a cgroup itself threads alone
if is_v2; then
	CG_NO_ENABLE=1 make_cgroup threaded/part
	echo threaded >"$CG_V2/$CG_PARENT/threaded/part/cgroup.type"
	in_part() { join_cgroup threaded/part && exec "$@"; }
	run_in_background in_part "$POKE" threads 2 600
	has_3_tasks() { [ "$(ls "/proc/$1/task" 2>/dev/null | wc -l)" = 3 ]; }
	wait_until 10 has_3_tasks $!
	words=$(join_cgroup threaded && exec cat "$MNT/proc/loadavg")
	loads "$words" 2 "a domain counts the threads of threaded cgroups once"
	words=$(in_part cat "$MNT/proc/loadavg")
	loads "$words" 2 "a threaded cgroup counts its own"
	end_background
fi

# ---- the newest pid
new_container pid
words=$(in_container pid sh -c 'echo $$; exec cat /proc/loadavg')
is "$(sed -n 2p <<<"$words" | field 6)" "$(head -n 1 <<<"$words")" "the last field is the newest pid, in the container's numbering"
between "$(head -n 1 <<<"$words")" 2 20 "which is not the machine's"
# Who asks is newer still, and must be gone when the container is looked at: asks seldom, and of another new one
# each time, for a look may have come just then.
newest_shows() { # CONTAINER
	local shows=1

	for _ in 1 2 3; do
		rm -f "$WORK/newest"
		in_container "$1" sh -c 'echo $$ >"$1"; exec sleep 600' - "$WORK/newest" &
		background+=($!)
		wait_until 10 test -s "$WORK/newest" && sleep $((6 + SLOW))
		[ ! -s "$WORK/newest" ] || [ "$(loadavg "$1" | field 6)" != "$(cat "$WORK/newest")" ] || shows=0
		end_background
		[ $shows != 0 ] || break
	done
	return $shows
}
ok "a newer one shows within seconds" newest_shows pid
make_cgroup initless
words=$(
	join_cgroup initless
	exec sh -c 'echo $$; exec cat "$1"' - "$MNT/proc/loadavg"
)
is "$(sed -n 2p <<<"$words" | field 6)" "$(head -n 1 <<<"$words")" "without an init of its own it is the machine's number"
is "$(sed -n 2p <<<"$words" | field 5)" 1 "and the reader the only thread"

# ---- the root of every hierarchy, but a pid namespace of its own
threads=$(field 5 </proc/loadavg)
words=$(at_root unshare -p -f -m --mount-proc --kill-child=KILL \
	sh -c 'sh -c "echo \$\$; exec cat \"\$1\"" - "$1"; true' - "$MNT/proc/loadavg")
is "$(sed -n 2p <<<"$words" | field 6)" "$(head -n 1 <<<"$words")" "at the root of every hierarchy the pid follows init"
between "$(head -n 1 <<<"$words")" 2 9 "which is in a pid namespace of its own"
now=$(field 5 </proc/loadavg)
between "$(sed -n 2p <<<"$words" | field 5)" $(($(min "$threads" "$now") - 20)) $(($(max "$threads" "$now") + 20)) \
	"and the rest is the kernel's"

# ---- another worker
new_container kept
burners 2 kept ""
seeding=$(now_ms)
words=$(first_look kept)
loads "$words" 2 "two run"
seed=$(field 3 <<<"$words")
end_background
ended=$(now_ms)
worker=$(worker_pid)
kill -KILL "$worker"
wait_until 10 another_worker "$worker"
sleep 11
steps_least=$((($(now_ms) - ended) / 5000 - 1)) # of 5 s, the last of which may be on its way
after=$(loadavg kept)
steps_most=$((($(now_ms) - seeding) / 5000 + 1))
of_seed() { awk -v n="$1" -v seed="$seed" 'BEGIN { print n / seed }'; }
decayed() { awk -v s="$1" -v steps="$2" -v plus="$3" 'BEGIN { print exp(-5 * steps / s) + plus }'; } # SPAN STEPS SLACK
between "$(of_seed "$(field 3 <<<"$after")")" "$(decayed 900 $steps_most -0.005)" 0.998 "after kill -9 of the worker the averages go on"
between "$(of_seed "$(field 1 <<<"$after")")" "$(decayed 60 $steps_most -0.005)" "$(decayed 60 $steps_least 0.005)" \
	"without anybody reading"

# ---- a cgroup that is made again
remove_container kept
new_container kept
loads "$(first_look kept)" 0 "a cgroup made again is another container"
stop_daemon

# ---- the kernel's own
remove_container c
start_daemon --disable-loadavg
new_container c
same_as_host() { [ "$(loadavg c | cut -d' ' -f1-3)" = "$(cut -d' ' -f1-3 /proc/loadavg)" ]; }
ok "--disable-loadavg passes the kernel's file through" wait_until 5 same_as_host
is "$(in_container c awk '/^procs_(running|blocked)/ { print $2 }' /proc/stat | paste -sd' ')" "1 0" "then procs_running is 1, procs_blocked 0"
is "$(sampler_sleeps)" "" "and nothing samples"
