#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Containers outlive the connection their files were bound from: aborted, killed or stopped, soon
# after the daemon is back every open in them reads right values again, and nothing else of their
# mounts has changed.
source "$(dirname "$0")/lib.sh"
plan 75

EVERY="$SERVED $CPU_DIR/online"

# Every file opens and can be read.
all_read() { # CONTAINER FILE...
	local name=$1

	shift
	nsenter -t "${CT_PID[$name]}" -m -- bash -c 'cat "${@/#//}" >/dev/null' - "$@" 2>/dev/null
}

# The daemon is back: how long until the containers a and u are whole again?
healed() { # WHAT FILES-OF-A
	local began now

	began=$(now_ms)
	while ! all_read a $2 || ! all_read u $EVERY; do
		now=$(now_ms)
		[ $((now - began)) -lt $((10000 * SLOW)) ] || break
		sleep 0.02
	done
	diag "$1: $(($(now_ms) - began)) ms from its answer at DIR"
	ok "$1: every file opens" all_read a $2
	ok "$1: in the user namespace as well" all_read u $EVERY
	is "$(meminfo a MemTotal) $(meminfo u MemTotal)" "262144 131072" "$1: each container has its own memory"
	is "$(in_container a cat "/$CPU_DIR/online") $(in_container a grep -c ^processor /proc/cpuinfo)" "0 1" "$1: and its CPUs"
}

type_at() { # CONTAINER POINT: what is on top there
	nsenter -t "${CT_PID[$1]}" -m -- stat -f -c %T "$2" 2>&1
}

mounts_at() { # CONTAINER POINT
	awk -v p="$2" '$5 == p' "/proc/${CT_PID[$1]}/mountinfo"
}

reads_its_memory() { [ "$(in_container "$1" cat "$2" 2>/dev/null | value MemTotal)" = "$3" ]; }

is_aborted() { fails cat "$1"; }

healer() { ps -o pid=,comm= --ppid "$DAEMON_PID" | awk '$2 == "lxcfs-heal" { print $1 }'; }

no_healer() { [ -z "$(healer)" ]; }
has_healer() { [ -n "$(healer)" ]; } # under its own name

# Processes that heal and are in the mount namespace of the container h.
held() { ps -eo comm=,mntns= | grep -c "^lxcfs-heal.* $(stat -Lc %i "/proc/${CT_PID[h]}/ns/mnt")$"; }

none_is_held() { [ "$(held)" = 0 ]; }

kill_9_and_wait() {
	kill -KILL "$DAEMON_PID"
	wait "$DAEMON_PID" 2>/dev/null
	DAEMON_PID=
	wait_until 10 is_aborted "$WORK/own"
}

start_other() {
	mkdir -p "$WORK/mnt2" "$WORK/run2"
	"$LXCFS" --runtime-dir="$WORK/run2" "$WORK/mnt2" </dev/null >>"$WORK/other.log" 2>&1 &
	other=$!
	wait_until 10 test -e "$WORK/mnt2/proc/stat" || bail "no second daemon"
}

other=
hangfs=
test_cleanup() {
	[ -z "$hangfs" ] || kill_tree "$hangfs"
	[ -z "$other" ] || kill -CONT $other $(children_of $other)
	[ -z "$other" ] || { kill -TERM $other && wait $other; }
	unmount_all "$WORK/own"
	unmount_all "$WORK/mnt2"
}

# ---- what the containers have bound
start_daemon
start_other
new_container a --memory=$((256 * MIB)) --cpus=0
new_container u --userns --memory=$((128 * MIB)) --cpus=0
new_container d --memory=$((64 * MIB))
new_container q --tree=quota --memory=$((64 * MIB)) --quota=50000
new_container s --tree=cpuset --memory=$((64 * MIB)) --quota=50000
T=$WORK/t
mkdir "$T"
in_container a bash -ec 'mount -t tmpfs none "$1" && cd "$1"
	touch ro other && mkdir victim d race whole "blank and	tab" && touch {victim,d,race,"blank and	tab"}/f
	mount --bind "$2/proc/meminfo" ro && mount -o remount,bind,ro,noatime ro
	mount --bind "$3/proc/uptime" other
	mount --bind "$2" whole
	for f in d/f race/f "blank and	tab/f"; do mount --bind "$2/proc/meminfo" "$f"; done
	' - "$T" "$MNT" "$WORK/mnt2" 2>"$WORK/err"
is "$(cat "$WORK/err")" "" "binds of all kinds are made"
in_container a bash -ec 'cd "$1"; mv d moved; ln -s victim d' - "$T"
mask=/$CPU_DIR/cpu0/topology
in_container a mount -t tmpfs none "$mask"
in_container a mount --bind "$MNT/quota/proc/meminfo" "/$CPU_DIR/present"
cpus_of_q=$(in_container q grep -c ^processor /proc/cpuinfo)
cpus_of_s=$(in_container s grep -c ^processor /proc/cpuinfo)
touch "$WORK/own"
mount --bind "$MNT/proc/meminfo" "$WORK/own"
points_before=$(awk '{ print $5 }' "/proc/${CT_PID[a]}/mountinfo" | sort -u)

