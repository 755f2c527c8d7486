#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A backend on another node, reached through a tunnel between the nodes as flannel and Calico make them: the far node
# takes nothing from the tunnel that does not come from the tunnel's address (strict rp_filter), and answers by it.
BUILD=$1 variant=$2 test_name=tunnel_backend-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology remote

make_tunnel_end() {  # make_tunnel_end NS NUMBER PEER_NUMBER OWN_ADDRESS PEER_ADDRESS
    in_ns "$1" ip link add overlay type vxlan id 42 local "$4" remote "$5" dstport 8472
    in_ns "$1" ip link set overlay up
    add_addresses "$1" overlay "10.42.$2.0/32" "2001:db8:42:$2::1/128"
    in_ns "$1" ip route add "10.42.$3.0/24" via "10.42.$3.0" dev overlay onlink
    in_ns "$1" ip -6 route add "2001:db8:42:$3::1/128" dev overlay
    in_ns "$1" ip -6 route add "2001:db8:42:$3::/64" via "2001:db8:42:$3::1" dev overlay
}
make_tunnel_end node 1 2 $node4 $remote4
make_tunnel_end remote 2 1 $remote4 $node4
in_ns remote sysctl -qw net.ipv4.conf.overlay.rp_filter=1
backend4() { case $1 in remote) echo 10.42.2.0 ;; *) echo "198.51.100.1$(pod_number "$1")" ;; esac }
backend6() { case $1 in remote) echo 2001:db8:42:2::1 ;; *) echo "2001:db8:1:$(pod_number "$1")::2" ;; esac }
wait_until 10 "the backend answers through the tunnel" reached 10.42.2.0:9000
wait_until 10 "the backend answers through the tunnel by IPv6" reached '[2001:db8:42:2::1]:9000'

put_services b1 remote
put_gateway tcp:7000:TCP udp:7000:UDP
put_tcp_route mixed tcp b1:50 remote:50
put_udp_route mixed-udp udp b1:50 remote:50
start_sluice --l4 "$variant"
for listener in tcp udp; do expect_path $listener "$variant"; done
expect "$(status_json)" '[.attachments[] | select(.interface == "overlay") | .hook] == ["tcx"]' "attached to the tunnel"

both_sides() {
    local result tunnel=10.42.1.0
    [[ $1 != *:* ]] || tunnel=2001:db8:42:1::1
    expect_both_backends "$1" "$2" "$tunnel"
    result=$(in_ns client timeout -s KILL 30 "$test_client" download --to "$1:7000" --bytes 20000000 || true)
    expect "$result" '.failed == 0' "download by $1"
}
both_families both_sides
expect "$(counter tcp packets_out)" '. > 2000' "the kernel forwarded the answers"
stop_sluice
