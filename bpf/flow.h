/* SPDX-License-Identifier: GPL-2.0-only */
// What happens to a packet: the one decision that both hooks share. It keeps the flow tables, and touches no packet.
#pragma once

#include "bpf/lookup.h"
#include "bpf/reason.h"

#define SL_REFRESH_NS 1000000000ULL  // a flow's clock and reply entry are looked after at most this often
#define SL_FLOW_CLOSED (SL_FLOW_FIN_CLIENT | SL_FLOW_FIN_BACKEND)

enum sl_verdict {
    SL_PASS,     // untouched to the stack; `reason` says why when the packet was meant for us
    SL_DROP,     // for `reason`
    SL_FORWARD,  // rewritten to `to`
};

struct sl_decision {
    struct sl_tuple to;
    __u32 listener_id;
    __u32 ifindex;  // of a local backend; 0: ask the routes
    __u32 reason;
    __u32 to_client;
};

static __always_inline int sl_same_address(const __be32 a[4], const __be32 b[4])
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __always_inline int sl_same_flow(const struct sl_flow_key* a, const struct sl_flow_key* b)
{
    return sl_same_address(a->client_be, b->client_be) && sl_same_address(a->vip_be, b->vip_be) &&
           a->client_port_be == b->client_port_be && a->vip_port_be == b->vip_port_be && a->proto == b->proto;
}

