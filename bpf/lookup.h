/* SPDX-License-Identifier: GPL-2.0-only */
// Which listener a packet is for, and which backend the ring of that listener names.
#pragma once

#include "bpf/maps.h"
#include "bpf/parse.h"

static __always_inline struct sl_listener* sl_find_listener(const __be32 addr_be[4], __be16 port_be, __u8 proto)
{
    struct sl_listener_key key = {.port_be = port_be, .proto = proto};

    __builtin_memcpy(key.addr_be, addr_be, sizeof(key.addr_be));
    return bpf_map_lookup_elem(&sl_listeners, &key);
}

static __always_inline const struct sl_config* sl_get_config(void)
{
    __u32 key = 0;

    return bpf_map_lookup_elem(&sl_config, &key);
}

static __always_inline __u32 sl_rotate(__u32 value, int bits) { return value << bits | value >> (32 - bits); }

// Murmur3 over the whole key: one changed bit of a port moves the result anywhere, so sequential ports spread evenly.
static __always_inline __u32 sl_hash(const struct sl_tuple* tuple, __u32 seed)
{
    const __u32* word = (const __u32*)tuple;
    __u32 hash = seed;

#pragma unroll
    for (int i = 0; i < (int)(sizeof(*tuple) / 4); i++) {
        hash ^= sl_rotate(word[i] * 0xcc9e2d51U, 15) * 0x1b873593U;
        hash = sl_rotate(hash, 13) * 5 + 0xe6546b64U;
    }
    hash ^= sizeof(*tuple);
    hash = (hash ^ hash >> 16) * 0x85ebca6bU;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35U;
    return hash ^ hash >> 16;
}

// The backend id in the flow's slot; SL_BACKEND_NONE for a refused share and for a listener without a ring.
// `flow` is the client's side of the flow.
static __always_inline __u32 sl_select(__u32 listener_id, const struct sl_tuple* flow, const struct sl_config* config)
{
    __u32 slot = sl_hash(flow, config->seed[0]) % SL_RING_SLOTS;
    void* ring = bpf_map_lookup_elem(&sl_rings, &listener_id);
    __u32* backend_id = ring ? bpf_map_lookup_elem(ring, &slot) : 0;

    return backend_id ? *backend_id : SL_BACKEND_NONE;
}
