#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The Debian package: it builds from the tree, takes the place of Debian's own lxcfs, serves from the
# init script, and leaves nothing behind. In a throw-away copy of this machine's root (an overlay).
source "$(dirname "$0")/../mount/lib.sh"
plan 22

root=$WORK/root

sanitizers=() # what they are told
if [ -n "$SANITIZED" ]; then
	sanitizers=("ASAN_OPTIONS=$ASAN_OPTIONS" "UBSAN_OPTIONS=$UBSAN_OPTIONS" "TSAN_OPTIONS=$TSAN_OPTIONS")
	export DEB_CFLAGS_APPEND=-fsanitize=$SANITIZED DEB_LDFLAGS_APPEND=-fsanitize=$SANITIZED
fi

in_root() {
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		${sanitizers[@]+"${sanitizers[@]}"} "$@"
}

# A file system of its own, so that no overlay lies on another.
make_root() {
	mkdir "$WORK/upper" "$root" &&
		mount -t tmpfs none "$WORK/upper" && mkdir "$WORK/upper"/{changes,work} &&
		mount -t overlay -o "lowerdir=/,upperdir=$WORK/upper/changes,workdir=$WORK/upper/work" none "$root" &&
		mount -t proc none "$root/proc" && mount --bind /dev "$root/dev" && mount --rbind /sys "$root/sys" &&
		mount --make-rslave "$root/sys" && # else its end is that of /sys/fs/cgroup as well
		mount -t tmpfs none "$root/run" && mount -t tmpfs none "$root/tmp" || return
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
}

test_cleanup() {
	[ ! -x "$root/etc/init.d/lxcfs" ] || in_root /etc/init.d/lxcfs stop >/dev/null 2>&1
	umount -R -l "$root" 2>/dev/null
	umount -l "$WORK/upper" 2>/dev/null
}

of_lxcfs() { # every path of our own that a package may leave
	(cd "$root" && find etc usr lib/systemd var/lib var/cache -xdev \( -iname '*lxcfs*' -o -path '*/lxcfs/*' \) \
		! -path 'var/lib/dpkg/*' ! -path 'var/cache/apt/*' ! -path 'var/lib/systemd/deb-systemd-helper-*' ! -path 'etc/rc*' ! -path '*/doc/*' 2>/dev/null | sort)
}

status_of() { in_root dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | tr -d ' '; }

# ---- build, from what belongs to the tree
mkdir -p "$WORK/src/tree"
(cd "$TOP" && tar -c --exclude='./build*' --exclude=./.git --exclude=./.cache --exclude=./tests . | tar -x -C "$WORK/src/tree")
mkdir "$WORK/src/tree/tests"
(cd "$WORK/src/tree" && dpkg-buildpackage -b -us -uc) >"$WORK/build.log" 2>&1
is $? 0 "dpkg-buildpackage builds" || diag "$(tail -n 30 "$WORK/build.log")"
deb=$(ls "$WORK"/src/lxcfs-view_*.deb)
is "$(LC_ALL=C.UTF-8 lintian --allow-root "$WORK"/src/*.changes 2>&1)" "" "lintian has nothing to say"
is "$(dpkg-deb -f "$deb" Version)" "$("$LXCFS" --version)" "the package has the program's version"

# ---- over Debian's own
make_root || bail "no throw-away root"
cp "$deb" "$root/tmp/new.deb"
if [ "$(status_of lxcfs)" != ii ]; then
	install_debians() { in_root apt-get install -q -y --no-install-recommends lxcfs >"$WORK/apt.log" 2>&1; }
	wait_until 60 install_debians || bail "$(tail "$WORK/apt.log")"
fi
matches "$(in_root dpkg-query -W -f '${Version}' lxcfs)" '^[5-9]' "Debian's lxcfs is there"
broken_before=$(in_root dpkg --audit)
in_root dpkg -i /tmp/new.deb </dev/null >"$WORK/dpkg.log" 2>&1
is $? 0 "dpkg -i installs over it, and asks nothing" || diag "$(cat "$WORK/dpkg.log")"
is "$(status_of lxcfs-view) $(status_of lxcfs | grep -x ii)" "ii " "it is in its place"
is "$(in_root dpkg --audit)" "$broken_before" "nothing is half installed"
got=$(in_root apt-get check -q 2>&1)
is "$? $(grep -i unmet <<<"$got")" "0 " "what depends on lxcfs is content"
is "$(in_root lxcfs --version)" "$("$LXCFS" --version)" "lxcfs is ours"
missing=$(in_root dpkg -L lxcfs-view | while read -r file; do [ -e "$root$file" ] || echo "$file"; done)
is "$missing" "" "every file of it is there, also those that both packages have"
is "$(in_root dpkg -V lxcfs-view)" "" "with what we put into it"
boots() { (cd "$root/etc" && echo rc?.d/[KS]*lxcfs systemd/system/*/*lxcfs*); }
starts=$(boots)
in_the_readme='systemctl enable lxcfs'
grep -q -F "$in_the_readme" "$TOP/README.md" || bail "the README does not say $in_the_readme"
matches "$starts" 'rc3.d/S..lxcfs .*multi-user.target.wants/lxcfs.service' "it is started when the machine is"
in_root dpkg -P lxcfs >"$WORK/dpkg.log" 2>&1
is "$? $(in_root dpkg -V lxcfs-view)" "0 " "what lxcfs left is purged, and takes no file of ours along"
# shellcheck disable=SC2086 # words
in_root $in_the_readme >/dev/null 2>&1
is "$(boots)" "$starts" "but the boot links, which the README's line brings back"
ok "the CDI spec is this machine's" cmp <(in_root lxcfs --cdi) "$root/etc/cdi/lxcfs.json"

# ---- it serves
show_complaints "$root/etc/init.d/lxcfs"
in_root /etc/init.d/lxcfs start >"$WORK/init.log" 2>&1
serves() { [ "$(in_root head -c 8 /var/lib/lxcfs/proc/meminfo 2>/dev/null)" = MemTotal ]; }
ok "the init script starts it" wait_until 10 serves || diag "$(cat "$WORK/init.log")"
matches "$(in_root /etc/init.d/lxcfs status)" running "and knows that it runs"
in_root dpkg -i /tmp/new.deb </dev/null >"$WORK/dpkg.log" 2>&1
is "$? $(in_root head -c 8 /var/lib/lxcfs/proc/meminfo)" "0 MemTotal" "an upgrade does not stop it"
in_root /etc/init.d/lxcfs stop >>"$WORK/init.log" 2>&1
is "$? $(grep -c "$root/var/lib/lxcfs" /proc/self/mountinfo)" "0 0" "the init script stops it, and nothing stays mounted"

# ---- removed
# (LXD stays, which depends on it)
in_root dpkg -r --force-depends lxcfs-view >"$WORK/dpkg.log" 2>&1
is "$? $(status_of lxcfs-view)" "0 rc" "dpkg -r removes it"
in_root dpkg -P --force-depends lxcfs-view >>"$WORK/dpkg.log" 2>&1
is "$(status_of lxcfs-view)" "" "dpkg -P forgets it"
is "$(of_lxcfs)" "" "nothing of it stays" || diag "$(cat "$WORK/dpkg.log")"
