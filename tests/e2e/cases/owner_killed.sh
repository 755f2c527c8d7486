#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every process of the node that owns an address ends at once: the other node answers for it within 5 s, and what goes
# through the survivor is not cut. That node's kernel lives on here, and goes on answering for a while: the harder case.
. "$(dirname "$0")/../lib.sh"
begin_case

# Backends on the survivor alone: what is asked here is the address.
apply <<'END'
apiVersion: v1
kind: Service
metadata: {name: surviving}
spec:
  selector: {app: web, node: n2}
  ports: [{name: http, port: 8080}, {name: tcp, port: 9000}]
END
wait_until 30 "the endpoints of surviving" endpoints_ready default surviving
# Two Gateways whose addresses have different owners: each new one may be either's.
found='' survivor=''
for number in 1 2 3 4 5 6 7 8; do
    gateway "owned-$number" | sed 's/name: web/name: surviving/' | apply
    wait_programmed default "owned-$number"
    vip=$(gateway_address default "owned-$number")
    case $(owner_of "$vip") in n1) found=${found:-$vip} ;; n2) survivor=${survivor:-$vip} ;; esac
    [ -z "$found" ] || [ -z "$survivor" ] || break
done
[ -n "$found" ] && [ -n "$survivor" ] || fail "all addresses are one node's"

is_silent() { ! answers "$1"; }
wait_serves "$found"
wait_serves "$survivor"
background hold hold --to "$survivor:9000" -n 50 --interval-ms 20
hold=$background_pid
background kept http --to "$survivor:80" -n 0 -c 5 --interval-ms 50
kept=$background_pid
wait_until 10 "connections are kept" lines_above hold 200
lab kill 1
begin=$(date +%s%N)
wait_until 5 "the address falls silent" is_silent "$found"
wait_until 10 "the address answers again" answers "$found"
took=$((($(date +%s%N) - begin) / 1000000))
has_address n2 "$found" || fail "the survivor has no $found"
[ $took -le 5000 ] || fail "the address answered after $took ms"
expect "$(finish "$hold" hold)" '.total == 50 and .failed == 0' "connections through the survivor"
expect "$(finish "$kept" kept)" '.failed == 0' "requests through the survivor"
say "the address answered from the other node after $took ms"
