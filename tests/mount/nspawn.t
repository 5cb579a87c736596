#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# systemd-nspawn with the README's line, booting systemd: the container and a service in it see
# themselves, and go on doing so. Here, not among the runtimes, for it is to hold on cgroup v2 as well.
# Not the README's DIR, which the runtimes' tests have: whoever heals looks for dead binds of it everywhere.
RT_MNT=/var/lib/lxcfs-nspawn.$$
source "$(dirname "$0")/../runtimes/lib.sh"
plan $((5 + GO_ON_TESTS + 1 + 1))

root=$WORK/root

# The machine's programs, with units and settings of the test's own; and not a first boot, which would
# enable whatever those programs bring along.
make_root() {
	local name

	mkdir -p "$root"/{usr,proc,sys,dev,tmp,etc/systemd/system,root,run,var}
	for name in bin sbin lib lib64; do
		ln -s usr/$name "$root/$name"
	done
	mount --bind /usr "$root/usr" || bail "no /usr"
	cp /usr/lib/os-release "$root/etc/" && echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
	cat >"$root/etc/systemd/system/test.target" <<-END
		[Unit]
		DefaultDependencies=no
		Wants=test.service
	END
	cat >"$root/etc/systemd/system/test.service" <<-END
		[Unit]
		DefaultDependencies=no
		[Service]
		ExecStart=/bin/sh -c 'cat /proc/meminfo >/var/new && cat /proc/self/cgroup >/var/cgroup && mv /var/new /var/service; exec sleep 100000'
	END
}

# Nobody is asked for a cgroup: it is the one that nspawn is started in.
start_nspawn() {
	local options

	options=$(readme_commands | sed -n -E "s/^systemd-nspawn -b -D [^ ]+ //; T; s,/var/lib/lxcfs,$MNT,g; p")
	make_cgroup n && set_limit n memory $RT_BYTES && set_limit n cpus 0 || bail "no cgroup"
	(
		trap - EXIT INT TERM
		join_cgroup n
		# shellcheck disable=SC2086 # options are words
		exec systemd-nspawn -b -D "$root" --register=no --keep-unit --console=pipe \
			--settings=no --link-journal=no $options systemd.unit=test.target systemd.log_target=console
	) </dev/null >"$WORK/nspawn.log" 2>&1 &
	nspawn=$!
	background+=($nspawn)
}

end_runtime() {
	[ -z "$init" ] || kill -KILL "$init" 2>/dev/null
}

init=
make_root
start_daemon
start_nspawn
ok "systemd boots" wait_until 60 test -s "$root/var/service" || diag "$(cat "$WORK/nspawn.log")"
init=$(children_of $nspawn | awk '{ print $1; exit }')
is "$(cat "/proc/$init/comm")" systemd "as the container's init"
matches "$(cat "$root/var/cgroup")" 'test\.service' "with services in cgroups of their own"
is "$(value MemTotal <"$root/var/service")" $RT_KB "which see the whole container"
CT_PID[n]=$init CT_ENTER[n]="-p -m"
sees_itself "systemd-nspawn" "" in_container n
all_go_on_reading
all_are_healed
