#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `kubectl sluice`: found by kubectl as a plugin; says what each node serves, and what is wrong with manifests.
. "$(dirname "$0")/../lib.sh"
begin_case

mkdir "$tmp/bin"
printf '#!/bin/sh\nexec "%s" kubectl "$@"\n' "$root/tests/lab/lab" >"$tmp/bin/kubectl"
chmod +x "$tmp/bin/kubectl"
ln -s "$root/deploy/kubectl-sluice" "$tmp/bin/"
PATH=$tmp/bin:$PATH

gateway plugged | apply
wait_programmed default plugged
command kubectl sluice status >"$tmp/status"
for node in "${nodes[@]}"; do grep "^=== node $node$" "$tmp/status" >/dev/null || fail "no word of $node: $(cat "$tmp/status")"; done
grep 'default/plugged/http' "$tmp/status" >/dev/null || fail "no listener: $(cat "$tmp/status")"
expect "$(command kubectl sluice status n1 -o json)" '.ready and ([.listeners[].name] | index("default/plugged/tcp") != null)' "one node as JSON"
! command kubectl sluice status n9 2>"$tmp/err" || fail "a node that is not there"
grep 'no agent runs on node n9' "$tmp/err" >/dev/null || fail "$(cat "$tmp/err")"

command kubectl sluice check >"$tmp/check" || fail "the cluster's objects: $(cat "$tmp/check")"
gateway checked >"$tmp/good.yaml"
command kubectl sluice check "$tmp/good.yaml" >/dev/null || fail "a good file"
sed 's/protocol: HTTP}/protocol: [HTTP]}/' "$tmp/good.yaml" >"$tmp/bad.yaml"
! command kubectl sluice check "$tmp/good.yaml" "$tmp/bad.yaml" >"$tmp/check" || fail "a bad file is good"
grep 'Gateway .*checked.*listeners\[0\].protocol' "$tmp/check" >/dev/null || fail "$(cat "$tmp/check")"
