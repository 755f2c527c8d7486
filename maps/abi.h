/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
// The contract between the kernel programs and the agent: layouts, names and limits of every pinned map.
// Written once, gnu11 C and C++23. Both sides assert the sizes; the BPF side builds it with -Wpadded -Werror,
// the C++ side asserts unique object representations, so that no padding can hide in a hash key.
//
// Addresses are 16 bytes in network order, IPv4 as IPv4-mapped IPv6 (::ffff:a.b.c.d). Ports ending in _be are
// in network order, as in the TCP or UDP header. A change of any layout needs a new SL_LAYOUT_VERSION.
#pragma once

#include <linux/types.h>

#ifndef __cplusplus
#ifndef static_assert
#define static_assert _Static_assert
#endif
#endif

#define SL_LAYOUT_VERSION 2  // part of the pin path: <bpffs>/sluice/v2

// Map names: 15 characters at most (BPF_OBJ_NAME_LEN, 16 with the NUL). The pin's file name is the map's name.
#define SL_MAP_LISTENERS "sl_listeners"
#define SL_MAP_BACKENDS "sl_backends"
#define SL_MAP_RINGS "sl_rings"
#define SL_MAP_FLOWS "sl_flows"
#define SL_MAP_REPLIES "sl_replies"
#define SL_MAP_COUNTERS "sl_counters"
#define SL_MAP_DROPS "sl_drops"
#define SL_MAP_CONFIG "sl_config"
#define SL_MAP_SOCKETS "sl_sockets"

#define SL_LISTENER_IDS_MAX 1024  // listeners of all Gateways of a node
#define SL_LISTENERS_MAX 8192     // (address, port, protocol) triples: a listener may have many addresses
#define SL_BACKENDS_MAX 65536     // endpoints
#define SL_FLOWS_MAX 131072       // live flows; the least recently used one gives way
#define SL_RING_SLOTS 4093        // prime; the share of a weight is exact to 1/4093
#define SL_SNAT_PORT_MIN 10000    // below the default ephemeral range (32768) and NodePorts (30000)
#define SL_SNAT_PORT_MAX 29999
#define SL_SNAT_TRIES 16  // candidate ports tried for a new flow before it goes to the slow path

#define SL_SOCKET_TCP 0  // slot of sl_sockets: a member of the proxy's SO_REUSEPORT group of listening sockets
#define SL_SOCKETS_MAX 1

// Ring slot without a backend: that share of the weight is refused (TCP reset) or dropped (UDP).
#define SL_BACKEND_NONE 0xffffffffU

// Who serves a listener.
#define SL_SERVED_BY_KERNEL 1  // forwarded by XDP and tcx; connections from the host itself go to the proxy's relay
#define SL_SERVED_BY_PROXY 2   // by the proxy's sockets; with an id, TCP connections that the kernel forwards go on

#define SL_BACKEND_LOCAL 1     // replies come back through this node: the address of clients on other links is kept
#define SL_BACKEND_DRAINING 2  // removed from every ring: TCP flows may finish, UDP flows move at once

#define SL_FLOW_SNAT 1  // the backend sees the node's address instead of the client's
#define SL_FLOW_FIN_CLIENT 2
#define SL_FLOW_FIN_BACKEND 4
#define SL_FLOW_RESET 8  // a SYN on a reset or fully closed flow selects anew

// Why a packet left the fast path. Numbers are stable: a retired one stays reserved. 1–15 hand the packet to the
// host's stack (counted, never lost); from 16 on it was dropped.
#define SL_REASON_NONE 0
#define SL_REASON_FRAGMENT 1         // IP fragment
#define SL_REASON_IP_OPTIONS 2       // IPv4 options or IPv6 extension header
#define SL_REASON_TTL 3              // TTL or hop limit of 1 or less
#define SL_REASON_NO_NEIGHBOUR 4     // XDP only: tcx resolves the neighbour
#define SL_REASON_NO_FLOW 5          // TCP packet without SYN and without state whose backend cannot be re-derived
#define SL_REASON_REFUSED_TCP 6      // weight share of an invalid backend: the stack answers with a reset
#define SL_REASON_NO_SNAT_PORT 7     // every candidate source port is taken
#define SL_REASON_NO_NODE_ADDRESS 8  // a remote backend, and the node has no address to reach it from
#define SL_REASON_NO_ROUTE 9         // the route lookup failed, or forwarding is off on the link
#define SL_REASON_RELAYED 10         // TCP connection that a socket of this host holds, the relay's mostly
#define SL_REASON_REFUSED_UDP 16     // weight share of an invalid backend
#define SL_REASON_NO_BACKEND 17      // the ring names a backend that is not in the table
#define SL_REASON_REWRITE 18         // a header could not be rewritten
#define SL_REASON_MALFORMED 19       // lengths that contradict each other, after the listener is known
#define SL_REASON_LOOP 20            // UDP from a listener's address and port: the answer would be another request
// Of a TCP connection that the kernel forwards, which the stack, knowing nothing of it, would reset:
#define SL_REASON_ODD_MID_FLOW 21  // what 1 to 3 say of other packets
#define SL_REASON_UNROUTABLE 22    // what 9 says of other packets
#define SL_REASON_TOO_BIG 23       // for the link that the route leads to
#define SL_REASON_COUNT 32

