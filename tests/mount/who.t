#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Which container is asking: every way in which processes, pid namespaces, cgroup namespaces and
# mounts are combined by runtimes, told by the memory limit that is seen. What a record says must
# not depend on who asked first.
source "$(dirname "$0")/lib.sh"
plan 38

# A number no other container here has.
KB=100000
next_limit() { KB=$((KB + 4000)); }

in_total() { in_container "$1" cat "$MNT/proc/meminfo" | value MemTotal; }

# Moves this very shell to the root of every hierarchy: the host's own processes are there.
join_root() {
	local root

	for root in "${CG_ROOTS[@]}"; do
		echo "$BASHPID" >"$root/cgroup.procs" || return
	done
}

as_host() { (trap - EXIT INT TERM; join_root && exec "$@"); }

# as_member CGROUP COMMAND...: in that cgroup, nothing else changed.
as_member() {
	local group=$1

	shift
	(trap - EXIT INT TERM; join_cgroup "$group" && exec "$@")
}

# What runs inside other namespaces, with cgroup mounts of its own where $1 says so.
cat >"$WORK/inside" <<END
source "$WORK/state.sh"
[ -z "\${2-}" ] || join_cgroup "\$2" || exit
[ "\$1" = inherited ] || mount_own_cgroups || exit
awk '\$1 == "MemTotal:" { print \$2 }' "$MNT/proc/meminfo"
END

start_daemon

# ---- the host
is "$(as_host cat "$MNT/proc/meminfo" | value MemTotal)" "$HOST_MEM_KB" "the host sees itself"
is "$(as_host cat "$MNT/proc/cpuinfo" | grep -v MHz)" "$(grep -v MHz /proc/cpuinfo)" "in every byte"
uptime=$(cut -d. -f1 /proc/uptime)
between "$(as_host cat "$MNT/proc/uptime" | cut -d' ' -f1)" "$uptime" \
	"$(cut -d. -f1 /proc/uptime | awk '{ print $1 + 1 }')" "with its own uptime"
made=$(now_ms)
uptime=$(as_host unshare -p -f -m --mount-proc cat "$MNT/proc/uptime")
between "${uptime% *}" 0 "$(awk -v ms=$(($(now_ms) - made)) 'BEGIN { print ms / 1000 + 0.02 }')" "a pid namespace in the host's cgroup has an uptime of its own"
is "$(as_host unshare -p -f -m --mount-proc cat "$MNT/proc/meminfo" | value MemTotal)" "$HOST_MEM_KB" "and the host's memory"

# ---- a process of the daemon's own pid namespace in a limited cgroup
next_limit
make_cgroup service && set_limit service memory $((KB * 1024))
is "$(as_member service cat "$MNT/proc/meminfo" | value MemTotal)" $KB "in the daemon's pid namespace: a limited cgroup sees its own limit"
next_limit
make_cgroup service2 && set_limit service2 memory $((KB * 1024))
is "$(as_member service2 cat "$MNT/proc/meminfo" | value MemTotal)" $KB "and a second one its own"
is "$(as_host cat "$MNT/proc/meminfo" | value MemTotal)" "$HOST_MEM_KB" "and the host its own"
# --pid=host: a cgroup namespace and mounts of its own, the process in a leaf
next_limit
make_cgroup pidhost && set_limit pidhost memory $((KB * 1024)) && CG_NO_ENABLE=1 make_cgroup pidhost/container
is_v2 || set_limit pidhost/container memory $((50000 * 1024))
is "$(as_member pidhost unshare -C -m bash "$WORK/inside" own pidhost/container)" $KB \
	"--pid=host with a cgroup namespace: the cgroup it has mounted, not the leaf"

# ---- a system container: init in init.scope
next_limit
new_container sys --memory=$((KB * 1024)) --leaf=init.scope
make_cgroup sys/system.slice/x.service && set_limit sys/system.slice/x.service memory $((60000 * 1024))
is "$(in_subgroup sys system.slice/x.service cat "$MNT/proc/meminfo" | value MemTotal)" $KB \
	"init.scope: a service's process sees the whole container"
is "$(in_total sys)" $KB "init.scope: so does init"
next_limit
new_container sysns --memory=$((KB * 1024)) --leaf=init.scope --cgroupns
make_cgroup sysns/system.slice/x.service && set_limit sysns/system.slice/x.service memory $((60000 * 1024))
is "$(in_subgroup sysns system.slice/x.service cat "$MNT/proc/meminfo" | value MemTotal)" $KB \
	"init.scope and a cgroup namespace: a service's process sees the whole container"
