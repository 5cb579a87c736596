#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# SIGUSR1 puts the version that lies at the daemon's path into its place, and nobody notices; a file
# there that cannot take over leaves the running one serving.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/upgrade.sh"
source "$(dirname "$0")/storm.sh"
plan $((63 + STORM_TESTS + 2))

# install_script LINE...: of a shell, in the binary's place.
install_script() {
	printf '%s\n' '#!/bin/bash' "$@" >"$WORK/bin/new"
	chmod 755 "$WORK/bin/new"
	mv "$WORK/bin/new" "$LXCFS"
}

# 0 would be the whole process group.
kill_worker() {
	local pid

	pid=$(worker_pid)
	[ "$pid" = 0 ] || kill -KILL "$pid"
}

mount_line() { awk -v m="$MNT" '$5 == m' /proc/self/mountinfo; }
busy() { awk '$1 == "cpu" { print $2 + $3 + $4 }'; }
shape() { sed 's/[0-9][0-9]*/N/g; s/  */ /g'; }

# install_after LINE...: the binary, once a shell has run these: as the version before would have it.
install_after() {
	install_binary
	mv "$LXCFS" "$WORK/bin/behind"
	install_script "$@" "mv $WORK/bin/behind $LXCFS" "exec $LXCFS \"\$@\""
}

AREA=$BUILD/tests/mount/area # PID MEMBER [VALUE]: of the hand-over memory

start_daemon
new_container c --memory=$((256 * MIB)) --cpus=0
new_container d --memory=$((128 * MIB)) --cpus=1

# ---- one upgrade
mkfifo "$WORK/go"
in_container c "$POKE" half /proc/meminfo <"$WORK/go" >"$WORK/half" &
half=$!
exec 8>"$WORK/go"
wait_until 10 test -s "$WORK/half"
in_container c "$POKE" burn 1
stat_1=$(in_container c cat /proc/stat)
mount_1=$(mount_line)
device_1=$(in_container c stat -c %d /proc/meminfo)
pidfile_1=$(stat -c %i "$PIDFILE")
worker=$(worker_pid)
started=$(awk '{ print $22 }' "/proc/$DAEMON_PID/stat")
install_binary
ok "SIGUSR1: the log tells of the upgrade" upgrade
is "$(in_container c timeout $((10 * SLOW)) cat /proc/meminfo | value MemTotal)" 262144 "the next read in a container answers"
is "$(in_container d timeout $((10 * SLOW)) cat /proc/meminfo | value MemTotal)" 131072 "in another one too"
is "$(awk '{ print $22 }' "/proc/$DAEMON_PID/stat")" "$started" "it is the same process"
is "$(stat -L -c %i "/proc/$DAEMON_PID/exe")" "$(stat -c %i "$LXCFS")" "of the file that lies there now"
isnt "$(worker_pid)" "$worker" "with another worker"
is "$(mount_line)" "$mount_1" "the mount is the same"
is "$(in_container c stat -c %d /proc/meminfo)" "$device_1" "as is the connection behind a container's file"
is "$(stat -c %i "$PIDFILE") $(cat "$PIDFILE")" "$pidfile_1 $DAEMON_PID" "and the pidfile"
mkdir "$WORK/mnt2"
timeout $((10 * SLOW)) "$original" --runtime-dir="$WORK/run" --pidfile="$PIDFILE" "$WORK/mnt2" >"$WORK/out" 2>&1 </dev/null
is "$? $(grep -c "pid $DAEMON_PID" "$WORK/out")" "1 1" "which is still locked"
echo >&8
exec 8>&-
wait $half
is "$(shape <"$WORK/half")" "$(shape </proc/meminfo)" "a file that was half read is read to its end"
between "$(in_container c cat /proc/stat | busy)" "$(busy <<<"$stat_1")" $((HZ * 600)) "CPU time goes on from where it was"
is "$(tr '\0' ' ' <"/proc/$DAEMON_PID/cmdline")" "$LXCFS --runtime-dir=$WORK/run --pidfile=$PIDFILE $MNT " "the command line is as before"
ok "an upgrade of an upgrade" upgrade
ok "answers" daemon_answers

