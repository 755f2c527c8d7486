#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 10,000 requests through an HTTPRoute without one error, spread by weight; 404 where nothing matches. Variants:
# io_uring, epoll, and the asan and tsan builds of the agent, which must report nothing.
BUILD=$1 variant=$2 test_name=http_route-$2
case $variant in asan | tsan) SLUICE=$1/$variant/sluice ;; esac
. "$(dirname "$0")/../harness/lib.sh"
[ "$variant" != asan ] && [ "$variant" != tsan ] || [ -x "$sluice" ] || skip "$sluice is not built: ./dev build $variant"
setup_topology

put_services b1 b2 b3
put_gateway web:80:HTTP
put_http_route split web www.example.com /app b1:90 b2:10
# The thread sanitizer of gcc 12 knows no address space with this kernel's randomness.
[ "$variant" != tsan ] || sluice_prefix=(setarch -R)
io=epoll
[ "$variant" != io_uring ] || io=io_uring
start_sluice --io $io
expect "$(status_json)" ".io == \"$io\"" "which loop runs"

requests() {
    local result
    result=$(in_ns client h2load --h1 -n 10000 -c 16 -H ':authority: www.example.com' "http://$1/app/x" || true)
    grep -q '10000 succeeded, 0 failed, 0 errored' <<<"$result" || fail "h2load: $result"
    grep -q 'status codes: 10000 2xx' <<<"$result" || fail "h2load: $result"
    result=$(client http --to "$1:80" -n 10000 -c 16 --host www.example.com --path /app)
    expect "$result" '.total == 10000 and .failed == 0' "requests to $1"
    expect_share "$result" b1 90 3
    expect "$(client http --to "$1:80" -n 20 --host www.example.com --path /other --status 404)" '.failed == 0' "no route for the path"
    expect "$(client http --to "$1:80" -n 20 --host other.example.com --path /app --status 404)" '.failed == 0' "no route for the host"
    expect "$(client http --to "$1:80" -n 20 --host www.example.com --path /apple --status 404)" '.failed == 0' "a prefix ends at a slash"
}
both_families requests

result=$(in_ns client wrk -t 2 -c 32 -d 2s -H 'Host: www.example.com' http://$vip4/app)
if grep -E 'Socket errors|Non-2xx' <<<"$result"; then fail "wrk: $result"; fi

ask() { in_ns client curl -sS --max-time 20 -H 'Host: www.example.com' "$@"; }
body=$(ask http://$vip4/app/who)
[[ $body =~ ^b[12]\ /app/who\ .*www.example.com$ ]] || fail "the backend got: $body"
head -c 3000000 /dev/zero >"$tmp/body"
[[ $(ask -T "$tmp/body" http://$vip4/app/put) =~ ^b[12] ]] || fail "a body with a length"
[[ $(ask -T "$tmp/body" -H 'Transfer-Encoding: chunked' http://$vip4/app/put) =~ ^b[12] ]] || fail "a chunked body"

# A response much larger than any buffer: /bytes is the backend's own path.
apply_and_wait put_http_route bulk web www.example.com /bytes b1:1
size=$(ask -o /dev/null -w '%{size_download}' http://$vip4/bytes/100000000)
[ "$size" = 100000000 ] || fail "100 MB, got $size"

stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
if grep -E 'AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error' "$tmp/sluice.log"; then fail "a sanitizer's report"; fi