static __always_inline void sl_reply_key_of(struct sl_reply_key* key, const struct sl_flow* flow,
                                            const struct sl_backend* backend, __u8 proto)
{
    __builtin_memcpy(key->backend_be, backend->addr_be, 16);
    __builtin_memcpy(key->source_be, flow->source_be, 16);
    key->backend_port_be = backend->port_be;
    key->source_port_be = flow->source_port_be;
    key->proto = proto;
    key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

// Leases the reply tuple to the flow. The look-up comes first because an LRU map makes room, by evicting, even for an
// insertion that then finds the key taken.
static __always_inline int sl_claim(const struct sl_flow* flow, const struct sl_backend* backend,
                                    const struct sl_flow_key* owner)
{
    struct sl_reply_key key;
    struct sl_flow_key* holder;

    sl_reply_key_of(&key, flow, backend, owner->proto);
    holder = bpf_map_lookup_elem(&sl_replies, &key);
    if (holder)
        return sl_same_flow(holder, owner);
    if (!bpf_map_update_elem(&sl_replies, &key, owner, BPF_NOEXIST))
        return 1;
    holder = bpf_map_lookup_elem(&sl_replies, &key);
    return holder && sl_same_flow(holder, owner);
}

static __always_inline void sl_release(const struct sl_flow* flow, const struct sl_backend* backend, __u8 proto)
{
    struct sl_reply_key key;

    sl_reply_key_of(&key, flow, backend, proto);
    bpf_map_delete_elem(&sl_replies, &key);
}

// Chooses the source that the backend sees, and claims it. Returns a SL_REASON_*.
static __always_inline __u32 sl_claim_source(const struct sl_packet* p, struct sl_flow* flow,
                                             const struct sl_backend* backend, const struct sl_config* config)
{
    const struct sl_flow_key* key = &p->key.flow;
    const __be32* node = p->is_v6 ? config->node6_be : config->node4_be;

    if (sl_is_v4_mapped(backend->addr_be) == p->is_v6)
        return SL_REASON_NO_NODE_ADDRESS;
    if ((backend->flags & SL_BACKEND_LOCAL) && !sl_same_address(key->client_be, backend->addr_be)) {
        __builtin_memcpy(flow->source_be, key->client_be, 16);
        flow->source_port_be = key->client_port_be;
        if (sl_claim(flow, backend, key))
            return SL_REASON_NONE;
    }
    if (!node[0] && !node[1] && !node[2] && !node[3])
        return SL_REASON_NO_NODE_ADDRESS;
    __builtin_memcpy(flow->source_be, node, 16);
    flow->flags = SL_FLOW_SNAT;
    __u32 first = sl_hash(&p->key.tuple, config->seed[1]) % (SL_SNAT_PORT_MAX - SL_SNAT_PORT_MIN + 1);

    for (__u32 i = 0; i < SL_SNAT_TRIES; i++) {
        __u32 port = SL_SNAT_PORT_MIN + (first + i) % (SL_SNAT_PORT_MAX - SL_SNAT_PORT_MIN + 1);

        flow->source_port_be = bpf_htons((__u16)port);
        if (sl_claim(flow, backend, key))
            return SL_REASON_NONE;
    }
    return SL_REASON_NO_SNAT_PORT;
}

static __always_inline int sl_is_first(const struct sl_packet* p)
{
    return p->key.tuple.proto == IPPROTO_UDP || (p->tcp_flags & (SL_TCP_SYN | SL_TCP_ACK)) == SL_TCP_SYN;
}

// Whether the flow keeps its backend. A retransmitted SYN does; a SYN on a closed flow is a new connection.
static __always_inline int sl_stays(const struct sl_packet* p, const struct sl_flow* flow,
                                    const struct sl_backend* backend, const struct sl_config* config, __u64 now)
{
    if (flow->backend_generation != backend->generation)
        return 0;
    if (p->key.tuple.proto == IPPROTO_UDP)
        return !(backend->flags & SL_BACKEND_DRAINING) &&
               now - flow->seen_ns <= (__u64)config->udp_idle_s * 1000000000ULL;
    return !(sl_is_first(p) && ((flow->flags & SL_FLOW_RESET) || (flow->flags & SL_FLOW_CLOSED) == SL_FLOW_CLOSED));
}

static __always_inline void sl_note_flags(const struct sl_packet* p, struct sl_flow* flow, __u8 fin)
{
    __u8 flags = flow->flags;

    if (p->tcp_flags & SL_TCP_FIN)
        flags |= fin;
    if (p->tcp_flags & SL_TCP_RST)
        flags |= SL_FLOW_RESET;
    if (flags != flow->flags)
        flow->flags = flags;
}

static __always_inline void sl_send_to(struct sl_decision* d, const struct sl_packet* p, const struct sl_flow* flow,
                                       const struct sl_backend* backend)
{
    __builtin_memcpy(d->to.src_be, flow->source_be, 16);
    __builtin_memcpy(d->to.dst_be, backend->addr_be, 16);
    d->to.src_port_be = flow->source_port_be;
    d->to.dst_port_be = backend->port_be;
    d->to.proto = p->key.tuple.proto;
    d->ifindex = backend->flags & SL_BACKEND_LOCAL ? backend->ifindex : 0;
}

// Whether a socket of this host holds the connection: it began on the slow path, or while the proxy served the
// listener.
static __always_inline int sl_is_relayed(void* ctx, const struct sl_packet* p)
{
    const struct sl_tuple* from = &p->key.tuple;
    struct bpf_sock_tuple tuple = {};
    struct bpf_sock* socket;
    int relayed;

    if (p->is_v6) {
        __builtin_memcpy(tuple.ipv6.saddr, from->src_be, 16);
        __builtin_memcpy(tuple.ipv6.daddr, from->dst_be, 16);
        tuple.ipv6.sport = from->src_port_be;
        tuple.ipv6.dport = from->dst_port_be;
        socket = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
    } else {
        tuple.ipv4.saddr = from->src_be[3];
        tuple.ipv4.daddr = from->dst_be[3];
        tuple.ipv4.sport = from->src_port_be;
        tuple.ipv4.dport = from->dst_port_be;
        socket = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
    }
    if (!socket)
        return 0;
    relayed = socket->state != BPF_TCP_LISTEN;
    bpf_sk_release(socket);
    return relayed;
}

// A flow without state, or whose backend is gone. `exists`: an entry is there and is to be replaced.
// A TCP packet in mid-flow finds its backend again because the ring is the same as it was.
static __always_inline enum sl_verdict sl_start(void* ctx, const struct sl_packet* p, struct sl_decision* d,
                                                const struct sl_config* config, __u64 now, int exists)
{
    int is_udp = p->key.tuple.proto == IPPROTO_UDP;
    struct sl_flow flow = {.seen_ns = now, .listener_id = d->listener_id};

    if (!sl_is_first(p) && sl_is_relayed(ctx, p)) {
        d->reason = SL_REASON_RELAYED;
        return SL_PASS;
    }
    d->reason = SL_REASON_NO_FLOW;
    if (!is_udp && (p->tcp_flags & SL_TCP_RST))
        return SL_PASS;
    flow.backend_id = sl_select(d->listener_id, &p->key.tuple, config);
    struct sl_backend* backend = bpf_map_lookup_elem(&sl_backends, &flow.backend_id);

    if (!backend) {
        if (!sl_is_first(p))
            return SL_PASS;
        if (flow.backend_id != SL_BACKEND_NONE)
            d->reason = SL_REASON_NO_BACKEND;
        else
            d->reason = is_udp ? SL_REASON_REFUSED_UDP : SL_REASON_REFUSED_TCP;
        return d->reason == SL_REASON_REFUSED_TCP ? SL_PASS : SL_DROP;
    }
    flow.backend_generation = backend->generation;
    d->reason = sl_claim_source(p, &flow, backend, config);
    if (d->reason)
        return SL_PASS;
    sl_note_flags(p, &flow, SL_FLOW_FIN_CLIENT);
    if (!bpf_map_update_elem(&sl_flows, &p->key.flow, &flow, exists ? BPF_ANY : BPF_NOEXIST)) {
        sl_count_connection(d->listener_id);
    } else {
        // Another CPU was first: its choice holds.
        struct sl_flow* winner = bpf_map_lookup_elem(&sl_flows, &p->key.flow);

        if (winner) {
            flow = *winner;
            backend = bpf_map_lookup_elem(&sl_backends, &flow.backend_id);
        }
    }
    if (!backend) {
        d->reason = SL_REASON_NO_BACKEND;
        return SL_DROP;
    }
    sl_send_to(d, p, &flow, backend);
    return SL_FORWARD;
}

static __always_inline enum sl_verdict sl_decide_request(void* ctx, const struct sl_packet* p, struct sl_decision* d)
{
    const struct sl_config* config = sl_get_config();
    struct sl_flow* flow = bpf_map_lookup_elem(&sl_flows, &p->key.flow);
    __u64 now = bpf_ktime_get_ns();

    if (!config)
        return SL_PASS;
    if (!flow)
        return sl_start(ctx, p, d, config, now, 0);
    struct sl_backend* backend = bpf_map_lookup_elem(&sl_backends, &flow->backend_id);

    if (!backend || !sl_stays(p, flow, backend, config, now)) {
        if (backend && backend->generation == flow->backend_generation)
            sl_release(flow, backend, p->key.tuple.proto);
        return sl_start(ctx, p, d, config, now, 1);
    }
    sl_note_flags(p, flow, SL_FLOW_FIN_CLIENT);
    if (now - flow->seen_ns > SL_REFRESH_NS) {
        flow->seen_ns = now;
        sl_claim(flow, backend, &p->key.flow);
    }
    sl_send_to(d, p, flow, backend);
    return SL_FORWARD;
}

// A packet for no listener: the answer of a backend, or none of our business. An answer of a backend that the flow
// has left (its entry may outlive the choice) is not shown to the client.
static __always_inline enum sl_verdict sl_decide_reply(const struct sl_packet* p, struct sl_decision* d)
{
    struct sl_flow_key* key = bpf_map_lookup_elem(&sl_replies, &p->key.reply);

    if (!key)
        return SL_PASS;
    struct sl_flow* flow = bpf_map_lookup_elem(&sl_flows, key);

    if (!flow || flow->source_port_be != p->key.reply.source_port_be ||
        !sl_same_address(flow->source_be, p->key.reply.source_be))
        return SL_PASS;
    struct sl_backend* backend = bpf_map_lookup_elem(&sl_backends, &flow->backend_id);

    if (backend && backend->generation == flow->backend_generation &&
        (backend->port_be != p->key.reply.backend_port_be ||
         !sl_same_address(backend->addr_be, p->key.reply.backend_be)))
        return SL_PASS;
    d->listener_id = flow->listener_id;
    d->to_client = 1;
    d->reason = p->odd ? p->odd : p->ttl <= 1 ? SL_REASON_TTL : SL_REASON_NONE;
    if (d->reason)
        return d->reason == SL_REASON_MALFORMED ? SL_DROP : SL_PASS;
    __builtin_memcpy(d->to.src_be, key->vip_be, 16);
    __builtin_memcpy(d->to.dst_be, key->client_be, 16);
    d->to.src_port_be = key->vip_port_be;
    d->to.dst_port_be = key->client_port_be;
    d->to.proto = p->key.tuple.proto;
    sl_note_flags(p, flow, SL_FLOW_FIN_BACKEND);
    __u64 now = bpf_ktime_get_ns();

    if (now - flow->seen_ns > SL_REFRESH_NS)
        flow->seen_ns = now;
    return SL_FORWARD;
}

static __always_inline enum sl_verdict sl_decide(void* ctx, const struct sl_packet* p, struct sl_decision* d)
{
    struct sl_listener* listener = sl_find_listener(p->key.flow.vip_be, p->key.flow.vip_port_be, p->key.tuple.proto);

    __builtin_memset(d, 0, sizeof(*d));
    if (!listener)
        return sl_decide_reply(p, d);
    if (listener->served_by != SL_SERVED_BY_KERNEL)
        return SL_PASS;
    d->listener_id = listener->id;
    d->reason = p->odd ? p->odd : p->ttl <= 1 ? SL_REASON_TTL : SL_REASON_NONE;
    if (d->reason)
        return d->reason == SL_REASON_MALFORMED ? SL_DROP : SL_PASS;
    return sl_decide_request(ctx, p, d);
}