is "$(in_total sysns)" $KB "init.scope and a cgroup namespace: so does init"

# ---- init in a leaf below a cgroup namespace's root
next_limit
new_container dind --memory=$((KB * 1024)) --leaf=init --cgroupns
make_cgroup dind/other
set_limit dind/init memory $((60000 * 1024))
# On an emulated machine the first look may be over the time that mount tables have, until a second later.
sees_all() { [ "$(in_total dind)" = $KB ]; }
wait_until 5 sees_all
is "$(in_total dind)" $KB "an init in a leaf sees the container's cgroup"
is "$(in_subgroup dind other cat "$MNT/proc/meminfo" | value MemTotal)" $KB "so does a process in another leaf"

# ---- a pod: one pid namespace, several containers
next_limit
new_container pause --cgroup=pod/pause --memory=$((KB * 1024))
next_limit
kb_a=$KB
make_cgroup pod/a && set_limit pod/a memory $((kb_a * 1024))
next_limit
kb_b=$KB
make_cgroup pod/b && set_limit pod/b memory $((kb_b * 1024))
in_pod() { # CGROUP KIND UNSHARE-FLAG...
	local group=$1 kind=$2

	shift 2
	as_member "$group" nsenter -t "${CT_PID[pause]}" -p -- unshare "$@" bash "$WORK/inside" "$kind"
}
is "$(in_pod pod/a inherited -m) $(in_pod pod/b inherited -m) $(in_pod pod/a inherited -m)" "$kb_a $kb_b $kb_a" \
	"a shared pid namespace: each of two containers sees its own limit"
is "$(in_pod pod/b own -m -C) $(in_pod pod/a own -m -C) $(in_pod pod/b own -m -C)" "$kb_b $kb_a $kb_b" \
	"the same with cgroup namespaces"
is "$(in_total pause)" $((kb_a - 4000)) "and the one whose namespace it is sees its own"
# Both at once.
(for _ in 1 2 3 4 5 6 7 8; do in_pod pod/a own -m -C; done) >"$WORK/pod.a" &
pod_a=$!
(for _ in 1 2 3 4 5 6 7 8; do in_pod pod/b own -m -C; done) >"$WORK/pod.b"
wait $pod_a
is "$(sort "$WORK/pod.a" | uniq -c | xargs) $(sort "$WORK/pod.b" | uniq -c | xargs)" "8 $kb_a 8 $kb_b" \
	"asked at once, neither sees the other's"

# ---- a host's shell inside, asking first
next_limit
new_container entered --memory=$((KB * 1024))
as_host nsenter -t "${CT_PID[entered]}" -p -m -- cat /proc/meminfo >"$WORK/first"
ok "a host's shell that entered gets an answer" grep -q '^MemTotal' "$WORK/first"
is "$(in_total entered)" $KB "though it asked first, the container sees its own limit"
next_limit
new_container enteredns --memory=$((KB * 1024)) --cgroupns
as_host nsenter -t "${CT_PID[enteredns]}" -p -m -- cat /proc/meminfo >"$WORK/first" 2>&1
ok "the same where the container has a cgroup namespace" grep -q '^MemTotal' "$WORK/first"
is "$(in_total enteredns)" $KB "and there the container sees its own limit"
as_host nsenter -t "${CT_PID[enteredns]}" -p -m -- cat /proc/meminfo >"$WORK/first" 2>&1
ok "the host's shell gets an answer after the container did, too" grep -q '^MemTotal' "$WORK/first"
is "$(in_total enteredns)" $KB "and the container keeps its own"
is "$(enter enteredns "-p -m -C" awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)" $KB \
	"a shell in the container's cgroup namespace sees the container, whatever its own cgroup is"

# ---- an unprivileged user with a mount table of their own making
next_limit
new_container victim --memory=$((KB * 1024))
next_limit
new_container other --memory=$((KB * 1024))
cat >"$WORK/evil" <<END
source "$WORK/state.sh"
shopt -s nullglob
# The container's limit is on \$1; \$2 is where the user's mounts say it is.
for root in "\${CG_ROOTS[@]}"; do
	mount --bind "\$root/$CG_PARENT\$1" "\$root" || exit 1
