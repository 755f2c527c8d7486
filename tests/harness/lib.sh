# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034  # the variables are for those who source it
# What every traffic test shares: namespaces, backends, manifests, the agent, and a trap that removes all of it.
# Source it after setting BUILD (the build tree) and `test_name`. Namespaces are private to the test, so the addresses
# inside them need not differ from test to test:
#
#   client 192.0.2.2 ─┐                              ┌─ 198.51.100.11 b1
#   remote 192.0.2.3 ─┤ lan (bridge) ── lan0 node ───┼─ 198.51.100.12 b2      Gateway addresses: 203.0.113.10,
#                     │        192.0.2.1             └─ 198.51.100.13 b3                         2001:db8:ffff::10
#
# The client's and the remote backend's ends and the bridge's port to the node have transmit checksums off, and that
# port runs XDP_PASS: only so is a veth a wire that takes XDP_TX. The port too, because the bridge's other ports merge
# segments (GRO), and what was merged carries a partial checksum, which XDP cannot see and nobody completes after it.
set -euo pipefail

: "${BUILD:?the build tree}" "${test_name:?}"
harness=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../harness/judge.sh
. "$harness/judge.sh"
repository=$(cd "$harness/../.." && pwd)
BUILD=$(cd "$BUILD" && pwd)
sluice=${SLUICE:-$BUILD/sluice}
test_client=$BUILD/tests/sluice-test-client
test_backend=$BUILD/tests/sluice-test-backend
ns_prefix=${ns_prefix:-sl-$(printf %s "$test_name" | sha256sum | cut -c1-8)}

vip4=203.0.113.10 vip6=2001:db8:ffff::10
client4=192.0.2.2 client6=2001:db8:2::2
node4=192.0.2.1 node6=2001:db8:2::1
remote4=192.0.2.3 remote6=2001:db8:2::3
pods=(b1 b2 b3)  # the demo calls its own otherwise
sluice_pid=''

cleanup() {
    local status=$?
    trap - EXIT ERR
    set +e
    remove_everything
    exit "$status"
}
remove_everything() {
    end_spawned
    delete_namespaces
    if [ -n "$tmp" ]; then
        ! mountpoint -q "$tmp/bpf" || umount "$tmp/bpf"
        rm -rf --one-file-system "$tmp"
    fi
}

delete_namespaces() {
    local ns
    for ns in client lan node remote "${pods[@]}"; do
        [ ! -e "/run/netns/$ns_prefix-$ns" ] || ip netns delete "$ns_prefix-$ns"
    done
}

in_ns() { local ns=$1; shift; nsenter --net="/run/netns/$ns_prefix-$ns" "$@"; }
# client_in NS ARGS...: the test client. Its JSON is judged, not its exit code.
client_in() { local ns=$1; shift; in_ns "$ns" "$test_client" "$@" || true; }
client() { client_in client "$@"; }

# background NAME NS COMMAND...: as `spawn`, in a namespace.
background() { local name=$1 ns=$2; shift 2; spawn "$name" nsenter --net="/run/netns/$ns_prefix-$ns" "$@"; }

link_pair() {  # link_pair NS IFACE PEER_NS PEER_IFACE
    ip link add "$2" netns "$ns_prefix-$1" type veth peer name "$4" netns "$ns_prefix-$3"
    in_ns "$1" ip link set "$2" up
    in_ns "$3" ip link set "$4" up
    in_ns "$1" ethtool -K "$2" gro on >/dev/null
    in_ns "$3" ethtool -K "$4" gro on >/dev/null
}
add_addresses() {  # add_addresses NS IFACE ADDRESS...
    local ns=$1 iface=$2 address
    shift 2
    for address; do
        case $address in
        *:*) in_ns "$ns" ip addr add "$address" dev "$iface" nodad ;;
        *) in_ns "$ns" ip addr add "$address" dev "$iface" ;;
        esac
    done
}

pod_number() { local i; for i in "${!pods[@]}"; do [ "${pods[i]}" != "$1" ] || echo $((i + 1)); done; }
backend4() { case $1 in remote) echo $remote4 ;; *) echo "198.51.100.1$(pod_number "$1")" ;; esac }
backend6() { case $1 in remote) echo $remote6 ;; *) echo "2001:db8:1:$(pod_number "$1")::2" ;; esac }

make_namespace() {
    ip netns add "$ns_prefix-$1"
    in_ns "$1" ip link set lo up
}

make_lan_host() {  # make_lan_host NS PORT ADDRESS4 ADDRESS6: a host on the bridge
    make_namespace "$1"
    link_pair "$1" eth0 lan "$2"
    in_ns lan ip link set "$2" master br0
    in_ns "$1" ethtool -K eth0 tx off >/dev/null
    add_addresses "$1" eth0 "$3/24" "$4/64"
    in_ns "$1" ip route add default via $node4
    in_ns "$1" ip -6 route add default via $node6
}

