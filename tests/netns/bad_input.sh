#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Broken manifests dropped into the live folder, one by one and all at once: each gets its error, the good objects
# keep serving.
BUILD=$1 test_name=bad_input
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2
put_gateway web:80:HTTP tcp:7000:TCP second:7001:TCP
put_http_route web web example.com / b1:1
put_tcp_route tcp tcp b1:1 b2:1
"$sluice" check "$tmp/manifests" || fail "sluice check refuses good manifests"
start_sluice
expect "$(status_json)" '.problems == []' "good manifests have no problem"
background load client "$test_client" http --to $vip4:80 -n 0 -c 4 --interval-ms 1 --limit-s 170
load=$background_pid
background hold client "$test_client" hold --to $vip4:7000 -n 16 --limit-s 170
hold=$background_pid

still_serving() {
    expect "$(client connections --to $vip4:7000 -n 20)" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "TCP, $1"
    expect "$(client http --to $vip4:80 -n 20)" '.failed == 0 and .names == {"b1": 20}' "HTTP, $1"
}
refused() { status_is "[.problems[] | select(.fatal and (.file | endswith(\"/$1\")) and .message != \"\")] | length > 0"; }
forgotten() { status_is ".problems == []"; }

count=0
for file in "$repository"/tests/unit/source/broken/*; do
    name=$(basename "$file")
    cp "$file" "$tmp/part" && mv "$tmp/part" "$tmp/manifests/$name"
    wait_until 10 "$name is refused" refused "$name"
    count=$((count + 1))
done
[ $count -ge 30 ] || fail "only $count broken manifests"
still_serving "with $count broken manifests beside them"
for file in "$repository"/tests/unit/source/broken/*; do rm "$tmp/manifests/$(basename "$file")"; done
wait_until 10 "the errors go with the files" forgotten

head -c 5000000 /dev/zero | tr '\0' '#' | put too_large
wait_until 10 "the 5 MB file is refused" refused too_large.yaml
printf 'apiVersion: v1\nkind: Service\nmetadata: {name: "\xff\xfe", namespace: default}\n' | put not_utf8
wait_until 10 "invalid UTF-8 is refused" refused not_utf8.yaml
head -c 100000 /dev/urandom | put noise
wait_until 10 "noise is refused" refused noise.yaml
manifest_l4_route TCPRoute tcp tcp b2:1 | put zz_twice
wait_until 10 "the second TCPRoute of one name is refused" refused zz_twice.yaml
still_serving "beside files that are no text"
rm "$tmp/manifests/"{too_large,not_utf8,noise,zz_twice}.yaml
wait_until 10 "the errors go with the files" forgotten

# A bad edit of a live object keeps the last good one.
sed 's/port: 9000/port: "many"/' "$tmp/manifests/tcproute-tcp.yaml" | put tcproute-tcp
wait_until 10 "the bad edit is refused" refused tcproute-tcp.yaml
still_serving "after a bad edit"
apply_and_wait put_tcp_route tcp tcp b1:1 b2:2
wait_until 10 "the good edit clears the error" forgotten

# References that lead nowhere: reported in the route's conditions.
condition() { status_is ".objects[] | select(.name == \"$1\") | .parents[].conditions[] | select(.type == \"$2\" and .status == \"False\" and .reason == \"$3\")"; }
put_tcp_route lost second nobody:1
wait_until 10 "a missing Service" condition lost ResolvedRefs BackendNotFound
put_tcp_route stray nowhere b1:1
wait_until 10 "a missing listener" condition stray Accepted NoMatchingParent
expect "$(client connections --to $vip4:7001 -n 10)" '.failed == 10 and (.outcomes | keys - ["refused", "reset"]) == []' "a route to nowhere refuses"

# Two routes claim one listener, two Gateways or two protocols one port: the older serves, the other is told.
put_tcp_route zweite tcp b1:1
wait_until 10 "the second route is seen" status_is '.objects[] | select(.kind == "TCPRoute" and .name == "zweite")'
still_serving "with two routes for one port"
listener_condition() {  # listener_condition GATEWAY LISTENER TYPE STATUS REASON
    status_is ".objects[] | select(.kind == \"Gateway\" and .name == \"$1\") | .listeners[] | select(.name == \"$2\") | .conditions[] | select(.type == \"$3\" and .status == \"$4\" and .reason == \"$5\")"
}
manifest_gateway clash:7000:TCP | sed '1,/^---/d; s/name: edge/name: younger/' | put younger
wait_until 10 "the younger Gateway is told" listener_condition younger clash Accepted False PortUnavailable
still_serving "beside a younger Gateway that wants the port"
put_gateway web:80:HTTP tcp:7000:TCP second:7001:TCP a:7009:TCP b:7009:HTTP
wait_until 10 "two protocols on one port" listener_condition edge b Conflicted True ProtocolConflict
still_serving "beside listeners in conflict"
put_gateway web:80:HTTP tcp:7000:TCP second:7001:TCP same:7000:TCP
wait_until 10 "one port twice in a Gateway" refused gateway.yaml
still_serving "with the last good Gateway"

expect "$(finish "$load" load)" '.failed == 0 and .total > 100' "requests all the while"
expect "$(finish "$hold" hold)" '.failed == 0 and .total == 16' "kept connections all the while"
if "$sluice" check "$repository/tests/unit/source/broken" >"$tmp/check.out" 2>&1; then fail "sluice check accepts broken manifests"; fi
for file in "$repository"/tests/unit/source/broken/*; do
    grep -q "$(basename "$file")" "$tmp/check.out" || fail "sluice check says nothing of $(basename "$file")"
done
stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
