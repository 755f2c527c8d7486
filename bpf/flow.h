/* SPDX-License-Identifier: GPL-2.0-only */
// What happens to a packet: the one decision that both hooks share. It keeps the flow tables, and touches no packet.
#pragma once

#include "bpf/lease.h"
#include "bpf/lookup.h"
#include "bpf/reason.h"

#define SL_REFRESH_NS 1000000000ULL  // a flow's clock and reply entry are looked after at most this often

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
    __u32 is_new;  // the flow was made for this packet
};

static __always_inline int sl_is_first(const struct sl_packet* p)
{
    return p->key.tuple.proto == IPPROTO_UDP || (p->tcp_flags & (SL_TCP_SYN | SL_TCP_ACK)) == SL_TCP_SYN;
}

static __always_inline int sl_is_syn_ack(const struct sl_packet* p)
{
    const __u8 both = SL_TCP_SYN | SL_TCP_ACK;

    return p->key.tuple.proto == IPPROTO_TCP && (p->tcp_flags & both) == both;
}

// Whether the flow keeps its backend. A retransmitted SYN does; one on a closed flow, to a backend that is leaving, or
// to an address that is another listener's now, is a new connection.
static __always_inline int sl_stays(const struct sl_packet* p, const struct sl_flow* flow,
                                    const struct sl_backend* backend, const struct sl_config* config, __u32 listener_id,
                                    __u64 now)
{
    if (flow->backend_generation != backend->generation)
        return 0;
    if (!sl_is_first(p))
        return 1;
    if ((backend->flags & SL_BACKEND_DRAINING) || flow->listener_id != listener_id)
        return 0;
    if (p->key.tuple.proto == IPPROTO_UDP)
        return !sl_is_over(flow, IPPROTO_UDP, config, now);
    return !sl_has_ended(flow);
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

// SL_REASON_* for which the packet cannot be forwarded as it is.
static __always_inline __u32 sl_why_odd(const struct sl_packet* p)
{
    return p->odd ? p->odd : p->ttl <= 1 ? SL_REASON_TTL : SL_REASON_NONE;
}

// Such a packet is the stack's, unless it is of a TCP connection that the kernel forwards (`flow`; 0: of none): the
// stack knows nothing of that, and would answer with a reset. It is lost then, as packets are.
static __always_inline enum sl_verdict sl_hand_up(const struct sl_packet* p, struct sl_decision* d,
                                                  const struct sl_flow* flow)
{
    if (d->reason == SL_REASON_MALFORMED)
        return SL_DROP;
    if (p->key.tuple.proto != IPPROTO_TCP || sl_is_first(p) || !flow || sl_has_ended(flow))
        return SL_PASS;
    d->reason = SL_REASON_ODD_MID_FLOW;
    return SL_DROP;
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
    // With a forged source two listeners, or one and itself, would answer each other for ever.
    if (is_udp && sl_find_listener(p->key.flow.client_be, p->key.flow.client_port_be, IPPROTO_UDP)) {
        d->reason = SL_REASON_LOOP;
        return SL_DROP;
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
    d->reason = sl_claim_source(p, &flow, backend, config, now);
    if (d->reason)
        return SL_PASS;
    sl_note_flags(p, &flow, SL_FLOW_FIN_CLIENT);
    if (!bpf_map_update_elem(&sl_flows, &p->key.flow, &flow, exists ? BPF_ANY : BPF_NOEXIST)) {
        d->is_new = 1;
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

static __always_inline void sl_go_on(const struct sl_packet* p, struct sl_decision* d, struct sl_flow* flow,
                                     const struct sl_backend* backend, const struct sl_config* config, __u64 now)
{
    sl_note_flags(p, flow, SL_FLOW_FIN_CLIENT);
    if (now - flow->seen_ns > SL_REFRESH_NS) {
        flow->seen_ns = now;
        sl_claim(flow, backend, &p->key.flow, config, now);
    }
    sl_send_to(d, p, flow, backend);
}

static __always_inline enum sl_verdict sl_decide_request(void* ctx, const struct sl_packet* p, struct sl_decision* d)
{
    const struct sl_config* config = sl_get_config();
    struct sl_flow* flow = bpf_map_lookup_elem(&sl_flows, &p->key.flow);
    __u64 now = bpf_ktime_get_ns();
    enum sl_verdict verdict;

    if (!config)
        return SL_PASS;
    if (!flow)
        return sl_start(ctx, p, d, config, now, 0);
    struct sl_backend* backend = bpf_map_lookup_elem(&sl_backends, &flow->backend_id);

    if (!backend || !sl_stays(p, flow, backend, config, d->listener_id, now)) {
        sl_release(flow, backend, &p->key.flow);
        verdict = sl_start(ctx, p, d, config, now, 1);
        if (verdict != SL_FORWARD)
            bpf_map_delete_elem(&sl_flows, &p->key.flow);  // or the next packet would go to the backend that it left
        return verdict;
    }
    sl_go_on(p, d, flow, backend, config, now);
    return SL_FORWARD;
}

// For a listener that the proxy relays now. What began before goes on by its flow. The SYN of another connection ends
// that flow: the packets behind it are the relay's, and would be taken for the flow's.
static __always_inline enum sl_verdict sl_decide_relayed(const struct sl_packet* p, struct sl_decision* d)
{
    const struct sl_config* config = sl_get_config();
    struct sl_flow* flow = bpf_map_lookup_elem(&sl_flows, &p->key.flow);

    if (!flow || !config)
        return SL_PASS;
    struct sl_backend* backend = bpf_map_lookup_elem(&sl_backends, &flow->backend_id);

    if (sl_is_first(p) || !backend || backend->generation != flow->backend_generation) {
        sl_release(flow, backend, &p->key.flow);
        bpf_map_delete_elem(&sl_flows, &p->key.flow);
        return SL_PASS;
    }
    d->reason = sl_why_odd(p);
    if (d->reason)
        return sl_hand_up(p, d, flow);
    sl_go_on(p, d, flow, backend, config, bpf_ktime_get_ns());
    return SL_FORWARD;
}

// A packet for no listener: the answer of a backend, or none of our business, such as that to another client of the
// backend by a tuple that a flow has had. An answer of a backend that the flow has left (its entry may outlive the
// choice) is not shown to the client.
static __always_inline enum sl_verdict sl_decide_reply(const struct sl_packet* p, struct sl_decision* d)
{
    struct sl_flow_key* key = bpf_map_lookup_elem(&sl_replies, &p->key.reply);
    const struct sl_config* config = sl_get_config();
    __u64 now = bpf_ktime_get_ns();

    if (!key || !config)
        return SL_PASS;
    struct sl_flow* flow = bpf_map_lookup_elem(&sl_flows, key);

    if (!flow || flow->source_port_be != p->key.reply.source_port_be ||
        !sl_same_address(flow->source_be, p->key.reply.source_be))
        return SL_PASS;
    if (sl_is_over(flow, p->key.tuple.proto, config, now) || (sl_is_syn_ack(p) && sl_has_ended(flow)))
        return SL_PASS;
    struct sl_backend* backend = bpf_map_lookup_elem(&sl_backends, &flow->backend_id);

    if (backend && backend->generation == flow->backend_generation &&
        (backend->port_be != p->key.reply.backend_port_be ||
         !sl_same_address(backend->addr_be, p->key.reply.backend_be)))
        return SL_PASS;
    d->listener_id = flow->listener_id;
    d->to_client = 1;
    d->reason = sl_why_odd(p);
    if (d->reason)
        return sl_hand_up(p, d, flow);
    __builtin_memcpy(d->to.src_be, key->vip_be, 16);
    __builtin_memcpy(d->to.dst_be, key->client_be, 16);
    d->to.src_port_be = key->vip_port_be;
    d->to.dst_port_be = key->client_port_be;
    d->to.proto = p->key.tuple.proto;
    sl_note_flags(p, flow, SL_FLOW_FIN_BACKEND);
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
    d->listener_id = listener->id;
    if (listener->served_by != SL_SERVED_BY_KERNEL)
        return listener->id && p->key.tuple.proto == IPPROTO_TCP ? sl_decide_relayed(p, d) : SL_PASS;
    d->reason = sl_why_odd(p);
    if (d->reason)
        return sl_hand_up(p, d, bpf_map_lookup_elem(&sl_flows, &p->key.flow));
    return sl_decide_request(ctx, p, d);
}
