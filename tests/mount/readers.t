#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs that read many of the files at once, in a container: each ends well, complains of nothing, and
# the numbers it prints are the container's.
source "$(dirname "$0")/lib.sh"
plan 35

PATH=$PATH:$BUILD/programs/usr/bin # what tests/run unpacked there
CPU=1                              # the container's only one
start_daemon
new_container c --memory=$((256 * MIB)) --cpus=$CPU
inside() { in_container c env LC_ALL=C HOME="$WORK" TERM=xterm COLUMNS=120 ATOPACCT= "$@"; }

# reads NAME COMMAND...: what it prints is in $WORK/out and $WORK/err afterwards.
reads() {
	local name=$1

	shift
	inside timeout $((60 * SLOW)) "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
	is "$?" 0 "$name ends well"
	is "$(grep -iE 'error|cannot|fail|warn|invalid|unexpected' "$WORK/err")" "" "$name complains of nothing"
}
out() { awk "$@" "$WORK/out"; }
kib_free() { between "$1" 131072 262144 "$2"; } # the program itself uses of it

reads "sar -A" sar -A 1 1
matches "$(head -n 1 "$WORK/out")" '\(1 CPU\)' "sar: one CPU"
is "$(out '/%idle/ { cpus = 1; next } !NF { cpus = 0 } cpus && /^Average/ { print $2 }' | sort -u | xargs)" "$CPU all" \
	"sar: that CPU and no other"
kib_free "$(out '/kbmemfree/ { getline; print $2; exit }')" "sar: the container's free memory"
between "$(out '/plist-sz/ { getline; print $3; exit }')" 1 20 "sar: its few tasks"
matches "$(out '/%scpu-10 / { getline; print $2; exit }')" '^[0-9.]+$' "sar: pressure"

reads atop atop -P CPU,cpu,CPL,MEM,PSI 1 2
is "$(out '$1 == "CPU" { print $8 }' | sort -u)" 1 "atop: one CPU"
is "$(out '$1 == "cpu" { print $3 }' | uniq -c | awk '{ print $1 }' | sort -u)" 1 "atop: which is one row of each sample"
is "$(out -v p="$(getconf PAGESIZE)" '$1 == "MEM" { print $7 * $8 }' | sort -u)" $((256 * MIB)) "atop: the total"
between "$(out '$1 == "MEM" { print $9 * $7 / 1024; exit }')" 131072 262144 "atop: free memory"

# It goes into the background and tells its number.
reads nmon bash -c 'nmon -F "$1" -s 1 -c 2 -p >"$2" && tail -f /dev/null --pid "$(cat "$2")"' - "$WORK/nmon" "$WORK/nmon.pid"
is "$(grep -c '^ERROR' "$WORK/nmon")" 0 "nmon notes no error"
is "$(awk -F, '$1 == "MEM" && $2 ~ /^T/ { print $3 }' "$WORK/nmon" | sort -u)" 256.0 "nmon: the total"
is "$(awk -F, '/^CPU[0-9]/ { print $1 + 0, $1 }' "$WORK/nmon" | sort -u | awk '{ print $2 }')" CPU001 "nmon: one CPU"

reads lstopo lstopo-no-graphics --no-io
is "$(out '{ while (match($0, /PU L#[0-9]+ \(P#[0-9]+\)/)) { print substr($0, RSTART, RLENGTH); $0 = substr($0, RSTART + RLENGTH) } }')" \
	"PU L#0 (P#$CPU)" "lstopo: that CPU and no other"

reads Java java -XshowSettings:system -Xlog:gc+init -version
is "$(awk '/Memory Limit:/ { print $3; exit }' "$WORK/err")" 256.00M "Java: the limit"
is "$(awk '/Effective CPU Count:/ { print $4 }' "$WORK/err")" 1 "Java: one CPU"

reads node node -p 'const os = require("os"); [os.totalmem(), os.freemem() / 1024, os.cpus().length, os.uptime()].join(" ")'
is "$(cut -d' ' -f1 "$WORK/out")" $((256 * MIB)) "node: the total"
kib_free "$(cut -d' ' -f2 "$WORK/out")" "node: free memory"
is "$(cut -d' ' -f3 "$WORK/out")" 1 "node: one CPU"

# Its collectors that read our files; one scrape over a loopback of its own.
collectors="cpu diskstats loadavg meminfo pressure stat vmstat"
cat >"$WORK/scrape" <<-'END'
	ip link set lo up
	prometheus-node-exporter --log.level=error --path.udev.data=/ --collector.disable-defaults $1 --web.listen-address=127.0.0.1:9100 &
	for try in {1..100}; do
		sleep 0.2
		exec 3<>/dev/tcp/127.0.0.1/9100 && break
	done 2>/dev/null
	printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
	cat <&3
	kill $!
	wait
	true
END
reads node-exporter unshare -n bash "$WORK/scrape" "$(printf -- '--collector.%s ' $collectors)"
is "$(out -F'"' '/^node_scrape_collector_success.* 1$/ { print $2 }' | sort | xargs)" "$collectors" "node-exporter: every collector has what it looks for"
is "$(out '$1 == "node_memory_MemTotal_bytes" { printf "%d", $2 }')" $((256 * MIB)) "node-exporter: the total"
is "$(out -F'[" ]' '/^node_cpu_seconds_total.*idle/ && $NF > 0 { print $2 }')" $CPU "node-exporter: that CPU's time and no other's"
