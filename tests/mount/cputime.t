#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# CPU time in stat and uptime: the container's own, in the time it has lived, and never less than
# before, whatever happens to its CPUs.
source "$(dirname "$0")/lib.sh"
plan 35

# Of one line of stat, in ticks.
busy() { awk -v c="${1:-cpu}" '$1 == c { print $2 + $3 + $4 }'; }
idle() { awk -v c="${1:-cpu}" '$1 == c { print $5 }'; }
total() { awk -v c="${1:-cpu}" '$1 == c { print $2 + $3 + $4 + $5 }'; }

burn_on_host() { # SECONDS: every CPU
	local cpu

	for cpu in $(expand_list "$HOST_CPUS"); do
		run_in_background taskset -c "$cpu" "$POKE" burn "$1"
	done
}

burn_in() { # CONTAINER SECONDS [COMMAND...]
	local name=$1 seconds=$2

	shift 2
	in_container "$name" "$@" "$POKE" burn "$seconds" &
	background+=($!)
}

# The samples of `poke sample` that say less than one before of a line's counter; and columns
# behind idle that are not 0.
shrinking() {
	awk '
		$1 == "==" { n++; next }
		/^cpu/ {
			for (i = 2; i <= 5; i++) {
				if (n > 1 && ($1, i) in last && $i < last[$1, i])
					print "sample " n ": " $1 " column " i ": " last[$1, i] " -> " $i
				last[$1, i] = $i
			}
			for (i = 6; i <= NF; i++)
				if ($i != 0) print "sample " n ": " $1 " column " i ": " $i
		}
		$1 == "processes" { if ($2 < tasks) print "processes " tasks " -> " $2; tasks = $2 }'
}

# ---- an idle container on a busy host
start_daemon
new_container idle
in_container idle cat /proc/stat >/dev/null
burn_on_host 60
in_container idle "$POKE" sample 5 2 /proc/stat >"$WORK/idle"
end_background
# The least and the most time between the two readings, and what they say.
read -r least most ticks free <<<"$(awk '
	$1 == "==" { least = $2 - after; most = $3 - before; before = $2; after = $3 }
	$1 == "cpu" { ticks = $2 + $3 + $4 + $5 - ticks; free = $5 - free }
	END { print least, most, ticks, free }' "$WORK/idle")"
cpus=$(expand_list "$HOST_CPUS" | wc -w)
between $((free * 1000 / ticks)) 980 1000 "idle on a busy host: at least 98 % idle"
between "$ticks" $((least * HZ * cpus / 1000 - 3 * cpus)) $((most * HZ * cpus / 1000 + 3 * cpus)) \
	"busy and idle together are the time that went by on every CPU"
is "$(shrinking <"$WORK/idle")" "" "nothing decreases"

# ---- how the lines look
now=$(in_container idle cat /proc/stat)
is "$(grep '^intr' <<<"$now" | cut -c1-6)" "intr 0" "intr is 0"
is "$(grep '^softirq' <<<"$now")" "softirq 0 0 0 0 0 0 0 0 0 0 0" "softirq has its 11 zeros"
is "$(grep '^ctxt' <<<"$now")" "ctxt 0" "ctxt is 0"
between "$(awk '$1 == "btime" { print $2 }' <<<"$now")" "$(awk '$1 == "btime" { print $2 - 1 }' /proc/stat)" \
	"$(awk '$1 == "btime" { print $2 + 1 }' /proc/stat)" "btime is the host's"
between "$(awk '$1 == "processes" { print $2 }' <<<"$now")" 1 1000 "processes counts the container's"
# Who burned every CPU then, and who read, were at least three.
between "$(awk '$1 == "procs_running" && $2 > n { n = $2 } END { print n + 0 }' "$WORK/idle")" 1 2 "procs_running is the container's"
none_blocked() { in_container idle grep -q '^procs_blocked 0$' /proc/stat; } # a look may meet one that reads a file
ok "procs_blocked is the container's" wait_until 15 none_blocked
is "$(awk '/^cpu/ { print NF }' <<<"$now" | sort -u)" "$(awk '/^cpu/ { print NF }' /proc/stat | sort -u)" \
	"as many columns as the kernel's"
is "$(sed 's/ .*//' <<<"$now")" "$(sed 's/ .*//' /proc/stat)" "the kernel's lines in its order"

