#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The programs people look with, run in a container, print the container's numbers.
source "$(dirname "$0")/lib.sh"
plan 25

start_daemon
made=$(now_ms)
new_container c --memory=$((256 * MIB)) --cpus=1
read_from_disk c
inside() { in_container c env LC_ALL=C HOME="$WORK" TERM=xterm COLUMNS=120 "$@" 2>&1; }

is "$(inside free -k | awk '$1 == "Mem:" { print $2 }')" 262144 "free: the total"
between "$(inside free -k | awk '$1 == "Mem:" { print $3 }')" 0 65536 "free: used is the container's"
between "$(inside free -k | awk '$1 == "Mem:" { print $7 }')" 196608 262144 "free: available"

top=$(inside top -b -n 1 -w 120)
matches "$top" 'MiB Mem : +256\.0 total' "top: the total"
matches "$top" 'Tasks: +[1-9] total' "top: its few tasks"
matches "$top" 'up [0-2] min|up +0:0[0-2]' "top: up since the container's start"
matches "$top" '%Cpu\(s\): *[0-9.]+ us' "top: a line of CPU time"

matches "$(inside uptime)" 'up [0-2] min|up +0:0[0-2]' "uptime: since the container's start"
between "$(inside cat /proc/uptime | cut -d. -f1)" 0 "$((($(now_ms) - made) / 1000 + 1))" "the file it read"

is "$(inside vmstat -s | awk '/total memory/ { print $1 }')" 262144 "vmstat -s: the total"
between "$(inside vmstat 1 2 | tail -n 1 | awk '{ print $4 }')" 196608 262144 "vmstat: free memory"
is "$(inside vmstat 1 2 | tail -n 1 | awk '{ print ($13 + $14 + $15 + $16 + $17 >= 99) }')" 1 "vmstat: shares that make 100 %"

mpstat=$(inside mpstat -P ALL 5 1) # which itself takes its time, on a slow machine
is "$(grep '^Average' <<<"$mpstat" | awk '{ print $2 }' | xargs)" "CPU all 1" "mpstat: CPU 1 and no other"
matches "$mpstat" '\(1 CPU\)' "mpstat: one CPU"
between "$(awk '/^Average/ && $2 == "all" { print $NF }' <<<"$mpstat")" 80 100 "mpstat: idle"

iostat=$(inside iostat -c)
matches "$iostat" '\(1 CPU\)' "iostat: one CPU"
devices=$(inside cat /proc/diskstats | awk '{ print $3 }' | sort | xargs)
disk=$(disk_of /var/tmp)
matches " $devices " " ${disk:+$disk }" "the container has used a disk, if there is one"
is "$(inside vmstat -d | awk 'NR > 2 { print $1 }' | sort | xargs)" "$devices" "vmstat -d: the devices that it used"

lscpu=$(inside lscpu)
is "$(awk -F': *' '/On-line CPU\(s\) list/ { print $2 }' <<<"$lscpu")" 1 "lscpu: the CPU that is online"
is "$(inside lscpu -p=CPU | grep -v '^#' | xargs)" 1 "lscpu -p: that CPU alone"
is "$(inside getconf _NPROCESSORS_ONLN)" 1 "getconf: processors"

is "$(inside ps -o lstart= -p 1)" "$(LC_ALL=C ps -o lstart= -p "${CT_PID[c]}")" "ps: the start time is the true one"

is "$(inside swapon --show --noheadings --bytes | wc -l)" "$(inside sed 1d /proc/swaps | wc -l)" "swapon: as many rows as in swaps"

# htop draws on a terminal; what it draws is looked at without its colours.
mkfifo "$WORK/keyboard"
(sleep $((2 + SLOW)); printf q; sleep 1; printf q) >"$WORK/keyboard" &
keys=$!
in_container c env HOME="$WORK" TERM=xterm LC_ALL=C timeout $((10 * SLOW)) \
	script -qec "stty rows 30 cols 100; htop -d 5" /dev/null <"$WORK/keyboard" >"$WORK/htop" 2>&1
wait $keys
drawn=$(sed 's/\x1b[[(][0-9;?]*[a-zA-Z]//g' "$WORK/htop" | tr -d '\017' | tr '\r' '\n')
matches "$drawn" '/256M' "htop: the memory meter"
matches "$drawn" 'Uptime: 00:0[0-9]:' "htop: up since the container's start"
