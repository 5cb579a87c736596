#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The OCI hook, called as a runtime calls it: in the container's mount namespace, before its root
# becomes /. It binds what is there, follows none of the image's links, leaves alone what somebody
# mounted, and never fails. And the CDI spec, which lists what is served.
source "$(dirname "$0")/lib.sh"
plan 54

start_daemon
bundle=$WORK/bundle
root=$bundle/rootfs
mkdir -p "$root"/{proc,sys,etc} "$WORK/empty"
echo '{"ociVersion":"1.0.2","root":{"path":"rootfs"}}' >"$bundle/config.json"
echo kept >"$root/etc/kept"

state() { # [VIEW]: what a runtime writes to the hook
	printf '{"ociVersion":"1.0.2","id":"c","status":"creating","pid":1,"bundle":"%s","annotations":{%s}}' \
		"$bundle" "${1:+\"org.lxcfs.view\":\"$1\"}"
}

bound_below() { # of our mount, as paths in the container with what they are of
	awk -v r="$root" '/ - fuse.lxcfs / && index($5, r "/") == 1 { print substr($5, length(r) + 1), $4 }' \
		/proc/self/mountinfo | sort
}

# What a runtime does before it calls the hook; PREPARE is run then, in a mount namespace.
as_runtime() { # PREPARE [WORD-OF-THE-HOOK...]; the state on standard input; prints what is bound
	local prepare=$1

	shift
	export root WORK MNT LXCFS
	export -f bound_below
	unshare -m --propagation private bash -c '
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount -t sysfs -o ro sysfs "$root/sys"
		eval "$1"
		shift
		cd "$root" && "$LXCFS" --oci-hook "${@:-$MNT}" 2>"$WORK/said"
		echo $? >"$WORK/status"
		bound_below' - "$prepare" "$@"
}

count() { grep -c . || true; }

# ---- the ordinary container
files=$("$LXCFS" --list-files | grep '^proc/' | cut -d/ -f1,2 | sort -u)
n=$(($(count <<<"$files") + 1))
got=$(state | as_runtime :)
is "$(cat "$WORK/status")$(cat "$WORK/said")" 0 "it has nothing to say"
is "$got" "$( (echo "$files"; echo $CPU_DIR) | sed 's,.*,/& /&,' | sort)" "everything that is served is bound"
is "$(bound_below)" "" "in that mount namespace alone"
is "$(state all | as_runtime : | count)" "$n" "org.lxcfs.view=all asks for the same"
is "$(state quota | as_runtime : | grep -c ' /quota/')" "$n" "quota: the files come from DIR/quota"
is "$(state cpuset | as_runtime : | grep -c ' /cpuset/')" "$n" "cpuset: from DIR/cpuset"
is "$(state off | as_runtime :)$(cat "$WORK/status" "$WORK/said")" 0 "off: nothing is bound, nothing is said"
is "$(state nonsense | as_runtime : | count)" "$n" "a word that is not known counts as all"
matches "$(cat "$WORK/said")" 'all, quota, cpuset and off' "and that is told"
is "$(printf '{"root":"%s","bundle":"/nowhere"}' "$root" | as_runtime : | count)" "$n" "crun tells the root"
is "$(echo '{"bundle":"/nowhere"}' | as_runtime : | count)" "$n" "a bundle that cannot be read: where the runtime is"
got=$(state | as_runtime 'umount "$root/sys"')
is "$(grep -c /sys/ <<<"$got") $(count <<<"$got")" "0 $((n - 1))" "no sysfs: nothing is bound there alone"
got=$(state | as_runtime 'mount --make-shared "$root/proc"')
is "$(grep -c ' /proc/' <<<"$got") $(count <<<"$got")" "0 1" \
	"what is shared with other mount namespaces is not bound over, the rest is"
