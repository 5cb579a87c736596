#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# LXD, for which nothing is configured: its containers, privileged and not, read LXC's snippet as it
# is installed. Limits that change while they run show at once.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/lxc.sh"
plan 12

LXD=
export LXD_DIR=$WORK/lxd HOME=$WORK/home

end_runtime() {
	[ -n "$LXD" ] || return
	for name in p u; do
		lxc delete --force $name >/dev/null 2>&1
	done
	lxd shutdown --timeout 20 >/dev/null 2>&1
	wait "$LXD" 2>/dev/null
	remove_pivot
}

container() { # NAME OPTION...
	local name=$1

	shift
	lxc launch bb "$name" -s default -c limits.memory=256MiB "$@" </dev/null >"$WORK/$name.log" 2>&1 ||
		diag "$(cat "$WORK/$name.log")" "$(lxc info --show-log "$name" 2>&1 | tail -n 20)"
}

n_cpus=$(wc -w <<<"$(expand_list "$HOST_CPUS")")
start_daemon --enable-cfs
busybox_root "$WORK/image/rootfs"
mount -t tmpfs none /run || bail "no /run"
# installed
mkdir "$WORK/hooks" "$WORK/conf" "$LXD_DIR" "$HOME"
for file in lxc.mount.hook lxc.reboot.hook; do
	fill_in $file "$WORK/hooks"
done
fill_in 00-lxcfs.conf "$WORK/conf" /usr/share/lxcfs
mount --bind "$WORK/hooks" /usr/share/lxcfs && mount --bind "$WORK/conf" /usr/share/lxc/config/common.conf.d ||
	bail "no LXC configuration"
prepare_ids

lxd --group root --logfile="$WORK/lxd.log" </dev/null >/dev/null 2>&1 &
LXD=$!
timeout $((60 * SLOW)) lxd waitready || bail "lxd: $(tail -n 20 "$WORK/lxd.log")"
lxc storage create default dir >/dev/null 2>&1 || bail "no storage"
mkdir "$WORK/image/rootfs/sbin"
ln -s /bin/busybox "$WORK/image/rootfs/sbin/init"
printf 'architecture: x86_64\ncreation_date: 1\nproperties:\n  os: busybox\n' >"$WORK/image/metadata.yaml"
tar -C "$WORK/image" -czf "$WORK/image.tar.gz" metadata.yaml rootfs
lxc image import "$WORK/image.tar.gz" --alias bb >/dev/null 2>"$WORK/import.log" || bail "$(cat "$WORK/import.log")"

container p -c limits.cpu=0-0 -c security.privileged=true
container u -c limits.cpu=0-0
sees_itself "LXD, privileged" "$RT_PROC $RT_PRESSURE" lxc exec p --
sees_itself "LXD, unprivileged" "$RT_PROC $RT_PRESSURE" lxc exec u --

# ---- limits that change
lxc config set u limits.memory=128MiB
is "$(lxc exec u cat /proc/meminfo | value MemTotal)" 131072 "limits.memory: the new limit shows at once"
lxc config set u limits.memory=256MB
is "$(lxc exec u cat /proc/meminfo | value MemTotal)" 250000 "in millions of bytes, too"
lxc config set u limits.memory=256MiB
lxc config unset u limits.cpu
# LXD shares the CPUs out anew in its own time.
may_have_all() { [ "$(lxc exec u -- grep ^Cpus_allowed_list: /proc/self/status | cut -f 2)" = "$HOST_CPUS" ]; }
wait_until 20 may_have_all || diag "not on all CPUs"
cpus() { lxc exec u -- grep -c ^processor /proc/cpuinfo; }
lxc config set u limits.cpu.allowance=100ms/100ms
is "$(cpus)" 1 "limits.cpu.allowance: one CPU's worth of time, one CPU (with --enable-cfs)"
lxc config set u limits.cpu.allowance=200ms/100ms
is "$(cpus)" $((n_cpus < 2 ? n_cpus : 2)) "and two"
lxc config unset u limits.cpu.allowance
lxc config set u limits.cpu=0-0

all_go_on_reading
all_are_healed --enable-cfs
stop_daemon
lxc restart --force u </dev/null >/dev/null 2>&1
is "$(lxc exec u cat /proc/meminfo | value MemTotal)" "$HOST_MEM_KB" "no daemon: the container starts"
