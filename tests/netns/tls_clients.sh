#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What users have at hand talks to HTTP and HTTPS listeners by every version of HTTP: curl, nghttp, h2load, openssl.
# Certificates by server name, resumption, client certificates, and a certificate that changes under a kept connection.
BUILD=$1 io=$2 test_name=tls_clients-$2
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../interop/lib.sh"
setup_topology

for ca in ca other-ca; do make_ca $ca; done
make_certificate www ca www.example.com
make_certificate renewed ca www.example.com
make_certificate wild ca '*.example.net'
make_certificate user ca user.example.com
make_certificate stranger other-ca user.example.com
put_secret www www
put_secret wild wild
put_ca_config_map users ca
put_services b1
{
    manifest_gateway web:80:HTTP
    https_listener https 443 www.example.com www
    https_listener wild 443 '*.example.net' wild
    https_listener private 8443 www.example.com www
    cat <<END
  tls:
    frontend:
      default: {}
      perPort:
      - port: 8443
        tls: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: users}]}}
END
} | put gateway
for section in web https private; do put_http_route $section $section www.example.com / b1:1; done
put_http_route wild wild '*.example.net' / b1:1
start_sluice --io "$io"

# A body there and back, a large body, HEAD, and Expect, by each version.
head -c 20000000 /dev/urandom >"$tmp/body"
ask() { in_ns client curl -sS --max-time 30 --cacert "$tmp/ca.crt" --resolve "*:443:$vip4" --resolve "*:8443:$vip4" \
    --resolve "*:80:$vip4" "$@"; }
