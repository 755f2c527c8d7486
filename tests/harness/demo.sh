#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh BUILD: examples/mixed with real TCP, UDP and HTTP traffic, in network namespaces called sluice-demo-*.
# Exit 0: everything was as it says, and no trace is left.
BUILD=$1 test_name=demo ns_prefix=sluice-demo
. "$(dirname "$0")/lib.sh"
pods=(blue green red)

title() { if [ -t 1 ]; then printf '\n\e[1m== %s\e[0m\n' "$*"; else printf '\n== %s\n' "$*"; fi; }
# shares JSON WEIGHTS_JSON: a line for each backend that has a weight or answered.
shares() {
    jq -rn --argjson seen "$1" --argjson weights "$2" '
        ($seen.names | add // 0) as $total | ($weights | add) as $sum
        | ($weights + $seen.names | keys[]) as $name
        | ($seen.names[$name] // 0) as $n | (100 * $n / $total) as $percent
        | "   \($name | . + "      "[length:])  weight \($weights[$name] // 0 | tostring | "   "[length:] + .)  answered \($n | tostring | "     "[length:] + .) of \($total)  \($percent | round | tostring | "   "[length:] + .) %  " + "#" * ($percent / 2 | round)'
    expect "$1" '.failed == 0' "every answer"
    local name
    for name in $(jq -r 'keys[]' <<<"$2"); do
        expect_share "$1" "$name" "$(jq "100 * .$name / add" <<<"$2")" 5
    done
}
# since BEFORE AFTER: what was counted between two readings of --stats.
since() {
    jq -n --argjson a "$1" --argjson b "$2" '{failed: $b.failed, total: ($b.total - $a.total),
        names: ($b.names | with_entries(.value -= ($a.names[.key] // 0)) | with_entries(select(.value > 0)))}'
}
stats() { cat "$tmp/$1.json"; }
total_above() { [ "$(jq .total "$tmp/$1.json")" -gt "$2" ]; }
window() {  # window NAME COUNT: waits until COUNT more are counted, prints what they were
    local before
    before=$(stats "$1")
    wait_until 20 "$1 goes on" total_above "$1" $(($(jq .total <<<"$before") + $2))
    since "$before" "$(stats "$1")"
}
edit() { sed "$1" "$tmp/manifests/routes.yaml" >"$tmp/part" && mv "$tmp/part" "$tmp/manifests/routes.yaml"; }

title "Five namespaces: a client, the node, three backends"
setup_topology
say "   client $client4 ---- lan0 node ---- blue  198.51.100.11"
say "                        |           +-- green 198.51.100.12"
say "           Gateway $vip4       +-- red   198.51.100.13"
cp "$repository"/examples/mixed/*.yaml "$tmp/manifests"

title "sluice run --manifests examples/mixed --uplink lan0"
start_sluice
status_json | jq -r '.listeners[] | "   \(.name)  \(.protocol) \(.addresses | join(",")):\(.port)  served by \(.path)"'

title "1,000 TCP connections (weights 90:10)"
shares "$(client connections --to $vip4:9000 -n 1000)" '{"blue":90,"green":10}'
title "1,500 UDP flows (equal weights)"
shares "$(client udp --to $vip4:9000 -n 1500)" '{"blue":1,"green":1,"red":1}'
title "3,000 HTTP requests (equal weights)"
shares "$(client http --to $vip4:80 -n 3000)" '{"blue":1,"green":1,"red":1}'

title "What the kernel holds: bpftool map dump pinned .../sl_listeners"
pins=$tmp/bpf/sluice/v2
bpftool map dump pinned "$pins/sl_listeners" | jq -c '.[] | (.formatted // .)' | cut -c1-160 | sed 's/^/   /'
title "... and one backend, of sl_backends"
bpftool map dump pinned "$pins/sl_backends" | jq -c 'first(.[] | (.formatted // .))' | cut -c1-200 | sed 's/^/   /'
title "... and the attachments: the pinned links and their programs"
mapfile -t pinned < <(find "$tmp/bpf/sluice" -type f | sort)
for pin in "${pinned[@]}"; do
    program=$(pinned_link "$pin" | jq -e .prog_id) || continue
    printf '   %-28s %s\n' "${pin#"$tmp/bpf/"}" "$(bpftool -j prog show id "$program" | jq -r '"program \(.name), \(.type)"')"
done

title "Under load: the TCP weights turn from 90:10 to 10:90"
background tcp client "$test_client" connections --to $vip4:9000 -n 0 -c 4 --interval-ms 2 --stats "$tmp/tcp.json"
tcp=$background_pid
background http client "$test_client" http --to $vip4:80 -n 0 -c 4 --interval-ms 1 --path /shop/cart --stats "$tmp/http.json"
http=$background_pid
background hold client "$test_client" hold --to $vip4:9000 -n 32 --stats "$tmp/hold.json"
hold=$background_pid
wait_until 10 "load" total_above tcp 200
wait_until 10 "load" total_above http 200
say "   before:" && shares "$(window tcp 1000)" '{"blue":90,"green":10}'
apply_and_wait edit 's/weight: 90/weight: X/; s/weight: 10/weight: 90/; s/weight: X/weight: 10/'
window tcp 20 >/dev/null  # connections that were chosen before the edit are counted when they end
say "   after:" && shares "$(window tcp 1000)" '{"blue":10,"green":90}'

title "Under load: the path turns from / to /shop"
say "   before: GET /other is answered $(in_ns client curl -s -o /dev/null -w '%{http_code}' http://$vip4/other)"
apply_and_wait edit 's|value: /$|value: /shop|'
code=$(in_ns client curl -s -o /dev/null -w '%{http_code}' http://$vip4/other)
say "   after:  GET /other is answered $code"
[ "$code" = 404 ] || fail "/other should be 404"
say "   GET /shop/cart goes on:" && shares "$(window http 1000)" '{"blue":1,"green":1,"red":1}'

title "All the while"
for load in "$http http HTTP requests" "$tcp tcp TCP connections" "$hold hold kept TCP connections"; do
    read -r pid name what <<<"$load"
    result=$(finish "$pid" "$name")
    say "   $(jq -r '"\(.total) '"$what"', \(.failed) failed"' <<<"$result")"
    expect "$result" '.failed == 0' "$what"
done

title "sluice status"
"$sluice" status --admin "$admin" | sed 's/^/   /'

title "SIGTERM: what is left"
stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
expect_no_pins "pins"
in_ns node ip -br addr show dev lo | grep "$vip4" >/dev/null && fail "the Gateway's address is on lo"
say "   no pin, no address, no attachment"
trap - EXIT ERR
remove_everything
left=$(ip netns list | grep "^sluice-demo" || true)
[ -z "$left" ] && [ ! -e "$tmp" ] || { say "left: $left $tmp"; exit 1; }
say "   no namespace, no file"
title "done in $SECONDS s"
