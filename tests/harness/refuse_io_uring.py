#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""refuse_io_uring.py COMMAND...: runs it under a seccomp filter that answers io_uring_setup with EPERM, as the default
profile of container runtimes does."""
import ctypes
import os
import struct
import sys

SETUP = 425  # io_uring_setup, on every architecture
LOAD_NUMBER, IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS of seccomp_data.nr, BPF_JMP|JEQ|K, BPF_RET|K
ERRNO_EPERM, ALLOW = 0x00050001, 0x7FFF0000
NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2

steps = [(LOAD_NUMBER, 0, 0, 0), (IF_EQUAL, 0, 1, SETUP), (RETURN, 0, 0, ERRNO_EPERM), (RETURN, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, MODE_FILTER, program, 0, 0):
    sys.exit(f"refuse_io_uring: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
