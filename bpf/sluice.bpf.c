// SPDX-License-Identifier: GPL-2.0-only
// The entry points. XDP and tcx ask the same question (sl_decide) and differ in how they rewrite and send. What XDP
// cannot do it passes up untouched, and tcx does it; so reasons for passing are counted in tcx alone.
#include <stddef.h>

#include "bpf/forward.h"

#define SL_PACKET_HOST 0  // PACKET_HOST of linux/if_packet.h

SEC("xdp")
int sl_xdp_ingress(struct xdp_md* ctx)
{
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    struct sl_packet packet;
    struct sl_decision decision;

    if (sl_parse(&packet, data, data_end, (__u32)(data_end - data), 0))
        return XDP_PASS;
    packet.ifindex = ctx->ingress_ifindex;
    switch (sl_decide(ctx, &packet, &decision)) {
    case SL_FORWARD: return sl_xdp_forward(ctx, &packet, &decision);
    case SL_DROP: sl_count_reason(decision.listener_id, decision.reason); return XDP_DROP;
    default: return XDP_PASS;
    }
}

SEC("tcx/ingress")
int sl_tc_ingress(struct __sk_buff* skb)
{
    struct sl_packet packet;
    struct sl_decision decision;

    // A frame for another host is seen on a link in promiscuous mode: that host forwards it.
    if (skb->vlan_present || skb->pkt_type != SL_PACKET_HOST)
        return TCX_NEXT;
    __u32 wanted = skb->len < SL_HEADERS_MAX ? skb->len : SL_HEADERS_MAX;

    if (skb->data_end - skb->data < wanted && bpf_skb_pull_data(skb, wanted))
        return TCX_NEXT;
    if (sl_parse(&packet, (void*)(long)skb->data, (void*)(long)skb->data_end, skb->len, skb->gso_segs > 1))
        return TCX_NEXT;
    packet.ifindex = skb->ifindex;
    switch (sl_decide(skb, &packet, &decision)) {
    case SL_FORWARD: return sl_tc_forward(skb, &packet, &decision);
    case SL_DROP: sl_count_reason(decision.listener_id, decision.reason); return TCX_DROP;
    default:
        if (decision.reason)
            sl_count_reason(decision.listener_id, decision.reason);
        return TCX_NEXT;
    }
}

static __always_inline void sl_lookup_tuple(struct bpf_sk_lookup* ctx, struct sl_tuple* flow)
{
    __builtin_memset(flow, 0, sizeof(*flow));
    if (ctx->family == SL_AF_INET) {
        flow->src_be[2] = flow->dst_be[2] = bpf_htonl(0xffff);
        flow->src_be[3] = ctx->remote_ip4;
        flow->dst_be[3] = ctx->local_ip4;
        // Else clang merges the loads of both families into one at a computed offset, which the verifier refuses.
        asm volatile("" ::: "memory");
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            flow->src_be[i] = ctx->remote_ip6[i];
            flow->dst_be[i] = ctx->local_ip6[i];
        }
    }
    flow->src_port_be = ctx->remote_port;
    flow->dst_port_be = bpf_htons((__u16)ctx->local_port);
    flow->proto = (__u8)ctx->protocol;
}

// Brings connections for any listener to the proxy's one group of listening sockets. For a listener that the kernel
// serves, what arrives here is the slow path, and the refused share of its weight is refused here: SK_DROP makes
// the stack answer with a reset.
SEC("sk_lookup")
int sl_sk_lookup(struct bpf_sk_lookup* ctx)
{
    __u32 slot = SL_SOCKET_TCP;
    struct sl_tuple flow;

    sl_lookup_tuple(ctx, &flow);
    struct sl_listener* listener = sl_find_listener(flow.dst_be, flow.dst_port_be, flow.proto);

    if (!listener || flow.proto != IPPROTO_TCP)
        return SK_PASS;
    if (listener->served_by == SL_SERVED_BY_KERNEL) {
        const struct sl_config* config = sl_get_config();

        if (config && sl_select(listener->id, &flow, config) == SL_BACKEND_NONE)
            return SK_DROP;
    }
    struct bpf_sock* socket = bpf_map_lookup_elem(&sl_sockets, &slot);

    if (!socket)
        return SK_PASS;
    // Fails for a socket of the other family that takes no mapped addresses: then the stack's own choice stands.
    bpf_sk_assign(ctx, socket, 0);
    bpf_sk_release(socket);
    return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
