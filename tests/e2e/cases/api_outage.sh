#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The API server is away for two minutes: no request and no connection is lost, and a change that it accepts on its
# return is served within two seconds.
. "$(dirname "$0")/../lib.sh"
begin_case

gateway outage | apply
wait_programmed default outage
vip=$(gateway_address default outage)
wait_serves "$vip"
background kept http --to "$vip:80" -n 0 -c 5 --interval-ms 100
kept=$background_pid
background hold hold --to "$vip:9000" -n 50
hold=$background_pid
wait_until 10 "requests" total_above kept 50
lab api stop
begin=$SECONDS
is_long_enough() { [ $((SECONDS - begin)) -ge 120 ]; }
wait_until 130 "two minutes" is_long_enough
away=$((SECONDS - begin))
lab api start
# A host of its own, so that the requests under way are not concerned: nothing is behind it.
apply <<'END'
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: late}
spec:
  parentRefs: [{name: outage, sectionName: http}]
  hostnames: [late.example.com]
  rules: [{backendRefs: [{name: web, port: 8080, weight: 0}]}]
END
is_applied() { [ "$(client http --to "$vip:80" --host late.example.com -n 1 -c 1 --status 500 | jq .failed)" = 0 ]; }
wait_until 2 "the change is served" is_applied
kept=$(finish "$kept" kept)
expect "$kept" '.failed == 0 and (.names | length) == 2' "requests"
expect "$(finish "$hold" hold)" '.total == 50 and .failed == 0' "kept connections"
say "the API server was away for $away s; $(jq .total <<<"$kept") requests, 0 failed"
