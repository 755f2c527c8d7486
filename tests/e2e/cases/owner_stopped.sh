#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGTERM to the agent that owns an address, with nobody on its node to succeed it and a request that keeps it draining:
# the other node has the address at once, not when the drain is over, and is the only one before the first refuses.
. "$(dirname "$0")/../lib.sh"
begin_case

gateway stopped | apply
wait_programmed default stopped
vip=$(gateway_address default stopped)
wait_serves "$vip"
owner=$(owner_of "$vip")
case $owner in n1) other=n2 ;; n2) other=n1 ;; *) fail "$vip is on \"$owner\"" ;; esac
spawn upload nsenter --net=/run/netns/gwlab-client bash -c 'exec 3<>"/dev/tcp/$1/80" &&
    printf "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\n\r\n" "$1" >&3 && read -r -t 60 line <&3' upload "$vip"
uploads() { [ -n "$(lab on "$owner" ss -Htn state established "( sport = :80 )")" ]; }
wait_until 10 "a request is under way" uploads
background asked http --to "$vip:80" -n 0 -c 1 --interval-ms 20 --timeout-ms 200
asked=$background_pid
wait_until 10 "requests are answered" total_above asked 50
is_the_others() { [ "$(owner_of "$vip")" = "$other" ]; }
begin=$(date +%s%N)
kill -TERM "$(agents "$owner")"
wait_until 5 "$other has the address" has_address "$other" "$vip"
took=$((($(date +%s%N) - begin) / 1000000))
wait_until 5 "$owner has it no more" is_the_others
wait_until 5 "the address answers" answers "$vip"
answered=$((($(date +%s%N) - begin) / 1000000))
[ $took -le 2000 ] || fail "$other had the address after $took ms"
is_the_owners() { [ "$(owner_of "$vip")" = "$owner" ]; }
wait_until 120 "the agent is back, and the address with it alone" is_the_owners  # kubelet may wait before it restarts it
rolled_out
say "$other had the address after $took ms and answered after $answered ms; of all requests failed: $(finish "$asked" asked | jq -c '[.failed, .total]')"
