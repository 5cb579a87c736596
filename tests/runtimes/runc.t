#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# runc containers, with read-only binds as Docker makes them, one of them in a user namespace and with
# the files of the tree quota/: they see themselves, and go on doing so however the daemon's
# connection ends.
source "$(dirname "$0")/lib.sh"
plan $((CONNECTION_TESTS + 2 + GO_ON_TESTS + 2))

RUNC="runc --root $WORK/runc"

end_runtime() {
	local name

	for name in a u; do
		[ ! -d "$WORK/runc/$name" ] || $RUNC delete --force "$name" >/dev/null 2>&1
	done
}

new_rootfs() { # DIRECTORY: the machine's programs, nothing else
	local name

	mkdir -p "$1"/{usr,proc,sys,dev,tmp,etc,root,run,var}
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$1/$name"
	done
}

# The specification that `runc spec` writes, with what the test needs of it.
write_config() { # DIRECTORY NAME MEMORY FROM USER-NAMESPACE
	$RUNC spec -b "$1" && python3 - "$1/config.json" "$CG_PARENT/$2" "$3" "$4" "$5" $SERVED $CPU_DIR <<-'END'
	import json, sys
	path, cgroup, memory, source, userns, *files = sys.argv[1:]
	spec = json.load(open(path))
	spec['process'].update(terminal=False, args=['sleep', '100000'], rlimits=[])
	spec['root']['readonly'] = False
	spec['linux']['cgroupsPath'] = '/' + cgroup
	spec['linux']['resources'].update(memory={'limit': int(memory)}, cpu={'cpus': '0'})
	bind = lambda a, b, *more: {'source': a, 'destination': b, 'type': 'bind', 'options': ['rbind', *more]}
	spec['mounts'].append(bind('/usr', '/usr', 'ro'))
	spec['mounts'] += [bind(source + '/' + f, '/' + f, 'ro', 'nosuid', 'nodev', 'noexec') for f in files]
	if userns:
	    spec['linux']['namespaces'].append({'type': 'user'})
	    ids = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]
	    spec['linux'].update(uidMappings=ids, gidMappings=ids)
	json.dump(spec, open(path, 'w'))
	END
}

new_runc() { # NAME MEMORY FROM [USER-NAMESPACE]
	local bundle=$WORK/$1

	new_rootfs "$bundle/rootfs"
	[ -z "${4-}" ] || chown -hR 100000:100000 "$bundle/rootfs"
	write_config "$bundle" "$1" "$2" "$3" "${4-}" || bail "no configuration for runc"
	$RUNC run -d -b "$bundle" "$1" >"$WORK/$1.log" 2>&1 </dev/null || bail "runc run: $(cat "$WORK/$1.log")"
	add_init "$1" $(($2 / 1024)) "$($RUNC state "$1" | awk -F'[ ,:]+' '/"pid"/ { print $3 }')" "-p -m${4:+ -U}"
}

start_daemon
new_runc a $((256 * MIB)) "$MNT"
new_runc u $((128 * MIB)) "$MNT/quota" userns
isnt "$(readlink "/proc/${CT_PID[u]}/ns/user")" "$(readlink /proc/self/ns/user)" "one has a user namespace"
all_go_on_reading
survive_all_ends
is "$(for n in a u; do awk '/ - fuse.lxcfs / && $6 !~ /^ro,/' "/proc/${CT_PID[$n]}/mountinfo"; done)" "" "read-only binds stay so"
