#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# meson install: everything is there, below a prefix of one's own, with DESTDIR and without, and names
# only what is there; the scripts of each init start and stop the daemon; each shell completes.
source "$(dirname "$0")/lib.sh"
plan 25

prefix=/opt/lxcfs-test
inst=$WORK/inst

# ---- built and installed
meson setup "$WORK/build" "$TOP" --prefix=$prefix -Dtests=false -Doptimization=0 \
	${SANITIZED:+-Db_sanitize="$SANITIZED" -Db_lundef=false} \
	-Dinit-script=systemd,sysvinit,runit,s6 >"$WORK/log" 2>&1 && ninja -C "$WORK/build" >>"$WORK/log" 2>&1
is $? 0 "it builds for another prefix" || diag "$(tail -n 20 "$WORK/log")"
DESTDIR=$inst meson install -C "$WORK/build" --no-rebuild --quiet >"$WORK/log" 2>&1
is "$? $(cat "$WORK/log")" "0 " "meson install with DESTDIR"
is "$(cd "$inst" && find . -type f | sort)" "$(sed "s,^,.$prefix/," <<-END | sort
	bin/lxcfs
	bin/lxcfs-runc
	etc/cdi/lxcfs.json
	etc/init.d/lxcfs
	etc/s6/sv/lxcfs/run
	etc/s6/sv/lxcfs/type
	etc/sv/lxcfs/run
	lib/systemd/system/lxcfs.service
	share/bash-completion/completions/lxcfs
	share/containers/oci/hooks.d/lxcfs.json
	share/doc/lxcfs/COPYING
	share/doc/lxcfs/README.md
	share/doc/lxcfs/docker/compose.yaml
	share/doc/lxcfs/docker/daemon.json
	share/doc/lxcfs/kubernetes/Containerfile
	share/doc/lxcfs/kubernetes/containerd.toml
	share/doc/lxcfs/kubernetes/daemonset.yaml
	share/doc/lxcfs/kubernetes/lxcfs-node
	share/doc/lxcfs/kubernetes/policy.yaml
	share/doc/lxcfs/kubernetes/runtimeclass.yaml
	share/fish/vendor_completions.d/lxcfs.fish
	share/lxc/config/common.conf.d/00-lxcfs.conf
	share/lxcfs/lxc.mount.hook
	share/lxcfs/lxc.reboot.hook
	share/man/man8/lxcfs.8
	share/zsh/site-functions/_lxcfs
END
)" "everything is there, and nothing outside the prefix"
named=$(grep -r -o -h -I "$prefix[A-Za-z0-9._/-]*" "$inst$prefix"/{etc,lib,share/lxc*,share/containers,share/doc/lxcfs/docker,bin/lxcfs-runc} | sort -u)
missing=$(while read -r path; do [ -e "$inst$path" ] || echo "$path"; done <<<"$named")
between "$(wc -l <<<"$named")" 4 99 "the files name each other"
is "$missing" "" "and only what is there"
is "$(grep -r -l -I '@[a-z]*@' "$inst")" "" "nothing is left to fill in"
is "$(grep -r -l -I -F -e "$WORK" -e "$TOP" "$inst")" "" "nothing names where it was built"
ok "the CDI spec is this machine's" cmp <("$LXCFS" --cdi) "$inst$prefix/etc/cdi/lxcfs.json"
is "$(jq -c '[.version, .stages[0], .hook.path]' "$inst$prefix/share/containers/oci/hooks.d/lxcfs.json")" \
	"[\"1.0.0\",\"createContainer\",\"$prefix/bin/lxcfs\"]" "the hook's JSON is what Podman reads"

meson setup --reconfigure "$WORK/build" "$TOP" -Dinit-script=openrc >"$WORK/log" 2>&1
DESTDIR=$WORK/openrc meson install -C "$WORK/build" --quiet >>"$WORK/log" 2>&1
is "$? $(grep -c "^command=\"$prefix/bin/lxcfs\"" "$WORK/openrc$prefix/etc/init.d/lxcfs")" "0 1" "OpenRC's script, where it is chosen"
ok "which is a script" sh -n "$WORK/openrc$prefix/etc/init.d/lxcfs"
meson configure "$WORK/build" -Dinit-script=openrc,sysvinit >/dev/null 2>&1
meson setup --reconfigure "$WORK/build" "$TOP" >"$WORK/log" 2>&1
isnt $? 0 "two scripts of one name are refused"

