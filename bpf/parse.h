/* SPDX-License-Identifier: GPL-2.0-only */
// Ethernet -> IPv4 or IPv6 -> TCP or UDP, into one tuple for both families. Anything else is not ours.
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps/abi.h"

#define SL_L3_OFFSET 14
#define SL_HEADERS_MAX (SL_L3_OFFSET + 40 + 20)  // Ethernet, IPv6, TCP without options
#define SL_IP4_FRAGMENT_BE bpf_htons(0x3fff)     // more fragments, or an offset
#define SL_IP6_EXTENSIONS_MAX 3                  // looked through to find the ports of a packet for the slow path

#define SL_TCP_FIN 1
#define SL_TCP_SYN 2
#define SL_TCP_RST 4
#define SL_TCP_ACK 16

// Source, destination, ports, protocol: laid out like sl_flow_key (seen from the client) and sl_reply_key (seen from
// the backend), so that a parsed packet is the key of both look-ups.
struct sl_tuple {
    __be32 src_be[4];
    __be32 dst_be[4];
    __be16 src_port_be;
    __be16 dst_port_be;
    __u8 proto;
    __u8 pad[3];
};

union sl_key {
    struct sl_tuple tuple;
    struct sl_flow_key flow;
    struct sl_reply_key reply;
};

static_assert(sizeof(struct sl_tuple) == sizeof(struct sl_flow_key), "a tuple is a flow key");
static_assert(sizeof(struct sl_tuple) == sizeof(struct sl_reply_key), "a tuple is a reply key");

struct sl_packet {
    union sl_key key;
    __u32 ip_bytes;   // IP length of the whole packet, offloaded or not
    __u32 ifindex;    // link that it came by
    __u16 l4_offset;  // fixed for each family unless `odd` is set
    __u8 is_v6;
    __u8 ttl;
    __u8 tcp_flags;
    __u8 l4_bytes;  // header length
    __u8 odd;       // SL_REASON_* that sends the packet to the slow path when it is meant for a listener
    __u8 pad;
};

static __always_inline int sl_is_v4_mapped(const __be32 address_be[4])
{
    return !address_be[0] && !address_be[1] && address_be[2] == bpf_htonl(0xffff);
}

// The ports, and for TCP the flags. Returns 0 when the header is complete.
static __always_inline int sl_parse_l4(struct sl_packet* p, void* l4, void* data_end, __u32 l4_room)
{
    if (p->key.tuple.proto == IPPROTO_TCP) {
        struct tcphdr* tcp = l4;

        if ((void*)(tcp + 1) > data_end)
            return -1;
        p->key.tuple.src_port_be = tcp->source;
        p->key.tuple.dst_port_be = tcp->dest;
        p->tcp_flags = ((__u8*)tcp)[13];
        p->l4_bytes = (__u8)(tcp->doff * 4);
        if (p->l4_bytes < sizeof(*tcp) || p->l4_bytes > l4_room)
            p->odd = p->odd ? p->odd : SL_REASON_MALFORMED;
        return 0;
    }
    struct udphdr* udp = l4;

    if ((void*)(udp + 1) > data_end)
        return -1;
    p->key.tuple.src_port_be = udp->source;
    p->key.tuple.dst_port_be = udp->dest;
    p->l4_bytes = sizeof(*udp);
    if (bpf_ntohs(udp->len) < sizeof(*udp) || bpf_ntohs(udp->len) > l4_room)
        p->odd = p->odd ? p->odd : SL_REASON_MALFORMED;
    return 0;
}

