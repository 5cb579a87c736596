#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a container's user arranges (mounts without end, pid and cgroup namespaces one after the other,
# records thrown out on purpose) changes nothing that anybody else is shown: readers in other containers,
# and in that very one, notice every wrong limit and every counter that goes back.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/storm.sh"
plan $((STORM_TESTS + 16))

LOOPS=60 NESTED=150 MOUNTS=$(cat /proc/sys/fs/mount-max)
[ -z "$SHORT" ] || { LOOPS=15 NESTED=30 MOUNTS=20000; }

right() { # NAME
	is "$(meminfo a MemTotal) $(meminfo b MemTotal) $(in_container b awk '/^cpu[0-9]/ { print $1 }' /proc/stat | xargs)" \
		"262144 131072 cpu1" "$1: the container and its neighbour see their own"
}

# A user inside, with privileges in namespaces of their own alone.
user_in() { # CONTAINER COMMAND...
	in_container "$1" timeout $((100 * SLOW)) setpriv --reuid 65534 --regid 65534 --clear-groups -- "${@:2}" </dev/null
}

descriptors() { ls "/proc/$worker/fd" | wc -l; }

chmod 755 "$WORK"
start_daemon
worker=$(worker_pid)
storm_containers
# Of those who arrange nothing and have no quota to wait for.
others() { echo "$(storm_stall 0.99 b d) $(storm_moment 0.5 b d)"; }
storm_begin
sleep $((4 * SLOW))
storm_stop
read -r quiet_stall quiet_moment <<<"$(others)"
storm_begin
before=$(descriptors)

# ---- as many mounts as there can be, each time twice as many
cat >"$WORK/mounts" <<'END'
mount -t tmpfs none /mnt && mkdir /mnt/{1..20} && mount --make-private /mnt || exit
for i in {1..20}; do
	n=$(wc -l </proc/self/mountinfo)
	[ $((2 * n)) -lt "$1" ] && mount --rbind /mnt /mnt/$i || break
done
echo "$n"
for i in 1 2 3 4 5 6; do
	awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo
	sleep 0.3
done
END
chmod 644 "$WORK/mounts"
user_in a unshare -U -r -m bash "$WORK/mounts" "$MOUNTS" >"$WORK/mounted" 2>&1 &
mounter=$!
user_in b unshare -U -r -m bash "$WORK/mounts" $((MOUNTS / 4)) >"$WORK/mounted.b" 2>&1
wait $mounter
# The loop ends where twice as many would be too many, or where a mount fails.
between "$(sed -n 1p "$WORK/mounted")" $(((MOUNTS + 1) / 2)) "$MOUNTS" "a user mounts as often as they can"
between "$(sed -n 1p "$WORK/mounted.b")" $(((MOUNTS / 4 + 1) / 2)) $((MOUNTS / 4)) "and another"
is "$(sed 1d "$WORK/mounted" | sort | uniq -c | xargs) $(sed 1d "$WORK/mounted.b" | sort | uniq -c | xargs)" "6 262144 6 131072" \
	"and sees their container's limit, as do others who do so at once"
right "a long mount table"

# ---- pid namespaces one after the other, each with a first process that reads
user_in a bash -c 'for ((i = 0; i < $1; i++)); do
	unshare -U -r -p -f -m cat /proc/meminfo | awk '\''$1 == "MemTotal:" { print $2 }'\''; done' - $LOOPS >"$WORK/pids" 2>&1
is "$(sort "$WORK/pids" | uniq -c | xargs)" "$LOOPS 262144" "$LOOPS pid namespaces: in each the container's limit is seen"
right "pid namespaces in a loop"

# ---- cgroup namespaces, alone and with pid namespaces: more callers than one container is kept records of
user_in a bash -c 'for ((i = 0; i < $1; i++)); do
	unshare -U -r -C -m cat /proc/meminfo; unshare -U -r -C -p -f -m cat /proc/meminfo; done |
	awk '\''$1 == "MemTotal:" { print $2 }'\' - $LOOPS >"$WORK/cgroupns" 2>&1
is "$(sort "$WORK/cgroupns" | uniq -c | xargs)" "$((2 * LOOPS)) 262144" "$((2 * LOOPS)) cgroup namespaces: in each the container's limit is seen"
right "cgroup namespaces in a loop"

# All at once, each alive while the others come: 64 records of one container are kept, of up to two
# descriptors each, and some files of its cgroups.
nested() { # COUNT END-FILE
	for ((i = 0; i < $1; i++)); do
		unshare -U -r -C -p -f -m bash -c "sed -n 's/^MemTotal: *//p' /proc/meminfo; sleep 1000" &
	done
	until [ -e "$2" ]; do
		sleep 0.2
	done
}
: >"$WORK/nested"
user_in a unshare -U -r -p -f --kill-child=KILL bash -c "$(declare -f nested); nested $NESTED $WORK/enough" >"$WORK/nested" 2>&1 &
nest=$!
all_have_read() { [ "$(wc -l <"$WORK/nested")" -ge $NESTED ]; }
ok "$NESTED nested containers at once are answered" wait_until 40 all_have_read
is "$(for _ in 1 2 3; do meminfo a MemTotal; meminfo b MemTotal; done | sort | uniq -c | xargs)" "3 131072 3 262144" \
	"limits are right while records are thrown out"
between "$(descriptors)" 1 $((before + 3 * 64)) "and no more of them are kept than one container may have"
: >"$WORK/enough"
wait $nest
is "$(sort "$WORK/nested" | uniq -c | xargs)" "$NESTED 262144 kB" "each of them saw the container's limit"

# The kernel copies and drops mount tables under a lock of its own, on these CPUs.
storm_end "what a user arranges" 20000
read -r stall moment <<<"$(others)"
diag "elsewhere: 99% below $stall ms, quiet $quiet_stall; at half of all moments below $moment ms, quiet $quiet_moment"
# On a busy machine both are a few times what they were in the quiet: from 150 ms to 2 s.
at_most() { echo $((SLOW * ($1 < 3 ? 150 : $1 < 40 ? 50 * $1 : 2000))); }
between "$stall" 1 "$(at_most "$quiet_stall")" "readers elsewhere seldom waited much longer than in the quiet"
between "$moment" 1 "$(at_most "$quiet_moment")" "nor were they kept waiting most of the time"
is "$(worker_pid)" "$worker" "one worker has served all the while"
between "$(wc -l <"$DAEMON_LOG")" 1 40 "and the log has few lines"