# ---- umount -f by a container
in_container a umount -f /proc/uptime 2>/dev/null
wait_until 10 daemon_answers || diag "DIR does not serve again"
EVERY_OF_A=${EVERY/proc\/uptime/}
healed "aborted by umount -f" "$EVERY_OF_A"
# These are other namespaces', which may be put right later.
own_reads() { grep -q MemTotal "$WORK/own" 2>/dev/null; }
for name in d q s; do
	wait_until 10 reads_its_memory $name /proc/meminfo 65536
done
wait_until 10 own_reads
ok "the log says what was done" wait_until 30 logged 'put [0-9]+ dead binds right in [0-9]+ mount namespaces'
isnt "$(type_at a /proc/uptime)" fuseblk "what the container itself unmounted stays so"
is "$(mounts_at a /proc/uptime)" "" "with no mount there"
matches "$(mounts_at a "$T/ro")" ' ro,nosuid,nodev,noexec,noatime - fuse\.lxcfs ' "a bind's own flags are kept, and it has no peers"
is "$(in_container a cat "$T/ro" | value MemTotal)" 262144 "and it reads right"
matches "$(in_container a bash -c 'echo >"$1"' - "$T/ro" 2>&1)" 'Read-only file system' "but takes no writing"
is "$(in_container a cat "$T/whole/proc/meminfo" | value MemTotal)" 262144 "a bind of the whole of DIR is healed"
is "$(in_container a cat "$T/blank and	tab/f" | value MemTotal)" 262144 "a path that mountinfo escapes too"
is "$(in_container a cat "$T/moved/f" | value MemTotal)" 262144 "a bind that was moved is healed where it is"
is "$(in_container a stat -c %s "$T/victim/f")" 0 "and not where a symbolic link in its old place points"
is "$(in_container a ls "$mask" | wc -l)" 0 "what the runtime hid in a directory of ours stays hidden"
is "$(type_at a "$mask")" tmpfs "by a mount of its own"
is "$(in_container a cat "/$CPU_DIR/present" | value MemTotal)" 262144 "a bind on a file of a directory that is bound"
is "$(in_container q grep -c ^processor /proc/cpuinfo)" "$cpus_of_q" "a bind from quota/ goes on with the quota"
is "$(in_container s grep -c ^processor /proc/cpuinfo)" "$cpus_of_s" "one from cpuset/ without"
is "$(cat "$WORK/own" | grep -c MemTotal)" 1 "a bind beside DIR in the daemon's own namespace is healed"
is "$(mounts_at a "$T/other" | grep -c fuse.lxcfs)" 1 "another daemon's bind is left alone"
is "$(in_container a stat -c %d "$T/other")" "$(stat -c %d "$WORK/mnt2/proc/uptime")" "it is that daemon's"
is "$(awk '{ print $5 }' "/proc/${CT_PID[a]}/mountinfo" | sort -u)" "$(grep -v '^/proc/uptime$' <<<"$points_before")" "there are mounts where there were before, and nowhere else"
is "$(in_container d cat /proc/meminfo | value MemTotal)" 65536 "the other container is healed"

# ---- kill -9, with a daemon beside it that does not answer, and a container that ends meanwhile
kill -STOP $other $(children_of $other)
ok "without a daemon the binds are dead" kill_9_and_wait
in_container a bash -c 'cd "$1" && while mv race away && ln -s victim race && rm race && mv away race; do :; done' - "$T" &
racer=$!
background+=($racer)
(sleep 0.15; kill -KILL "${CT_PID[d]}") &
killer=$!
start_daemon
wait $killer
healed "killed and started" "$EVERY_OF_A"
is "$(in_container a cat "$T/moved/f" | value MemTotal)" 262144 "other binds too"
ok "a container that moves its mount points about all the time comes to nothing" kill -0 "${CT_PID[a]}"
sleep 1
ok "and has moved them about all the while" kill -0 $racer
kill_tree $racer
wait $racer 2>/dev/null
is "$(mounts_at a "$T/victim/f")" "" "nothing was mounted where its symbolic link points"
kill -CONT $other $(children_of $other)
ok "the daemon that did not answer" wait_until 10 all_read a "${T#/}/other"
is "$(in_container a stat -c %d "$T/other")" "$(stat -c %d "$WORK/mnt2/proc/uptime")" "still answers its own bind"
is "$(type_at a "$mask")" tmpfs "what was hidden is hidden"

