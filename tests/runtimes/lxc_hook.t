#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# LXC containers, privileged and not, with the snippet and the hooks that are installed: what they see,
# what a container inside one sees, and that a container starts whatever is missing. The snippet and
# hook of Debian's own lxcfs package work with our files as well.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/lxc.sh"
source "$(dirname "$0")/../mount/peer.sh"
plan 25

LXC=$WORK/lxc
started=()

end_runtime() {
	local name

	for name in ${started[@]+"${started[@]}"}; do
		lxc-stop -P "$LXC" -n "$name" -k >/dev/null 2>&1
	done
	remove_pivot
}

# new_lxc NAME [CONFIGURATION [ROOTFS-DIRECTORY...]]
new_lxc() {
	local name=$1 more=${2-}

	shift 2
	mkdir -p "$LXC/$name/rootfs"
	[ -L "$LXC/$name/rootfs/bin" ] || busybox_root "$LXC/$name/rootfs"
	(cd "$LXC/$name/rootfs" && mkdir -p . "$@" && chown -R "${OWNER:-0:0}" .)
	{
		printf 'lxc.uts.name = c\nlxc.rootfs.path = dir:%s/rootfs\nlxc.net.0.type = empty\n' "$LXC/$name"
		printf 'lxc.mount.auto = proc:mixed sys:mixed\nlxc.init.cmd = /bin/sleep 600\n%s\n' "$more"
		lxc_limits "$name" $RT_BYTES
	} >"$LXC/$name/config"
	started+=("$name")
	lxc-start -P "$LXC" -n "$name" -o "$WORK/$name.log" -l WARN || diag "lxc-start: $(cat "$WORK/$name.log")"
}

attach() { # NAME COMMAND...
	local name=$1

	shift
	lxc-attach -P "$LXC" -n "$name" --clear-env -v PATH=/bin -- "$@"
}

start_daemon
all="$RT_PROC $RT_PRESSURE"
mkdir "$LXC" "$WORK/installed"
for file in 00-lxcfs.conf lxc.mount.hook lxc.reboot.hook; do
	fill_in $file "$WORK/installed"
done
prepare_ids

ours="lxc.include = $WORK/installed/00-lxcfs.conf"

new_lxc a "$ours"
sees_itself "LXC" "$all" attach a
OWNER=100000:100000 new_lxc u "$ours
$LXC_IDMAP"
sees_itself "LXC, unprivileged" "$all" attach u
is "$(attach a grep -c "^[^-]* $MNT " /proc/self/mountinfo)" 0 "without a $MNT inside nothing is handed on"
new_lxc n "$ours" ".$MNT"
sees_itself "LXC, with a $MNT inside" "$all" attach n
is "$(attach n cat "$MNT/proc/meminfo" | value MemTotal)" $RT_KB "it is handed on"

# ---- a reboot: LXC runs the post-stop hook, starts the container again, and that mounts anew
before=$(lxc-info -P "$LXC" -n a -p -H)
started_anew() { [ "$(lxc-info -P "$LXC" -n a -p -H)" != "$before" ] && attach a true 2>/dev/null; }
attach a reboot -f >/dev/null 2>&1
ok "a container that reboots starts again" wait_until 20 started_anew
is "$(what_differs "$(read_all attach a)" $RT_KB $all)" "" "and sees itself in every file"
is "$(grep -c -i 'post-stop\|reboot.hook' "$WORK/a.log")" 0 "no hook complains" || diag "$(cat "$WORK/a.log")"

# ---- LXC in LXC: the machine's programs, and of lxcfs only what is handed on
nested=$LXC/o/rootfs
mkdir -p "$nested"/{proc,sys,dev,tmp,etc,root,run,var/lib/lxc,usr,ct/inner} "$nested$MNT" "$nested$WORK"/{bin,installed}
for name in bin sbin lib lib64; do
	ln -s usr/$name "$nested/$name"
done
busybox_root "$nested/ct/inner/rootfs"
printf '%s\n' 'lxc.uts.name = i' 'lxc.rootfs.path = dir:/ct/inner/rootfs' 'lxc.net.0.type = empty' \
	'lxc.mount.auto = proc:mixed sys:mixed' 'lxc.init.cmd = /bin/sleep 600' 'lxc.console.path = none' "$ours" "$(lxc_limits i $((128 * MIB)) | sed '$d')" \
	>"$nested/ct/inner/config"
new_lxc o "$ours
lxc.pty.max = 16
lxc.mount.auto = cgroup:rw:force
lxc.mount.entry = /usr usr none bind,ro 0 0
lxc.mount.entry = $WORK/bin ${WORK#/}/bin none bind,ro 0 0
lxc.mount.entry = $WORK/installed ${WORK#/}/installed none bind,ro 0 0"
in_outer() { lxc-attach -P "$LXC" -n o --clear-env -v PATH=/usr/sbin:/usr/bin -- "$@"; }
in_inner() { in_outer lxc-attach -P /ct -n inner --clear-env -v PATH=/bin -- "$@"; }
in_outer lxc-start -P /ct -n inner -o /tmp/log -l WARN || diag "inner: $(cat "$nested/tmp/log")"
is "$(in_outer cat /proc/meminfo | value MemTotal)" $RT_KB "LXC in LXC: the outer one sees itself"
KB=131072 sees_itself "LXC in LXC" "$all" in_inner

# ---- whatever is missing or hostile, it starts
new_lxc h "$ours"
is "$(attach h cat /proc/meminfo | value MemTotal)" $RT_KB "a container without what can be handed on starts"
new_lxc m "$(sed 's/^/lxc.mount.auto =\n/;q' <<<"$ours")"
is "$(attach m cat /etc/group)" "root:x:0:" "a container without /proc and /sys starts"

# ---- Debian's own snippet and hook, as they are in its package
unpack_peer
[ -d /usr/share/lxcfs ] || bail "no /usr/share/lxcfs: the package lxcfs is not installed"
mount --bind "$PEER/usr/share/lxcfs" /usr/share/lxcfs || bail "cannot bind"
new_lxc s "lxc.include = $PEER/usr/share/lxc/config/common.conf.d/00-lxcfs.conf"
sees_itself "LXC, the stock snippet and hook" "$all" attach s
OWNER=100000:100000 new_lxc t "lxc.include = $PEER/usr/share/lxc/config/common.conf.d/00-lxcfs.conf
$LXC_IDMAP"
is "$(attach t cat /proc/meminfo | value MemTotal)" $RT_KB "unprivileged too"

all_go_on_reading
all_are_healed
stop_daemon
monitor=$(awk '/^PPid:/ { print $2 }' "/proc/$(lxc-info -P "$LXC" -n m -p -H)/status") # which calls the hook last
lxc-stop -P "$LXC" -n m -k -o "$WORK/stop.log" -l WARN
is "$? $(lxc-info -P "$LXC" -n m -s -H)" "0 STOPPED" "no daemon: a container stops"
wait_until 10 gone "${monitor:-$$}"
is "$? $(grep -c -i post-stop "$WORK/m.log")" "0 0" "and the post-stop hook is content" || diag "$(cat "$WORK/m.log")"
new_lxc w "$ours"
is "$(attach w cat /proc/meminfo | value MemTotal)" "$HOST_MEM_KB" "no daemon: the container starts"
