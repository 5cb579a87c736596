#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# runc and crun with a bundle of their own: by mounts in config.json, by the createContainer hook, in
# namespaces for users and cgroups; and what the hook leaves alone.
source "$(dirname "$0")/lib.sh"
plan 19

started=() # "runtime id"

end_runtime() {
	local c

	for c in ${started[@]+"${started[@]}"}; do
		# shellcheck disable=SC2086 # runtime and id
		run_runtime ${c% *} delete --force "${c#* }" >/dev/null 2>&1
	done
}

# crun wants one kind of cgroups only: on a hybrid machine v1, as runc takes by itself.
run_runtime() { # RUNTIME WORD...
	local runtime=$1

	shift
	mkdir -p "$WORK/state-$runtime"
	if [ "$runtime" = crun ] && ! is_v2 && [ -n "$CG_V2" ]; then
		# shellcheck disable=SC2016 # for the inner shell
		unshare -m sh -c 'umount "$1"; shift; exec crun "$@"' - "$CG_V2" --root "$WORK/state-crun" "$@"
	else
		"$runtime" --root "$WORK/state-$runtime" "$@"
	fi
}

# new_bundle ID JQ-EDIT: of a container of 256 MiB and CPU 0.
new_bundle() {
	mkdir -p "$WORK/$1"
	(cd "$WORK/$1" && runc spec) || bail "runc spec"
	busybox_root "$WORK/$1/rootfs"
	jq --arg cg "/$CG_PARENT/$1" --argjson memory $RT_BYTES '
		.process.terminal = false | .process.args = ["sleep", "600"] | .process.rlimits = [] |
		.root.readonly = false |
		.linux.cgroupsPath = $cg |
		.linux.resources.memory.limit = $memory | .linux.resources.cpu.cpus = "0" |
		.linux.resources.devices = null | '"$2" "$WORK/$1/config.json" >"$WORK/new.json" || bail "jq"
	mv "$WORK/new.json" "$WORK/$1/config.json"
}

start_container() { # RUNTIME ID
	started+=("$1 $2")
	run_runtime "$1" run --detach --bundle "$WORK/$2" "$2" </dev/null >"$WORK/$2.log" 2>&1 && return
	diag "$(cat "$WORK/$2.log")"
	return 1
}

userns='.linux.namespaces += [{"type":"user"}] |
	.linux.uidMappings = [{"containerID":0,"hostID":100000,"size":65536}] | .linux.gidMappings = .linux.uidMappings'
cgroupns='.linux.namespaces += [{"type":"cgroup"}]'
hook=".hooks.createContainer = [{\"path\":\"$WORK/bin/lxcfs\",\"args\":[\"lxcfs\",\"--oci-hook\",\"$MNT\"]}]"
mounts() { # DEVICE, of the CDI spec
	"$LXCFS" --cdi "$MNT" | jq -c --arg d "$1" '[.devices[] | select(.name == $d).containerEdits.mounts[] |
		{ destination: .containerPath, source: .hostPath, type: "bind", options: .options }]'
}

start_daemon
all="$RT_PROC $RT_PRESSURE"

container() { # RUNTIME ID NAME WANTED-FILES JQ-EDIT
	new_bundle "$2" "$5"
	if start_container "$1" "$2"; then
		sees_itself "$3" "$4" run_runtime "$1" exec "$2"
	else
		fail "$3: starts"
	fi
}

container runc rm "runc, mounts" "" ".mounts += $(mounts runc)"
container runc rh "runc, hook" "$all" "$hook"
container runc rc "runc, hook, cgroup namespace" "$all" "$hook | $cgroupns"
container runc ru "runc, hook, user namespace" "$all" "$hook | $userns"
container crun cm "crun, mounts" "$all" ".mounts += $(mounts all)"
container crun ch "crun, hook" "$all" "$hook"
container crun cc "crun, hook, cgroup namespace" "$all" "$hook | $cgroupns"
container crun cu "crun, hook, user namespace" "$all" "$hook | $userns"
all_go_on_reading
all_are_healed
