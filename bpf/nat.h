/* SPDX-License-Identifier: GPL-2.0-only */
// Rewrites a packet from the tuple it has to the tuple it gets: addresses, ports, TTL, checksums. Only packets without
// IP options come here, so that offsets are constant for each family.
// IPv4 addresses are mapped: the prefix cancels out of the checksum difference, and both families share one path.
#pragma once

#include "bpf/flow.h"

#define SL_EINVAL 22

#define SL_V4_CHECK (SL_L3_OFFSET + (int)offsetof(struct iphdr, check))
#define SL_V4_TTL (SL_L3_OFFSET + (int)offsetof(struct iphdr, ttl))
#define SL_V4_SADDR (SL_L3_OFFSET + (int)offsetof(struct iphdr, saddr))
#define SL_V6_HOP_LIMIT (SL_L3_OFFSET + (int)offsetof(struct ipv6hdr, hop_limit))
#define SL_V6_SADDR (SL_L3_OFFSET + (int)offsetof(struct ipv6hdr, saddr))
#define SL_V4_L4 (SL_L3_OFFSET + (int)sizeof(struct iphdr))
#define SL_V6_L4 (SL_L3_OFFSET + (int)sizeof(struct ipv6hdr))

static __always_inline __u32 sl_address_diff(const struct sl_tuple* from, const struct sl_tuple* to)
{
    return (__u32)bpf_csum_diff((__be32*)from->src_be, 32, (__be32*)to->src_be, 32, 0);
}

// Source and destination port as they lie in the header.
static __always_inline __u32 sl_ports(const struct sl_tuple* tuple) { return *(const __u32*)&tuple->src_port_be; }

static __always_inline int sl_l4_check_offset(const struct sl_packet* p, int l4)
{
    return p->key.tuple.proto == IPPROTO_TCP ? l4 + (int)offsetof(struct tcphdr, check)
                                             : l4 + (int)offsetof(struct udphdr, check);
}

static __always_inline long sl_tc_rewrite_l4(struct __sk_buff* skb, const struct sl_packet* p,
                                             const struct sl_tuple* to, __u32 diff)
{
    int l4 = p->is_v6 ? SL_V6_L4 : SL_V4_L4;
    int check = sl_l4_check_offset(p, l4);
    __u64 mangled = p->key.tuple.proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
    __u32 ports = sl_ports(to);
    long error;

    if (p->is_v6) {
        // Without BPF_F_IPV6 a hardware checksum (CHECKSUM_COMPLETE) would go wrong; older kernels do not know it.
        error = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR | BPF_F_IPV6 | mangled);
        if (error == -SL_EINVAL)
            error = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR | mangled);
    } else {
        error = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR | mangled);
    }
    if (error)
        return error;
    error = bpf_l4_csum_replace(skb, check, sl_ports(&p->key.tuple), ports, sizeof(ports) | mangled);
    return error ? error : bpf_skb_store_bytes(skb, l4, &ports, sizeof(ports), 0);
}

// By helpers, which know about partial checksums and offloaded segments. Returns 0, or an error after which the
// packet may be half written.
static __always_inline long sl_tc_rewrite(struct __sk_buff* skb, const struct sl_packet* p, const struct sl_tuple* to)
{
    __u32 diff = sl_address_diff(&p->key.tuple, to);
    __u8 ttl = p->ttl - 1;
    long error = sl_tc_rewrite_l4(skb, p, to, diff);

    if (error)
        return error;
    if (p->is_v6) {
        error = bpf_skb_store_bytes(skb, SL_V6_SADDR, to->src_be, 32, 0);
        return error ? error : bpf_skb_store_bytes(skb, SL_V6_HOP_LIMIT, &ttl, 1, BPF_F_RECOMPUTE_CSUM);
    }
    __be32 addresses[2] = {to->src_be[3], to->dst_be[3]};

    error = bpf_l3_csum_replace(skb, SL_V4_CHECK, 0, diff, 0);
    if (!error)
        error = bpf_l3_csum_replace(skb, SL_V4_CHECK, bpf_htons((__u16)(p->ttl << 8)), bpf_htons((__u16)(ttl << 8)), 2);
    if (!error)
        error = bpf_skb_store_bytes(skb, SL_V4_TTL, &ttl, 1, 0);
    return error ? error : bpf_skb_store_bytes(skb, SL_V4_SADDR, addresses, sizeof(addresses), 0);
}

static __always_inline __u16 sl_checksum_add(__u16 check, __u32 diff)
{
    __u64 sum = (__u64)(__u16)~check + diff;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)~sum;
}

// By direct writes. Returns 0 with everything written, or -1 with nothing written.
static __always_inline int sl_xdp_rewrite(struct xdp_md* ctx, const struct sl_packet* p, const struct sl_tuple* to,
                                          const __u8 destination[6], const __u8 source[6])
{
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    __u32 diff = sl_address_diff(&p->key.tuple, to);
    __u32 old_ports = sl_ports(&p->key.tuple);
    __u32 ports = sl_ports(to);
    __u32 ports_diff = (__u32)bpf_csum_diff(&old_ports, 4, &ports, 4, 0);
    void* l4 = data + (p->is_v6 ? SL_V6_L4 : SL_V4_L4);
    int is_udp = p->key.tuple.proto == IPPROTO_UDP;
    __u16* check = l4 + (is_udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));

    if (data + SL_V4_L4 > data_end || l4 + sizeof(struct udphdr) > data_end || (void*)(check + 1) > data_end)
        return -1;
    if (p->is_v6) {
        struct ipv6hdr* ip = data + SL_L3_OFFSET;

        if ((void*)(ip + 1) > data_end)
            return -1;
        __builtin_memcpy(&ip->saddr, to->src_be, 16);
        __builtin_memcpy(&ip->daddr, to->dst_be, 16);
        ip->hop_limit--;
    } else {
        struct iphdr* ip = data + SL_L3_OFFSET;

        ip->saddr = to->src_be[3];
        ip->daddr = to->dst_be[3];
        ip->ttl--;
        // One off the high byte of a word: its complement is what the checksum gains.
        ip->check = sl_checksum_add(sl_checksum_add(ip->check, diff), (__u16)~bpf_htons(0x0100));
    }
    *(__u32*)l4 = ports;
    // UDP over IPv4 without a checksum stays so; a computed 0 is sent as all ones.
    if (!is_udp || *check) {
        *check = sl_checksum_add(sl_checksum_add(*check, diff), ports_diff);
        if (is_udp && !*check)
            *check = 0xffff;
    }
    __builtin_memcpy(data, destination, 6);
    __builtin_memcpy(data + 6, source, 6);
    return 0;
}
