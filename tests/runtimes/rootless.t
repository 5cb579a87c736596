#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Rootless podman: a user without any right starts containers in a user namespace, in the cgroup that
# the user was given, whose limits they see. By -v and by the hook.
source "$(dirname "$0")/lib.sh"
plan $((6 + GO_ON_TESTS))

uid=4242
started=()

# A user of this mount namespace alone.
make_user() {
	local file

	mkdir -p "$WORK"/{home,xdg,etc}
	for file in passwd group; do
		cp /etc/$file "$WORK/etc/$file"
	done
	echo "tester:x:$uid:$uid::$WORK/home:/bin/sh" >>"$WORK/etc/passwd"
	echo "tester:x:$uid:" >>"$WORK/etc/group"
	echo tester:200000:65536 | tee "$WORK/etc/subuid" >"$WORK/etc/subgid"
	for file in passwd group subuid subgid; do
		mount --bind "$WORK/etc/$file" /etc/$file || bail "no /etc/$file"
	done
	chmod 700 "$WORK/xdg"
	chown -R $uid:$uid "$WORK/home" "$WORK/xdg"
}

as_user() { # WORD...: of podman, in the user's cgroup
	(
		trap - EXIT INT TERM
		join_cgroup user && cd "$WORK/home" || exit
		exec setpriv --reuid $uid --regid $uid --clear-groups env -i HOME="$WORK/home" XDG_RUNTIME_DIR="$WORK/xdg" PATH=/usr/bin:/usr/sbin:/bin:/sbin \
			podman --root "$WORK/home/storage" --runroot "$WORK/xdg/run" --cgroup-manager=cgroupfs --storage-driver=vfs \
			--events-backend=none --runtime=runc "$@"
	)
}

end_runtime() {
	local name

	for name in ${started[@]+"${started[@]}"}; do
		as_user rm -f -t 0 "$name" >/dev/null 2>&1
	done
	kill_in_cgroup "$(cgdir memory user)"
}

container() { # NAME WHAT WANTED-FILES HOOKS-DIR OPTION...
	local name=$1 what=$2 wanted=$3 hooks=$4

	shift 4
	started+=("$name")
	cp -r "$WORK/rootfs" "$WORK/home/$name" && chown -R $uid:$uid "$WORK/home/$name"
	# shellcheck disable=SC2068 # options are words
	as_user --hooks-dir="$hooks" run -d --name "$name" --network=none --ulimit nofile=20000:20000 --ulimit nproc=20000:20000 \
		$@ --rootfs "$WORK/home/$name" sleep 600 </dev/null >"$WORK/$name.log" 2>&1 || diag "$(cat "$WORK/$name.log")"
	sees_itself "$what" "$wanted" as_user exec "$name"
}

start_daemon
make_user
busybox_root "$WORK/rootfs"
mount -t tmpfs -o mode=755 none /run || bail "no /run"
mkdir "$WORK/no-hooks" "$WORK/hooks"
sed "s,@bindir@,$WORK/bin," "$TOP/share/oci/lxcfs.json.in" >"$WORK/hooks/lxcfs.json"
make_cgroup user && set_limit user memory $RT_BYTES && set_limit user cpus 0 || bail "no cgroup"

container volumes "rootless podman -v" "" "$WORK/no-hooks" \
	"$(readme_options 'docker run.* -v ' | sed 's/-m [^ ]* --cpuset-cpus 0//')" # limits are the user's cgroup's
is "$(as_user exec volumes cat /proc/self/uid_map | awk '$1 == 0 { print $2 }')" $uid "in a user namespace, whose root is that user"
container hook "rootless podman, hook" "$RT_PROC $RT_PRESSURE" "$WORK/hooks"
all_go_on_reading
all_are_healed
