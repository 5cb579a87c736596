#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The command line: what is accepted, and what is refused with one line that says why.
source "$(dirname "$0")/lib.sh"
plan 74

mkdir -p "$MNT" "$WORK/run"

# refused STATUS PATTERN NAME COMMAND...: exit status, and one line on standard error that matches.
refused() {
	local status=$1 pattern=$2 name=$3

	shift 3
	timeout $((10 * SLOW)) "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
	is $? "$status" "$name: exit $status"
	is "$(wc -l <"$WORK/err")" 1 "$name: one line"
	matches "$(cat "$WORK/err")" "$pattern" "$name: it says what"
}
lxcfs=("$LXCFS" --runtime-dir="$WORK/run")

# ---- what is asked of the program alone
for option in --version -v; do
	matches "$("$LXCFS" $option 2>&1)" '[0-9]+\.[0-9]+' "$option prints a version"
done
is "$("$LXCFS" --version >/dev/null 2>&1; echo $?)" 0 "--version: exit 0"
for option in --help -h -n; do
	is "$("$LXCFS" $option >"$WORK/help" 2>&1; echo $?)" 0 "$option: exit 0"
done
"$LXCFS" --help >"$WORK/help" 2>&1
missing=
for option in --debug --foreground --help --enable-loadavg --disable-loadavg --pidfile --disable-swap --version \
	--enable-cfs --disable-cfs --enable-pidfd --enable-psi-poll --disable-polling --disable-zswap --disable-uptime --runtime-dir \
	--list-files --inspect --json --cdi --oci-hook --oci-add-hook; do
	grep -q -e "$option" "$WORK/help" || missing="$missing $option"
done
is "$missing" "" "--help names every option"
"$LXCFS" --list-files >"$WORK/list"
is $? 0 "--list-files: exit 0"
missing=
for file in $SERVED $CPU_DIR; do
	grep -q "^/*$file\(/.*\)\?$" "$WORK/list" || missing="$missing $file"
done
is "$missing" "" "--list-files has every served path"
is "$(sort "$WORK/list" | uniq -d; grep -n '[[:space:]]' "$WORK/list")" "" "one on a line"

# ---- what is refused
refused 2 'no-such-option' "an unknown option" "$LXCFS" --no-such-option "$MNT"
refused 2 'no-such-word' "an unknown word of -o" "$LXCFS" -o no-such-word "$MNT"
refused 2 'no directory' "no directory" "$LXCFS"
refused 2 "'$WORK' is too much" "two directories" "$LXCFS" "$MNT" "$WORK"
refused 2 'pidfile' "an option without its value" "$LXCFS" "$MNT" --pidfile
refused 2 'starts with /' "--cdi for a path that is none for others" "$LXCFS" --cdi mnt
refused 2 'json' "--json without --inspect" "$LXCFS" --json "$MNT"
refused 2 "'self'" "--inspect of no number" "$LXCFS" --inspect self
refused 2 'no-such-word' "an unknown word of -o behind ones that are known" \
	"$LXCFS" -o allow_other,ro,no-such-word=1,nonempty "$MNT"
refused 1 "$WORK/nothing" "a directory that does not exist" "${lxcfs[@]}" "$WORK/nothing"
touch "$WORK/file"
refused 1 "$WORK/file" "a file for a directory" "${lxcfs[@]}" "$WORK/file"
refused 1 "$WORK/nowhere" "a pidfile in no directory" "${lxcfs[@]}" --pidfile="$WORK/nowhere/pid" "$MNT"
chmod 755 "$WORK"
refused 1 'root' "not root" setpriv --reuid 65534 --regid 65534 --clear-groups \
	"$LXCFS" --runtime-dir="$WORK/run" "$MNT"
refused 1 '/dev/fuse' "no /dev/fuse" unshare -m bash -c 'mount -t tmpfs none /dev; exec "$@"' - \
	"$LXCFS" --runtime-dir="$WORK/run" "$MNT"
