/* SPDX-License-Identifier: GPL-2.0-only */
// Makes BPF_PROG_TEST_RUN's repeat fit for programs that rewrite packets: the kernel hands every repetition what the
// one before left. So this writes the frame anew each time, and then goes on into the program that is measured.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define REPLAYED_BYTES 80  // at least Ethernet, IPv6 and TCP headers; every frame is longer
#define NOT_CALLED 99      // no verdict of either hook

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} tc_measured SEC(".maps"), xdp_measured SEC(".maps");

__u64 frame[REPLAYED_BYTES / 8];
__u32 varied_at;  // where the lower three bytes of a big-endian word count the repetitions; 0: nowhere
__u32 varied_base;
__u32 repetition;

static __always_inline int replay(void* data, void* data_end)
{
    __u64* to = data;

    if (data + REPLAYED_BYTES > data_end)
        return -1;
    if (varied_at)
        *(__u32*)((char*)frame + (varied_at & 63)) = bpf_htonl(varied_base | (++repetition & 0xffffff));
#pragma unroll
    for (int i = 0; i < REPLAYED_BYTES / 8; i++)
        to[i] = frame[i];
    return 0;
}

SEC("tcx/ingress")
int tc_replay(struct __sk_buff* skb)
{
    if (!replay((void*)(long)skb->data, (void*)(long)skb->data_end))
        bpf_tail_call(skb, &tc_measured, 0);
    return NOT_CALLED;
}

SEC("xdp")
int xdp_replay(struct xdp_md* ctx)
{
    if (!replay((void*)(long)ctx->data, (void*)(long)ctx->data_end))
        bpf_tail_call(ctx, &xdp_measured, 0);
    return NOT_CALLED;
}

// What is taken off: the replaying and the call.
SEC("tcx/ingress")
int tc_empty(struct __sk_buff* skb)
{
    (void)skb;
    return 0;
}

SEC("xdp")
int xdp_empty(struct xdp_md* ctx)
{
    (void)ctx;
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
