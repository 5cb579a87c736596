#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# /proc/slabinfo: slabtop in a container counts the container's slab memory, and none of the host's.
source "$(dirname "$0")/lib.sh"
plan 13

# slabtop's "Active / Total Size (% used) : 12.00K / 34.00K (35.3%)" and meminfo's Slab, of one
# moment as nearly as can be: both in kB.
slabtop_and_meminfo() {
	# shellcheck disable=SC2016 # for the shell inside
	in_container "$1" bash -c 'slabtop -o && grep ^Slab: /proc/meminfo' 2>"$WORK/slabtop.err" | awk '
		/Total Size/ { total = $10; unit = substr(total, length(total)) }
		/^Slab:/ { slab = $2 }
		END {
			total += 0
			if (unit == "M") total *= 1024
			if (unit == "G") total *= 1024 * 1024
			print int(total), slab
		}'
}

rows() { in_container "$1" sed 1,2d /proc/slabinfo; }

start_daemon
new_container a --memory=$((200 * MIB))
new_container b --memory=$((200 * MIB))

is "$(stat -c '%a %u' "$MNT/proc/slabinfo")" "$(stat -c '%a %u' /proc/slabinfo)" "mode and owner are the host's own"
is "$(stat -c %a "$MNT/proc/slabinfo")" 400 "which is 0400"
ok "nobody but root can read it" bash -c '! "$@" 2>/dev/null' - \
	nsenter -t "${CT_PID[a]}" -p -m -- setpriv --reuid 65534 --regid 65534 --clear-groups cat /proc/slabinfo

is "$(in_container a head -n 2 /proc/slabinfo)" "$(head -n 2 /proc/slabinfo)" "the two header lines are the kernel's"
is "$(rows a | awk '{ print $1 }' | xargs)" "reclaimable unreclaimable" "below them are two rows"
is "$(rows a | awk '{ print NF, $4, $5, $6 }' | sort -u)" \
	"$(sed -n 3p /proc/slabinfo | awk '{ print NF }') $(getconf PAGESIZE) 1 1" "with the kernel's fields, one page each object"

in_container a mount -t tmpfs none /mnt
in_container a bash -c 'for ((i = 0; i < 20000; i++)); do : >/mnt/a-file-of-the-container-$i; done'
# Until they agree: the kernel may sum up memory.stat every other second only.
agree() { # CONTAINER LEAST
	read -r total slab < <(slabtop_and_meminfo "$1")
	[ "$total" -ge "$2" ] && [ "$total" -ge $((slab - 1024)) ] && [ "$total" -le $((slab + 1024)) ]
}
wait_until 5 agree a 8192
is "$(cat "$WORK/slabtop.err")" "" "slabtop has nothing to complain of"
# The kernel charges in batches of 64 pages a CPU, and slabtop's own exit frees some.
between "$total" $((slab - 1024)) $((slab + 1024)) "slabtop's total is meminfo's Slab"
between "$total" 8192 $((100 * 1024)) "twenty thousand files are counted"
wait_until 5 agree b 0
between "$total" $((slab - 1024)) $((slab + 1024)) "so it is in another container"
between "$total" 0 8191 "where those files are not counted"
in_container a umount /mnt
freed() { # the kernel frees inodes later
	read -r total slab < <(slabtop_and_meminfo a)
	[ "$total" -lt 8192 ]
}
ok "files that are gone are not counted any more" wait_until 10 freed
new_container whole
is "$(rows whole | awk '{ print $1 }' | xargs)" "reclaimable unreclaimable" "no limit: no row of the host either"
