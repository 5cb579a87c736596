#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What is for Kubernetes, as far as it can be tried without a cluster: the manifests are whole and say
# what is served, and the DaemonSet's program keeps the daemon over the pod's end, replaces another
# version's, and takes away what a dead one left.
source "$(dirname "$0")/lib.sh"
plan 20

dir=$TOP/share/kubernetes
state=$WORK/state
pod=

# ---- manifests
yaml_to_json() { /usr/bin/python3 -c 'import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)' <"$1"; }
for name in daemonset policy runtimeclass; do
	yaml_to_json "$dir/$name.yaml" >"$WORK/$name.json"
done
is "$(jq -r '.[] | [.apiVersion, .kind, .metadata.name] | join(" ")' "$WORK"/{daemonset,policy,runtimeclass}.json)" \
	"apps/v1 DaemonSet lxcfs
admissionregistration.k8s.io/v1beta1 MutatingAdmissionPolicy lxcfs
admissionregistration.k8s.io/v1beta1 MutatingAdmissionPolicyBinding lxcfs
node.k8s.io/v1 RuntimeClass lxcfs" "the manifests are YAML"
is "$(jq -c '.[0].spec | .selector.matchLabels == .template.metadata.labels, (.template.spec |
	([.volumes[].name] | sort) == ([.containers[].volumeMounts[].name] | sort))' "$WORK/daemonset.json" | xargs)" "true true" \
	"the DaemonSet selects its pods, and mounts its volumes"
