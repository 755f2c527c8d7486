# SPDX-License-Identifier: Apache-2.0
"""As much of HPACK (RFC 7541) as the corpus needs: every field is written as a literal without Huffman code, so that
any byte can be in any place; of an answer only :status is read."""

DIGIT_CODES = {"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5", "011100": "6",
               "011101": "7", "011110": "8", "011111": "9"}
STATIC_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
STATUS_NAME = range(8, 15)  # indexes of the static table whose name is :status


def integer(value: int, prefix_bits: int, first: int = 0) -> bytes:
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([first | value])
    out = bytearray([first | limit])
    value -= limit
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def literal(name: bytes, value: bytes, is_indexed: bool = False) -> bytes:
    """With `is_indexed` it enters the peer's dynamic table."""
    return (b"\x40" if is_indexed else b"\x00") + integer(len(name), 7) + name + integer(len(value), 7) + value


def digits(text: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in text)
    out = ""
    while len(out) < 3 and bits:
        length = next((size for size in (5, 6) if bits[:size] in DIGIT_CODES), 0)
        if length == 0:
            return ""
        out += DIGIT_CODES[bits[:length]]
        bits = bits[length:]
    return out


def status_of(block: bytes) -> int:
    """The :status that a response's block begins with; 0: it has none (trailers). Its table must have no room."""
    at = 0
    while at < len(block) and block[at] & 0xe0 == 0x20:  # size updates of the table
        at += 1
    if at >= len(block):
        return 0
    first = block[at]
    if first & 0x80:
        return STATIC_STATUS.get(first & 0x7f, 0)
    index = first & (0x3f if first & 0x40 else 0x0f)
    at += 1
    if index == 0:
        size = block[at] & 0x7f
        if block[at + 1:at + 1 + size] not in (b":status", b"\xb8\x84\x8d\x36\xa3"):
            return 0
        at += 1 + size
    elif index not in STATUS_NAME:
        return 0
    is_huffman, size = block[at] & 0x80, block[at] & 0x7f
    value = block[at + 1:at + 1 + size]
    text = digits(value) if is_huffman else value.decode("latin-1")
    return int(text) if text.isdigit() else 0
