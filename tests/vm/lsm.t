#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Security modules: AppArmor, which keeps the daemon from looking at processes or confines containers,
# and every value of Yama's ptrace_scope. Ends with a machine in which nobody may attach to anybody
# until it boots again, so it is the last one there.
source "$(dirname "$0")/../mount/lib.sh"
plan 34

PATH=$PATH:$BUILD/programs/sbin:$BUILD/programs/usr/sbin # what tests/run unpacked there
REAL=$LXCFS
REAL_POKE=$POKE
DENIED='Permission denied'

# What starts the daemon, and the init of a container called d, under a profile.
printf '#!/bin/bash\necho "exec lxcfs-test" >/proc/self/attr/exec && exec "%s" "$@"\n' "$REAL" >"$WORK/confined"
printf '#!/bin/bash\n[[ $2 != */d.ready ]] || echo "exec lxcfs-test-docker" >/proc/self/attr/exec\nexec "%s" "$@"\n' \
	"$REAL_POKE" >"$WORK/poke"
chmod 755 "$WORK/confined" "$WORK/poke"
POKE=$WORK/poke
save_state

# Everything but what is asked about.
load_profile() { # NAME RULES
	apparmor_parser -K -r >"$WORK/parser" 2>&1 <<-E || bail "no profile: $(cat "$WORK/parser")"
		profile $1 flags=(attach_disconnected, mediate_deleted) {
			file, capability, network, mount, remount, umount, pivot_root, signal, unix,
			$2
		}
	E
}
test_cleanup() {
	printf 'profile lxcfs-test {}\nprofile lxcfs-test-docker {}\n' | apparmor_parser -R 2>/dev/null
}

under_profile() { # CONTAINER COMMAND...: as a process of a container's profile
	local name=$1

	shift
	in_container "$name" bash -c 'echo "exec lxcfs-test-docker" >/proc/self/attr/exec && exec "$@"' - "$@"
}

# What is wrong with the files: an error, nothing in one (but in diskstats, where there was no I/O),
# another one's values. One program reads them all, for many take their time here.
wrong() { # HOW CONTAINER MEMORY CPU
	"$1" "$2" awk -v memory="$3" -v cpu="$4" '
		{ seen[FILENAME] = 1 }
		FILENAME ~ /meminfo$/ && $1 == "MemTotal:" { total = $2 }
		FILENAME ~ /cpuinfo$/ && $1 == "processor" { cpus = cpus " " $3 }
		FILENAME ~ /proc.stat$/ && $1 ~ /^cpu./ { cpus = cpus " " $1 }
		FILENAME ~ /online$/ { cpus = cpus " " $1 }
		END {
			for (i = 1; i < ARGC; i++)
				if (!(ARGV[i] in seen) && ARGV[i] !~ /diskstats$/)
					print ARGV[i] ": empty"
			if (total != memory || cpus != " " cpu " cpu" cpu " " cpu)
				print "MemTotal " total ", CPUs" cpus
		}' "${FILES[@]}" 2>&1
}

# What is shown of all files to who gets nothing: the error, once.
told() { # HOW CONTAINER
	"$1" "$2" cat "${FILES[@]}" 2>&1 | awk -F ': ' '!seen[$NF]++ { print $NF }'
}