is "$(ls -A "$WORK/run")" "" "a refused start leaves nothing behind"
ok "nor a mount" bash -c '! grep -q "$1" /proc/self/mountinfo' - "$MNT"

# ---- what is accepted
start_daemon -f -d -l -s --enable-cfs --disable-cfs --enable-pidfd --disable-zswap --enable-cgroup --enable-nsdelegate \
	-o nonempty,allow_other,fsname=mine,max_idle_threads=10 -o noatime
ok "the options of other versions are accepted" daemon_answers
is "$(grep -c 'serving from cgroup v[12] (.*cpu.*)' "$DAEMON_LOG")" 1 "the start says which cgroups it serves from"
kill -KILL "$(worker_pid)"
wait_until 10 daemon_answers
is "$? $(grep -c 'serving from' "$DAEMON_LOG")" "0 1" "which another worker does not repeat"
is "$(cat "$PIDFILE")" "$DAEMON_PID" "the pidfile has the daemon's pid"
line=$(awk -v m="$MNT" '$5 == m' /proc/self/mountinfo)
matches "$line" ' - fuse\.lxcfs ' "the mount's type is fuse.lxcfs"
for word in nosuid nodev noexec noatime allow_other; do
	matches "$line" "[ ,]$word([ ,]|$)" "it is mounted $word"
done
for word in enable-cgroup enable-nsdelegate; do
	is "$(grep -c -e "$word" "$DAEMON_LOG")" 1 "--$word is answered by one line"
done
stop_daemon

touch "$MNT/a-file"
start_daemon -o ro,fsname=x,subtype=y,x-systemd.automount
matches "$(awk -v m="$MNT" '$5 == m' /proc/self/mountinfo)" "$MNT ro,.* - fuse\.lxcfs lxcfs " \
	"-o ro is mount(2)'s; type and name stay ours whatever -o says"
ok "a DIR that is not empty serves" test ! -e "$MNT/a-file"
# somebody takes the pidfile away and puts another's there
echo 1 >"$WORK/others.pid"
mv "$WORK/others.pid" "$PIDFILE"
stop_daemon
rm "$MNT/a-file"
is "$(cat "$PIDFILE")" 1 "the end does not remove a pidfile that is another's"
rm "$PIDFILE"

# ---- a pid namespace of its own
unshare -p -f --mount-proc "$LXCFS" --runtime-dir="$WORK/run" --pidfile="$PIDFILE" "$MNT" </dev/null >"$WORK/ns.log" 2>&1 &
outer=$!
told() { grep -q "host's pid namespace" "$WORK/ns.log"; }
ok "a daemon that cannot see who asks says so at the start" wait_until 10 told
is "$(nsenter -t "$(children_of $outer | xargs)" -m timeout $((5 * SLOW)) cat "$MNT/proc/meminfo" 2>&1 >/dev/null | grep -c 'Input/output error')" 1 "and whom it cannot see gets EIO"
kill_tree $outer
wait $outer 2>/dev/null
unmount_all "$MNT"
rm -f "$PIDFILE"

PIDFILE=$WORK/run/lxcfs.pid
"$LXCFS" --runtime-dir="$WORK/run" "$MNT" </dev/null >>"$DAEMON_LOG" 2>&1 &
DAEMON_PID=$!
wait_until 10 daemon_answers
is "$? $(cat "$WORK/run/lxcfs.pid")" "0 $DAEMON_PID" "without --pidfile it is lxcfs.pid in the runtime directory"
stop_daemon

start_daemon --disable-uptime -u
new_container c --memory=$((100 * MIB))
host_uptime=$(cut -d. -f1 /proc/uptime)
between "$(in_container c cut -d. -f1 /proc/uptime)" "$host_uptime" "$(cut -d. -f1 /proc/uptime)" "--disable-uptime: the host's uptime"
is "$(meminfo c MemTotal)" 102400 "and the rest is the container's"
