#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Time namespaces: a container's age is the same in each, and start times in ps stay right.
source "$(dirname "$0")/lib.sh"
plan 19

README=$TOP/README.md

btime() { awk '$1 == "btime" { print $2 }'; }
started() { date -d "$(ps -o lstart= -p "$1")" +%s; } # as the host sees it
# shellcheck disable=SC2016 # for the shell inside
started_inside() { in_container "$1" bash -c 'date -d "$(ps -o lstart= -p 1)" +%s'; }

start_daemon
host_btime=$(btime </proc/stat)
for offset in 0 100000 -"$(cut -d. -f1 /proc/uptime)"; do
	begin=$(date +%s)
	if [ "$offset" = 0 ]; then
		new_container c
	else
		new_container c --boottime="$offset"
		is "$(in_container c awk '$1 == "boottime" { print $2 }' /proc/self/timens_offsets)" "$offset" \
			"a time namespace that is $offset s away"
	fi
	sleep 2
	between "$(in_container c cut -d' ' -f1 /proc/uptime)" 2 $(($(date +%s) - begin + 1)) \
		"$offset: uptime is the container's age"
	between $(($(in_container c cat /proc/stat | btime) + offset)) $((host_btime - 1)) $((host_btime + 1)) \
		"$offset: btime is the host's without the offset"
	between "$(started_inside c)" $(($(started "${CT_PID[c]}") - 1)) $(($(started "${CT_PID[c]}") + 1)) \
		"$offset: ps tells inside when init started, as the host's ps does"
	remove_container c
done

# ---- the recipe in README.md, as it is written there: uptime, start and elapsed time all agree
recipe=$(sed -n 's/^ *\(unshare --time .*\) \.\.\.$/\1/p' "$README")
is "$(wc -l <<<"$recipe")" 1 "README.md has one recipe for a time namespace"
diag "$recipe"
cat >"$WORK/inside" <<-'END'
	for file in uptime stat; do
		mount --bind "$1/proc/$file" "/proc/$file" || exit
	done
	sleep 3
	before="$(cut -d. -f1 /proc/uptime) $(date +%s)"
	elapsed=$(ps -o etimes= -p 1)
	after="$(cut -d. -f1 /proc/uptime) $(date +%s)"
	echo $elapsed $(date -d "$(ps -o lstart= -p 1)" +%s) $before $after
END
make_cgroup recipe
begin=$(date +%s)
(
	trap - EXIT INT TERM
	join_cgroup recipe || exit
	eval "$recipe bash $WORK/inside $MNT"
) >"$WORK/said" 2>&1
end=$(date +%s)
diag "$(cat "$WORK/said")"
read -r elapsed start uptime now uptime_2 now_2 <"$WORK/said"
between "$uptime_2" 3 $((end - begin + 1)) "with it uptime is the container's age"
between "$elapsed" $((uptime - 1)) $((uptime_2 + 1)) "ps's etime agrees with it"
between "$start" $((begin - 1)) $((end + 1)) "so does lstart with the clock"
between $((start + elapsed)) $((now - 1 - SLOW)) $((now_2 + 2)) "and with etime" # each is rounded
remove_cgroup recipe

# ---- without an init: each caller's own, whoever asks first
as_member() { # CGROUP COMMAND...
	(
		trap - EXIT INT TERM
		join_cgroup "$1" || exit
		shift
		exec "$@"
	)
}
# An unprivileged user's, once as it is and once made for children that never come.
apart() { as_member service setpriv --reuid 65534 --regid 65534 --clear-groups unshare -U -r "$@"; }
chmod 755 "$WORK"
make_cgroup service
as_member service sleep 1000 & # what is known of the cgroup stays known
background+=($!)
is "$(apart --time --boottime 100000 --fork cat "$MNT/proc/stat" | btime)" $((host_btime - 100000)) \
	"a service's process in a time namespace of its own gets that one's btime"
apart python3 -c 'if True:
	import ctypes, sys
	CLONE_NEWTIME = 0x80
	assert ctypes.CDLL(None).unshare(CLONE_NEWTIME) == 0
	open("/proc/self/timens_offsets", "w").write("boottime 200000 0\n")
	print(open(sys.argv[1] + "/proc/stat").read())' "$MNT" >"$WORK/unborn"
is "$(btime <"$WORK/unborn")" "$host_btime" "one that is still outside of it does not"
is "$(as_member service cat "$MNT/proc/stat" | btime)" "$host_btime" "nor do others of its cgroup, though these asked first"
