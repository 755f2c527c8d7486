#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# h2spec, all its cases with the strict ones, over plain HTTP/2 and TLS, on both loops. What it wants beyond RFC 9113 is
# listed below with the words that permit what we do; a listed case that passes fails the test too.
BUILD=$1 protocol=$2 io=$3 test_name=h2spec-$2-$3
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../interop/lib.sh"
need_tools h2spec
setup_topology

# RFC 9113 section 5.1, closed: "An endpoint can perform this minimal processing [process and then discard] for all
# streams that are in the closed state", and a connection error is a MAY.
# Section 5.3.2 deprecates the priority signals of RFC 7540; a PRIORITY frame's dependency means nothing to us, and
# section 6.3 knows no error for it.
# Section 6.9.1 has "terminate either the stream or the connection", and section 5.4.1 "an endpoint MAY choose to treat
# a stream error as a connection error".
permitted=(
    '5.1: closed: Sends a DATA frame after sending RST_STREAM frame'
    '5.1: closed: Sends a DATA frame'
    '5.3.1: Sends PRIORITY frame that depend on itself'
    '6.9.1: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream'
)
# Section 3.4: GOAWAY "MAY be omitted in this case, since an invalid preface indicates that the peer is not using
# HTTP/2": on a port without ALPN it is a bad HTTP/1 request, and answered so before the connection closes.
[ "$protocol" = tls ] || permitted+=('3.5: Sends invalid connection preface')

make_ca ca
make_certificate www ca www.example.com
put_secret www www
put_services b1
{ manifest_gateway web:80:HTTP; https_listener https 443 '' www; } | put gateway
# h2spec names the address as its host: the route takes every host and every listener.
manifest_http_route all web '*.example.com' / b1:1 | sed '/hostnames/d; s/, sectionName: web//' | put httproute-all
start_sluice --io "$io"

port=80 arguments=()
[ "$protocol" != tls ] || port=443 arguments=(--tls --insecure)
# h2spec RUN: its exit code tells of any failure, the report is judged.
h2spec() {
    in_ns client "$tools/h2spec" --strict -h $vip4 -p $port "${arguments[@]}" -P /h2spec -j "$tmp/report$1.xml" \
        >"$tmp/h2spec.out" || true
}
# judge REPORT...: what fails in every one of them counts.
judge() {
    python3 - "${#permitted[@]}" "${permitted[@]}" "$@" <<'END'
import sys
import xml.etree.ElementTree as ElementTree

permitted, reports = set(sys.argv[2:][:int(sys.argv[1])]), sys.argv[2:][int(sys.argv[1]):]


def cases_of(report):
    return [(f"{suite.get('id')}: {case.get('classname')}", case)
            for suite in ElementTree.parse(report).iter("testsuite") for case in suite.iter("testcase")]


def failed_in(report):
    return {name for name, case in cases_of(report) if case.find("failure") is not None or case.find("error") is not None}


cases = cases_of(reports[0])
failed = set.intersection(*map(failed_in, reports))
skipped = [name for name, case in cases if case.find("skipped") is not None]
print(f"{len(cases)} cases, {len(cases) - len(failed)} pass, {len(failed & permitted)} others are permitted")
complaints = [f"fails: {name}" for name in sorted(failed - permitted)]
complaints += [f"listed, but passes: {name}" for name in sorted(permitted - failed)]
complaints += [f"skipped: {name}" for name in skipped]
if len(cases) < 145:
    complaints.append(f"only {len(cases)} cases ran")
sys.exit("\n".join(complaints) or 0)
END
}
h2spec 1
# Some cases are races of the suite itself: "half closed (remote): Sends a DATA frame" reads the answer, if that was sent
# before the frame came, in place of the error. What is wrong with us is wrong twice.
judge "$tmp/report1.xml" || {
    h2spec 2
    judge "$tmp/report1.xml" "$tmp/report2.xml"
} || fail "h2spec: $(sed -n '/^Failures/,$p' "$tmp/h2spec.out")"
status_is .ready >/dev/null || fail "the agent is no longer ready"
stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