// `is_merged`: of several segments, which may be more than the length field can say (BIG TCP): it is 0 then.
static __always_inline int sl_parse_v4(struct sl_packet* p, void* data, void* data_end, __u32 l3_room, int is_merged)
{
    struct iphdr* ip = data + SL_L3_OFFSET;

    if ((void*)(ip + 1) > data_end || ip->version != 4 || ip->ihl < 5)
        return -1;
    if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
        return -1;
    if (ip->frag_off & bpf_htons(0x1fff))
        return -1;  // a later fragment has no ports: the stack reassembles it
    p->key.tuple.src_be[2] = p->key.tuple.dst_be[2] = bpf_htonl(0xffff);
    p->key.tuple.src_be[3] = ip->saddr;
    p->key.tuple.dst_be[3] = ip->daddr;
    p->key.tuple.proto = ip->protocol;
    p->ttl = ip->ttl;
    p->ip_bytes = is_merged && !ip->tot_len ? l3_room : bpf_ntohs(ip->tot_len);
    __u32 header_bytes = ip->ihl * 4;

    if (ip->frag_off & SL_IP4_FRAGMENT_BE)
        p->odd = SL_REASON_FRAGMENT;
    else if (header_bytes != sizeof(*ip))
        p->odd = SL_REASON_IP_OPTIONS;
    else if (p->ip_bytes < header_bytes || p->ip_bytes > l3_room)
        p->odd = SL_REASON_MALFORMED;
    p->l4_offset = (__u16)(SL_L3_OFFSET + header_bytes);
    return sl_parse_l4(p, (void*)ip + header_bytes, data_end, p->ip_bytes - header_bytes);
}

struct sl_ip6_extension {
    __u8 next;
    __u8 units;  // of 8 bytes, without the first; 0 in a fragment header
    __be16 fragment_be;
    __u32 rest;
};

static __always_inline int sl_parse_v6(struct sl_packet* p, void* data, void* data_end, __u32 l3_room, int is_merged)
{
    struct ipv6hdr* ip = data + SL_L3_OFFSET;

    if ((void*)(ip + 1) > data_end || ip->version != 6)
        return -1;
    __builtin_memcpy(p->key.tuple.src_be, &ip->saddr, 16);
    __builtin_memcpy(p->key.tuple.dst_be, &ip->daddr, 16);
    p->is_v6 = 1;
    p->ttl = ip->hop_limit;
    p->ip_bytes = is_merged && !ip->payload_len ? l3_room : bpf_ntohs(ip->payload_len) + sizeof(*ip);
    __u8 next = ip->nexthdr;
    __u32 offset = SL_L3_OFFSET + sizeof(*ip);

    for (int i = 0; i < SL_IP6_EXTENSIONS_MAX && next != IPPROTO_TCP && next != IPPROTO_UDP; i++) {
        struct sl_ip6_extension* extension = data + offset;

        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT)
            return -1;
        if ((void*)(extension + 1) > data_end)
            return -1;
        if (next == IPPROTO_FRAGMENT && (extension->fragment_be & bpf_htons(0xfff8)))
            return -1;
        p->odd = next == IPPROTO_FRAGMENT ? SL_REASON_FRAGMENT : SL_REASON_IP_OPTIONS;
        offset += next == IPPROTO_FRAGMENT ? 8 : (extension->units + 1U) * 8;
        next = extension->next;
    }
    if (next != IPPROTO_TCP && next != IPPROTO_UDP)
        return -1;
    p->key.tuple.proto = next;
    if (!p->odd && p->ip_bytes > l3_room)
        p->odd = SL_REASON_MALFORMED;
    p->l4_offset = (__u16)offset;
    return sl_parse_l4(p, data + offset, data_end, p->ip_bytes - (offset - SL_L3_OFFSET));
}

// Returns 0 for a packet that may be ours. `frame_bytes` is the whole frame, also what data_end does not cover.
static __always_inline int sl_parse(struct sl_packet* p, void* data, void* data_end, __u32 frame_bytes, int is_merged)
{
    struct ethhdr* eth = data;

    __builtin_memset(p, 0, sizeof(*p));
    if ((void*)(eth + 1) > data_end || frame_bytes < SL_L3_OFFSET)
        return -1;
    if (eth->h_proto == bpf_htons(ETH_P_IP))
        return sl_parse_v4(p, data, data_end, frame_bytes - SL_L3_OFFSET, is_merged);
    if (eth->h_proto == bpf_htons(ETH_P_IPV6))
        return sl_parse_v6(p, data, data_end, frame_bytes - SL_L3_OFFSET, is_merged);
    return -1;
}
