#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The manual page says what the program does: the same options as --help, the same files as
# --list-files, every line that the running kernel's meminfo has; and both are installed.
source "$(dirname "$0")/lib.sh"
plan 17

page=$TOP/man/lxcfs.8

section() { # NAME: its lines
	sed -n "/^\.Sh $1\$/,/^\.Sh /p" "$page"
}

# ---- the page itself
is "$(mandoc -T lint -W style "$page" 2>&1 | grep -v -e 'outdated mandoc.db' -e 'referenced manual not found')" "" "mandoc finds nothing to complain about"
for name in NAME SYNOPSIS DESCRIPTION OPTIONS FILES SIGNALS "EXIT STATUS" EXAMPLES; do
	[ -n "$(section "$name")" ] || diag "no $name"
done
is "$(grep -c -E '^\.Sh (NAME|SYNOPSIS|DESCRIPTION|OPTIONS|FILES|SIGNALS|EXIT STATUS|EXAMPLES)$' "$page")" 8 \
	"it has the sections that people look for"

# ---- options: "-p --pidfile=FILE" a line, on both sides
section OPTIONS | sed -n 's/^\.It Fl //p' |
	sed 's/ , Fl / -/; s/^/-/; s/ Ns = Ns Ar /=/; s/ Ar / /' | sort >"$WORK/man-options"
"$LXCFS" --help | sed -n 's/^ *\(-.*[^ ]\)   *.*$/\1/p' | sed 's/, / /' | sort >"$WORK/help-options"
between "$(wc -l <"$WORK/help-options")" 15 99 "--help lists options"
is "$(cat "$WORK/man-options")" "$(cat "$WORK/help-options")" "the page lists the same ones, with the same arguments"
missing=
for word in 'Fl n' 'Fl s' 'Fl -enable-cgroup' 'Fl -enable-nsdelegate'; do
	grep -q -x -F ".$word" "$page" || missing="$missing $word"
done
is "$missing" "" "and those that are taken for compatibility's sake"

# ---- files
section FILES | sed -n 's/^\.It Pa \(\(proc\|sys\)\/.*\)/\1/p' | sort >"$WORK/man-files"
"$LXCFS" --list-files | sort >"$WORK/served"
is "$(comm -13 "$WORK/man-files" "$WORK/served")" "" "the page has every served file (one .It Pa a file)"
not_served=$(comm -23 "$WORK/man-files" "$WORK/served" | while read -r file; do
	[ ! -e "/$file" ] || echo "$file"
done)
is "$not_served" "" "and none that is not served where the kernel has it"
missing=
for name in $(sed 's/:.*//' /proc/meminfo); do
	section FILES | grep -q -E "(^\.It Cm|[ ,])(.* )?$(sed 's/[()]/\\&/g' <<<"$name")( |,|\$)" || missing="$missing $name"
done
is "$missing" "" "every line of this kernel's meminfo is told of"
# What is zero on purpose, in the table that makes the file and in the page; and all that it knows.
rows() { sed -n "s/^\t\($1\)(\"\([^\"]*\)\".*/\2/p" "$TOP/src/view/meminfo.c" | sort; }
told() { # its lines of names, those said to be zero, one a line
	section FILES | sed -n '/^\.It Pa proc\/meminfo/,/^\.It Pa proc\/stat/p' | awk -v zero="$1" '
		/^(\.It |\.)?Cm DirectMap/ && !/^\.It/ { if (zero) print; next }
		/^\.It Cm/ { names = $0 }
		/^zero on purpose/ { if (zero) print names }
		/^\.It Cm/ && !zero' | sed 's/^\.\(It \)\{0,1\}Cm //; s/ , /\n/g' | sort
}
between "$(rows ZERO | wc -l)" 10 99 "some lines of meminfo are zero on purpose"
is "$(told 1)" "$(rows ZERO)" "the page says which"
known=$(sed -n 's/^\t\(COUNTER\|UNBOUND\|ZERO\)("\([^"]*\)".*/\2/p; s/^\t{ "\([^"]*\)", HOSTS.*/\1/p' "$TOP/src/view/meminfo.c" | sort)
is "$( (told 0; told 1) | sort -u)" "$known" "it tells of each that lxcfs knows, and of no other"
missing=
for name in $(awk '{ print $1 }' /proc/stat | sed 's/[0-9]//' | sort -u); do
	section FILES | grep -q -E "^\.It Cm (.* )?$name( |\$)" || missing="$missing $name"
done
is "$missing" "" "so is every line of its stat"

# ---- signals and exit statuses
for signal in SIGTERM SIGINT SIGHUP SIGUSR1 SIGUSR2; do
	section SIGNALS | grep -q -E "^\.It Dv (.* )?$signal( |\$)" || diag "no $signal"
done
is "$(section SIGNALS | grep -o -E '\bSIG(TERM|INT|HUP|USR[12])\b' | sort -u | wc -l)" 5 "signals are told of"
is "$(section "EXIT STATUS" | sed -n 's/^\.It //p' | xargs)" "0 1 2" "and exit statuses"

# ---- meson install, from a copy of what it goes by: a build directory may be read-only
mkdir "$WORK/build"
cp -r "$BUILD/meson-private" "$WORK/build/"
ln -s "$BUILD/src" "$WORK/build/src"
mkdir "$WORK/build/meson-logs"
(cd "$WORK/build" && meson install --no-rebuild --quiet --destdir "$WORK/inst") >"$WORK/out" 2>&1
is "$? $(cat "$WORK/out")" "0 " "meson install with a DESTDIR"
binary=$(find "$WORK/inst" -type f -path '*/bin/lxcfs')
is "$("$binary" --version 2>&1)" "$("$LXCFS" --version)" "installs the program"
ok "the manual page" cmp "$page" "$(find "$WORK/inst" -type f -path '*/man/man8/lxcfs.8')"
