#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The service file with a real systemd as PID 1, in namespaces and a cgroup of its own: a restart is
# a takeover, a reload an upgrade, a stop leaves nothing.
source "$(dirname "$0")/lib.sh"
plan 32

SYSTEMD=/usr/lib/systemd/systemd
[ -x $SYSTEMD ] || SYSTEMD=/lib/systemd/systemd
# In its mount namespace, where /var/lib is ours; and of no other daemon's name, or that would heal the
# binds that are to stay dead.
DIR=/var/lib/${WORK##*/}
UNITS=$WORK/units
mkdir -p "$UNITS/lxcfs.service.d" "$WORK/bin" "$WORK/run"
cp "$LXCFS" "$WORK/bin/lxcfs"
sed "s|@bindir@|$WORK/bin|; s|/var/lib/lxcfs|$DIR|" "$TOP/share/systemd/lxcfs.service.in" >"$UNITS/lxcfs.service"
# What a whole system would bring along is left out; and this is a container only to systemd.
cat >"$UNITS/lxcfs.service.d/test.conf" <<END
[Unit]
DefaultDependencies=no
ConditionVirtualization=
[Service]
WatchdogSec=$((8 * SLOW))
StandardOutput=append:$DAEMON_LOG
StandardError=append:$DAEMON_LOG
END
printf '[Unit]\nDefaultDependencies=no\n' >"$UNITS/test.target"

# Becomes PID 1. cgroup v1 is not shown to it, whatever the machine has.
start_systemd() {
	mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib || exit
	mkdir -p /run/systemd && cp -r "$UNITS" /run/systemd/system || exit
	umount -R /sys/fs/cgroup 2>/dev/null
	mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit
	exec env -i container=test PATH="$PATH" "$SYSTEMD" --system --unit=test.target --log-target=console
}

if [ -z "$CG_V2" ]; then
	skip 32 "no cgroup2 is mounted"
	exit
fi
make_cgroup_in "$CG_V2" "$CG_PARENT/systemd" || bail "no cgroup of cgroup2"
export -f start_systemd
export UNITS SYSTEMD
(
	trap - EXIT INT TERM
	echo "$BASHPID" >"$CG_V2/$CG_PARENT/systemd/cgroup.procs" || exit
	exec unshare -p -f -m -C --kill-child=KILL --mount-proc bash -c start_systemd
) </dev/null >"$WORK/systemd.log" 2>&1 &
outer=$!
background+=($outer)

inside() { nsenter -t "$(children_of $outer | awk '{ print $1 }')" -p -m -C -- "$@"; }
# timeout(1): a manager that does not answer is a failure, and no hang
systemctl_() { inside timeout $((60 * SLOW)) systemctl "$@" >>"$WORK/systemctl.log" 2>&1; }
shows() { inside timeout $((20 * SLOW)) systemctl show --value -p "$1" lxcfs; }
is_up() { inside timeout $((5 * SLOW)) systemctl is-active test.target >/dev/null 2>&1; }
log_has() { [ "$(grep -c -e "$1" "$DAEMON_LOG")" -ge "$2" ]; }
settled() { [ "$(shows ActiveState) $(shows SubState)" = "active running" ]; }
answers() { inside timeout $((10 * SLOW)) cat "$DIR/proc/meminfo" 2>/dev/null | grep -q '^MemTotal'; }
mounts_there() { inside grep -c " $DIR " /proc/self/mountinfo; }
# What a container has: a mount namespace of its own, with a file bound.
in_held() { nsenter -t "$holder" -p -m -- "$@"; }
held_answers() { in_held timeout $((10 * SLOW)) cat /proc/uptime >/dev/null 2>&1; }
held_device() { in_held stat -c %d /proc/uptime; }

if ! wait_until 60 is_up; then
	diag "$(cat "$WORK/systemd.log")"
	bail "systemd does not start"
fi

hold() {
	inside unshare -m bash -c 'mount --bind "$1/proc/uptime" /proc/uptime && touch "$2" && exec sleep 100000' - \
		"$DIR" "$WORK/held" </dev/null >/dev/null 2>&1 &
	background+=($!)
	wait_until 10 test -e "$WORK/held"
	rm -f "$WORK/held"
	holder=$(last_descendant ${background[-1]})
}

# ---- start
ok "systemctl start" systemctl_ start lxcfs
is "$(shows ActiveState) $(shows SubState)" "active running" "it runs"
ok "and serves" answers
is "$(mounts_there)" 1 "with one mount at DIR"
pid=$(shows MainPID)
is "$(inside cat "/run/lxcfs.pid")" "$pid" "systemd knows the pid"
matches "$(shows StatusText)" "Serving $DIR" "and what it does"
is "$(shows NFileDescriptorStore)" 0 "its store is empty"
# A start sets that time, too, also the next one's when this one was killed for it was not fed.
other_time() { [ "$(shows WatchdogTimestampMonotonic)" != "$1" ]; }
is_fed() { wait_until 20 other_time "$(shows WatchdogTimestampMonotonic)" && [ "$(shows MainPID)" = "$pid" ]; }
ok "its watchdog is fed" is_fed
hold
device=$(held_device)

# ---- reload
cp "$LXCFS" "$WORK/bin/new" && mv "$WORK/bin/new" "$WORK/bin/lxcfs"
ok "systemctl reload" systemctl_ reload lxcfs
ok "is an upgrade" wait_until 30 log_has "goes on with the connection from the version before" 1
is "$(inside stat -L -c %i "/proc/$pid/exe")" "$(stat -c %i "$WORK/bin/lxcfs")" "by the file that lies there now"
ok "it runs" wait_until 30 settled
is "$(shows MainPID)" "$pid" "as the same process"
ok "its watchdog is still fed" is_fed
ok "and serves" answers
is "$(held_answers; echo $?) $(held_device)" "0 $device" "a container's file answers from the same connection"

# ---- restart
ok "systemctl restart" systemctl_ restart lxcfs
isnt "$(shows MainPID)" "$pid" "is another process"
ok "that took over" log_has "goes on with the connection from the service manager's store" 1
ok "and serves" answers
is "$(mounts_there)" 1 "with one mount at DIR"
is "$(held_answers; echo $?) $(held_device)" "0 $device" "a container's file answers from the same connection"
is "$(shows NFileDescriptorStore)" 0 "the store is empty again"
in_held "$POKE" loop $((8 * SLOW)) "" /proc/uptime >"$WORK/loop" 2>"$WORK/loop.errors" &
reader=$!
for _ in 1 2 3; do
	systemctl_ restart lxcfs
done
wait $reader
diag "three restarts; reads, errors, broken, longest stall in ms: $(cat "$WORK/loop")"
is "$(awk '{ print ($1 > 10), $2 + $3 }' "$WORK/loop")" "1 0" "restarts under a reader: not one read failed"

# ---- stop
pid=$(shows MainPID)
ok "systemctl stop" systemctl_ stop lxcfs
is "$(shows ActiveState)" inactive "it has ended well"
is "$(mounts_there)" 0 "nothing is left at DIR"
is "$(shows NFileDescriptorStore)" 0 "nor in the store"
ok "no process" inside bash -c '! kill -0 "$1" 2>/dev/null' - "$pid"
in_held timeout $((10 * SLOW)) cat /proc/uptime >/dev/null 2>&1
status=$?
ok "a container's file gives an error, not a hang" test $status -ne 0 -a $status -ne 124
ok "systemctl start" systemctl_ start lxcfs
ok "serves again" answers