# ---- in its place, without DESTDIR, in the test's own mount namespace
mount -t tmpfs none /opt && mount -t tmpfs none /run && cp -a "$inst/opt/." /opt || bail "no /opt"
bin=$prefix/bin/lxcfs
serves() { [ "$(timeout $((5 * SLOW)) head -c 8 $MNT/proc/meminfo 2>/dev/null)" = MemTotal ]; }
idle() { ! is_mounted $MNT; }

show_complaints $prefix/etc/init.d/lxcfs
$prefix/etc/init.d/lxcfs start >"$WORK/sysvinit.log" 2>&1
ok "sysvinit's script starts it" wait_until 10 serves || diag "$(cat "$WORK/sysvinit.log")"
$prefix/etc/init.d/lxcfs stop >>"$WORK/sysvinit.log" 2>&1
ok "and stops it" wait_until 10 idle

cp -r $prefix/etc/sv/lxcfs "$WORK/runit"
run_in_background runsv "$WORK/runit" >"$WORK/runit.log" 2>&1
ok "runit starts it" wait_until 10 serves || diag "$(cat "$WORK/runit.log")"
sv -w 20 exit "$WORK/runit" >>"$WORK/runit.log" 2>&1
ok "and stops it" wait_until 10 idle

cp -r $prefix/etc/s6/sv/lxcfs "$WORK/s6"
run_in_background s6-supervise "$WORK/s6" >"$WORK/s6.log" 2>&1
ok "s6 starts it" wait_until 10 serves || diag "$(cat "$WORK/s6.log")"
s6-svc -xd "$WORK/s6"
ok "and stops it" wait_until 10 idle
end_background

# ---- runc with the hook
cat >"$WORK/fake" <<'END'
#!/bin/sh
echo "$0 $*"
END
chmod 755 "$WORK/fake"
mkdir "$WORK/bundle"
wrap() { # WORD...: what runtime it ends in, and whether the bundle got the hook
	echo '{}' >"$WORK/bundle/config.json"
	(cd "$WORK/bundle" && LXCFS_RUNTIME=$WORK/fake $prefix/bin/lxcfs-runc "$@")
	jq -c '.hooks.createContainer | length' "$WORK/bundle/config.json"
}
is "$(wrap --root /r --log=/l --systemd-cgroup create --bundle "$WORK/bundle" --pid-file /p 'a b' | xargs)" \
	"$WORK/fake --root /r --log=/l --systemd-cgroup create --bundle $WORK/bundle --pid-file /p a b 1" "lxcfs-runc create: the hook is added"
is "$(wrap run web | tail -n 1) $(wrap --root create state web | tail -n 1) $(wrap delete run | tail -n 1)" "1 0 0" \
	"to the bundle it is in, and only where a container is made"
is "$(wrap create -b /nowhere web 2>/dev/null | xargs)" "$WORK/fake create -b /nowhere web 0" "without a bundle the runtime is called all the same"

# ---- shells
# shellcheck disable=SC2016 # for the shells
is "$(PATH=$prefix/bin:$PATH bash -c 'source "$1/share/bash-completion/completions/lxcfs"; compopt() { :; }; COMP_WORDS=(lxcfs --ins); COMP_CWORD=1; _lxcfs lxcfs; echo "${COMPREPLY[@]}"' - $prefix)" \
	"--inspect=" "bash completes an option"
is "$(PATH=$prefix/bin:$PATH bash -c 'source "$1/share/bash-completion/completions/lxcfs"; compopt() { :; }; COMP_WORDS=(lxcfs --inspect = '$$'); COMP_CWORD=3; _lxcfs lxcfs; echo "${COMPREPLY[@]}"' - $prefix | tr ' ' '\n' | grep -x $$)" \
	$$ "and a process"
is "$(PATH=$prefix/bin:$PATH HOME=$WORK fish -c "source $prefix/share/fish/vendor_completions.d/lxcfs.fish; complete -C 'lxcfs --ins'; complete -C 'lxcfs --list'" | cut -f1 | xargs)" \
	"--inspect --list-files" "fish completes an option"
zsh_says=$(PATH=$prefix/bin:$PATH HOME=$WORK timeout $((30 * SLOW)) zsh -f -c '
	zmodload zsh/zpty
	zpty z "PATH=$PATH zsh -f -i"
	zpty -w z "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; echo rea\"\"dy"
	while zpty -r z line && [[ $line != *ready* ]]; do :; done
	zpty -w -n z "lxcfs --ins"$'"'\t'"'
	zpty -r z line "*--inspect*"
	print -r -- "$line"
	zpty -d z' - $prefix/share/zsh/site-functions 2>&1)
matches "$zsh_says" '--inspect' "zsh completes an option"
