#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# podman, in each way that the README tells: a directory of hooks, CDI devices, -v; with the host's
# pid namespace, and two containers of different limits in one pid namespace.
source "$(dirname "$0")/lib.sh"
plan 24

PODMAN=(podman --root "$WORK/storage" --runroot "$WORK/runroot" --tmpdir "$WORK/tmp" --cgroup-manager=cgroupfs
	--storage-driver=vfs --events-backend=none)
RUN=(--network=none --cgroup-parent="/$CG_PARENT" --ulimit nofile=20000:20000 --ulimit nproc=20000:20000)
LIMITS="-m 256m --cpuset-cpus 0"
started=()

# crun wants one kind of cgroups only.
podman_with() { # RUNTIME WORD...
	local runtime=$1

	shift
	if [ "$runtime" = crun ] && ! is_v2 && [ -n "$CG_V2" ]; then
		# shellcheck disable=SC2016 # for the inner shell
		unshare -m sh -c 'umount "$1"; shift; exec "$@"' - "$CG_V2" "${PODMAN[@]}" --runtime=crun "$@"
	else
		"${PODMAN[@]}" --runtime="$runtime" "$@"
	fi
}

end_runtime() {
	local i

	for ((i = ${#started[@]} - 1; i >= 0; i--)); do
		# shellcheck disable=SC2086 # runtime and name
		podman_with ${started[i]% *} rm -f -t 0 "${started[i]#* }" >/dev/null 2>&1
	done
}

# start_container RUNTIME NAME OPTION...
start_container() {
	local runtime=$1 name=$2

	shift 2
	started+=("$runtime $name")
	cp -r "$WORK/rootfs" "$WORK/root-$name"
	# shellcheck disable=SC2068 # options are words
	podman_with "$runtime" ${hooks:+"--hooks-dir=$hooks"} run -d --name "$name" "${RUN[@]}" $@ \
		--rootfs "$WORK/root-$name" sleep 600 </dev/null >"$WORK/$name.log" 2>&1 || diag "$(cat "$WORK/$name.log")"
}

# container RUNTIME NAME WHAT WANTED-FILES OPTION...
container() {
	local runtime=$1 name=$2 what=$3 wanted=$4

	shift 4
	start_container "$runtime" "$name" "$@"
	sees_itself "$what" "$wanted" podman_with "$runtime" exec "$name"
}

first_line() { podman_with runc exec "$1" sh -c 'head -n 1 /proc/meminfo'; }

# A hook gets none of our environment, and inside a container leaks cannot be looked for.
with_options() {
	if [ -n "$SANITIZED" ]; then jq --arg e "ASAN_OPTIONS=$ASAN_OPTIONS" '.hook.env = [$e]'; else cat; fi
}

start_daemon
all="$RT_PROC $RT_PRESSURE"
busybox_root "$WORK/rootfs"
# /run/cdi is the test's, and so is what else runtimes keep there
mount -t tmpfs none /run && mkdir /run/cdi "$WORK/no-hooks" || bail "no /run"
"$LXCFS" --cdi >/run/cdi/lxcfs.json
# installed
cp -r /usr/share/containers "$WORK/containers" && mkdir -p "$WORK/containers/oci/hooks.d" &&
	sed "s,@bindir@,$WORK/bin," "$TOP/share/oci/lxcfs.json.in" | with_options >"$WORK/containers/oci/hooks.d/lxcfs.json" &&
	mount --bind "$WORK/containers" /usr/share/containers || bail "no hooks"

hooks=$WORK/no-hooks
container runc cdi-runc "podman, CDI, runc" "" $(readme_options 'podman run.*view=runc ')
container crun cdi-all "podman, CDI, crun" "$all" $(readme_options 'podman run.*view=all ')
container runc volumes "podman -v" "" $(readme_options 'docker run.* -v ')
container runc quota "podman, CDI, quota" "" -m 256m --cpus 1 --device lxcfs.org/view=quota-runc
hooks= # as installed
container runc hook "podman, hook" "$all" $LIMITS
container crun hook-crun "podman, hook, crun" "$all" $LIMITS
container runc pid-host "podman, hook, --pid=host" "$all" $LIMITS --pid=host
container runc by-quota "podman, hook, quota" "$all" $(readme_options 'podman run.*view=quota')
KB=131072 container runc second "podman, hook, the pid namespace of another" "$all" --cpuset-cpus 0 -m 128m --pid=container:hook
is "$(first_line hook | awk '{ print $2 }')" $RT_KB "which still sees its own limit"
start_container runc off $LIMITS $(readme_options 'podman run.*view=off')
is "$(first_line off | awk '{ print $2 }')" "$HOST_MEM_KB" "podman, hook, off: it sees the machine"

all_go_on_reading
all_are_healed
stop_daemon
start_container runc without $LIMITS
is "$(first_line without | awk '{ print $2 }')" "$HOST_MEM_KB" "podman, hook, no daemon: the container starts"
