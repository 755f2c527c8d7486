/* SPDX-License-Identifier: GPL-2.0-only */
// The reply tuples: what a flow's backend sees as its client is leased to that flow alone, so that the answer finds the
// way back.
#pragma once

#include "bpf/lookup.h"
#include "bpf/reason.h"

#define SL_FLOW_CLOSED (SL_FLOW_FIN_CLIENT | SL_FLOW_FIN_BACKEND)
#define SL_ENDED_NS (60 * 1000000000ULL)          // how long a closed or reset flow keeps its reply tuple: TIME_WAIT
#define SL_SILENT_NS (24 * 3600 * 1000000000ULL)  // and one whose ends are gone without a word

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

static __always_inline int sl_has_ended(const struct sl_flow* flow)
{
    return (flow->flags & SL_FLOW_RESET) || (flow->flags & SL_FLOW_CLOSED) == SL_FLOW_CLOSED;
}

static __always_inline __u64 sl_idle_ns(const struct sl_flow* flow, __u64 now)
{
    return now > flow->seen_ns ? now - flow->seen_ns : 0;  // another CPU may just have looked after it
}

// Whether what comes by its reply tuple is no answer of the flow any more.
static __always_inline int sl_is_over(const struct sl_flow* flow, __u8 proto, const struct sl_config* config, __u64 now)
{
    if (proto == IPPROTO_UDP)
        return sl_idle_ns(flow, now) > (__u64)config->udp_idle_s * 1000000000ULL;
    return sl_has_ended(flow) && sl_idle_ns(flow, now) > SL_ENDED_NS;
}

// Takes the reply tuple from a flow that needs it no more, and ends that flow. Who deletes the flow has the tuple: of
// several CPUs one. A holder without a flow may be one that another CPU is about to make.
static __always_inline int sl_take(const struct sl_reply_key* key, struct sl_flow_key* holder,
                                   const struct sl_config* config, __u64 now)
{
    struct sl_flow* flow = bpf_map_lookup_elem(&sl_flows, holder);

    if (!flow || !(sl_is_over(flow, key->proto, config, now) || sl_idle_ns(flow, now) > SL_SILENT_NS))
        return 0;
    if (bpf_map_delete_elem(&sl_flows, holder))
        return 0;
    bpf_map_delete_elem(&sl_replies, key);
    return 1;
}

// Leases the reply tuple to the flow. The look-up comes first because an LRU map makes room, by evicting, even for an
// insertion that then finds the key taken.
static __always_inline int sl_claim(const struct sl_flow* flow, const struct sl_backend* backend,
                                    const struct sl_flow_key* owner, const struct sl_config* config, __u64 now)
{
    struct sl_reply_key key;
    struct sl_flow_key* holder;

    sl_reply_key_of(&key, flow, backend, owner->proto);
    holder = bpf_map_lookup_elem(&sl_replies, &key);
    if (holder && sl_same_flow(holder, owner))
        return 1;
    if (holder && !sl_take(&key, holder, config, now))
        return 0;
    if (!bpf_map_update_elem(&sl_replies, &key, owner, BPF_NOEXIST))
        return 1;
    holder = bpf_map_lookup_elem(&sl_replies, &key);
    return holder && sl_same_flow(holder, owner);
}

// Gives the flow's reply tuple back. `backend` is what has the id that the flow names, if anything.
static __always_inline void sl_release(const struct sl_flow* flow, const struct sl_backend* backend,
                                       const struct sl_flow_key* owner)
{
    struct sl_reply_key key;
    struct sl_flow_key* holder;

    if (!backend || backend->generation != flow->backend_generation)
        return;
    sl_reply_key_of(&key, flow, backend, owner->proto);
    holder = bpf_map_lookup_elem(&sl_replies, &key);
    if (holder && sl_same_flow(holder, owner))
        bpf_map_delete_elem(&sl_replies, &key);
}

// Chooses the source that the backend sees, and claims it. Returns a SL_REASON_*.
static __always_inline __u32 sl_claim_source(const struct sl_packet* p, struct sl_flow* flow,
                                             const struct sl_backend* backend, const struct sl_config* config,
                                             __u64 now)
{
    const struct sl_flow_key* key = &p->key.flow;
    const __be32* node = backend->source_be;

    if (sl_is_v4_mapped(backend->addr_be) == p->is_v6)
        return SL_REASON_NO_NODE_ADDRESS;
    // A client on the backend's own link, such as another pod of its bridge, would be answered there and not through
    // this node.
    if ((backend->flags & SL_BACKEND_LOCAL) && p->ifindex != backend->ifindex &&
        !sl_same_address(key->client_be, backend->addr_be)) {
        __builtin_memcpy(flow->source_be, key->client_be, 16);
        flow->source_port_be = key->client_port_be;
        if (sl_claim(flow, backend, key, config, now))
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
        // What comes to a listener is never taken for an answer.
        if (sl_find_listener(node, flow->source_port_be, key->proto))
            continue;
        if (sl_claim(flow, backend, key, config, now))
            return SL_REASON_NONE;
    }
    return SL_REASON_NO_SNAT_PORT;
}
