#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The official suite's two tests of weighted L4 routing, COUNT (100) times in a row each: no run may fail. Their pods are
# kept from run to run, and made by one that does not count: the suite takes a namespace for ready also before a new
# Deployment has any pod, and what goes to a Service without endpoints is refused, as the API asks.
. "$(dirname "$0")/../lib.sh"
begin_case

count=${COUNT:-100}
for name in TCPRouteWeightedRouting UDPRouteWeightedRouting; do
    suite() {
        lab conformance -test.run '^TestConformance$' -test.count "$1" -gateway-class sluice -run-test $name -supported-features \
            Gateway,ReferenceGrant,${name%WeightedRouting} -cleanup-base-resources=false -cleanup-test-resources=false || true
    }
    suite 1 >/dev/null 2>&1
    pods_ready gateway-conformance-infra
    # Some more: now and then the suite's own set-up fails by a conflict over a Deployment, before a connection is made.
    suite $((count + count / 5)) >"$tmp/$name.log" 2>&1
    passed=$(grep -c "^    --- PASS: TestConformance/$name " "$tmp/$name.log" || true)
    failed=$(grep -c "^    --- FAIL: TestConformance/$name " "$tmp/$name.log" || true)
    not_begun=$(grep -A1 "cannot be fulfilled on deployments.apps" "$tmp/$name.log" | grep -c "TestConformance/$name$" || true)
    [ "$passed" -ge "$count" ] && [ "$failed" = "$not_begun" ] || {
        cp "$tmp/$name.log" "$LAB_DIR-$name.log"
        fail "$name: $passed runs passed, $failed failed, $not_begun of these by a conflict in the set-up ($LAB_DIR-$name.log)"
    }
    say "$name: $passed runs in a row passed, none failed ($not_begun did not begin: a conflict in the set-up)"
done