done
awk '\$1 == "MemTotal:" { print \$2 }' "$MNT/proc/meminfo"
readlink /proc/self/ns/mnt
END
chmod 755 "$WORK" && chmod 644 "$WORK"/{evil,state.sh}
unprivileged() { # CONTAINER CGROUP
	in_container "$1" setpriv --reuid 65534 --regid 65534 --clear-groups -- \
		unshare -U -r -m bash "$WORK/evil" "$2"
}
unprivileged victim "" >"$WORK/evil.1" 2>&1
matches "$(head -n 1 "$WORK/evil.1")" '^[0-9]+$' "an unprivileged user may mount cgroups in their own way"
is "$(in_total victim)" $((KB - 4000)) "having asked first, they change nothing for their container"
unprivileged victim /other >"$WORK/evil.2" 2>&1
unprivileged other /victim >>"$WORK/evil.2" 2>&1
is "$(in_total victim) $(in_total other)" "$((KB - 4000)) $KB" "nor for another"
is "$(as_host cat "$MNT/proc/meminfo" | value MemTotal)" "$HOST_MEM_KB" "nor for the host"
is "$(grep -v mnt "$WORK/evil.2" | xargs)" "$((KB - 4000)) $KB" \
	"and are told their own container's limit, not that of the one they pointed at"
# The number of a mount namespace that has ended is the next one's, or that of one soon after it where lower
# ones are free, too. So one is made in the other until one has that number; all read.
cat >"$WORK/next" <<END
awk '\$1 == "MemTotal:" { print \$2 }' "$MNT/proc/meminfo"
number=\$(readlink /proc/self/ns/mnt)
echo "\$number"
[ "\$number" = "\$1" ] || [ \$2 -eq 0 ] || unshare -m bash "$WORK/next" "\$1" \$((\$2 - 1))
END
same=0 enough=$((SLOW > 1 ? 3 : 5))
for i in {1..100}; do
	evil=$(unprivileged victim "" 2>&1)
	in_next=(unshare -m)
	[ $((i % 2)) = 0 ] || in_next=(unshare -U -r -m)
	next=$(in_container victim "${in_next[@]}" bash "$WORK/next" "${evil##*$'\n'}" 12)
	[ "${evil##*$'\n'}" != "${next##*$'\n'}" ] || same=$((same + 1))
	grep -v mnt <<<"$next"
	[ $same -lt $enough ] || break
done >"$WORK/next.out"
diag "the number was met in $same of $i rounds"
is "$same $(sort -u "$WORK/next.out")" "$enough $((KB - 4000))" "nor is who gets the number of their mount namespace later"

# ---- a container in a container
# Of both, the inner one's init reads.
nested() { # OUTER KIND
	as_member "$1/inner" nsenter -t "${CT_PID[$1]}" ${CT_ENTER[$1]} -- \
		unshare -p -f -m --mount-proc --kill-child=KILL bash "$WORK/inside" inherited
}
next_limit
new_container outer --memory=$((KB * 1024)) --leaf=payload
make_cgroup outer/inner && set_limit outer/inner memory $((70000 * 1024))
is "$(nested outer)" 70000 "a container inside a container sees its own limit"
is "$(in_total outer)" $KB "and the outer one its own"
next_limit
new_container outerns --memory=$((KB * 1024)) --leaf=payload --cgroupns
make_cgroup outerns/inner && set_limit outerns/inner memory $((72000 * 1024))
is "$(nested outerns)" 72000 "so where it shares the outer's cgroup namespace"
is "$(in_total outerns)" $KB "and the outer one its own there"

# ---- a user namespace
next_limit
new_container user --memory=$((KB * 1024)) --userns
is "$(in_container user cat /proc/meminfo | value MemTotal)" $KB "a container with a user namespace sees its own limit"

# ---- a container that is moved to another cgroup
next_limit
new_container moved --memory=$((KB * 1024))
next_limit
make_cgroup moved2 && set_limit moved2 memory $((KB * 1024))
in_total moved >/dev/null
for root in "${CG_ROOTS[@]}"; do
	echo "${CT_PID[moved]}" >"$root/$CG_PARENT/moved2/cgroup.procs"
done
sleep 1.2
is "$(in_total moved)" $KB "a container moved to another cgroup sees that one's limit"