# ---- a full stop, and another start
kill -KILL $other
wait $other 2>/dev/null
stop_daemon
ok "stopped, the binds are dead" is_aborted "$WORK/own"
ok "in the container as well" fails nsenter -t "${CT_PID[a]}" -m -- cat /proc/meminfo
start_daemon
healed "stopped and started" "$EVERY_OF_A"
matches "$(mounts_at a "$T/ro" | tail -n 1)" ' ro,nosuid,nodev,noexec,noatime ' "flags outlast several healings"
ok "a bind of another DIR whose daemon died is left to that one" is_aborted "/proc/${CT_PID[a]}/root$T/other"
ok "also in the daemon's own namespace" is_aborted "$WORK/mnt2/proc/stat"
start_other
ok "which heals it" wait_until 10 all_read a "${T#/}/other"
between "$(mounts_at a /proc/meminfo | wc -l)" 1 2 "dead mounts do not pile up"
between "$(mounts_at u /proc/meminfo | wc -l)" 1 2 "nor in the user namespace"

# ---- one namespace that holds whoever looks at it, one that is full, and the others
new_container h --memory=$((64 * MIB))
mkdir "$WORK/hang"
in_container h "$BUILD/tests/mount/hangfs" "$WORK/hang" &
background+=($!)
hangfs=$!
ok "a container has a file system of its own" wait_until 10 nsenter -t "${CT_PID[h]}" -m -- test -e "$WORK/hang/f"
in_container h mount --bind "$MNT/proc/stat" "$WORK/hang/f"
new_container m --memory=$((64 * MIB))
in_container m bash -ec 'mkdir "$1" && mount -t tmpfs none "$1" && cd "$1"
	for i in {1..100}; do touch $i && mount --bind "$2/proc/stat" $i; done' - "$WORK/many" "$MNT"
kill_9_and_wait || bail "the binds are not dead"
empty_log
kill -USR1 "$(last_descendant "$hangfs")"
start_daemon
wait_until 5 has_healer
healing=$(healer)
kill -STOP "$healing"
kill -USR2 "$DAEMON_PID"
ok "the supervisor takes signals meanwhile" wait_until 5 grep -q "SIGUSR2: every file" "$DAEMON_LOG"
kill -USR2 "$DAEMON_PID"
ok "one after the other" wait_until 5 grep -q "SIGUSR2: containers" "$DAEMON_LOG"
is "$(healer)" "$healing" "while the process that heals is at it"
kill -CONT "$healing"
healed "beside a container that holds it" "$EVERY_OF_A"
are_healed() { [ "$(in_container m bash -c 'cat "$1"/* | grep -c ^btime' - "$WORK/many" 2>/dev/null)" = "$1" ]; }
ok "a hundred binds in another one" wait_until 10 are_healed 100
ok "the log tells which one is left" wait_until 30 grep -q "dead binds in 1 mount namespaces could not be put right, among them that of process [0-9]*: Timer expired: restart these containers" "$DAEMON_LOG"
matches "$(sed -n 's/.*that of process \([0-9]*\):.*/\1/p' "$DAEMON_LOG")" "^${CT_PID[h]}$" "by a process in it"
ok "and the process that heals ends" wait_until 10 no_healer
one_is_held() { [ "$(held)" = 1 ]; } # another daemon on the machine may just look there
wait_until 5 one_is_held
is "$(held)" 1 "that the container was tried once, and no more, for the kernel holds who did"
kill_tree "$hangfs"
wait "$hangfs" 2>/dev/null
hangfs=
ok "what was held goes with who held it" wait_until 10 none_is_held

# ---- a daemon that may not enter namespaces
printf '#!/bin/sh\nexec setpriv --bounding-set=-sys_chroot "%s" "$@"\n' "$LXCFS" >"$WORK/lesser"
chmod +x "$WORK/lesser"
kill_9_and_wait || bail "the binds are not dead"
empty_log
LXCFS=$WORK/lesser start_daemon
ok "without the capability it takes, the log says that it could not be done" wait_until 30 grep -q "dead binds in [1-9][0-9]* mount namespaces could not be put right.*: Operation not permitted: restart" "$DAEMON_LOG"
ok "and the binds are dead" is_aborted "/proc/${CT_PID[a]}/root/proc/meminfo"
kill_9_and_wait
start_daemon
healed "with it again" "$EVERY_OF_A"

# ---- the process that heals ends by itself, and with the daemon
ok "the process that heals ends" wait_until 10 no_healer
is "$(ps -o stat=,comm= --ppid "$DAEMON_PID" | grep -c ^Z)" 0 "and is reaped"
stop_daemon
empty_log
start_unread # it lives for some seconds
wait_until 5 has_healer
pid=$(healer)
isnt "$pid" "" "a start looks again"
ok "with the capabilities it takes" wait_until 5 grep -q '^CapEff:.00000000002c0004$' "/proc/$pid/status"
stop_daemon
ok "a stop ends it" wait_until 5 gone "${pid:-1}"
is "$(cat "/proc/${CT_PID[a]}/comm" "/proc/${CT_PID[u]}/comm" | xargs)" "poke poke" "no container was restarted"
