#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# containerd by its own ctr, with the README's line: the runtime that adds the hook.
source "$(dirname "$0")/lib.sh"
plan 6

CONTAINERD=

ctr() { /usr/bin/ctr --address "$WORK/containerd.sock" "$@"; }

start_containerd() {
	cat >"$WORK/containerd.toml" <<-END
		version = 2
		root = "$WORK/data"
		state = "/run/containerd-test"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$WORK/containerd.sock"
		[ttrpc]
		  address = "$WORK/containerd.ttrpc"
	END
	containerd --config "$WORK/containerd.toml" </dev/null >"$WORK/containerd.log" 2>&1 &
	CONTAINERD=$!
	ctr_answers() { ctr version >/dev/null 2>&1; }
	wait_until 30 ctr_answers || bail "containerd: $(tail -n 20 "$WORK/containerd.log")"
}

end_runtime() {
	[ -n "$CONTAINERD" ] || return
	for name in web without; do
		ctr tasks kill -s KILL "$name" >/dev/null 2>&1
		ctr tasks delete --force "$name" >/dev/null 2>&1
		ctr containers delete "$name" >/dev/null 2>&1
	done
	kill "$CONTAINERD"
	wait "$CONTAINERD" 2>/dev/null
}

start_daemon
busybox_root "$WORK/rootfs"
mount -t tmpfs none /run || bail "no /run"
sed "s,@bindir@,$WORK/bin," "$TOP/share/oci/lxcfs-runc.in" >"$WORK/bin/lxcfs-runc"
chmod 755 "$WORK/bin/lxcfs-runc"
start_containerd

# container NAME: by the README's line, but for the image and the limit of CPUs, which ctr has no option for
container() {
	local options

	options=$(readme_commands | sed -n -E 's/^ctr run (.*) docker.io.*/\1/p')
	# shellcheck disable=SC2086 # options are words
	ctr run --detach ${options/lxcfs-runc/$WORK/bin/lxcfs-runc} --cgroup "/$CG_PARENT/$1" --env PATH=/bin --rootfs "$WORK/rootfs" "$1" \
		sleep 600 </dev/null >"$WORK/$1.log" 2>&1 || diag "$(cat "$WORK/$1.log")"
}

in_web() { ctr tasks exec --exec-id "n$BASHPID.$RANDOM" web "$@"; }

container web
set_limit web cpus 0
sees_itself "containerd" "$RT_PROC $RT_PRESSURE" in_web
all_go_on_reading
all_are_healed
stop_daemon
container without
is "$(ctr tasks exec --exec-id other without cat /proc/meminfo | value MemTotal)" "$HOST_MEM_KB" "no daemon: the container starts"
