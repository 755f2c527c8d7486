/* SPDX-License-Identifier: GPL-2.0-only */
// The maps of maps/abi.h, with BTF types for bpftool. Every one is pinned by the loader.
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "maps/abi.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, SL_LISTENERS_MAX);
    __type(key, struct sl_listener_key);
    __type(value, struct sl_listener);
} sl_listeners SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, SL_BACKENDS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, struct sl_backend);
} sl_backends SEC(".maps");

struct sl_ring {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, SL_RING_SLOTS);
    __type(key, __u32);
    __type(value, __u32);
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, SL_LISTENER_IDS_MAX);
    __type(key, __u32);
    __array(values, struct sl_ring);
} sl_rings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, SL_FLOWS_MAX);
    __type(key, struct sl_flow_key);
    __type(value, struct sl_flow);
} sl_flows SEC(".maps");

// Twice the flows, so that a reply entry seldom goes before its flow does.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 2 * SL_FLOWS_MAX);
    __type(key, struct sl_reply_key);
    __type(value, struct sl_flow_key);
} sl_replies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SL_LISTENER_IDS_MAX);
    __type(key, __u32);
    __type(value, struct sl_counters);
} sl_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SL_LISTENER_IDS_MAX* SL_REASON_COUNT);
    __type(key, __u32);
    __type(value, __u64);
} sl_drops SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_RDONLY_PROG);
    __type(key, __u32);
    __type(value, struct sl_config);
} sl_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_SOCKMAP);
    __uint(max_entries, SL_SOCKETS_MAX);
    __type(key, __u32);
    __type(value, __u64);
} sl_sockets SEC(".maps");