# ---- the time a CPU has been there is the container's age
# What uptime said before and after is what stat must lie between; its seconds have two decimals.
ticks() { awk -v s="$1" -v h="$HZ" -v plus="$2" 'BEGIN { print s * h + plus }'; }
read -r age_1 idle_1 <<<"$(in_container idle cat /proc/uptime)"
now=$(in_container idle cat /proc/stat)
read -r age_2 idle_2 <<<"$(in_container idle cat /proc/uptime)"
for cpu in cpu0 cpu1; do
	between "$(total $cpu <<<"$now")" "$(ticks "$age_1" -3)" "$(ticks "$age_2" 3)" \
		"$cpu has been there for the container's age"
done
between "$(idle <<<"$now")" "$(ticks "$idle_1" -4)" "$(ticks "$idle_2" 4)" "uptime's idle time is stat's"
remove_container idle

# ---- one that burns
new_container burner
burn_in burner 60
sleep 1
before_1=$(cpu_usage_us burner)
stat_1=$(in_container burner cat /proc/stat)
before_2=$(cpu_usage_us burner)
sleep 6
after_1=$(cpu_usage_us burner)
stat_2=$(in_container burner cat /proc/stat)
after_2=$(cpu_usage_us burner)
end_background
increase=$(($(busy <<<"$stat_2") - $(busy <<<"$stat_1")))
# ticks; the usage was read on both sides of each stat
between "$increase" $(((after_1 - before_2) * HZ / 1000000 * 98 / 100 - 2)) \
	$(((after_2 - before_1) * HZ / 1000000 * 102 / 100 + 2)) "busy time is what the kernel accounted, within 2 %"
between "$increase" $((HZ / 2)) $((HZ * 60)) "which is a burning process's"
between $(($(awk '$1 == "cpu" { print $2 }' <<<"$stat_2") - $(awk '$1 == "cpu" { print $2 }' <<<"$stat_1"))) \
	$((increase * (SLOW > 1 ? 55 : 80) / 100)) $((increase + 1)) "most of it in user space"

# Which CPU it was: exactly known on v1; on v2 it is taken to be where the host was busy, of which
# another CPU may have as much (another test, an emulated machine).
host_busy() { awk -v c="$1" '$1 == c { print $2 + $3 + $4 + $7 + $8 }' /proc/stat; } # CPU: ticks

in_container burner cat /proc/stat >/dev/null
other=$(host_busy cpu0) # from before to after, so that it is the most the daemon can have seen
stat_1=$(in_container burner cat /proc/stat)
this=$(host_busy cpu1) # and this the least
burn_in burner 4 taskset -c 1
sleep 3
this=$(($(host_busy cpu1) - this))
stat_2=$(in_container burner cat /proc/stat)
other=$(($(host_busy cpu0) - other))
end_background
increase=$(($(busy <<<"$stat_2") - $(busy <<<"$stat_1")))
least=$((increase * 90 / 100))
[ -n "${CG_V1[cpuacct]-}" ] || least=$((least * this / (this + other) - 3))
between $(($(busy cpu1 <<<"$stat_2") - $(busy cpu1 <<<"$stat_1"))) $least $((increase + 2)) \
	"the CPU that was busy is the one that shows it"

# ---- the same cgroup with another init
burn_in burner 3
sleep 3.5
# What the first used after it was last looked at is nobody's else to know.
usage=$(cpu_usage_us burner)
in_container burner cat /proc/stat >/dev/null
stop_container burner
new_container burner
sleep 2.5
now=$(in_container burner cat /proc/stat | busy)
between "$now" 0 $((($(cpu_usage_us burner) - usage) * HZ / 1000000 + 3)) \
	"a cgroup's second init does not start out with the first one's busy time"
remove_container burner
new_container unseen
burn_in unseen 3
sleep 3.5
stop_container unseen
new_container unseen
now=$(in_container unseen cat /proc/stat | busy)
between "$now" 0 "$(ticks "$(in_container unseen cut -d' ' -f1 /proc/uptime)" 0 | awk -v c="$cpus" '{ print $1 * c }')" \
	"nor where nobody looked at the first: never more than its age allows"
remove_container unseen

