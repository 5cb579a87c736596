# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Calls of a daemon that fail when a test says so, by the library faults.c; to be sourced behind lib.sh.

FAULTS=$WORK/faults
head -c 24 /dev/zero >"$FAULTS"
# as faults.c has them
MEMORY=1 OPENING=2 READING=4 FORKING=32 STORING=64 FILTERING=128
WHO_HEALS=1

start_faulty_daemon() { # OPTION...
	LD_PRELOAD=$BUILD/tests/mount/faults.so LXCFS_FAULTS=$FAULTS start_daemon "$@"
}

put() { # INDEX INT...: into the file
	local at=$1 n

	shift
	for n in "$@"; do
		# shellcheck disable=SC2059 # bytes
		printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((n & 255)) $((n >> 8 & 255)) $((n >> 16 & 255)) $((n >> 24 & 255)))"
	done | dd of="$FAULTS" bs=4 seek="$at" conv=notrunc status=none
}

no_faults() { put 3 0; }

# whose which error every: see faults.c.
faults() { no_faults; put 0 "$1" "$2" "$3"; put 4 0 0; put 3 "$4"; }
# Of those since then.
failures() { od -An -tu4 -j20 -N4 "$FAULTS" | tr -d ' '; }
have_failed() { [ "$(failures)" -gt 0 ]; }
