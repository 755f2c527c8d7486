# SPDX-License-Identifier: Apache-2.0
r"""HTTP/2 frames (RFC 9113 section 4), written as lines and read from an answer.

    HEADERS 1 END_HEADERS END_STREAM :method=GET :path=/{id} :scheme=http :authority=a x=y
    DATA 1 END_STREAM pad=3 some\x20text
    SETTINGS 4=0 | SETTINGS ACK | PING 00112233aabbccdd | RST_STREAM 1 8 | WINDOW_UPDATE 0 100
    PRIORITY 3 dep=3 weight=1 | GOAWAY 0 0 | CONTINUATION 1 END_HEADERS a=b | PUSH_PROMISE 1 2 END_HEADERS a=b
    RAW 0x0 0x1 5 hex of the payload
    BYTES text, that is no frame
    AWAIT 1                         until so many streams have ended
    REPEAT 10 … END                 the lines between, with @ for 1, 3, 5, …

A field's spaces are \x20. Among the fields, hex:8286 are bytes of the block as they are, indexed:a=b enters the table,
<get> and <post> are the usual four. Any frame may have flags=0xNN, length=N (a lie), dep=N weight=N excl, stream=N.
"""
import re
import struct
from dataclasses import dataclass, field
from functools import lru_cache

from corpus import Await, CorpusError, Step, expand, unescape
from hpack import literal, status_of

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TYPES = {"DATA": 0, "HEADERS": 1, "PRIORITY": 2, "RST_STREAM": 3, "SETTINGS": 4, "PUSH_PROMISE": 5, "PING": 6,
         "GOAWAY": 7, "WINDOW_UPDATE": 8, "CONTINUATION": 9}
FLAGS = {"END_STREAM": 1, "ACK": 1, "END_HEADERS": 4, "PADDED": 8, "PRIORITY": 32}
OPTION = re.compile(r"(flags|length|pad|dep|weight|stream)=(\w+)")
MACROS = {"<get>": ":method=GET :scheme=http :path=/{id} :authority={id}.hostile.test",
          "<post>": ":method=POST :scheme=http :path=/{id} :authority={id}.hostile.test"}
HEADER_BYTES = 9


def frame(kind: int, flags: int, stream: int, payload: bytes, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind & 0xff, flags & 0xff]) + struct.pack(">I", stream) + payload


# HEADER_TABLE_SIZE=0: what comes back is read without a table.
SETTINGS = frame(4, 0, 0, struct.pack(">HI", 1, 0))
SETTINGS_ACK = frame(4, 1, 0, b"")


def field_bytes(token: str) -> bytes:
    if token.startswith("hex:"):
        return bytes.fromhex(token[4:])
    is_indexed = token.startswith("indexed:")
    token = token.removeprefix("indexed:")
    name, separator, value = token[1:].partition("=")  # a name may begin with ':' or '='
    if not separator:
        raise CorpusError(f"neither flag nor field: {token}")
    return literal(unescape(token[0] + name if token[0] != "=" else ""), unescape(value), is_indexed)


def options_of(tokens: list[str]) -> tuple[dict[str, int], list[str]]:
    options: dict[str, int] = {"flags": 0}
    rest = []
    for token in tokens:
        match = OPTION.fullmatch(token)
        if match:
            options[match[1]] = options["flags"] | int(match[2], 0) if match[1] == "flags" else int(match[2], 0)
        elif token in FLAGS:
            options["flags"] |= FLAGS[token]
        elif token == "excl":
            options["excl"] = 1
        else:
            rest.append(token)
    return options, rest


def priority_bytes(options: dict[str, int]) -> bytes:
    return struct.pack(">IB", options.get("dep", 0) | options.get("excl", 0) << 31, options.get("weight", 1) - 1)


def payload_of(name: str, options: dict[str, int], rest: list[str]) -> bytes:
    if name == "DATA":
        return unescape("".join(rest))
    if name in ("HEADERS", "CONTINUATION"):
        return b"".join(field_bytes(token) for token in rest)
    if name == "PUSH_PROMISE":
        return struct.pack(">I", int(rest[0])) + b"".join(field_bytes(token) for token in rest[1:])
    if name == "SETTINGS":
        pairs = [token.split("=") for token in rest]
        return b"".join(struct.pack(">HI", int(key, 0), int(value, 0)) for key, value in pairs)
    if name == "PRIORITY":
        return priority_bytes(options)
    if name == "PING":
        return bytes.fromhex("".join(rest))
    return b"".join(struct.pack(">I", int(value, 0)) for value in rest)  # RST_STREAM, GOAWAY, WINDOW_UPDATE