# ---- CPUs that leave and join
new_container moving --cpus=0
sleep 2
stat_1=$(in_container moving cat /proc/stat)
is "$(grep -c '^cpu[0-9]' <<<"$stat_1")" 1 "one CPU to begin with"
joining=$(now_ms)
set_limit moving cpus 0-1
stat_2=$(in_container moving cat /proc/stat)
between "$(total cpu1 <<<"$stat_2")" 0 $((($(now_ms) - joining) * HZ / 1000 + 2)) "a CPU that joins starts at 0"
between "$(total cpu0 <<<"$stat_2")" "$(total cpu0 <<<"$stat_1")" $((HZ * 600)) "the one that was there goes on"
sleep 3
leaving=$(now_ms)
stat_3=$(in_container moving cat /proc/stat)
set_limit moving cpus 0
stat_4=$(in_container moving cat /proc/stat)
away=$(now_ms)
between "$(total cpu <<<"$stat_4")" "$(total cpu <<<"$stat_3")" $((HZ * 600)) "the sum keeps what a CPU that left has counted"
sleep 3
back=$(now_ms)
set_limit moving cpus 0-1
stat_5=$(in_container moving cat /proc/stat)
there=$(now_ms)
between "$(total cpu1 <<<"$stat_5")" "$(total cpu1 <<<"$stat_3")" \
	$(($(total cpu1 <<<"$stat_3") + (away - leaving + there - back) * HZ / 1000 + 2)) \
	"one that returns continues where it was, without the time it was away"
between $(($(total cpu <<<"$stat_5") - $(total cpu <<<"$stat_4"))) $((HZ * 29 / 10)) $(((there - leaving + there - back) * HZ / 1000 + 3)) \
	"meanwhile the sum grew by the CPU that stayed"
remove_container moving
stop_daemon

# ---- nothing ever decreases
start_daemon --enable-cfs
new_container m --cpus=0-1
burn_in m 200
samples=60
[ -z "$SHORT" ] || samples=30
in_container m "$POKE" sample 1 $samples /proc/stat >"$WORK/stat" &
sampler=$!
in_container m "$POKE" sample 1 $samples /proc/uptime >"$WORK/uptime" &
sampler_2=$!
in_container m "$POKE" sample 0.1 $((samples * 8)) /proc/stat >"$WORK/quick" &
sampler_3=$!
changes=0
while ! gone $sampler; do
	set_limit m cpus "$((changes % 2))"
	sleep 1.3
	set_limit m quota 50000
	sleep 1.2
	set_limit m cpus 0-1
	sleep 1.1
	set_limit m quota 150000
	sleep 0.9
	set_limit m quota max
	sleep 1.4
	changes=$((changes + 1))
done
wait $sampler $sampler_2 $sampler_3
end_background
between "$changes" $((samples / 10)) 100 "CPUs and quota changed many times meanwhile"
is "$(grep -c '^==' "$WORK"/{stat,uptime,quick} | sed 's/.*://' | xargs)" "$samples $samples $((samples * 8))" \
	"every sample was taken"
is "$(shrinking <"$WORK/stat" | head -n 5)" "" "no counter of stat decreases"
is "$(shrinking <"$WORK/quick" | head -n 5)" "" "nor in quicker samples"
is "$(grep -v '^==' "$WORK/uptime" | awk '$1 < a || $2 < b { print NR ": " a, b " -> " $0 } { a = $1; b = $2 }' | head -n 5)" "" \
	"uptime's two numbers do not decrease"
is "$(grep -c '^cpu1' "$WORK/stat" | awk '{ print ($1 > 5 && $1 < most) }' most=$((samples - 5)))" 1 "a CPU was away and there in turn"
# A CPU that left between two reads keeps what it last had, so an interval may lack some time.
is "$(awk '
	$1 == "==" { dt = $3 - ms; ms = $2; start = start ? start : ms }
	$1 == "cpu" {
		t = $2 + $3 + $4 + $5
		if (n++ && (t - was) * 1000 / hz > dt * cpus * 1.05 + 100)
			print dt " ms: " t - was " ticks"
		first = n == 1 ? t : first
		was = t
	}
	END {
		if ((was - first) * 1000 / hz < (ms - start) * 0.5)
			print ms - start " ms in all: " was - first " ticks"
	}' hz="$HZ" cpus="$cpus" "$WORK/stat" | head -n 5)" "" "no interval has more than the time on all CPUs, nor all of them too little"
is "$(awk '
	$1 == "==" { ms = $2 - ms_was; ms_was = $2 }
	$1 == "cpu" { busy = $2 + $3 + $4; if (n++) { sum += busy - was }; was = busy }
	END { print (sum > hz * samples / 6) }' samples=$samples hz="$HZ" "$WORK/stat")" 1 "and the burning shows"