by_version() {  # by_version VERSION URL CURL_ARGS...
    local version=$1 url=$2 got
    shift 2
    got=$(ask "$@" -o "$tmp/got" -w '%{http_version} %{http_code} %{size_download}' "$url/x")
    [ "$got" = "$version 200 $(stat -c %s "$tmp/got")" ] || fail "GET $*: $got"
    grep -q "^b1 /x $client4 www.example.com" "$tmp/got" || fail "GET $*: $(cat "$tmp/got")"
    got=$(ask "$@" -o "$tmp/got" -w '%{http_version} %{http_code}' -I "$url/bytes/1000")
    [ "$got" = "$version 200" ] || fail "HEAD $*: $got"
    grep -qi '^content-length: 1000' "$tmp/got" || fail "HEAD $*: $(cat "$tmp/got")"
    for expect in '' 100-continue; do
        for length in 'Content-Type: x/y' 'Transfer-Encoding: chunked'; do
            # HTTP/2 has no Transfer-Encoding: curl leaves it out, and then it sends no length.
            got=$(ask "$@" -o "$tmp/got" -w '%{http_version} %{http_code}' -H "Expect: $expect" -H "$length" \
                --expect100-timeout 20 --data-binary "@$tmp/body" "$url/echo")
            [ "$got" = "$version 200" ] || fail "POST $* $expect $length: $got"
            cmp "$tmp/body" "$tmp/got" || fail "POST $* $expect $length: another body came back"
        done
    done
    got=$(ask "$@" "$url/bytes/50000000" | sha256sum)
    [ "$got" = "$pattern_hash" ] || fail "50 MB $*: another body"
}
pattern_hash=$(in_ns client curl -sS "http://$(backend4 b1):8080/bytes/50000000" | sha256sum)
by_version 1.1 http://www.example.com --http1.1
by_version 2 http://www.example.com --http2-prior-knowledge
by_version 1.1 https://www.example.com --http1.1
by_version 2 https://www.example.com --http2
got=$(ask --http1.0 -o "$tmp/got" -w '%{http_version} %{http_code}' https://www.example.com/x)
[[ $got =~ ^1\.[01]\ 200$ ]] || fail "HTTP/1.0: $got"
# An h2c upgrade is a thing of RFC 7540 that RFC 9113 dropped: answered by HTTP/1.1.
got=$(ask --http2 -o "$tmp/got" -w '%{http_version} %{http_code}' http://www.example.com/x)
[ "$got" = "1.1 200" ] || fail "an upgrade to h2c: $got"

got=$(in_ns client nghttp -nv --no-verify-peer -H ':authority: www.example.com' "https://$vip4/x" "https://$vip4/y" 2>&1) || true
[ "$(grep -c ':status: 200' <<<"$got")" = 2 ] || fail "nghttp: $got"
for url in "https://www.example.com" "http://www.example.com"; do
    port=443
    [ "${url%%:*}" = https ] || port=80
    got=$(in_ns client h2load -n 5000 -c 8 -m 20 --connect-to "$vip4:$port" "$url/x" || true)
    grep -q '5000 succeeded, 0 failed, 0 errored' <<<"$got" || fail "h2load: $got"
    grep -q 'status codes: 5000 2xx' <<<"$got" || fail "h2load: $got"
done
got=$(in_ns client h2load --h1 -n 5000 -c 8 --connect-to "$vip4:443" https://www.example.com/x || true)
grep -q 'status codes: 5000 2xx' <<<"$got" || fail "h2load --h1: $got"

# --- certificates ----------------------------------------------------------------------------------------------------
# s_client PORT NAME ARGS...: one request; what openssl says of the session, and the answer, are printed.
s_client() {
    local port=$1 name=$2
    shift 2
    printf 'GET /x HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$name" |
        in_ns client timeout 10 openssl s_client -connect "$vip4:$port" -CAfile "$tmp/ca.crt" -ign_eof \
            -servername "$name" "$@" 2>&1 || true
}
for version in tls1_2 tls1_3; do
    got=$(s_client 443 www.example.com -$version -sess_out "$tmp/session" -verify_return_error)
    grep -q 'HTTP/1.1 200' <<<"$got" || fail "$version: $got"
    grep -q '^New, TLSv' <<<"$got" || fail "$version: $got"
    got=$(s_client 443 www.example.com -$version -sess_in "$tmp/session")
    grep -q '^Reused, TLSv' <<<"$got" || fail "$version: no resumption: $got"
    grep -q 'HTTP/1.1 200' <<<"$got" || fail "$version resumed: $got"
done
for version in tls1 tls1_1; do
    got=$(s_client 443 www.example.com -$version -cipher DEFAULT@SECLEVEL=0)
    if grep -q 'HTTP/1.1' <<<"$got"; then fail "$version is accepted"; fi
done
grep -q 'subject=CN = wild' <<<"$(s_client 443 any.example.net -verify_return_error)" || fail "no certificate by wildcard"
got=$(s_client 443 unknown.example.org)
if grep -q 'HTTP/1.1 200' <<<"$got"; then fail "a server name that no listener has is served: $got"; fi
got=$(s_client 443 www.example.com -noservername)
if grep -q 'HTTP/1.1 200' <<<"$got"; then fail "no server name, and yet served: $got"; fi
# A request for another listener's host on this connection: RFC 9110 section 15.5.20.
got=$(ask --http2 -o /dev/null -w '%{http_code}' -H 'Host: any.example.net' https://www.example.com/x)
[ "$got" = 421 ] || fail "another listener's host: $got"

got=$(ask --http1.1 --cert "$tmp/user.crt" --key "$tmp/user.key" https://www.example.com:8443/x)
[[ $got =~ ^b1 ]] || fail "with a client certificate: $got"
if ask https://www.example.com:8443/x >"$tmp/got" 2>&1; then fail "without a client certificate: $(cat "$tmp/got")"; fi
if ask --cert "$tmp/stranger.crt" --key "$tmp/stranger.key" https://www.example.com:8443/x >"$tmp/got" 2>&1; then
    fail "with a stranger's certificate: $(cat "$tmp/got")"
fi

# --- a certificate changes -------------------------------------------------------------------------------------------
mkfifo "$tmp/requests"
nsenter --net="/run/netns/$ns_prefix-client" openssl s_client -connect $vip4:443 -servername www.example.com -ign_eof \
    -CAfile "$tmp/ca.crt" <"$tmp/requests" >"$tmp/kept.out" 2>&1 &
kept=$!
pids+=("$kept")
exec 9>"$tmp/requests"
request() { printf 'GET /%s HTTP/1.1\r\nHost: www.example.com\r\n\r\n' "$1" >&9; }
request before
wait_until 10 "the first answer" grep -q '^b1 /before' "$tmp/kept.out"
apply_and_wait put_secret www renewed
grep -q 'subject=CN = renewed' <<<"$(s_client 443 www.example.com -verify_return_error)" || fail "a new connection has the old certificate"
request after
wait_until 10 "the kept connection answers after the change" grep -q '^b1 /after' "$tmp/kept.out"
exec 9>&-
kill "$kept" 2>/dev/null || true

# Under traffic, ten times: no connection is dropped, no request fails, every new connection has the new certificate.
background load client h2load -n 16000 -c 16 -m 4 --rps 100 --connect-to "$vip4:443" https://www.example.com/x
load=$background_pid
for change in 1 2 3 4 5; do
    for name in www renewed; do
        apply_and_wait put_secret www $name
        grep -q "subject=CN = $name" <<<"$(s_client 443 www.example.com -verify_return_error)" ||
            fail "change $change: a new connection has not the certificate $name"
        ! has_ended "$load" || fail "the load ended before the changes"
    done
done
wait "$load" || fail "h2load: $(cat "$tmp/load.out")"
grep -q '16000 succeeded, 0 failed, 0 errored, 0 timeout' "$tmp/load.out" || fail "under traffic: $(cat "$tmp/load.out")"
grep -q 'status codes: 16000 2xx' "$tmp/load.out" || fail "under traffic: $(cat "$tmp/load.out")"
stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
