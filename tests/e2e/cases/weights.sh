#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The official suite's two tests of weighted L4 routing, COUNT (100) times in a row each: no run may fail.
. "$(dirname "$0")/../lib.sh"
begin_case

count=${COUNT:-100}
for name in TCPRouteWeightedRouting UDPRouteWeightedRouting; do
    lab conformance -test.run '^TestConformance$' -test.count "$count" -gateway-class sluice -run-test $name \
        -supported-features Gateway,ReferenceGrant,${name%WeightedRouting} -cleanup-base-resources=false >"$tmp/$name.log" 2>&1 || true
    passed=$(grep -c "^    --- PASS: TestConformance/$name " "$tmp/$name.log" || true)
    [ "$passed" = "$count" ] || { cp "$tmp/$name.log" "$LAB_DIR-$name.log"; fail "$name: $passed of $count runs passed ($LAB_DIR-$name.log)"; }
    say "$name: $passed runs in a row passed"
done