inspected() { # CONTAINER
	local json

	json=$("$LXCFS" --pidfile="$PIDFILE" --inspect "${CT_PID[$1]}" --json)
	[[ $json =~ \"runs\":([a-z]*) ]] && echo -n "${BASH_REMATCH[1]} "
	[[ $json =~ \"memory\":\{[^0-9]*([0-9]*) ]] && echo -n "${BASH_REMATCH[1]} "
	[[ $json =~ \"visible\":\"([^\"]*) ]] && echo "${BASH_REMATCH[1]}"
}

# The containers' own mount namespaces have a mount each of the first daemon's, which dies with it.
through_own_mount() { (
	CT_ENTER[$1]="-p -m"
	in_container "$1" cat "$MNT/proc/meminfo" 2>/dev/null | value MemTotal
); }
is_dead() { ! cat "$MNT/proc/uptime" >/dev/null 2>&1; }
kill_daemon() {
	kill -KILL "$DAEMON_PID"
	wait "$DAEMON_PID" 2>/dev/null
	DAEMON_PID=
	wait_until 20 is_dead
}
healed() { [ -n "$(through_own_mount a)" ] && [ -n "$(through_own_mount d)" ]; }

mount -t securityfs none /sys/kernel/security || bail "no securityfs"
# What Docker and containerd write into theirs.
docker='ptrace (trace, read, tracedby, readby) peer=lxcfs-test-docker,'
load_profile lxcfs-test-docker "$docker"

# ---- a container under a profile, and a daemon under none
start_daemon
FILES=()
for file in $SERVED proc/pressure/cpu proc/pressure/memory proc/pressure/io "$CPU_DIR/online"; do
	FILES+=("$MNT/$file")
done
new_container a --bare --memory=$((100 * MIB)) --cpus=0
new_container d --bare --memory=$((200 * MIB)) --cpus=1
CT_ENTER=([a]=-p [d]=-p) # what reads sees the mount of whichever daemon it is
is "$(cat "/proc/${CT_PID[d]}/attr/current")" "lxcfs-test-docker (enforce)" "AppArmor confines a container"
is "$(wrong under_profile d 204800 1)" "" "which sees itself in every file"
is "$(inspected d)" "true 209715200 1" "--inspect tells the same of it"
kill_daemon

# ---- a daemon whose profile does not say that it may look at others
load_profile lxcfs-test ""
LXCFS=$WORK/confined
empty_log
start_unread
worker=$(a_worker)
is "$(cat "/proc/$worker/attr/current")" "lxcfs-test (enforce)" "AppArmor confines the daemon"
ok "the start says that it may look at nobody, and how to mend it" logged 'process 1 may not be looked at.*"ptrace \(read\),"'
is "$(told in_container a)" "$DENIED" "a container is told an error by every file, and no value"
is "$(cat "$MNT/proc/meminfo" 2>&1 | sed 's/.*: //')" "$DENIED" "so are processes of the host"
ok "the log says of whom, and how to mend it" logged 'namespaces of thread [0-9]+.*"ptrace \(read\),"'
ok "so it does of a container whose dead binds are not looked for" wait_until 30 logged 'container of process [0-9]+.*for dead binds'

# ---- which may look at some: a profile counts from the moment it is loaded
load_profile lxcfs-test "ptrace (read) peer=unconfined,"
is "$(wrong in_container a 102400 0)" "" "what the log says mends it, without a restart"
is "$(told under_profile d)" "$DENIED" "a container that may not be looked at is told an error, and no other one's values"
is "$(told in_container d)" "$DENIED" "so is who may be looked at, where its container's init may not"
is "$(told under_profile a)" "$DENIED" "and who may not, where init may"
load_profile lxcfs-test "ptrace (read),"
is "$(told under_profile d)" "$DENIED" "a container's profile has a say, too"
load_profile lxcfs-test-docker "$docker ptrace (readby) peer=lxcfs-test,"
is "$(wrong under_profile d 204800 1)" "" "once both allow it, the container sees itself"
is "$(a_worker)" "$worker" "one worker has answered all of it"
kill -KILL "$worker"
is "$(wrong under_profile d 204800 1)" "" "and the next one goes on"
stop_daemon

# ---- Yama's ptrace_scope
LXCFS=$REAL
for scope in 1 2 3; do
	echo $scope >/proc/sys/kernel/yama/ptrace_scope
	is "$(cat /proc/sys/kernel/yama/ptrace_scope)" $scope "Yama's ptrace_scope is $scope"
	[ -n "$DAEMON_PID" ] || start_daemon
	is "$(wrong in_container a 102400 0)" "" "scope $scope: a container sees itself in every file"
	is "$(inspected a)" "true 104857600 0" "scope $scope: --inspect tells the same of it"
	worker=$(a_worker)
	kill -KILL "$worker"
	is "$(wrong under_profile d 204800 1)" "" "scope $scope: a confined one does so with the next worker"
	isnt "$(a_worker)" "$worker" "scope $scope: which is another"
done
kill_daemon
start_daemon
ok "scope 3: dead binds are put right" wait_until 30 healed
is "$(through_own_mount a) $(through_own_mount d)" "102400 204800" "scope 3: each container sees itself through its own"