is "$(jq -r '.[0].spec.mutations[0].applyConfiguration.expression' "$WORK/policy.json" | grep -o 'mountPath: "[^"]*"' | cut -d'"' -f2 | sort)" \
	"$("$LXCFS" --cdi | jq -r '.devices[] | select(.name == "runc").containerEdits.mounts[].containerPath' | sort)" \
	"the policy mounts what runc lets anybody mount over, and no other file"
is "$(jq -r '.[0].spec.mutations[0].applyConfiguration.expression' "$WORK/policy.json" | grep -o -E '(hostPath\{path|mountPath): "[^"]*"' |
	cut -d'"' -f2 | sed 's,^/var/lib/lxcfs,,' | sort | uniq -c | awk '$1 != 2')" "" "each from its own file"
is "$(jq -r '.[0].spec.mutations[0].applyConfiguration.expression' "$WORK/policy.json" | tr -cd '(){}[]' | sed -E ':a; s/\(\)|\{\}|\[\]//; ta')" "" \
	"its brackets match"
is "$(/usr/bin/python3 -c 'import sys, tomllib
c = tomllib.load(open(sys.argv[1], "rb"))["plugins"]["io.containerd.grpc.v1.cri"]
print(c["enable_cdi"], *c["containerd"]["runtimes"]["lxcfs"]["options"].values())' "$dir/containerd.toml")" "True /usr/bin/lxcfs-runc" \
	"containerd.toml names the handler of the RuntimeClass"

# ---- the same against the API's own types, which know every field (npm's kubernetes-models)
# The package has the policy as v1, whose fields are those of v1beta1.
as_typescript() { # FILE...
	/usr/bin/python3 - "$@" <<-'END'
		import json, sys, yaml
		n = 0
		for path in sys.argv[1:]:
		    for doc in yaml.safe_load_all(open(path)):
		        api = doc["apiVersion"] = doc["apiVersion"].replace("k8s.io/v1beta1", "k8s.io/v1")
		        n += 1
		        print(f'import {{ I{doc["kind"]} as T{n} }} from "kubernetes-models/{api}";')
		        print(f"export const d{n}: T{n} = {json.dumps(doc, indent=1)};")
	END
}
checked() {
	(cd "$WORK/npm" && node_modules/.bin/tsc --noEmit --strict --skipLibCheck --module nodenext --moduleResolution nodenext "$@") 2>&1
}
mkdir "$WORK/npm"
echo '{"private":true}' >"$WORK/npm/package.json"
download_models() {
	(cd "$WORK/npm" && HOME=$WORK npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error \
		kubernetes-models@5.1.0 typescript@5.9.3) </dev/null >"$WORK/npm.log" 2>&1
}
wait_until 60 download_models || bail "npm: $(cat "$WORK/npm.log")"
as_typescript "$dir"/{daemonset,policy,runtimeclass}.yaml >"$WORK/npm/all.ts"
is "$(checked all.ts)" "" "each field of the manifests is the API's"
wrong=()
for change in s/hostPID/hostPid/ s/mountPropagation/mountPropagaton/ s/Bidirectional/Both/ 's/"name": "lxcfs"/"name": 1/' s/patchType/pachType/ s/handler/handle/; do
	wrong+=("wrong${#wrong[@]}.ts")
	sed "$change" "$WORK/npm/all.ts" >"$WORK/npm/${wrong[-1]}"
done
is "$(checked "${wrong[@]}" | sed -n 's/^\(wrong[0-9].ts\)(.*error.*/\1/p' | sort -u | xargs)" "${wrong[*]}" "a field that is misspelt, missing or of another type would not be"

# ---- the DaemonSet's program
start_pod() { # in a cgroup of its own, which is all that ends with it
	make_cgroup pod || bail "no cgroup"
	(
		trap - EXIT INT TERM
		join_cgroup pod
		PATH=$WORK/bin:$PATH LXCFS_DIR=$MNT LXCFS_STATE=$state LXCFS_CGROUP=$CG_PARENT/node exec "$dir/lxcfs-node" --enable-cfs
	) </dev/null >>"$WORK/pod.log" 2>&1 &
	pod=$!
}

end_pod() { # as a runtime does: everything in its cgroup is killed
	kill_in_cgroup "$(cgdir memory pod)"
	wait "$pod" 2>/dev/null
}

serves() { [ "$(timeout $((5 * SLOW)) head -c 8 $MNT/proc/meminfo 2>/dev/null)" = MemTotal ]; }
daemon() { cat "$state/lxcfs.pid" 2>/dev/null; }
another() {
	local now

	now=$(daemon)
	[ -n "$now" ] && [ "$now" != "$1" ] && serves
}
says() { grep -q "$1" "$WORK/pod.log"; }

end_runtime() {
	end_pod
	[ -z "$(daemon)" ] || kill -KILL "$(daemon)" 2>/dev/null
	unmount_all $MNT
}

ok "lxcfs-node is a script" sh -n "$dir/lxcfs-node"
start_pod
ok "a pod starts the daemon" wait_until 20 serves || diag "$(cat "$WORK/pod.log")"
first=$(daemon)
is "$(tr '\0' ' ' <"/proc/$first/cmdline" | grep -o -- --enable-cfs)" "--enable-cfs" "with the DaemonSet's options"
is "$(cut -d: -f3 "/proc/$first/cgroup" | sort -u)" "/$CG_PARENT/node" "in a cgroup of its own in every hierarchy"
exec 7<$MNT/proc/uptime
end_pod
ok "the pod is killed: the daemon serves on" serves
ok "and what a container had open reads on" grep -q . <&7
exec 7<&-
start_pod
ok "the next pod finds it" wait_until 20 says "of an earlier pod serves"
is "$(daemon)" "$first" "and leaves it alone"
kill -KILL "$first"
ok "a daemon that is killed is replaced, and its dead mount is gone" wait_until 40 another "$first"
is "$(awk -v d=$MNT '$5 == d' /proc/self/mountinfo | wc -l)" 1 "one mount is left"
second=$(daemon)
end_pod
cp "$LXCFS" "$WORK/bin/other" && echo >>"$WORK/bin/other" && mv "$WORK/bin/other" "$WORK/bin/lxcfs" # another version
start_pod
ok "another image replaces the daemon" wait_until 40 another "$second"
kill -TERM "$pod"
wait "$pod"
is "$? $(serves && echo serves)" "0 serves" "a pod that is told to end does, and the daemon does not"