def encode(line: str) -> bytes:
    tokens = line.split()
    name = tokens.pop(0)
    if name == "BYTES":
        return unescape("".join(tokens))
    if name == "RAW":
        kind, flags, stream = (int(token, 0) for token in tokens[:3])
        return frame(kind, flags, stream, bytes.fromhex("".join(tokens[3:])))
    if name not in TYPES:
        raise CorpusError(f"no such frame: {name}")
    has_stream = name in ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "PUSH_PROMISE", "WINDOW_UPDATE", "CONTINUATION")
    stream = int(tokens.pop(0), 0) if has_stream else 0
    options, rest = options_of(tokens)
    payload = payload_of(name, options, rest)
    flags = options["flags"]
    if name == "HEADERS" and "dep" in options:
        flags |= FLAGS["PRIORITY"]
        payload = priority_bytes(options) + payload
    if "pad" in options:
        flags |= FLAGS["PADDED"]
        payload = bytes([options["pad"]]) + payload + bytes(options["pad"])
    return frame(TYPES[name], flags, options.get("stream", stream), payload, options.get("length"))


@lru_cache(maxsize=64)  # a flood is one frame a hundred thousand times, and whoever encodes it serves the backend too
def encode_written(line: str, mark: str) -> bytes:
    """A line as the corpus has it, with macros, in a message of that mark."""
    for macro, text in MACROS.items():
        line = line.replace(macro, text)
    return encode(expand(line).replace("{id}", mark))


def unroll(lines: list[str]) -> list[str]:
    out: list[str] = []
    block: list[str] | None = None
    rounds = 0
    for line in lines:
        if line.startswith("REPEAT "):
            rounds, block = int(line.split()[1]), []
        elif line == "END" and block is not None:
            out += [inner.replace("@", str(1 + 2 * number)) for number in range(rounds) for inner in block]
            block = None
        else:
            (out if block is None else block).append(line)
    return out


def frames(lines: list[str], mark: str, has_preface: bool) -> list[Step]:
    steps: list[Step] = []
    part = bytearray(PREFACE + SETTINGS if has_preface else b"")
    for line in unroll(lines):
        if line.startswith("AWAIT "):
            steps += [bytes(part), Await(int(line.split()[1]))]
            part.clear()
            continue
        part += encode_written(line, mark)
    return [*steps, bytes(part)]


@dataclass
class StreamOutcome:
    statuses: list[int] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None


@dataclass
class Outcome:
    """What came back on a connection."""
    streams: dict[int, StreamOutcome] = field(default_factory=dict)
    goaway: int | None = None
    settings: int = 0        # not yet acknowledged by us
    pings: list[bytes] = field(default_factory=list)
    problem: str = ""        # what no server may send
    used: int = 0            # bytes read of the input
    block: bytes = b""

    def ended_streams(self) -> int:
        return sum(1 for stream in self.streams.values() if stream.ended or stream.reset is not None)

    def feed(self, data: bytearray) -> None:
        while len(data) - self.used >= HEADER_BYTES:
            size = int.from_bytes(data[self.used:self.used + 3], "big")
            if data[self.used:self.used + 5] == b"HTTP/":
                self.goaway = -1  # an HTTP/1 refusal: the preface was not taken for one
                return
            if len(data) - self.used - HEADER_BYTES < size:
                return
            kind, flags = data[self.used + 3], data[self.used + 4]
            stream = int.from_bytes(data[self.used + 5:self.used + 9], "big") & 0x7fffffff
            start = self.used + HEADER_BYTES
            self.used = start + size
            self.take(kind, flags, stream, bytes(data[start:start + size]))

    def take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == TYPES["SETTINGS"] and not flags & 1:
            self.settings += 1
        elif kind == TYPES["PING"] and not flags & 1:
            self.pings.append(payload)
        elif kind == TYPES["GOAWAY"]:
            code = int.from_bytes(payload[4:8], "big")
            self.goaway = max(self.goaway or 0, code)
        elif kind in (TYPES["DATA"], TYPES["HEADERS"], TYPES["CONTINUATION"], TYPES["RST_STREAM"]):
            self.take_of_stream(self.streams.setdefault(stream, StreamOutcome()), kind, flags, payload)

    def take_of_stream(self, outcome: StreamOutcome, kind: int, flags: int, payload: bytes) -> None:
        if kind == TYPES["RST_STREAM"]:
            outcome.reset = int.from_bytes(payload[:4], "big")
            return
        if outcome.ended and kind != TYPES["CONTINUATION"]:
            self.problem = "a frame after END_STREAM"
        if kind != TYPES["CONTINUATION"]:
            if flags & 8:
                payload = payload[1:len(payload) - payload[0]]
            if kind == TYPES["HEADERS"] and flags & 32:
                payload = payload[5:]
            outcome.ended = outcome.ended or bool(flags & 1)
        if kind == TYPES["DATA"]:
            outcome.body += payload
            return
        self.block = payload if kind == TYPES["HEADERS"] else self.block + payload
        if flags & 4 and (status := status_of(self.block)):
            outcome.statuses.append(status)
