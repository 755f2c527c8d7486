/* SPDX-License-Identifier: GPL-2.0-only */
// XDP_PASS for the far end of a veth pair: with it the pair takes frames sent by XDP_TX, as a wire would. Test
// topologies only.
__attribute__((section("xdp"), used)) int wire(void* ctx)
{
    (void)ctx;
    return 2;
}
char _license[] __attribute__((section("license"), used)) = "GPL";
