/* SPDX-License-Identifier: GPL-2.0-only */
// Sends a decided packet on its way, or back to the slow path untouched: the route is looked up before the packet is
// written to.
#pragma once

#include "bpf/nat.h"

#define SL_AF_INET 2
#define SL_AF_INET6 10

static __always_inline long sl_find_route(void* ctx, __u32 ifindex, const struct sl_packet* p,
                                          const struct sl_tuple* to, struct bpf_fib_lookup* fib, __u16 ip_bytes,
                                          __u32 flags)
{
    __builtin_memset(fib, 0, sizeof(*fib));
    fib->family = p->is_v6 ? SL_AF_INET6 : SL_AF_INET;
    fib->l4_protocol = to->proto;
    fib->sport = to->src_port_be;
    fib->dport = to->dst_port_be;
    fib->tot_len = ip_bytes;
    fib->ifindex = ifindex;
    if (p->is_v6) {
        __builtin_memcpy(fib->ipv6_src, to->src_be, 16);
        __builtin_memcpy(fib->ipv6_dst, to->dst_be, 16);
    } else {
        fib->ipv4_src = to->src_be[3];
        fib->ipv4_dst = to->dst_be[3];
    }
    return bpf_fib_lookup(ctx, fib, sizeof(*fib), (int)flags);
}

// Takes back the flow that was made for a packet which cannot go.
static __always_inline void sl_unmake(const struct sl_packet* p)
{
    struct sl_flow* flow = bpf_map_lookup_elem(&sl_flows, &p->key.flow);

    if (!flow)
        return;
    sl_release(flow, bpf_map_lookup_elem(&sl_backends, &flow->backend_id), &p->key.flow);
    bpf_map_delete_elem(&sl_flows, &p->key.flow);
}

// For a packet without a way. The stack's relay serves what begins and datagrams, and the stack tells a backend that
// answers to the client's own address by ICMP. The rest is of connections that it knows nothing of, and would reset.
static __always_inline int sl_tc_give_up(const struct sl_packet* p, const struct sl_decision* d, long found)
{
    int is_told = d->to_client && sl_same_address(p->key.tuple.dst_be, d->to.dst_be);

    if (d->is_new)
        sl_unmake(p);
    if (p->key.tuple.proto == IPPROTO_UDP || is_told || (d->is_new && sl_is_first(p))) {
        sl_count_reason(d->listener_id, SL_REASON_NO_ROUTE);
        return TCX_NEXT;
    }
    sl_count_reason(d->listener_id, found == BPF_FIB_LKUP_RET_FRAG_NEEDED ? SL_REASON_TOO_BIG : SL_REASON_UNROUTABLE);
    return TCX_DROP;
}

static __always_inline int sl_tc_forward(struct __sk_buff* skb, const struct sl_packet* p, const struct sl_decision* d)
{
    __u32 ifindex = d->ifindex;

    if (!ifindex) {
        struct bpf_fib_lookup fib;
        // Without a length the kernel compares the frame's own with the link's, unless it is yet to be segmented.
        long found = sl_find_route(skb, skb->ifindex, p, &d->to, &fib, 0, BPF_FIB_LOOKUP_SKIP_NEIGH);

        if (found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_NO_NEIGH) {
            ifindex = fib.ifindex;
        } else if (!d->to_client || found != BPF_FIB_LKUP_RET_NOT_FWDED) {
            return sl_tc_give_up(p, d, found);  // a backend that is an address of this node included
        }
    }
    if (sl_tc_rewrite(skb, p, &d->to)) {
        sl_count_reason(d->listener_id, SL_REASON_REWRITE);
        return TCX_DROP;
    }
    __u64 segments = skb->gso_segs > 1 ? skb->gso_segs : 1;
    __u64 headers = p->l4_offset - SL_L3_OFFSET + p->l4_bytes;

    sl_count_traffic(d->listener_id, (int)d->to_client, segments, p->ip_bytes + (segments - 1) * headers);
    // An answer to a client on this node itself goes up the stack.
    return ifindex ? (int)bpf_redirect_neigh((int)ifindex, 0, 0, 0) : TCX_PASS;
}

// Only out of the link it came by: there XDP_TX needs nothing of any other driver. tcx does the rest.
static __always_inline int sl_xdp_forward(struct xdp_md* ctx, const struct sl_packet* p, const struct sl_decision* d)
{
    struct bpf_fib_lookup fib;

    if (d->ifindex)
        return XDP_PASS;
    long found = sl_find_route(ctx, ctx->ingress_ifindex, p, &d->to, &fib, (__u16)p->ip_bytes, 0);

    if (found == BPF_FIB_LKUP_RET_NO_NEIGH)
        sl_count_reason(d->listener_id, SL_REASON_NO_NEIGHBOUR);
    else if (found != BPF_FIB_LKUP_RET_SUCCESS && d->is_new)
        sl_unmake(p);  // tcx, which finds no route either, would take it for a connection that goes on
    if (found != BPF_FIB_LKUP_RET_SUCCESS || fib.ifindex != ctx->ingress_ifindex)
        return XDP_PASS;
    if (sl_xdp_rewrite(ctx, p, &d->to, fib.dmac, fib.smac))
        return XDP_PASS;
    sl_count_traffic(d->listener_id, (int)d->to_client, 1, p->ip_bytes);
    return XDP_TX;
}