struct sl_listener_key {
    __be32 addr_be[4];
    __be16 port_be;
    __u8 proto;  // IPPROTO_TCP or IPPROTO_UDP
    __u8 pad;    // always 0
};

struct sl_listener {
    __u32 id;        // below SL_LISTENER_IDS_MAX; indexes sl_rings, sl_counters, sl_drops; 0: the kernel forwards none
    __u8 served_by;  // SL_SERVED_BY_*
    __u8 pad[3];
};

struct sl_backend {
    __be32 addr_be[4];
    __be16 port_be;
    __u8 proto;
    __u8 flags;        // SL_BACKEND_*
    __u32 ifindex;     // link that leads to it; without SL_BACKEND_LOCAL the route decides; 0: none did
    __u32 generation;  // differs when the id stands for another backend: its flows select anew; never 0
    // What it sees as its client where that cannot be the client itself: the address that the node would connect from.
    // All zero: none.
    __be32 source_be[4];
};

// The client's side of a flow: what the client sees.
struct sl_flow_key {
    __be32 client_be[4];
    __be32 vip_be[4];
    __be16 client_port_be;
    __be16 vip_port_be;
    __u8 proto;
    __u8 pad[3];
};

// The one state of a flow, both directions. It holds the reply's tuple too (source + the backend's address), so
// that a lost sl_replies entry is made again by the next packet from the client.
struct sl_flow {
    __u64 seen_ns;        // CLOCK_MONOTONIC, last packet of either direction; refreshed at most once a second
    __be32 source_be[4];  // what the backend sees as its client: the client, or the node when SL_FLOW_SNAT
    __u32 backend_id;
    __u32 backend_generation;
    __u32 listener_id;
    __be16 source_port_be;
    __u8 flags;  // SL_FLOW_*
    __u8 pad;
};

// The backend's side of a flow: an index into sl_flows, and the lease of the source port when SL_FLOW_SNAT.
struct sl_reply_key {
    __be32 backend_be[4];
    __be32 source_be[4];
    __be16 backend_port_be;
    __be16 source_port_be;
    __u8 proto;
    __u8 pad[3];
};

struct sl_counters {
    __u64 packets_in;  // from clients
    __u64 bytes_in;    // IP length, so that both hooks count alike; segments of an offloaded packet count singly
    __u64 packets_out;
    __u64 bytes_out;
    __u64 connections;  // new flows
};

struct sl_config {
    __u32 seed[2];     // of the flow hash; random at first creation, then kept across restarts
    __u32 udp_idle_s;  // a UDP flow idle this long selects anew
    __u32 generation;  // of the plan that the tables hold; written last
};

static_assert(sizeof(struct sl_listener_key) == 20, "sl_listener_key is 20 bytes");
static_assert(sizeof(struct sl_listener) == 8, "sl_listener is 8 bytes");
static_assert(sizeof(struct sl_backend) == 44, "sl_backend is 44 bytes");
static_assert(sizeof(struct sl_flow_key) == 40, "sl_flow_key is 40 bytes");
static_assert(sizeof(struct sl_flow) == 40, "sl_flow is 40 bytes");
static_assert(sizeof(struct sl_reply_key) == 40, "sl_reply_key is 40 bytes");
static_assert(sizeof(struct sl_counters) == 40, "sl_counters is 40 bytes");
static_assert(sizeof(struct sl_config) == 16, "sl_config is 16 bytes");