matches "$(cat "$WORK/said")" 'shared' "and that is told"
# A sanitizer ends a program that has no /proc/self/maps.
got=$(state | as_runtime 'mkdir -p "$WORK/kernel" && mount --bind /proc "$WORK/kernel"
	mount -t tmpfs none /proc && mkdir /proc/self && ln -s "$WORK"/kernel/self/* /proc/self && rm /proc/self/fdinfo
	trap "umount /proc; bound_below" EXIT' 2>/dev/null)
is "$got$(cat "$WORK/status")" 0 "nor what nobody can tell of whether it is shared"
is "$(grep -c "No such file.*stay the kernel's" "$WORK/said") $(grep -c shared "$WORK/said")" "2 0" "whose reason is told"

# ---- containers in containers
nested() { printf '{"root":"%s","annotations":{"org.lxcfs.nested":"yes"}}' "$root"; }
is "$(nested | as_runtime : | count)" "$n" "org.lxcfs.nested: not without such a directory"
mkdir -p "$root$MNT"
is "$(nested | as_runtime : | grep -x "$MNT /")" "$MNT /" "with one: it gets the mount itself"
is "$(state | as_runtime : | count)" "$n" "which nobody gets unasked"
is "$(nested | as_runtime 'mount -t tmpfs none "$root$MNT"' | count)" "$n" "a directory with a mount on it is left alone"
rmdir "$root$MNT"
ln -s /etc "$root$MNT"
is "$(nested | as_runtime : | count) $(cat "$WORK/status")" "$n 0" "a link is not followed"
matches "$(cat "$WORK/said")" "cannot bind $MNT" "and that is told"
rm "$root$MNT"

# ---- what somebody mounted stays
got=$(state | as_runtime 'mount --bind /dev/null "$root/proc/meminfo"')
is "$(grep -c . <<<"$got") $(grep -c /proc/meminfo <<<"$got")" "$((n - 1)) 0" "a file that somebody mounted over is left alone"
is "$(cat "$WORK/said")" "" "silently"
got=$(state | as_runtime 'mount -t tmpfs none "$root/sys/devices"')
is "$(grep -c /sys/ <<<"$got") $(count <<<"$got")" "0 $((n - 1))" "so is what a mask hides, and that alone"
is "$(state | as_runtime '"$LXCFS" --oci-hook "$MNT" <<<"{\"root\":\"$root\"}"' | count)" "$n" \
	"called twice it binds once"

# ---- a hostile image
hostile() { # NAME PREPARE: nothing is bound, nothing outside the root changes, the exit status is 0
	got=$(state | as_runtime "$2"'; trap "grep fuse.lxcfs /proc/self/mountinfo | grep -v \" $MNT \" >$WORK/escaped" EXIT')
	is "$(cat "$WORK/status") $got$(cat "$WORK/escaped")" "0 " "$1"
}
hostile "proc is a link to the machine's" \
	'umount "$root/proc" "$root/sys"; mv "$root/proc" "$root/proc.old"; ln -s /proc "$root/proc"'
rm "$root/proc"
mv "$root/proc.old" "$root/proc"
hostile "proc is a directory of links to the machine's files" \
	'umount "$root/proc" "$root/sys"; ln -s /proc/meminfo /proc/stat "$root/proc/"; mount -t sysfs none "$root/sys"; umount "$root/sys"'
rm "$root/proc"/*
hostile "proc is a tmpfs of links" \
	'umount "$root/proc" "$root/sys"; mount -t tmpfs none "$root/proc"; ln -s ../etc/kept "$root/proc/meminfo"; mount -t tmpfs none "$root/sys"; ln -s / "$root/sys/devices"'
hostile "sys leads out of the root with .." \
	'umount "$root/proc" "$root/sys"; rmdir "$root/sys"; ln -s ../../../../../../../../../../sys "$root/sys"'
rm "$root/sys"
mkdir "$root/sys"
is "$(cat "$root/etc/kept")" kept "and the image's files are what they were"

# ---- it never fails
never_fails() { # NAME STANDARD-INPUT PATTERN [WORD...]
	local name=$1 input=$2 pattern=$3

	shift 3
	got=$(printf '%s' "$input" | as_runtime : "$@")
	is "$(cat "$WORK/status") $got" "0 " "$name: exit 0, nothing bound"
	matches "$(cat "$WORK/said")" "$pattern" "$name: it is told"
}
never_fails "no daemon" "$(state)" "nothing is served at $WORK/empty" "$WORK/empty"
never_fails "no directory" "$(state)" 'start lxcfs' "$WORK/nothing"
never_fails "no JSON" 'nonsense' 'for runtimes to call'
never_fails "JSON of another kind" '[1,2]' 'for runtimes to call'
never_fails "half a state" '{"bundle":"/x' 'for runtimes to call'
never_fails "options that are not known" "$(state)" 'not known' --no-such-option
echo '{"bundle":"/nowhere"}' | (cd / && "$LXCFS" --oci-hook "$MNT" 2>"$WORK/said")
is "$? $(grep -c 'fuse.lxcfs' /proc/self/mountinfo)" "0 1" "outside a container: nothing is bound over the machine's own files"
matches "$(cat "$WORK/said")" 'createContainer' "and it is told"

kill -STOP "$DAEMON_PID" "$(worker_pid)"
got=$(state | as_runtime :)
is "$(cat "$WORK/status")" 0 "a daemon that hangs: exit 0"
matches "$(cat "$WORK/said")" 'stuck' "a daemon that hangs: it is told"
kill -CONT "$DAEMON_PID" "$(worker_pid)"

# ---- the hook in a bundle of a runtime that has no directory of hooks
echo '{"root":{"path":"rootfs"},"process":{"n":18446744073709551615,"a":"\/"},"hooks":{"prestart":[{"path":"/x"}]}}' >"$bundle/config.json"
chmod 640 "$bundle/config.json"
"$LXCFS" --oci-add-hook="$bundle" "$MNT" && "$LXCFS" --oci-add-hook="$bundle" "$MNT"
is "$? $(stat -c %a "$bundle/config.json") $(cat "$bundle/config.json")" \
	"0 640 {\"root\":{\"path\":\"rootfs\"},\"process\":{\"n\":18446744073709551615,\"a\":\"/\"},\"hooks\":{\"prestart\":[{\"path\":\"/x\"}],\"createContainer\":[{\"args\":[\"lxcfs\",\"--oci-hook\",\"$MNT\"],\"path\":\"$(realpath "$LXCFS")\"}]}}" \
	"--oci-add-hook adds the hook to a bundle, once, and changes nothing else"
echo '[]' >"$bundle/config.json"
got=$("$LXCFS" --oci-add-hook="$bundle" 2>&1)
is "$? $(grep -c . <<<"$got") $(cat "$bundle/config.json")" "1 1 []" "what is no configuration stays as it is, and is refused"

# ---- CDI
"$LXCFS" --cdi "$MNT" >"$WORK/cdi.json"
is "$? $(jq -r '.kind, .devices[].name' "$WORK/cdi.json" | xargs)" "0 lxcfs.org/view all runc quota quota-runc" "--cdi prints a spec"
is "$(jq -r '.devices[0].containerEdits.mounts[] | .containerPath + " " + .hostPath' "$WORK/cdi.json" | sort)" \
	"$( (echo "$files"; echo $CPU_DIR) | sed "s,.*,/& $MNT/&," | sort)" "the device all has what the hook binds"
is "$(jq -r '.devices[] | select(.name | test("runc")).containerEdits.mounts[].containerPath' "$WORK/cdi.json" | grep -c pressure)" 0 \
	"those for runc have nothing that runc refuses"
missing=$(jq -r '.devices[].containerEdits.mounts[].hostPath' "$WORK/cdi.json" | while read -r path; do [ -e "$path" ] || echo "$path"; done)
is "$missing" "" "every source is there"
is "$("$LXCFS" --cdi | jq -r '.devices[0].containerEdits.mounts[0].hostPath' | cut -d/ -f1-4)" /var/lib/lxcfs "the default is /var/lib/lxcfs"