# ---- what cannot take over
# refused NAME PATTERN [SECONDS]: one line that matches, nothing else has changed.
refused() {
	local n before after

	before=$(worker_pid)
	n=$(log_lines "no upgrade")
	kill -USR1 "$DAEMON_PID"
	wait_until "${3-10}" log_has "no upgrade" $((n + 1))
	after=$(tail -n 1 "$DAEMON_LOG")
	matches "$after" "no upgrade, the running version .* goes on: $LXCFS: .*$2.*: install one" "$1: one line says why, and what to do"
	is "$(worker_pid) $(log_lines "no upgrade")" "$before $((n + 1))" "$1: the same worker serves"
	is "$(in_container c timeout $((10 * SLOW)) cat /proc/meminfo | value MemTotal)" 262144 "$1: and answers"
}
child_is_gone() { # NAME
	local child=$(cat "$WORK/child")

	ok "$1: its child is ended with it" wait_until 5 gone "${child:-$$}"
	rm "$WORK/child"
}
mv "$LXCFS" "$WORK/bin/away"
refused "no file" "No such file"
cp "$original" "$LXCFS" && chmod 644 "$LXCFS"
refused "a file that may not be executed" "Permission denied"
install_binary && truncate -s 30000 "$LXCFS"
refused "half a file" "does not run"
cp /bin/true "$WORK/bin/new" && mv "$WORK/bin/new" "$LXCFS"
refused "another program" "another program"
install_script "exec $original --no-such-option \"\$@\""
refused "a version that does not know an option" "no-such-option.*not known"
install_script "sleep 1000 & echo \$! >$WORK/child; wait"
refused "one that hangs" "does not come to an end" 30
child_is_gone "one that hangs"
install_script 'while :; do echo nonsense; done'
refused "one that says no end of things" "does not come to an end" 30
install_script "sleep 1000 & echo \$! >$WORK/child; kill -SEGV \$\$"
refused "one that crashes" "does not run"
child_is_gone "one that crashes"
install_script "$AREA \$\$ minor 99" "exec $original \"\$@\""
refused "a version older than what was agreed upon with the kernel" "FUSE 7.99 was agreed upon"
install_binary
is "$(ps -o comm= --ppid "$DAEMON_PID" | grep -vc lxcfs-heal)" 1 "no check is left behind"
ok "the next one that fits is taken" upgrade

# ---- execve(2) fails though the check was passed
cp /bin/bash "$WORK/bin/interpreter"
printf '%s\n' "#!$WORK/bin/interpreter" "rm $WORK/bin/interpreter" "exec $original \"\$@\"" >"$WORK/bin/new"
chmod 755 "$WORK/bin/new" && mv "$WORK/bin/new" "$LXCFS"
worker=$(worker_pid)
n=$(log_lines "no upgrade.*No such file")
kill -USR1 "$DAEMON_PID"
ok "a file that passes and then cannot be executed: a line says so" \
	wait_until 30 log_has "no upgrade.*No such file" $((n + 1))
ok "another worker of the old version serves" wait_until 10 another_worker "$worker"
ok "and answers" daemon_answers
install_binary
ok "the next upgrade works" upgrade

# ---- the installed file, while it runs
mv "$LXCFS" "$WORK/bin/renamed"
kill_worker
ok "renamed: another worker starts" wait_until 10 daemon_answers
rm "$WORK/bin/renamed"
kill_worker
ok "deleted: another worker starts" wait_until 10 daemon_answers
install_binary
ok "put back: an upgrade works" upgrade

# ---- memory of a layout that is not known
exec 7<"$MNT/proc/meminfo"
install_after "[ \"\$1\" != --self-check ] || exec $original \"\$@\"" "$AREA \$\$ version 99"
ok "another layout of the memory: an upgrade works" upgrade
ok "it answers" daemon_answers
is "$("$AREA" "$DAEMON_PID" version)" 1 "the layout is ours from now on"
is "$(grep -c MemTotal <&7)" 1 "a file that was open before can be read"
exec 7<&-
is "$(log_lines 'another layout: counters start anew')" 1 "a line tells of it"

# ---- signals that come together
kill -USR1 "$DAEMON_PID"
kill_worker
kill -USR1 "$DAEMON_PID"
kill -USR2 "$DAEMON_PID"
kill -USR2 "$DAEMON_PID"
sleep 1
ok "SIGUSR1 twice, SIGUSR2 and a dead worker: it serves" wait_until 10 daemon_answers
# SIGUSR2 twice may be one, for signals do not count.
shows_its_own() { [ "$(in_container c timeout $((10 * SLOW)) cat /proc/meminfo | value MemTotal)" = 262144 ]; }
wait_until 3 shows_its_own || kill -USR2 "$DAEMON_PID"
ok "a container its own, at the latest after another SIGUSR2" wait_until 10 shows_its_own

# ---- many, under readers
for name in c d; do # whoever is there already
	[ -z "${CT_PID[$name]-}" ] || remove_container $name
done
storm_containers
storm_begin
upgrades=0
while [ $upgrades -lt 50 ] && upgrade; do
	upgrades=$((upgrades + 1))
done
storm_end "$upgrades upgrades"
is $upgrades 50 "fifty upgrades came to their end meanwhile"

# ---- the end
pid=$DAEMON_PID
kill -USR1 "$pid"
kill -TERM "$pid"
wait_until 10 gone "$pid" || kill -KILL "$pid"
wait "$pid"
is $? 0 "SIGTERM in the middle of an upgrade: exit 0"
DAEMON_PID=
ok "no mount is left" bash -c '! grep -q "$1" /proc/self/mountinfo' - "$MNT"
ok "no pidfile" test ! -e "$PIDFILE"
none_left() { ! pgrep -f -- "$LXCFS " >/dev/null; }
ok "and no process" wait_until 5 none_left