make_pod() {  # make_pod NAME: a local backend behind a link of its own, with a /32 route, as pods have
    local gateway6
    gateway6="2001:db8:1:$(pod_number "$1")::1"
    make_namespace "$1"
    link_pair "$1" eth0 node "$1"
    add_addresses "$1" eth0 "$(backend4 "$1")/32" "$(backend6 "$1")/64"
    add_addresses node "$1" 198.51.100.1/32 "$gateway6/64"
    in_ns node ip route add "$(backend4 "$1")/32" dev "$1"
    in_ns "$1" ip route add 198.51.100.1/32 dev eth0
    in_ns "$1" ip route add default via 198.51.100.1
    in_ns "$1" ip -6 route add default via "$gateway6"
}

reached() { in_ns node "$test_client" connections --to "$1" -n 1 --timeout-ms 500; }

# setup_topology [remote]: everything of the picture above; the backends are started too.
setup_topology() {
    [ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
    [ -x "$sluice" ] || fail "$sluice is not built"
    trap cleanup EXIT
    trap 'fail "line $LINENO: $BASH_COMMAND"' ERR
    set -E
    trap 'exit 1' INT TERM
    delete_namespaces  # what a killed earlier run left
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/$ns_prefix.XXXXXX")
    chmod 711 "$tmp"
    mkdir "$tmp/bpf" "$tmp/manifests"
    mount -t bpf bpf "$tmp/bpf"
    admin="unix:$tmp/admin.sock"

    make_namespace node
    # The folder is the one of the namespace that the writer is in.
    in_ns node sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
        net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.default.accept_dad=0
    make_namespace lan
    in_ns lan sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    in_ns lan ip link add br0 type bridge forward_delay 0
    in_ns lan ip link set br0 up
    link_pair node lan0 lan node
    in_ns lan ip link set node master br0
    in_ns lan ethtool -K node tx off >/dev/null
    # By bpftool: iproute2 would make folders in whatever bpffs it finds mounted.
    bpftool prog load "$BUILD/tests/wire.bpf.o" "$tmp/bpf/wire" type xdp
    in_ns lan bpftool net attach xdpdrv pinned "$tmp/bpf/wire" dev node
    rm "$tmp/bpf/wire"
    add_addresses node lan0 $node4/24 $node6/64
    make_lan_host client client $client4 $client6
    local pod
    for pod in "${pods[@]}"; do make_pod "$pod"; done
    [ "${1:-}" != remote ] || make_lan_host remote remote $remote4 $remote6
    for pod in "${pods[@]}" ${1:-}; do
        background "backend-$pod" "$pod" "$test_backend" "$pod" --tcp 9000 --udp 9000 --http 8080
        wait_until 10 "$pod answers" reached "$(backend4 "$pod"):9000"
        wait_until 10 "$pod answers by IPv6" reached "[$(backend6 "$pod")]:9000"
    done
}

# --- manifests -------------------------------------------------------------------------------------------------------

# put NAME: standard input becomes $tmp/manifests/NAME.yaml, in one step, as a careful user or a ConfigMap does it.
put() { cat >"$tmp/$1.part" && mv "$tmp/$1.part" "$tmp/manifests/$1.yaml"; }

# gateway_addresses: the line of spec that names the VIPs. Empty when without_addresses=1.
gateway_addresses() {
    [ -z "${without_addresses:-}" ] || return 0
    printf '  addresses: [{type: IPAddress, value: %s}, {type: IPAddress, value: "%s"}]\n' $vip4 $vip6
}

manifest_gateway() {  # manifest_gateway NAME:PORT:PROTOCOL...
    local listener
    cat <<END
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: sluice}
spec: {controllerName: sluice.dev/node-gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: sluice
$(gateway_addresses)
  listeners:
END
    for listener; do
        IFS=: read -r name port protocol <<<"$listener"
        say "  - {name: $name, port: $port, protocol: $protocol}"
    done
}

manifest_service() {  # manifest_service BACKEND: Service BACKEND with its EndpointSlices, one of each family
    local family address
    cat <<END
apiVersion: v1
kind: Service
metadata: {name: $1, namespace: default}
spec:
  ports:
  - {name: tcp, port: 9000, protocol: TCP}
  - {name: udp, port: 9000, protocol: UDP}
  - {name: http, port: 8080, protocol: TCP}
END
    for family in 4 6; do
        address=$("backend$family" "$1")
        cat <<END
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1-$family, namespace: default, labels: {kubernetes.io/service-name: $1}}
addressType: IPv$family
ports:
- {name: tcp, port: 9000, protocol: TCP}
- {name: udp, port: 9000, protocol: UDP}
- {name: http, port: 8080, protocol: TCP}
endpoints:
- {addresses: ["$address"], conditions: {ready: true}}
END
    done
}

backend_refs() {  # backend_refs PORT BACKEND:WEIGHT...
    local port=$1 ref
    shift
    for ref; do say "    - {name: ${ref%:*}, port: $port, weight: ${ref#*:}}"; done
}

