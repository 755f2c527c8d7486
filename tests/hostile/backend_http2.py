# SPDX-License-Identifier: Apache-2.0
"""The recording backend that speaks HTTP/2 by prior knowledge. It reads no header blocks: a case's mark is in the body
of its request, and when that is whole the stream is answered with the case's frames, or with a plain 200."""
import asyncio
from collections.abc import Callable

from backend import Arrived
from corpus import expand
from h2frames import PREFACE, SETTINGS, SETTINGS_ACK, TYPES, encode, frame

HEADER_BYTES = 9


def reply_frames(lines: list[str], stream: int) -> bytes:
    """With @ for the stream."""
    return b"".join(encode(expand(line.replace("@", str(stream)))) for line in lines)


class Http2Recorder:
    """`on_request` says what to answer: (lines of frames, whether the connection ends then)."""

    def __init__(self, on_request: Callable[[Arrived], tuple[list[str], bool]],
                 on_garbage: Callable[[bytes, str, str], None]) -> None:
        self._on_request = on_request
        self._on_garbage = on_garbage

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies: dict[int, Arrived] = {}
        try:
            preface = await reader.readexactly(len(PREFACE))
            if preface != PREFACE:
                self._on_garbage(preface, "no preface of HTTP/2", "")
                return
            writer.write(SETTINGS)
            while await self.one(reader, writer, bodies):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bodies: dict[int, Arrived]) -> bool:
        head = await reader.readexactly(HEADER_BYTES)
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big") & 0x7fffffff
        if kind == TYPES["SETTINGS"] and not flags & 1:
            writer.write(SETTINGS_ACK)
        elif kind == TYPES["PING"] and not flags & 1:
            writer.write(frame(TYPES["PING"], 1, 0, payload))
        elif kind == TYPES["DATA"]:
            request = bodies.setdefault(stream, Arrived(method="POST", target="*"))
            request.raw += payload
            request.body += payload
            if flags & 1:
                request.is_whole = True
                lines, closes = self._on_request(request)
                writer.write(reply_frames(lines, stream))
                return not closes
        return True
