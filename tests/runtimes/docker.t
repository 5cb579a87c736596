#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Docker, in each way that the README tells: the runtime of daemon.json, -v, Compose's list; run, exec
# and update, where a changed limit shows at once.
source "$(dirname "$0")/lib.sh"
plan 14

HOST=unix://$WORK/docker.sock
DOCKERD=
started=()

docker() { DOCKER_HOST=$HOST DOCKER_CONFIG=$WORK /usr/bin/docker "$@"; }

# Everything dockerd keeps is the test's own; it starts its own containerd below --exec-root.
start_dockerd() {
	dockerd --config-file "$WORK/daemon.json" --data-root "$WORK/data" --exec-root "$WORK/exec" --pidfile "$WORK/dockerd.pid" \
		-H "$HOST" --storage-driver=vfs --iptables=false --ip6tables=false --bridge=none \
		--exec-opt native.cgroupdriver=cgroupfs --cgroup-parent="/$CG_PARENT" </dev/null >"$WORK/dockerd.log" 2>&1 &
	DOCKERD=$!
	docker_answers() { docker version >/dev/null 2>&1; }
	wait_until 30 docker_answers || bail "dockerd: $(tail -n 20 "$WORK/dockerd.log")"
}

end_runtime() {
	local name

	for name in ${started[@]+"${started[@]}"}; do
		docker rm -f "$name" >/dev/null 2>&1
	done
	[ -n "$DOCKERD" ] || return
	kill "$DOCKERD"
	wait "$DOCKERD" 2>/dev/null
}

container() { # NAME WHAT WANTED-FILES OPTION...
	local name=$1 what=$2 wanted=$3

	shift 3
	started+=("$name")
	# shellcheck disable=SC2068 # options are words
	docker run -d --name "$name" --network=none $@ bb sleep 600 </dev/null >"$WORK/$name.log" 2>&1 ||
		diag "$(cat "$WORK/$name.log")"
	sees_itself "$what" "$wanted" docker exec "$name"
}

start_daemon
busybox_root "$WORK/rootfs"
mount -t tmpfs none /run || bail "no /run"
cp "$TOP/share/docker/daemon.json.in" "$WORK/daemon.json"
sed -i "s,@bindir@,$WORK/bin," "$WORK/daemon.json"
sed "s,@bindir@,$WORK/bin," "$TOP/share/oci/lxcfs-runc.in" >"$WORK/bin/lxcfs-runc"
chmod 755 "$WORK/bin/lxcfs-runc"
start_dockerd
tar -C "$WORK/rootfs" -c . | docker import - bb >/dev/null 2>"$WORK/import.log" || bail "docker import: $(cat "$WORK/import.log")"

container word "Docker, --runtime lxcfs" "$RT_PROC $RT_PRESSURE" $(readme_options 'docker run --runtime')
container volumes "Docker, -v" "" $(readme_options 'docker run.* -v ')
container compose "Docker, the volumes of compose.yaml" "" -m 256m --cpuset-cpus 0 \
	$(sed -n 's/^ *- \(.*:ro\)$/-v \1/p' "$TOP/share/docker/compose.yaml")

docker update -m 128m --memory-swap 256m word >/dev/null 2>&1
is "$(docker exec word cat /proc/meminfo | value MemTotal)" 131072 "docker update: the new limit shows at once"
docker update -m 256m --memory-swap 512m word >/dev/null 2>&1
is "$(docker exec word cat /proc/meminfo | value MemTotal)" $RT_KB "and the old one again"
init_of() { docker inspect -f '{{.State.Pid}}' "$1"; }
before=$(init_of word)
docker restart -t 0 word >/dev/null 2>&1
is "$? $(docker exec word cat /proc/meminfo | value MemTotal)" "0 $RT_KB" \
	"a container that is restarted sees itself again"
isnt "$(init_of word)" "$before" "and is another process"
all_go_on_reading
all_are_healed
stop_daemon
started+=(without)
is "$(docker run --name without --network=none --runtime lxcfs -m 256m bb cat /proc/meminfo 2>&1 | value MemTotal)" \
	"$HOST_MEM_KB" "no daemon: the container starts"