manifest_l4_route() {  # manifest_l4_route TCPRoute|UDPRoute NAME SECTION BACKEND:WEIGHT...
    local kind=$1 name=$2 section=$3
    shift 3
    cat <<END
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: $kind
metadata: {name: $name, namespace: default}
spec:
  parentRefs: [{name: edge, sectionName: $section}]
  rules:
  - backendRefs:
$(backend_refs 9000 "$@")
END
}

manifest_http_route() {  # manifest_http_route NAME SECTION HOST PATH BACKEND:WEIGHT...
    local name=$1 section=$2 host=$3 path=$4
    shift 4
    cat <<END
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: $name, namespace: default}
spec:
  parentRefs: [{name: edge, sectionName: $section}]
  hostnames: ["$host"]
  rules:
  - matches: [{path: {type: PathPrefix, value: $path}}]
    backendRefs:
$(backend_refs 8080 "$@")
END
}

put_services() { local backend; for backend; do manifest_service "$backend" | put "service-$backend"; done; }
put_gateway() { manifest_gateway "$@" | put gateway; }
put_tcp_route() { manifest_l4_route TCPRoute "$@" | put "tcproute-$1"; }
put_udp_route() { manifest_l4_route UDPRoute "$@" | put "udproute-$1"; }
put_http_route() { manifest_http_route "$@" | put "httproute-$1"; }

# --- the agent -------------------------------------------------------------------------------------------------------

status_json() { "$BUILD/sluice" status -o json --admin "$admin"; }
status_is() { status_json | jq -e "$1"; }  # status_is JQ_EXPRESSION
generation() { status_json | jq .generation; }

sluice_prefix=()  # what runs the agent: setpriv …, setarch …
# start_sluice ARGS...: the agent in the node's namespace; returns when its first plan serves.
start_sluice() {
    nsenter --net="/run/netns/$ns_prefix-node" "${sluice_prefix[@]}" "$sluice" run --manifests "$tmp/manifests" \
        --uplink lan0 --admin "$admin" --bpffs "$tmp/bpf" "$@" >>"$tmp/sluice.log" 2>&1 &
    sluice_pid=$!
    pids+=("$sluice_pid")
    wait_until 30 "the agent is ready" agent_ready_or_dead
    kill -0 "$sluice_pid" 2>/dev/null || fail "the agent ended: sluice run $*"
}
agent_ready_or_dead() { ! kill -0 "$sluice_pid" 2>/dev/null || status_is .ready; }

# stop_sluice [SIGNAL]: waits for its end; its exit code is in $sluice_status.
stop_sluice() {
    kill -"${1:-TERM}" "$sluice_pid"
    wait_until 30 "the agent ends" has_ended "$sluice_pid"
    sluice_status=0
    wait "$sluice_pid" 2>/dev/null || sluice_status=$?
}

# pinned_link FILE: a link of the node as JSON; fails for another kind of pin. bpftool 7.5 exits with 255 for a link too.
pinned_link() { { in_ns node bpftool -j link show pinned "$1" 2>/dev/null || true; } | jq -ec 'select(.prog_id)'; }
object_gone() { { bpftool -j "$1" show id "$2" 2>/dev/null || true; } | jq -e .error; }  # object_gone map|link|prog ID

# expect_no_pins WHAT: the agent's folder is gone from the bpffs, which holds files of the kernel's own too.
expect_no_pins() { [ ! -e "$tmp/bpf/sluice" ] || fail "$1: $(find "$tmp/bpf/sluice")"; }

# apply_and_wait COMMAND...: runs it, and waits until a later plan than now serves.
apply_and_wait() {
    local before
    before=$(generation)
    "$@"
    wait_until 10 "a plan after generation $before serves" status_is ".ready and .generation > $before"
}

# --- judging ---------------------------------------------------------------------------------------------------------

expect_path() {  # expect_path LISTENER PATH
    expect "$(status_json)" ".listeners[] | select(.name == \"default/edge/$1\") | .path == \"$2\" and .problem == \"\"" "path of $1"
}
counter() { status_json | jq "[.listeners[] | select(.name == \"default/edge/$1\") | .counters.$2] | add"; }

# expect_both_backends VIP CLIENT NODE: 500 TCP connections and 500 UDP clients reach b1, which sees the client, and remote, which
# sees the node.
expect_both_backends() {
    local protocol result
    for protocol in connections udp; do
        result=$(client $protocol --to "$1:7000" -n 500)
        expect "$result" '.failed == 0 and .names.b1 > 150 and .names.remote > 150' "$protocol to $1"
        expect "$result" ".clients == {\"$2\": .names.b1, \"$3\": .names.remote}" "$protocol to $1: who is seen"
    done
}

# both_families: runs a function once with each VIP, as an address for --to, and the client's own address.
both_families() {
    "$@" $vip4 $client4
    "$@" "[$vip6]" $client6
}
