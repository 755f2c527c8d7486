/* SPDX-License-Identifier: GPL-2.0-only */
// Counting. A missing counter slot never changes a verdict.
#pragma once

#include "bpf/maps.h"

static __always_inline void sl_count_reason(__u32 listener_id, __u32 reason)
{
    __u32 index = listener_id * SL_REASON_COUNT + reason;
    __u64* count = bpf_map_lookup_elem(&sl_drops, &index);

    if (count)
        *count += 1;
}

static __always_inline void sl_count_connection(__u32 listener_id)
{
    struct sl_counters* counters = bpf_map_lookup_elem(&sl_counters, &listener_id);

    if (counters)
        counters->connections += 1;
}

static __always_inline void sl_count_traffic(__u32 listener_id, int to_client, __u64 packets, __u64 bytes)
{
    struct sl_counters* counters = bpf_map_lookup_elem(&sl_counters, &listener_id);

    if (!counters)
        return;
    if (to_client) {
        counters->packets_out += packets;
        counters->bytes_out += bytes;
    } else {
        counters->packets_in += packets;
        counters->bytes_in += bytes;
    }
}
