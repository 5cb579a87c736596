#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a container's root or its user arranges (mounts without end, pid and cgroup namespaces one after
# the other, records thrown out on purpose) changes nothing that anybody else is shown: readers in other
# containers, and in that very one, notice every wrong limit and every counter that goes back.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/storm.sh"
plan $((STORM_TESTS + 23))

LOOPS=60 NESTED=150 MOUNTS=$(cat /proc/sys/fs/mount-max) INIT_MOUNTS=40000
[ -z "$SHORT" ] || { LOOPS=15 NESTED=110 MOUNTS=20000 INIT_MOUNTS=20000; }

# Its memory and its CPUs.
seen_in() { # CONTAINER
	in_container "$1" awk '/^MemTotal:/ { print $2 } /^cpu[0-9]/ { print $1 }' /proc/meminfo /proc/stat | xargs
}

right() { # NAME
	is "$(seen_in a) $(seen_in b)" "262144 cpu0 131072 cpu1" "$1: the container and its neighbour see their own"
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
measure_quiet() {
	storm_begin
	sleep $((4 * SLOW))
	storm_stop
	read -r quiet_stall quiet_moment <<<"$(others)"
}
measure_quiet
before_stall=$quiet_stall before_moment=$quiet_moment
# What it is shown is known from its cgroup mount when its root makes the table too long for that.
new_container f --memory=$((192 * MIB)) --cpus=0 --cgroupns --leaf=init
storm_names+=(f)
storm_begin
before=$(descriptors)

# ---- as many mounts as asked for: each time twice as many, then what is left as a sum of those, for
# /mnt/$i and what is below it are 2^(i-1). The last few one by one, for the kernel may count some that
# cannot be seen.
cat >"$WORK/mounts" <<'END'
mount -t tmpfs none /mnt && mkdir /mnt/{1..20} /mnt/more{1..30} && mount --make-private /mnt || exit
n=$(wc -l </proc/self/mountinfo) size=1 i=1
while [ $i -le 20 ] && [ $((n + size)) -le "$1" ] && mount --rbind /mnt /mnt/$i; do
	n=$((n + size)) size=$((2 * size)) i=$((i + 1))
done
while [ $((i -= 1)) -ge 1 ]; do
	size=$((1 << (i - 1)))
	[ $((n + size)) -gt $(($1 - 8)) ] || { mount --rbind /mnt/$i /mnt/more$i && n=$((n + size)); }
done
for i in {21..30}; do
	[ "$n" -lt "$1" ] && mount --bind /mnt/1 /mnt/more$i 2>/dev/null && n=$((n + 1))
done
wc -l </proc/self/mountinfo
for i in 1 2 3 4 5 6; do
	awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo
	sleep 0.3
done
END
chmod 644 "$WORK/mounts"

# ---- in the mount namespaces of inits themselves, by the containers' roots. Nobody has read in e before:
# where its cgroup is mounted is never known, and its limits are above its init's cgroup.
new_container e --memory=$((192 * MIB)) --cpus=0 --cgroupns --leaf=init
mount_as_root() { # CONTAINER
	in_container "$1" timeout $((100 * SLOW)) bash "$WORK/mounts" $INIT_MOUNTS </dev/null >"$WORK/mounted.$1" 2>&1
}
mounters=()
for name in a e f; do
	mount_as_root $name &
	mounters+=($!)
done
wait "${mounters[@]}"
for name in a e f; do
	between "$(sed -n 1p "$WORK/mounted.$name")" $((INIT_MOUNTS - 8)) $INIT_MOUNTS "$name's root mounts as often in its init's namespace"
done
ok "which is more than is looked through" logged 'mount table.* (too long|takes one outermost container more)'
is "$(sed 1d "$WORK/mounted.a" | sort | uniq -c | xargs) $(sed -s 1d "$WORK/mounted.e" "$WORK/mounted.f" | sort | uniq -c | xargs)" "6 262144 12 196608" \
	"and sees the container's limit meanwhile"
is "$(seen_in e)" "196608 cpu0" "and its CPU"
right "inits with a long mount table"
for name in a e f; do
	in_container $name umount -l /mnt
done
remove_container e

# ---- in namespaces of their own, by users
user_in a unshare -U -r -m bash "$WORK/mounts" "$MOUNTS" >"$WORK/mounted" 2>&1 &
mounter=$!
user_in b unshare -U -r -m bash "$WORK/mounts" $((MOUNTS / 4)) >"$WORK/mounted.b" 2>&1
wait $mounter
between "$(sed -n 1p "$WORK/mounted")" $((MOUNTS - 8)) "$MOUNTS" "a user mounts as often as they can"
between "$(sed -n 1p "$WORK/mounted.b")" $((MOUNTS / 4 - 8)) $((MOUNTS / 4)) "and another"
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
measure_quiet # again, for the machine may have become busier
quiet_stall=$(max "$quiet_stall" "$before_stall")
quiet_moment=$(max "$quiet_moment" "$before_moment")
diag "elsewhere: 99% below $stall ms, quiet $quiet_stall; at half of all moments below $moment ms, quiet $quiet_moment"
# On a busy machine both are a few times what they were in the quiet: from 150 ms to 2 s.
at_most() { echo $((SLOW * ($1 < 3 ? 150 : $1 < 40 ? 50 * $1 : 2000))); }
between "$stall" 1 "$(at_most "$quiet_stall")" "readers elsewhere seldom waited much longer than in the quiet"
between "$moment" 1 "$(at_most "$quiet_moment")" "nor were they kept waiting most of the time"
is "$(worker_pid)" "$worker" "one worker has served all the while"
between "$(wc -l <"$DAEMON_LOG")" 1 40 "and the log has few lines"
